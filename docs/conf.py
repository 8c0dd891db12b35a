"""Settings of the site that `python docs/build_site.py` makes of the pages.

The pages are plain Markdown that also reads well without the site, so nothing of the site stands in
them. The menu comes from the lists of links of `index.md` and `explanation/decisions/index.md`. A
page that is missing there ends the build, as a broken link does.

The source directory is the checkout, since pages link to `README.md`, to scripts and to examples.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from spimpack_tasks.version import __version__  # noqa: E402 - of this checkout

LINK_OF_A_LIST = re.compile(r"^(?:-|\d+\.) \[[^\]]+\]\(([^):#]+\.(?:md|ipynb))\)", re.MULTILINE)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
NOTEBOOK = "docs/notebook"
INDEXES = ("docs/index", "docs/explanation/decisions/index")
"""The pages whose lists of links are the menu."""

project = "spimpack_tasks"
author = "spimpack_tasks contributors"
version = release = __version__
language = "en"

extensions = ["myst_parser"]
root_doc = "docs/index"
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
include_patterns = ["*.md", "docs/**.md", f"{NOTEBOOK}.ipynb"]
exclude_patterns = [".*", "benchmarks", "build", "demo", "spimpack_tasks", "tests"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"spimpack_tasks {release}"
html_extra_path = ["site"]
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Add the menu to the pages that hold it, and read the notebook."""
    app.add_lexer("tsv", TextLexer)
    app.connect("source-read", _add_menu)
    app.connect("source-read", _read_notebook)


def _add_menu(_app: Sphinx, name: str, source: list[str]) -> None:
    if name in INDEXES:
        source[0] += "".join(_menu(source[0]))


def _read_notebook(_app: Sphinx, name: str, source: list[str]) -> None:
    if name == NOTEBOOK:
        source[0] = "\n\n".join(
            part for cell in json.loads(source[0])["cells"] for part in _show(cell)
        )


def _show(cell: dict[str, Any]) -> Iterator[str]:
    """Yield a cell of a notebook, and its outputs, as Markdown."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield text
        return
    yield f"```python\n{text}\n```"
    for output in cell["outputs"]:
        if picture := output.get("data", {}).get("image/png"):
            yield f"![The picture that the cell shows](data:image/png;base64,{picture})"
        else:
            yield f"```text\n{''.join(output['text']).rstrip()}\n```"


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
