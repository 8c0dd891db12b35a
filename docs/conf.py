"""Settings of the site that `python docs/build_site.py` makes of the pages.

The pages are plain Markdown that also reads well without the site, so nothing of the site stands in
them. The menu comes from the lists of links of `index.md` and `explanation/decisions/index.md`. A
page that is missing there ends the build, as a broken link does.

The source directory is the checkout, since pages link to `README.md`, to scripts and to examples.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from spimpack_tasks.version import __version__  # noqa: E402 - of this checkout

LINK_OF_A_LIST = re.compile(r"^(?:-|\d+\.) \[[^\]]+\]\(([^):#]+\.md)\)", re.MULTILINE)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
INDEXES = ("docs/index", "docs/explanation/decisions/index")
"""The pages whose lists of links are the menu."""

project = "spimpack_tasks"
author = "spimpack_tasks contributors"
version = release = __version__
language = "en"

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/**.md", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"spimpack_tasks {release}"
html_extra_path = ["site"]
html_copy_source = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Have the menu added to the pages that hold it, and tables shown as text."""
    app.add_lexer("tsv", TextLexer)
    app.connect("source-read", _add_menu)


def _add_menu(_app: Sphinx, name: str, source: list[str]) -> None:
    if name in INDEXES:
        source[0] += "".join(_menu(source[0]))


def _menu(text: str) -> list[str]:
    """Return one hidden table of contents for each section that has a list of links."""
    before, *sections = HEADING.split(text)
    captions = ["", *sections[::2]]
    found = []
    for caption, body in zip(captions, [before, *sections[1::2]], strict=True):
        if links := LINK_OF_A_LIST.findall(body):
            options = f":hidden:\n:caption: {caption}\n" if caption else ":hidden:\n"
            found.append("\n\n```{toctree}\n" + options + "\n" + "\n".join(links) + "\n```\n")
    return found
