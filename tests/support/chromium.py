"""The pages in a real browser: Debian's Chromium, driven by Playwright.

    apt-get install chromium && pip install '.[test]' && python -m pytest -m slow

Tests that import this are skipped where there is no Chromium or no Playwright, unless the
environment says BROWSER_TESTS=required.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def _need(name: str, *, is_there: bool) -> None:
    if not is_there and os.environ.get("BROWSER_TESTS") == "required":
        pytest.fail(f"{name} is not installed")
    if not is_there:
        pytest.skip(f"needs {name}", allow_module_level=True)


_need("Chromium, on Debian: apt-get install chromium", is_there=bool(CHROMIUM))
_need("Playwright, of the extra test", is_there=find_spec("playwright") is not None)
_need("Streamlit, of the extra ui", is_there=find_spec("streamlit") is not None)
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=60_000)

PATIENCE_MS = 60_000
LOST_MS = 20_000
TO_THE_SERVER_MS = 300
KEY_MS, PAUSE_MS = 20, 200
"""Nobody types faster, and the grid does not keep up with more."""
HEADER_PX = ROW_PX = 35
SECOND_COLUMN_PX = 84
"""Where the second column is, which stays at its place when the others are scrolled."""


class Pages:
    """What one tab shows."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hosts: set[str] = set()
        """All that were asked for something."""
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))

    def open(self, url: str) -> None:
        """Go to an address and wait for the page."""
        self.page.goto(url)
        self.settle()

    def settle(self) -> None:
        """Wait until the server has done what it was told."""
        expect(self.page.locator("h1, [data-testid=stAlert]").first).to_be_visible()
        app = self.page.get_by_test_id("stApp")
        expect(app).to_have_attribute("data-test-script-state", "notRunning")

    def turn_to(self, title: str) -> None:
        """Go to another page by the menu."""
        menu = self.page.get_by_test_id("stSidebarNav")
        unfold = self.page.get_by_test_id("stExpandSidebarButton")
        if unfold.is_visible():  # in a narrow window
            unfold.click()
        menu.get_by_role("link", name=title, exact=True).click()
        expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
        self.settle()

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Return a button."""
        return self.page.get_by_test_id("stApp").get_by_role("button", name=name).first

    def press(self, name: str | re.Pattern[str], until: Locator | None = None) -> None:
        """Press a button, and once more if what it leads to does not come.

        On a machine that is busy with other things a browser may lose a click.
        """
        self.button(name).click()
        self.page.wait_for_timeout(TO_THE_SERVER_MS)
        self.settle()
        if until is not None:
            try:
                expect(until).to_be_visible(timeout=LOST_MS)
            except AssertionError:
                self.press(name)
                expect(until).to_be_visible()


class Grid:
    """A table of the page in which cells are edited.

    Parameters
    ----------
    pages
        The tab.
    columns
        Names of the columns of the table; before them the grid has two of its own.
    """

    def __init__(self, pages: Pages, columns: Sequence[str]) -> None:
        self.pages, self.columns = pages, columns

    def cell(self, row: int, column: str) -> Locator:
        """Return what the grid tells those who cannot see it; far to the side, there is nothing."""
        index = self.columns.index(column) + 2
        return self.pages.page.get_by_test_id(f"glide-cell-{index}-{row}")

    def edit(self, row: int, column: str, text: str) -> None:
        """Type a text into a cell, as somebody would with the keyboard."""
        page = self.pages.page
        self._select(row)
        for _ in range(self.columns.index(column) + 1):
            page.keyboard.press("ArrowRight")
        cell = self.cell(row, column)
        expect(cell).to_have_attribute("aria-selected", "true")
        page.keyboard.press("Enter")
        editor = page.locator("#portal textarea, #portal input").first
        expect(editor).to_be_focused()
        page.keyboard.press("Control+A")
        page.keyboard.type(text, delay=KEY_MS)
        expect(editor).to_have_value(text)
        page.wait_for_timeout(PAUSE_MS)
        page.keyboard.press("Enter")
        expect(cell).to_have_text(text)
        page.wait_for_timeout(TO_THE_SERVER_MS)
        self.pages.settle()

    def _select(self, row: int) -> None:
        """Click the second cell of a row; the first click behind a dialog only wakes the grid."""
        page = self.pages.page
        position = {"x": SECOND_COLUMN_PX, "y": HEADER_PX + ROW_PX * row + ROW_PX // 2}
        cell = page.get_by_test_id(f"glide-cell-1-{row}")
        page.locator(".dvn-scroller").first.click(position=position)
        for _ in range(10):
            page.wait_for_timeout(PAUSE_MS)
            if cell.get_attribute("aria-selected") == "true":
                return
        page.locator(".dvn-scroller").first.click(position=position)


@contextmanager
def open_browser(
    width: int = 1280, height: int = 900, options: Sequence[str] = ()
) -> Iterator[Pages]:
    """Open a browser with one empty tab."""
    sandbox = [*options, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        try:
            yield Pages(browser.new_page(viewport={"width": width, "height": height}))
        finally:
            browser.close()
