"""Rows whose image bioio reads: the choice in plan, image, sidecar and checks."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import zarr
from workspace import SHARED, Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("bioio", "bioio_tifffile", "bioio_imageio"))),
    reason="the extra bioio is not installed",
)

PLANE = np.arange(20, dtype="uint8").reshape(4, 5)
STACK = np.arange(60, dtype="uint16").reshape(3, 4, 5)


def workspace_of(tmp_path: Path, **cells: str) -> Workspace:
    """Return a study with a picture and a TIFF, which bioio reads, and one more TIFF."""
    raw = tmp_path / "raw"
    raw.mkdir()
    imageio.imwrite(raw / "a.png", PLANE)
    told = {"axes": "ZYX", "unit": "um", "spacing": 4.0}
    tifffile.imwrite(raw / "b.tif", STACK, imagej=True, resolution=(2, 2), metadata=told)
    workspace = Workspace(tmp_path)
    for number, (name, reader) in enumerate(
        [("a.png", "bioio"), ("b.tif", "bioio"), ("b.tif", "")]
    ):
        row = {"spim_path": f"raw/{name}", **SHARED, "sample_staining": "YoPro"}
        row["PixelSize"] = "0.5;0.5;4"
        workspace.rows.append({"subject": f"0{number + 1}", **row, "reader": reader})
    workspace.rows[1] |= cells
    return workspace


@pytest.mark.parametrize("workers", [1, 2], ids=lambda n: f"workers-{n}")
def test_i16_1_rows_are_read_by_bioio(tmp_path, workers):
    workspace = workspace_of(tmp_path)
    outcome = workspace.run(workers, backend="ome-zarr", previews=True)
    assert (outcome.exit_code, outcome.counts["new"]) == (0, 3)
    for subject, voxels in (("01", PLANE), ("02", STACK)):
        [image] = workspace.out.glob(f"sub-{subject}/micr/*_SPIM.ome.zarr")
        assert np.array_equal(zarr.open_array(image / "0", mode="r")[:].squeeze(), voxels)
        attributes = json.loads((image / "zarr.json").read_text())["attributes"]
        assert attributes["spimpack_tasks"]["reader"] == "bioio"
        sidecar = json.loads(Path(f"{str(image).partition('.')[0]}.json").read_text())
        assert sidecar["ConvertedFrom"]["Reader"] == "bioio"
        assert "reader" not in sidecar
    [linked] = workspace.out.glob("sub-03/micr/*_SPIM.tif")
    assert linked.is_symlink()
    assert main(["verify", str(workspace.out), "--pixels"]) == 0
    again = workspace.run(workers, backend="ome-zarr", previews=True)
    assert again.counts == {"unchanged": 3}


def test_another_reader_makes_the_image_again(tmp_path):
    workspace = workspace_of(tmp_path)
    backend = "ome-zarr:convert=all"
    assert workspace.run(backend=backend).exit_code == 0
    workspace.rows[1]["reader"] = ""
    counts = workspace.run(backend=backend).counts
    assert (counts["unchanged"], counts["changed"]) == (2, 1)


# Cells of the second row, backend, and code and column of the problem.
WRONG = {
    "unknown": ({"reader": "aicsimageio"}, "ome-zarr", "value.choice", "reader"),
    "i16-3-merge": ({"merge_axis": "T"}, "ome-zarr", "source.merge", "reader"),
    "no-image": ({"spim_path": "manifest.yml"}, "ome-zarr", "source.content", "spim_path"),
    "scene": ({"scene": "1"}, "ome-zarr", "source.scene", "scene"),
    "linked": ({}, "symlink", "backend.format", "spim_path"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused_with_its_line(tmp_path, capsys, name):
    cells, backend, code, column = WRONG[name]
    workspace = workspace_of(tmp_path, **cells)
    for row in workspace.rows:
        row.setdefault("merge_axis", "")
        row.setdefault("scene", "")
    workspace.write()
    command = ["validate", str(workspace.manifest), "--backend", backend, "--format", "json"]
    assert main(command) in {ExitCode.BAD_INPUT, ExitCode.INVALID}
    told = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert (code, 3, column) in {(each["code"], each["line"], each["key"]) for each in told}
