"""OME-Zarr that hold several images, or whose names do not tell what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from workspace import SHARED, Workspace
from zarr_layouts import VOXELS, write_store
from zarr_readers import read_with_zarr

from spimpack_tasks.cli.main import main
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.examine import examine_source, format_of_source
from spimpack_tasks.volumes.read_header import read_header

BACKENDS = ["symlink", "symlink-tree", "hardlink", "copy", "ome-zarr", "ome-zarr:convert=all"]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def series(root: Path, layout: str) -> Path:
    """Write two images as bioformats2raw does."""
    form = 2 if layout.startswith("v2") else 3
    told = {"bioformats2raw.layout": 3}
    zarr.create_group(root, zarr_format=form, attributes={"ome": told} if form == 3 else told)
    for name, voxels in (("0", VOXELS), ("1", VOXELS[::-1])):
        write_store(root / name, layout, voxels)
    return root


def plate(root: Path, layout: str) -> Path:
    """Write a plate of one well with two fields."""
    form = 2 if layout.startswith("v2") else 3
    wells = {"plate": {"wells": [{"path": "A/1"}]}}
    fields = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
    zarr.create_group(root, zarr_format=form, attributes={"ome": wells} if form == 3 else wells)
    well = root / "A" / "1"
    zarr.create_group(well, zarr_format=form, attributes={"ome": fields} if form == 3 else fields)
    for name, voxels in (("0", VOXELS), ("1", VOXELS[::-1])):
        write_store(well / name, layout, voxels)
    return root


HOLDERS = {
    "c4-series-v2": (series, "v2", "1"),
    "c4-series-v3": (series, "v3", "1"),
    "c4-plate-v2": (plate, "v2", "A/1/1"),
    "c4-plate-v3": (plate, "v3", "A/1/1"),
}


def hold(tmp_path: Path, holder: str) -> tuple[Path, str]:
    """Return an OME-Zarr of several images, and where the second one lies in it."""
    write, layout, scene = HOLDERS[holder]
    return write(tmp_path / "raw" / "several.zarr", layout), scene


def image_of(workspace: Workspace) -> np.ndarray:
    image = next(workspace.out.glob("sub-01/micr/*_SPIM.ome.zarr"))
    return zarr.open_array(image / "0", mode="r")[:].squeeze()


@pytest.mark.parametrize(
    ("holder", "backend"),
    [*((name, "symlink") for name in HOLDERS), *(("c4-series-v3", name) for name in BACKENDS[1:])],
)
def test_a_row_chooses_an_image(tmp_path, holder, backend):
    _, scene = hold(tmp_path, holder)
    workspace = Workspace(tmp_path)
    row = {"spim_path": "raw/several.zarr", **SHARED, "subject": "01", "scene": scene}
    workspace.rows = [row]
    assert workspace.run(backend=backend).exit_code == 0
    np.testing.assert_array_equal(image_of(workspace), VOXELS[::-1])
    sidecar = json.loads(next(workspace.out.glob("sub-01/micr/*_SPIM.json")).read_text())
    assert "scene" not in sidecar
    assert workspace.run(backend=backend).counts == {"unchanged": 1}


def test_c4_two_rows_choose_two_images(tmp_path):
    series(tmp_path / "raw" / "several.zarr", "v3")
    workspace = Workspace(tmp_path)
    workspace.rows = [
        {"spim_path": "raw/several.zarr", **SHARED, "subject": f"0{n}", "scene": str(n)}
        for n in range(2)
    ]
    assert workspace.run().exit_code == 0
    links = {path.name[:6]: str(path.readlink()) for path in workspace.out.glob("*/micr/*.zarr")}
    assert links == {f"sub-0{n}": str(tmp_path / "raw/several.zarr" / str(n)) for n in range(2)}


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_hint_leads_on(tmp_path, capsys, holder):
    """What the refusal of the whole says can be done, and is right then."""
    source, scene = hold(tmp_path, holder)
    with pytest.raises(HeaderError) as raised:
        read_header(str(source), "OME-Zarr")
    assert "holds several images" in str(raised.value)
    assert "'scene'" in raised.value.hint
    assert run("convert", source, tmp_path / "out.ome.zarr") != 0
    assert run("convert", source / scene, tmp_path / "out.ome.zarr", "--verify") == 0
    made = read_with_zarr(tmp_path / "out.ome.zarr")
    np.testing.assert_array_equal(made[0], VOXELS[::-1])
    assert run("qc", source / scene, "--output", tmp_path / "page.html") == 0
    capsys.readouterr()


@pytest.mark.parametrize("name", ["image", "image.v1", "0", "image.zarr.bak"])
@pytest.mark.parametrize("backend", ["symlink", "copy", "ome-zarr:convert=all"])
def test_c4_a_folder_is_an_ome_zarr_by_its_content(tmp_path, name, backend):
    source = write_store(tmp_path / "raw" / name)
    assert examine_source(str(source)).format.name == "OME-Zarr"
    assert format_of_source(str(source)).name == "OME-Zarr"
    workspace = Workspace(tmp_path)
    workspace.rows = [{"spim_path": f"raw/{name}", **SHARED, "subject": "01"}]
    assert workspace.run(backend=backend).exit_code == 0
    np.testing.assert_array_equal(image_of(workspace), VOXELS)


def test_c4_a_scan_finds_it(tmp_path, capsys):
    write_store(tmp_path / "raw" / "sub-01_sample-brain_acq-4x_SPIM")
    zarr.create_group(tmp_path / "raw" / "no-image", zarr_format=3)
    assert run("init", "--scan", tmp_path / "raw", tmp_path / "new") == 0
    rows = (tmp_path / "new" / "scans.tsv").read_text().splitlines()
    assert len(rows) == 2
    assert "sub-01_sample-brain_acq-4x_SPIM" in rows[1]
    capsys.readouterr()
