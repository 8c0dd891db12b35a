"""What the images themselves say fills the sidecars where the tables say nothing."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from workspace import SHARED, Workspace

from spimpack_tasks.demo.images import (
    DemoImage,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.errors import ExitCode, Severity
from spimpack_tasks.manifest import find_sources, headers
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.state.session import SESSION

IMAGE = DemoImage(("YoPro", "Abeta"), (4, 16, 16), (4.0, 0.3467, 1.8), levels=1)
WRITERS = {
    "a.ome.zarr": lambda path: write_ome_zarr(path, IMAGE, ngff="0.4"),
    "b.ome.zarr": lambda path: write_ome_zarr(path, IMAGE, ngff="0.5"),
    "c.ome.tif": lambda path: write_ome_tiff(path, IMAGE),
    "d.ims": lambda path: write_imaris(path, IMAGE),
    "e.ozx": lambda path: write_ozx(path, IMAGE),
}


def workspace_without_sizes(root: Path) -> Workspace:
    workspace = Workspace(root)
    (root / "raw").mkdir()
    for number, (name, write) in enumerate(WRITERS.items()):
        write(root / "raw" / name)
        workspace.rows.append(
            {
                "subject": f"{number}",
                "sample": "brain",
                "spim_path": f"raw/{name}",
                "orientation_string_xyz": "RPI",
                "sample_staining": "YoPro;Abeta",
            }
        )
    return workspace


def pixel_sizes(workspace: Workspace) -> list[tuple[list[float], str]]:
    sidecars = [json.loads(path.read_text()) for path in sorted(workspace.out.rglob("*_SPIM.json"))]
    return [(sidecar.get("PixelSize"), sidecar.get("PixelSizeUnits")) for sidecar in sidecars]


def test_pixel_sizes_come_from_the_headers_as_x_y_z(tmp_path: Path) -> None:
    workspace = workspace_without_sizes(tmp_path)
    assert workspace.run().exit_code == ExitCode.OK
    assert pixel_sizes(workspace) == [([1.8, 0.3467, 4.0], "um")] * len(WRITERS)


def test_a_header_is_read_again_only_when_its_source_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = workspace_without_sizes(tmp_path)
    workspace.run()
    read = []
    original = headers.read_header
    monkeypatch.setattr(headers, "read_header", lambda *a: (read.append(a[0]), original(*a))[1])
    SESSION.reset()
    workspace.run()
    assert read == []
    coarse = DemoImage(IMAGE.channels, IMAGE.shape_zyx, (8.0, 2.0, 2.0), levels=1)
    write_imaris(tmp_path / "raw" / "d.ims", coarse)
    assert workspace.run().counts["changed"] == 1
    assert {Path(path).name for path in read} == {"d.ims"}
    assert pixel_sizes(workspace)[3] == ([2.0, 2.0, 8.0], "um")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the sources that are opened, each as often as it is."""
    names: list[str] = []
    open_file = os.open

    def note(path: str, *how: object, **further: object) -> int:
        if str(path).startswith(f"{tmp_path}/raw/"):
            names.append(os.path.relpath(path, tmp_path / "raw"))
        return open_file(path, *how, **further)

    monkeypatch.setattr(os, "open", note)
    return names


def write_tiffs(workspace: Workspace, count: int) -> None:
    """Add rows of OME-TIFFs of several sizes; the first is a BigTIFF."""
    for number in range(count):
        path = workspace.root / "raw" / f"{number}.ome.tif"
        path.parent.mkdir(exist_ok=True)
        shape = (2, 8 + number, 8)
        options = {"bigtiff": number == 0, "photometric": "minisblack", "metadata": {"axes": "ZYX"}}
        tifffile.imwrite(path, np.zeros(shape, "uint8"), ome=True, **options)
        row = {"subject": f"{number}", "spim_path": f"raw/{path.name}", "sample_staining": "Abeta"}
        workspace.rows.append(SHARED | row)


def test_a_source_is_opened_once_and_an_edit_opens_none(tmp_path: Path, opened: list[str]) -> None:
    workspace = Workspace(tmp_path)
    write_tiffs(workspace, 3)
    opened.clear()
    workspace.run()
    assert sorted(opened) == ["0.ome.tif", "1.ome.tif", "2.ome.tif"]
    assert (workspace.out / "sub-0/micr/sub-0_sample-brain_SPIM.ome.btf").is_symlink()
    opened.clear()
    SESSION.reset()
    workspace.rows[1]["Comment"] = "edited"
    assert workspace.run().counts["changed"] == 1
    assert opened == []
    assert (workspace.out / "sub-0/micr/sub-0_sample-brain_SPIM.ome.btf").is_symlink()


def test_what_is_no_tiff_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_tiffs(workspace, 2)
    (tmp_path / "raw" / "1.ome.tif").write_bytes(b"no TIFF" * 10_000)
    workspace.write()
    for _ in range(2):
        (problem,) = prepare_run(workspace.options()).report.problems
        assert problem.code == "source.content"
        assert "does not begin as TIFF files do" in problem.message


def test_equal_headers_are_kept_once(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_tiffs(workspace, 2)
    for name in ("2", "3"):
        shutil.copy(tmp_path / "raw" / "1.ome.tif", tmp_path / "raw" / f"{name}.ome.tif")
        source = {"subject": name, "spim_path": f"raw/{name}.ome.tif"}
        workspace.rows.append(workspace.rows[1] | source)
    workspace.run()
    kept = json.loads((workspace.out / ".spimpack/headers.json").read_text())
    assert [at for _, at in kept["sources"].values()] == [0, 1, 1, 1]
    assert len(kept["facts"]) == 2


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        ({}, ("sidecar.no-pixel-size", Severity.ERROR)),
        ({"PixelSize": "2;2;5", "PixelSizeUnits": "um"}, ("source.header", Severity.WARNING)),
    ],
    ids=["needed", "not-needed"],
)
def test_a_header_that_cannot_be_read(
    tmp_path: Path, given: dict[str, str], reported: tuple[str, Severity]
) -> None:
    workspace = workspace_without_sizes(tmp_path)
    (tmp_path / "raw" / "d.ims").write_bytes(b"\x89HDF\r\n\x1a\n cut off")
    workspace.rows[3] |= given
    workspace.write()
    report = prepare_run(workspace.options()).report
    (problem,) = (p for p in report.problems if "d.ims" in p.message)
    assert (problem.code, problem.severity) == reported
    assert problem.place.line == 5


class SlowDisk:
    """A disk that takes milliseconds for each answer about a source."""

    def __init__(self, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.raw = raw
        self.waiting = self.most = 0
        self.lock = threading.Lock()
        for name in ("open", "lstat", "stat"):
            monkeypatch.setattr(os, name, self.slowed(getattr(os, name)))

    def slowed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def slow(path: Any, *how: Any, **further: Any) -> Any:
            if str(path).startswith(f"{self.raw}/"):
                with self.lock:
                    self.waiting += 1
                    self.most = max(self.most, self.waiting)
                time.sleep(0.003)
                with self.lock:
                    self.waiting -= 1
            return call(path, *how, **further)

        return slow


def spoil(workspace: Workspace) -> None:
    """Make some of forty rows wrong, each in its own way."""
    workspace.rows[12]["spim_path"] = "raw/none.ome.tif"
    (workspace.root / "raw/17.ome.tif").write_bytes(b"")
    (workspace.root / "raw/23.ome.tif").write_bytes(b"no TIFF" * 10_000)
    content = (workspace.root / "raw/31.ome.tif").read_bytes()
    (workspace.root / "raw/31.ome.tif").write_bytes(
        content.replace(b"DimensionOrder", b"NoDimensnOrder")
    )
    workspace.write()


def test_a_slow_disk_is_asked_by_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    write_tiffs(workspace, 40)
    workspace.write()
    quick = prepare_run(workspace.options())
    SESSION.reset()
    disk = SlowDisk(tmp_path / "raw", monkeypatch)
    slow = prepare_run(workspace.options())
    assert disk.most >= 8
    assert slow.dataset == quick.dataset
    assert (slow.plan_id, slow.headers) == (quick.plan_id, quick.headers)
    assert slow.sources == quick.sources


def test_a_slow_disk_changes_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path)
    write_tiffs(workspace, 40)
    spoil(workspace)
    quick = prepare_run(workspace.options()).report.problems
    disk = SlowDisk(tmp_path / "raw", monkeypatch)
    slow = prepare_run(workspace.options()).report.problems
    assert disk.most >= 8
    assert slow == quick
    wrong = {"source.missing": 14, "source.empty": 19, "source.content": 25, "source.header": 33}
    assert {problem.code: problem.place.line for problem in slow if problem.code in wrong} == wrong


def test_a_fast_disk_needs_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path)
    write_tiffs(workspace, 12)
    workspace.write()
    monkeypatch.setattr(find_sources, "_SLOW_S", 60)  # this computer may be busy
    monkeypatch.setattr(find_sources, "ThreadPoolExecutor", None)
    assert prepare_run(workspace.options()).dataset is not None
