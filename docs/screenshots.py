"""Takes the pictures of the web pages, in a real browser and of a real server.

    python docs/screenshots.py [--width PIXELS] [--to DIR]

The demo's images are made in a folder of their own, its manifest is opened, broken, mended and
packaged, and each state is taken. Needs Chromium, and the extra test.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from chromium import Grid, Pages, expect, open_browser  # noqa: E402 - of the tests
from ui_server import start_ui  # noqa: E402

from spimpack_tasks.demo.dataset import write_demo_inputs  # noqa: E402
from spimpack_tasks.report.data import gather_data  # noqa: E402
from spimpack_tasks.report.page import compose_page  # noqa: E402
from spimpack_tasks.report.writing import write_report  # noqa: E402
from spimpack_tasks.state.store import Store  # noqa: E402

HEIGHT = 900
MOST_BYTES = 150_000


def main() -> int:
    """Take all pictures, and tell what was taken."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument(
        "--width", type=int, default=1280, help="of the window, at least 800 (default: 1280)"
    )
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images", metavar="DIR")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    # Its name is seen in the pictures.
    lab = Path(tempfile.gettempdir()) / "lab"
    lab.mkdir()
    try:
        data = lab / "data"
        write_demo_inputs(data / "study")
        server = start_ui(data)
        try:
            with open_browser(arguments.width, HEIGHT) as pages:
                pages.open(server.url)
                Session(pages, data / "study", arguments.to).take_all()
        finally:
            server.stop()
    finally:
        shutil.rmtree(lab)
    return 0


class Session:
    """One walk through the pages."""

    def __init__(self, pages: Pages, study: Path, folder: Path) -> None:
        self.pages, self.study, self.folder = pages, study, folder

    def take_all(self) -> None:
        """Go through all states, and take each."""
        self.take("open")
        self.take_scan()
        self.pages.turn_to("Open")
        self.pages.press("study")
        self.pages.press("manifest.yml")
        expect(self.pages.page.get_by_role("heading", level=1, name="Scans")).to_be_visible()
        self.pages.settle()
        self.take("scans")
        self.take_many_rows()
        self.take_dialog("Add images", "scans-add")
        self.take_errors()
        for name in ("Description", "Participants", "Orientation", "Save"):
            if self.turn_to(name):
                self.take(name.lower(), pause_ms=1500)
        self.pages.press("Save 1 file")
        self.take_run()

    def take_scan(self) -> None:
        """Take what a scan of the demo's images would take; nothing is written."""
        self.pages.turn_to("Scan a folder")
        for label, text in (
            ("Folder of the images", str(self.study / "microscope")),
            ("Folder for the manifest and its tables", str(self.study.parent / "mice")),
            ("Patterns", "mouse {subject}"),
            ("Values where neither path nor header has one", "sample=brain"),
        ):
            field = self.pages.page.get_by_label(label, exact=True).first
            field.fill(text)
            field.press("Control+Enter")
            self.pages.page.wait_for_timeout(300)
            self.pages.settle()
        self.take("scan")

    def take_many_rows(self) -> None:
        """Take the form for all ticked rows, and untick them."""
        self.pages.press(re.compile("Tick all"))
        asked = self.pages.page.get_by_text("Set one column in all of them")
        expect(asked).to_be_visible()
        asked.scroll_into_view_if_needed()
        self.take("scans-set")
        self.pages.press("Tick none")

    def take_errors(self) -> None:
        """Break a cell, look, and mend it; another edit is left for the page Save."""
        columns = (self.study / "scans.tsv").read_text().partition("\n")[0].split("\t")
        grid = Grid(self.pages, columns)
        grid.edit(1, "spim_path", "microscope/mouse B.zarr")
        grid.edit(2, "sample", "left brain")
        self.take("scans-errors")
        self.pages.press("Undo")
        self.pages.press("Undo")
        grid.edit(2, "acquisition", "10x")

    def take_run(self) -> None:
        """Look what would change, run, and look what came of it."""
        self.pages.turn_to("Run")
        self.pages.press("See what would change")
        expect(self.pages.page.get_by_test_id("stMetric").first).to_be_visible()
        self.take("run-changes")
        self.pages.page.get_by_role("button", name="Run", exact=True).click()
        expect(self.pages.page.get_by_text("Finishing and validating")).to_be_visible()
        self.take("run-going-on", pause_ms=0)
        expect(self.pages.page.get_by_text("Every image is in the dataset")).to_be_visible()
        self.take("run-done")
        self.pages.page.get_by_role("link", name="Show report").click()
        expect(self.pages.page.get_by_role("heading", level=1, name="Report")).to_be_visible()
        self.pages.settle()
        self.take("run-report", pause_ms=1500)
        self.take_publish()
        store = Store(str(self.study / "bids"))
        page = write_report(store, compose_page(gather_data(store)))
        self.pages.page.goto(f"file://{page}")
        self.take("report")

    def take_publish(self) -> None:
        """Take the publication block, and the facts that two portals miss."""
        self.pages.turn_to("Publish")
        self.take("publish", pause_ms=1500)
        for name in ("DataCite", "DANDI"):
            field = self.pages.page.get_by_role("combobox", name="Portals")
            field.fill(name)
            field.press("Enter")
            self.pages.settle()
        self.pages.page.keyboard.press("Escape")
        expect(self.pages.page.get_by_test_id("stTable").nth(1)).to_be_visible()
        self.pages.page.get_by_text("Missing facts").evaluate("each => each.scrollIntoView()")
        self.take("publish-missing", pause_ms=1500)

    def turn_to(self, title: str) -> bool:
        """Turn to a page, and tell whether there is one."""
        menu = self.pages.page.get_by_test_id("stSidebarNav")
        is_there = menu.get_by_role("link", name=title, exact=True).count() > 0
        if is_there:
            self.pages.turn_to(title)
        return is_there

    def take_dialog(self, button: str, name: str) -> None:
        """Take what a button opens."""
        self.pages.press(button)
        expect(self.pages.page.get_by_role("dialog")).to_be_visible()
        self.take(name)
        self.pages.page.keyboard.press("Escape")
        expect(self.pages.page.get_by_role("dialog")).to_have_count(0)

    def take(self, name: str, pause_ms: int = 500) -> None:
        """Take the window as it is now, or when nothing moves in it any more."""
        self.pages.page.mouse.move(0, 0)
        self.pages.page.wait_for_timeout(pause_ms)
        path = self.folder / f"{name}.png"
        self.pages.page.screenshot(path=path)
        size = path.stat().st_size
        print(f"{path} ({size:,} bytes)")
        if size > MOST_BYTES:
            sys.exit(f"{path} is larger than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
