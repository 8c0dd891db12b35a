"""Rows that choose one image of a file, and the axes of a file that does not say them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from czi_sources import Czi, write_scenes
from workspace import SHARED, Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

CZI = [Czi(c=1, names=("a",)), Czi(c=1, z=2, y=12, x=17, tile=(12, 9), names=("a",))]
POSITIONS = [np.arange(60, dtype="uint16").reshape(3, 4, 5) + 100 * n for n in range(2)]
STACK = np.arange(120, dtype="uint8").reshape(5, 4, 6)
CELLS = SHARED | {"sample_staining": "YoPro", "PixelSize": "0.1;0.2;3"}
"""The size of voxels is that of `Czi`."""


def write_ome(path: Path) -> Path:
    with tifffile.TiffWriter(path, ome=True) as file:
        for number, voxels in enumerate(POSITIONS):
            file.write(voxels, metadata={"axes": "ZYX", "Name": f"Pos{number}"})
    return path


def write_pages(path: Path) -> Path:
    tifffile.imwrite(path, STACK, metadata=None)
    return path


MAKERS = {
    "a.ome.tif": (write_ome, POSITIONS),
    "a.czi": (
        lambda path: write_scenes(path, CZI, ["Pos0", "Pos1"]),
        [one.voxels()[0, :, 0] + np.uint16(n) for n, one in enumerate(CZI)],
    ),
}


def workspace_of(tmp_path: Path, name: str, **cells: str) -> Workspace:
    """Return a study with two rows of one file, the cells of the second row being given."""
    (tmp_path / "raw").mkdir()
    MAKERS.get(name, (write_pages,))[0](tmp_path / "raw" / name)
    workspace = Workspace(tmp_path)
    workspace.rows = [
        {"spim_path": f"raw/{name}", **CELLS, "subject": "01", "scene": "0", "axes": ""},
        {
            "spim_path": f"raw/{name}",
            **CELLS,
            "subject": "02",
            "scene": "Pos1",
            "axes": "",
            **cells,
        },
    ]
    return workspace


def voxels_of(image: Path) -> np.ndarray:
    return zarr.open_array(image / "0", mode="r")[:].squeeze()


@pytest.mark.parametrize("workers", [1, 2], ids=lambda n: f"workers-{n}")
@pytest.mark.parametrize("name", MAKERS, ids=lambda name: f"i16-1-{name}")
def test_two_rows_of_one_file_are_two_images(tmp_path, name, workers):
    workspace = workspace_of(tmp_path, name)
    outcome = workspace.run(workers, backend="ome-zarr", previews=True)
    assert (outcome.exit_code, outcome.counts["new"]) == (0, 2)
    for number, voxels in enumerate(MAKERS[name][1]):
        [image] = workspace.out.glob(f"sub-0{number + 1}/micr/*_SPIM.ome.zarr")
        np.testing.assert_array_equal(voxels_of(image), voxels)
        told = json.loads((image / "zarr.json").read_text())
        assert told["attributes"]["spimpack_tasks"]["scene"] == str(number)
        sidecar = json.loads(Path(f"{str(image).partition('.')[0]}.json").read_text())
        assert sidecar["ConvertedFrom"]["Scene"] == str(number)
        assert not {"scene", "axes"} & sidecar.keys()
    pictures = {path.read_bytes() for path in workspace.out.glob("sub-*/micr/*_preview.png")}
    assert len(pictures) == 2
    assert main(["verify", str(workspace.out), "--pixels"]) == 0
    again = workspace.run(workers, backend="ome-zarr", previews=True)
    assert again.counts == {"unchanged": 2}


@pytest.mark.parametrize("name", MAKERS, ids=lambda name: f"i16-1-{name}")
def test_another_scene_is_another_image(tmp_path, name):
    workspace = workspace_of(tmp_path, name)
    workspace.rows = workspace.rows[:1]
    assert workspace.run(backend="ome-zarr").exit_code == 0
    workspace.rows[0]["scene"] = "Pos1"
    assert workspace.run(backend="ome-zarr").counts["changed"] == 1
    [image] = workspace.out.glob("sub-01/micr/*_SPIM.ome.zarr")
    np.testing.assert_array_equal(voxels_of(image), MAKERS[name][1][1])
    workspace.rows[0]["scene"] = "1"  # the same by its number
    counts = workspace.run(backend="ome-zarr").counts
    assert (counts["unchanged"], counts["changed"]) == (1, 0)


@pytest.mark.parametrize("name", MAKERS, ids=lambda name: f"o06-{name}")
@pytest.mark.parametrize("scene", ["", "2", "Pos2"], ids=lambda text: f"scene-{text or 'none'}")
@pytest.mark.parametrize("backend", ["symlink", "ome-zarr"])
def test_a_scene_is_asked_for(tmp_path, capsys, name, scene, backend):
    workspace = workspace_of(tmp_path, name, scene=scene)
    workspace.write()
    command = ["validate", str(workspace.manifest), "--backend", backend]
    assert main(command) == ExitCode.BAD_INPUT
    shown = capsys.readouterr()
    [line] = [each for each in (shown.out + shown.err).splitlines() if "has 2 scenes" in each]
    assert "scans.tsv:3:" in line
    assert "0 'Pos0' of" in line


def test_o06_a_link_to_a_file_of_several_images_is_warned_of(tmp_path, capsys):
    workspace = workspace_of(tmp_path, "a.ome.tif")
    workspace.write()
    assert main(["validate", str(workspace.manifest)]) == ExitCode.OK
    shown = capsys.readouterr()
    assert "is one of several images in its file" in shown.out + shown.err


@pytest.mark.parametrize("axes", ["", "ZYX", "tyx"], ids=lambda axes: f"o07-{axes or 'none'}")
def test_axes_are_asked_for_where_voxels_are_converted(tmp_path, capsys, axes):
    workspace = workspace_of(tmp_path, "a.tif", scene="", axes=axes)
    workspace.rows = workspace.rows[1:]
    if not axes:
        workspace.write()
        command = ["validate", str(workspace.manifest), "--backend", "ome-zarr:convert=all"]
        assert main(command) == ExitCode.BAD_INPUT
        assert "source.axes" in "".join(capsys.readouterr())
        assert workspace.run(backend="symlink").exit_code == 0
        return
    outcome = workspace.run(backend="ome-zarr:convert=all")
    assert outcome.exit_code == 0
    [image] = workspace.out.glob("sub-02/micr/*_SPIM.ome.zarr")
    shape = (5, 1, 4, 6) if axes == "tyx" else (5, 4, 6)
    np.testing.assert_array_equal(zarr.open_array(image / "0", mode="r")[:], STACK.reshape(shape))
    sidecar = json.loads(Path(f"{str(image).partition('.')[0]}.json").read_text())
    assert sidecar["ConvertedFrom"]["Axes"] == axes.upper()
    assert main(["verify", str(workspace.out), "--pixels"]) == 0


COMMANDS = {
    "info": (["info", "{path}"], "--axes"),
    "convert": (["convert", "{path}", "{out}.ome.zarr", "--verify"], "--source-axes"),
    "qc": (["qc", "{path}", "--output", "{out}.html"], "--axes"),
}


@pytest.mark.parametrize(("command", "flag"), COMMANDS.values(), ids=[f"o06-{n}" for n in COMMANDS])
def test_commands_take_scene_and_axes(tmp_path, capsys, command, flag):
    path = write_ome(tmp_path / "a.ome.tif")
    words = [word.format(path=path, out=tmp_path / "out") for word in command]
    assert main(words) == ExitCode.BAD_INPUT
    assert "has 2 scenes" in "".join(capsys.readouterr())
    assert main([*words, "--scene", "Pos1"]) == ExitCode.OK
    pages = write_pages(tmp_path / "b.tif")
    words = [word.format(path=pages, out=tmp_path / "pages") for word in command]
    assert main([*words, flag, "ZYXC"]) == ExitCode.BAD_INPUT
    assert main([*words, flag, "ZYX"]) == ExitCode.OK
