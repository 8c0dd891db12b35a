"""The site made of the pages: built strictly, and showing nothing from elsewhere.

pip install '.[docs]' && python -m pytest -m slow tests/system/test_site.py
"""

import re
import shutil
import subprocess
import sys

import pytest
from markdown_blocks import ROOT

pytest.importorskip("sphinx")
pytestmark = pytest.mark.slow

PAGES_BESIDE = sorted(path.name for path in ROOT.glob("*.md"))
FETCHED = re.compile(
    r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//|<link[^>]* href="(?:https?:)?//'
)


def build(root, target):
    """Build the site of a checkout, and return how it ended."""
    command = [sys.executable, root / "docs" / "build_site.py", "--to", target]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site of this checkout."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_i15_9_each_page_is_in_the_site(site):
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in PAGES_BESIDE)]
    missing = [
        page for page in pages if not (site / page.relative_to(ROOT)).with_suffix(".html").exists()
    ]
    assert not missing


def test_i15_9_the_site_fetches_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        assert not FETCHED.search(page.read_text(encoding="utf-8")), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\W?https?:|@import", style.read_text(encoding="utf-8")), style


def test_i15_9_the_first_page_of_the_site_leads_to_the_start_page(site):
    (target,) = re.findall('url=([^"]+)', (site / "index.html").read_text(encoding="utf-8"))
    assert "ten images become a dataset" in (site / target).read_text(encoding="utf-8")


def test_i15_9_a_broken_link_an_anchor_or_a_page_out_of_the_menu_fails_the_build(tmp_path):
    checkout = tmp_path / "checkout"
    for folder in ("docs", "configs", "workflows"):
        shutil.copytree(ROOT / folder, checkout / folder)
    (checkout / "spimpack_tasks").mkdir()
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "spimpack_tasks/version.py",
    ):
        shutil.copy(ROOT / name, checkout / name)
    with (checkout / "docs" / "tutorial.md").open("a", encoding="utf-8") as page:
        page.write("\n[A](no-such-page.md) and [b](index.md#no-such-heading).\n")
    (checkout / "docs" / "lost.md").write_text("# Lost\n", encoding="utf-8")
    done = build(checkout, tmp_path / "site")
    assert done.returncode != 0
    for expected in ("no-such-page.md", "no-such-heading", "lost.md"):
        assert expected in done.stderr
