"""The pages in a real browser, with a real server: what is typed arrives, what is run is there."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from chromium import Grid, Pages, expect, open_browser
from cluster import free_port
from object_server import WRITER, start_server
from ui_server import UiServer, start_ui
from workspace import Workspace, small_workspace

import spimpack_tasks

# One browser at a time.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = small_workspace(tmp_path / "root" / "my study")
    workspace.write()
    return workspace


@pytest.fixture
def server(workspace: Workspace) -> Iterator[UiServer]:
    server = start_ui(workspace.root.parent)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def pages(server: UiServer) -> Iterator[Pages]:
    with open_browser() as pages:
        pages.open(server.url)
        yield pages
        assert pages.hosts == {"127.0.0.1"}


def open_manifest(pages: Pages) -> None:
    pages.press("my study", until=pages.button("manifest.yml"))
    scans = pages.page.get_by_role("heading", level=1, name="Scans")
    pages.press("manifest.yml", until=scans)
    pages.settle()


def edit_all(grid: Grid, edits: dict[tuple[int, str], str]) -> None:
    for (row, column), text in edits.items():
        grid.edit(row, column, text)


def with_edits(table: str, edits: dict[tuple[int, str], str]) -> str:
    lines = [line.split("\t") for line in table.splitlines()]
    for (row, column), text in edits.items():
        lines[row + 1][lines[0].index(column)] = text
    return "".join("\t".join(line) + "\n" for line in lines)


def save(pages: Pages) -> None:
    pages.turn_to("Save")
    pages.press("Save 1 file")
    expect(pages.page.get_by_text("All is saved")).to_be_visible()


def test_from_a_manifest_to_a_dataset(workspace: Workspace, pages: Pages) -> None:
    scans = workspace.root / "scans.tsv"
    before, manifest = scans.read_text(), workspace.manifest.read_bytes()
    open_manifest(pages)
    edits = {
        (0, "Species"): "vole",
        (1, "acquisition"): "10x",
        (1, "sample"): "spleen",
        (2, "Species"): "shrew",
    }
    edit_all(Grid(pages, before.split("\n")[0].split("\t")), edits)
    save(pages)
    assert scans.read_text() == with_edits(before, edits)
    assert workspace.manifest.read_bytes() == manifest

    pages.turn_to("Run")
    pages.press("Browse")
    dialog = pages.page.get_by_role("dialog")
    dialog.get_by_role("button", name="raw").click()
    dialog.get_by_role("button", name=str(workspace.root.parent)).click()
    dialog.get_by_role("button", name="Choose the folder root").click()
    output = pages.page.get_by_role("textbox", name="Output folder")
    expect(output).to_have_value(str(workspace.root.parent))
    output.fill("bids")
    output.press("Enter")
    pages.settle()
    pages.press("See what would change")
    expect(pages.page.get_by_test_id("stMetric")).to_have_text("new3")
    assert not (workspace.root / "bids").exists()
    pages.press("Run")
    expect(pages.page.get_by_text("Every image is in the dataset.")).to_be_visible()
    images = {path.name for path in (workspace.root / "bids").rglob("sub-*_SPIM.o*")}
    assert images == {
        "sub-02_sample-spleen_acq-10x_SPIM.ome.zarr",
        "sub-03_sample-brain_acq-4x_SPIM.ome.tif",
    }
    sidecar = next((workspace.root / "bids" / "sub-01").rglob("*_SPIM.json"))
    assert (
        '"vole"' in sidecar.read_text()
        or '"vole"' in (workspace.root / "bids" / "samples.tsv").read_text()
    )


def test_no_edit_of_the_participants_is_lost(workspace: Workspace, pages: Pages) -> None:
    table = workspace.root / "participants.tsv"
    before = table.read_text()
    open_manifest(pages)
    pages.turn_to("Participants")
    grid = Grid(pages, ["participant_id", "genotype"])
    edits = {
        (0, "genotype"): "one",
        (1, "genotype"): "two",
        (2, "genotype"): "three",
        (1, "participant_id"): "sub-02",
    }
    edit_all(grid, dict(list(edits.items())[:2]))
    pages.page.reload()
    pages.settle()
    edit_all(grid, dict(list(edits.items())[2:]))
    for (row, column), text in edits.items():
        expect(grid.cell(row, column)).to_have_text(text)
    save(pages)
    assert table.read_text() == with_edits(before, edits)


def test_i15_5_the_menu_does_not_cover_a_page_of_a_narrow_window(
    workspace: Workspace, server: UiServer
) -> None:
    with open_browser(width=500) as pages:
        pages.open(f"{server.url}&manifest={quote(str(workspace.manifest))}")
        unfold = pages.page.get_by_test_id("stExpandSidebarButton")
        for title in ("Run", "Report", "Publish", "Scans", "Participants"):
            pages.turn_to(title)
            expect(unfold).to_be_visible()
        pages.page.set_viewport_size({"width": 1280, "height": 900})
        expect(unfold).to_have_count(0)


def fill(pages: Pages, label: str, text: str) -> None:
    field = pages.page.get_by_label(label, exact=True).first
    field.fill(text)
    field.press("Control+Enter")  # of a field of one line it is Enter as well
    pages.page.wait_for_timeout(300)
    pages.settle()
    expect(field).to_have_value(text)


@pytest.mark.parametrize("width", [1280, 500])
def test_i15_5_from_a_folder_to_a_report(
    width: int, workspace: Workspace, server: UiServer
) -> None:
    root = workspace.root.parent
    with open_browser(width=width) as pages:
        page = pages.page
        pages.open(server.url)
        page.get_by_role("link", name="From a folder of images").click()
        expect(page.get_by_role("heading", level=1, name="Scan a folder")).to_be_visible()
        pages.settle()
        fill(pages, "Folder of the images", str(workspace.root / "raw"))
        fill(pages, "Folder for the manifest and its tables", str(root / "new"))
        fill(pages, "Patterns", "{subject}")
        fill(pages, "Values where neither path nor header has one", "sample=brain")
        expect(page.get_by_text("3 images, 0 other paths")).to_be_visible()
        fill(pages, "Name of the dataset", "Mice")
        fill(pages, "Licence", "CC0")
        assert not (root / "new").exists()
        scans = page.get_by_role("heading", level=1, name="Scans")
        pages.press(re.compile("Write manifest"), until=scans)
        pages.press("Tick all 3", until=page.get_by_text("Set one column in all of them"))
        set_in_all(pages, "orientation_string_xyz", "RPI")
        set_in_all(pages, "sample_staining", "YoPro;Abeta")
        pages.turn_to("Save")
        pages.press("Save 1 file")
        expect(page.get_by_text("All is saved")).to_be_visible()
        lines = (root / "new" / "scans.tsv").read_text().splitlines()
        assert all("\tRPI\tYoPro;Abeta\t" in line for line in lines[1:]), lines
        pages.turn_to("Run")
        pages.press("See what would change")
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_role("link", name="Show report").click()
        report = page.frame_locator("iframe").first
        expect(report.get_by_text("Complete: every output is in place")).to_be_visible()
        expect(report.get_by_text("sub-b_sample-brain_SPIM.ome.zarr", exact=True)).to_be_visible()
        assert pages.hosts <= {"127.0.0.1", ""}


def test_i17_8_a_publication_is_followed_to_its_end(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.run()
    workspace.out.rename(workspace.root / "bids")
    objects = start_server()
    for name, value in objects.credentials().items():
        monkeypatch.setenv(name, value)
    server = start_ui(workspace.root.parent)
    try:
        with open_browser() as pages:
            pages.open(f"{server.url}&manifest={quote(str(workspace.manifest))}")
            pages.turn_to("Publish")
            fill(pages, "Endpoint", objects.endpoint)
            fill(pages, "Address", objects.url("study"))
            publish = pages.page.get_by_role("button", name="Publish", exact=True)
            pages.press("See what would be sent", until=publish)
            assert objects.files("study") == {}
            publish.click()
            expect(pages.page.get_by_text("The dataset is published. (")).to_be_visible()
            expect(pages.page.get_by_text("this state")).to_be_visible()
            assert "dataset_description.json" in objects.files("study")
            assert pages.hosts == {"127.0.0.1"}
        assert not any(secret in server.said for secret in WRITER)
    finally:
        server.stop()
        objects.stop()


def set_in_all(pages: Pages, column: str, text: str) -> None:
    page = pages.page
    choose(pages, "Column", column)
    if column == "orientation_string_xyz":
        choose(pages, "Value", text)
    else:
        fill(pages, "Value", text)
    pages.press("Set it in 3 rows", until=page.get_by_text(f"Now: {text} in 3"))


def choose(pages: Pages, label: str, option: str) -> None:
    box = pages.page.get_by_test_id("stSelectbox").filter(has_text=label).last.locator("input")
    box.click()
    box.press_sequentially(option, delay=20)
    pages.page.get_by_role("option", name=option, exact=True).first.click()
    pages.page.wait_for_timeout(300)
    pages.settle()


def test_a_stranger_sees_nothing(server: UiServer, workspace: Workspace) -> None:
    with open_browser() as pages:
        pages.open(server.url.partition("?")[0])
        expect(pages.page.get_by_text("This address is not complete")).to_be_visible()
        body = pages.page.locator("body").inner_text()
        assert str(workspace.root.parent) not in body
        assert "my study" not in body


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("nobody listens")


def test_started_by_hand_only_this_machine_sees_something(workspace: Workspace) -> None:
    """Streamlit listens to the network then, unless it is told not to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, but chooses an address
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address = probe.getsockname()[0]
    port, app = free_port(), Path(spimpack_tasks.__file__).parent / "ui" / "app.py"
    options = [
        f"--server.port={port}",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
    ]
    command = [sys.executable, "-m", "streamlit", "run", str(app), *options]
    root = f"--root={workspace.root.parent}"
    with subprocess.Popen([*command, "--", root], stdout=subprocess.DEVNULL) as served:
        try:
            wait_for(port)
            with open_browser() as pages:
                pages.open(f"http://127.0.0.1:{port}")
                expect(pages.page.get_by_role("button", name="my study").first).to_be_visible()
                pages.open(f"http://{address}:{port}")
                expect(pages.page.get_by_text("This address is not complete")).to_be_visible()
                assert "my study" not in pages.page.locator("body").inner_text()
        finally:
            served.terminate()


FAILING = """\
import sys
from spimpack_tasks.cli.main import main
from spimpack_tasks.ui.views import start
def fail(*_):
    raise RuntimeError("canary 4711")
start.show_start = fail
sys.exit(main())
"""


def test_a_bug_shows_no_traceback(workspace: Workspace) -> None:
    server = start_ui(workspace.root.parent, command=(sys.executable, "-c", FAILING))
    try:
        with open_browser() as pages:
            pages.open(server.url)
            expect(pages.page.get_by_test_id("stException")).to_be_visible()
            text = pages.page.content()
            assert "canary" not in text
            assert "Traceback" not in text
            assert "RuntimeError" not in text
        assert re.search("RuntimeError.*canary.*4711", server.said)
    finally:
        server.stop()
