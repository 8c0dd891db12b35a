"""What the images themselves say fills the sidecars where the tables say nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workspace import Workspace

from spimpack_tasks.demo.images import (
    DemoImage,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.errors import ExitCode, Severity
from spimpack_tasks.manifest import headers
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
