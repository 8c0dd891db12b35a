"""What images say beside what becomes of them: sets, other images, sizes that cannot be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from ome_sets import IMAGEJ, Xml, binary_only, in_order, piece, stack, write
from workspace import SHARED, Workspace
from zarr_readers import read_with_zarr

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, Problem
from spimpack_tasks.packaging.image_rules import describe_inconsistency
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.validation.bids_validator import run_bids_validator

IMAGE_WARNINGS = {
    "source.display",
    "source.left-out",
    "source.pixel-size",
    "source.set",
    "source.voxel-size",
}
"""Codes that are told in this file, or in `test_displays`."""
VOXELS = stack(1, 2, 3)
EVEN = 'PhysicalSizeX="1.8" PhysicalSizeXUnit="µm" PhysicalSizeY="1.8" PhysicalSizeYUnit="µm"'
UM = f'{EVEN} PhysicalSizeZ="4" PhysicalSizeZUnit="µm"'


def workspace_of(root: Path, name: str = "a.ome.tif", **cells: str) -> Workspace:
    workspace = Workspace(root)
    (root / "raw").mkdir(exist_ok=True)
    workspace.rows.append({"spim_path": f"raw/{name}", "subject": "01", **SHARED, **cells})
    return workspace


def write_set(folder: Path) -> None:
    """Write a file for each channel."""
    names = ["a.ome.tif", "b.ome.tif"]
    pieces = "".join(piece(name, IFD=0, PlaneCount=3, FirstC=n) for n, name in enumerate(names))
    for number, name in enumerate(names):
        xml = Xml(VOXELS, tiff_data=pieces, sizes=UM).text(name)
        write(folder / name, VOXELS[0, number], xml)


def write_two_images(folder: Path) -> None:
    """Write an image and a label of it into one file."""
    pieces = piece(IFD=0, PlaneCount=6), piece(IFD=6, PlaneCount=3)
    label = Xml(VOXELS[:, :1], tiff_data=pieces[1], name="label")
    xml = Xml(VOXELS, tiff_data=pieces[0], sizes=UM, others=[label])
    planes = [*in_order(VOXELS, "XYZCT"), *VOXELS[0, 0]]
    write(folder / "a.ome.tif", planes, xml.text())


def problems(workspace: Workspace, **options: str) -> list[Problem]:
    workspace.write()
    SESSION.reset()
    return prepare_run(workspace.options(**options)).report.problems


def made(workspace: Workspace, ending: str) -> Path:
    [path] = workspace.out.glob(f"sub-*/micr/*{ending}")
    return path


@pytest.mark.parametrize("backend", ["symlink", "copy", "hardlink"])
def test_b2_a_link_of_one_file_of_a_set_is_told(tmp_path: Path, backend: str) -> None:
    workspace = workspace_of(tmp_path)
    write_set(tmp_path / "raw")
    [problem] = problems(workspace, backend=backend)
    assert (problem.code, problem.severity.value) == ("source.set", "warning")
    assert "needs 1 other file, which a dataset has no place for: b.ome.tif" in problem.message
    assert workspace.run(backend=backend).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("choice", "workers"), [("ome-zarr", 1), ("ome-tiff", 2), ("ome-tiff:convert=all", 1)]
)
def test_b2_a_set_is_converted_whole(tmp_path: Path, choice: str, workers: int) -> None:
    workspace = workspace_of(tmp_path)
    write_set(tmp_path / "raw")
    assert problems(workspace, backend=choice) == []
    assert workspace.run(workers, backend=choice).exit_code == ExitCode.OK
    if choice == "ome-zarr":
        voxels = zarr.open_array(made(workspace, ".ome.zarr") / "0", mode="r")[:]
    else:
        voxels = tifffile.imread(made(workspace, ".ome.tif"))
    np.testing.assert_array_equal(voxels.reshape(VOXELS.shape), VOXELS)
    assert main(["verify", str(workspace.out), "--pixels"]) == ExitCode.OK


def test_b2_a_changed_member_is_converted_again(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path)
    write_set(tmp_path / "raw")
    workspace.run(backend="ome-zarr")
    assert workspace.run(backend="ome-zarr").counts.get("changed", 0) == 0
    path = tmp_path / "raw" / "b.ome.tif"
    content = path.read_bytes()
    path.write_bytes(content.replace(VOXELS[0, 1, 0].tobytes(), VOXELS[0, 1, 0].tobytes()[::-1]))
    os.utime(path, (1, 1))
    SESSION.reset()
    assert workspace.run(backend="ome-zarr").counts["changed"] == 1
    voxels = read_with_zarr(made(workspace, ".ome.zarr"))[0, 1, 0]
    assert voxels.tobytes() == VOXELS[0, 1, 0].tobytes()[::-1]


def test_b5_another_image_is_told_and_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = workspace_of(tmp_path)
    write_two_images(tmp_path / "raw")
    choice = "ome-zarr"
    for backend in ("symlink", choice):
        [problem] = problems(workspace, backend=backend)
        assert (problem.code, problem.severity.value) == ("source.scene", "error")
        assert "1 'label' of" in problem.message
    workspace.rows[0]["scene"] = "0"
    [problem] = problems(workspace, backend="symlink")
    assert (problem.code, problem.severity.value) == ("source.scene", "warning")
    assert problems(workspace, backend=choice) == []
    workspace.run(backend=choice)
    path = made(workspace, ".ome.zarr")
    [sidecar] = workspace.out.rglob("*_SPIM.json")
    assert json.loads(sidecar.read_text())["ConvertedFrom"]["Scene"] == "0"
    assert '"scene": "0"' in (path / "zarr.json").read_text()
    target = tmp_path / "alone.ome.tif"
    command = ["convert", str(tmp_path / "raw" / "a.ome.tif"), str(target)]
    assert main(command) == ExitCode.BAD_INPUT
    assert "1 'label' of" in capsys.readouterr().err
    assert main([*command, "--scene", "0"]) == ExitCode.OK


WRONG = UM.replace('X="1.8"', 'X="1,8"')


@pytest.mark.parametrize(
    "cells", [{}, {"override_header": "PixelSize"}], ids=["c1-given", "c1-override"]
)
def test_c1_a_value_of_the_user_ends_a_wrong_size(tmp_path: Path, cells: dict[str, str]) -> None:
    workspace = workspace_of(tmp_path, sample_staining="YoPro", **cells)
    write(tmp_path / "raw" / "a.ome.tif", VOXELS[0, 0], Xml(VOXELS[:, :1], sizes=WRONG).text())
    assert problems(workspace, backend="ome-zarr:convert=all") == []
    assert workspace.run(backend="ome-zarr:convert=all").exit_code == ExitCode.OK
    text = json.loads((made(workspace, ".ome.zarr") / "zarr.json").read_text())
    dataset = text["attributes"]["ome"]["multiscales"][0]["datasets"][0]
    scale = dataset["coordinateTransformations"][0]
    assert scale["scale"][-3:] == [4.0, 1.8, 1.8]


def test_c1_a_wrong_size_is_quoted_where_it_is_needed(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, PixelSize="", PixelSizeUnits="", sample_staining="A")
    write(tmp_path / "raw" / "a.ome.tif", VOXELS[0, 0], Xml(VOXELS[:, :1], sizes=WRONG).text())
    [problem] = problems(workspace, backend="copy")
    assert problem.code == "sidecar.no-pixel-size"
    assert "PhysicalSizeX: '1,8' is not a number" in problem.message
    workspace.description["DatasetType"] = "derivative"
    [problem] = (p for p in problems(workspace, backend="copy") if p.code == "source.voxel-size")
    assert "PhysicalSizeX: '1,8' is not a number" in problem.message
    assert problem.severity.value == "warning"


def test_c1_convert_warns_of_a_wrong_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.ome.tif"
    write(source, VOXELS[0, 0], Xml(VOXELS[:, :1], sizes=WRONG).text())
    assert main(["convert", str(source), str(tmp_path / "one.ome.zarr")]) == ExitCode.OK
    assert "'1,8' is not a number; give it with --pixel-size" in capsys.readouterr().err
    arguments = [
        "convert",
        str(source),
        str(tmp_path / "two.ome.zarr"),
        "--pixel-size",
        "1.8;1.8;4",
    ]
    assert main(arguments) == ExitCode.OK
    assert "warning" not in capsys.readouterr().err


OFF = 'PhysicalSize{a}="{n}" PhysicalSize{a}Unit="{u}" '


def sizes(x: object, y: object, z: object, unit: str = "µm") -> str:
    return "".join(OFF.format(a=a, n=n, u=unit) for a, n in zip("XYZ", (x, y, z), strict=True))


SEEN = {
    "um": (sizes(1.8, 1.8, 4), ""),
    "mm": (sizes(0.0018, 0.0018, 0.004, "mm"), ""),
    "nm": (sizes(1800, 1800, 4000, "nm"), ""),
    "nearly": (sizes(1.8005, 1.8, 4), ""),
    "entity": (sizes(1.8, 1.8, 4, "&#181;m"), ""),
    "nounit": (sizes(1.8, 1.8, 4, "").replace('Unit=""', 'Id=""'), "has no unit"),
    "oneunit": (UM.replace(' PhysicalSizeZUnit="µm"', ""), "PhysicalSizeZ has no unit"),
    "cm": (sizes(0.00018, 0.00018, 0.0004, "cm"), "has the unit 'cm'"),
    "inch": (sizes(1.8 / 25400, 1.8 / 25400, 4 / 25400, "in"), "has the unit 'in'"),
    "ascii": (sizes(1.8, 1.8, 4, "um"), "has the unit 'um'"),
    "greek": (sizes(1.8, 1.8, 4, "\u03bcm"), "has the unit '\u03bcm'"),
    "frame": (sizes(1.8, 1.8, 4, "reference frame"), "has the unit 'reference frame'"),
    "off": (sizes(1.802, 1.8, 4), "PhysicalSizeX is 1.802 µm"),
    "thousand": (sizes(1.8, 1.8, 4, "mm"), "PhysicalSizeX is 1.8 mm"),
    "none": ("", "has no PhysicalSizeX"),
    "flat": (EVEN, "has no PhysicalSizeZ"),
    "zero": (sizes(0, 1.8, 4), "PhysicalSizeX is 0"),
    "comma": (sizes("1,8", 1.8, 4), "PhysicalSizeX is '1,8'"),
}
"""Sizes in OME-XML beside a PixelSize of 1.8, 1.8, 4 um, and what is said of them."""
TEXTS = {
    "two": (Xml(VOXELS, sizes="", others=[Xml(VOXELS)]).text(), "", ""),
    "long": (Xml(VOXELS, sizes="", name="n" * 5000).text(), "", ""),
    "edge": (Xml(VOXELS, sizes="", name="n" * 3400).text(), "", "has no PhysicalSizeX"),
    "imagej": (Xml(VOXELS, sizes="").text(), IMAGEJ.format(n=6), "has no PhysicalSizeX"),
    "secondly": (IMAGEJ.format(n=6), Xml(VOXELS, sizes="").text(), ""),
    "binary": (binary_only("set.companion.ome", "binary.ome.tif"), "", ""),
    "prefix": (
        Xml(VOXELS, sizes="")
        .text()
        .replace("<OME", '<o:OME xmlns:o="o"')
        .replace("/OME", "/o:OME"),
        "",
        "",
    ),
}
"""Whole descriptions of which the validator sees nothing, or all the same."""


@pytest.mark.slow
def test_c3_the_plan_says_what_the_validator_says(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "raw").mkdir()
    cases = {
        name: (Xml(VOXELS, sizes=text).text(), "", says) for name, (text, says) in SEEN.items()
    }
    for name, (text, second, _) in (cases | TEXTS).items():
        write(tmp_path / "raw" / f"{name}.ome.tif", in_order(VOXELS, "XYZCT"), text, second)
        scene = "0" if name == "two" else ""
        cells = {"subject": name, "override_header": "PixelSize", "scene": scene}
        workspace.rows.append({"spim_path": f"raw/{name}.ome.tif", **SHARED, **cells})
    (tmp_path / "raw" / "set.companion.ome").write_text(Xml(VOXELS, sizes="").text())
    plane = Xml(VOXELS[:, :, :1], sizes=UM).text()
    write(tmp_path / "raw" / "plane.ome.tif", VOXELS[0, :, 0], plane)
    cells = {"subject": "plane", "override_header": "PixelSize", "PixelSize": "1.8;1.8"}
    workspace.rows.append({"spim_path": "raw/plane.ome.tif", **SHARED, **cells})
    told = [p for p in problems(workspace) if p.code == "source.pixel-size"]
    predicted = {workspace.rows[problem.place.line - 2]["subject"] for problem in told}
    workspace.run()
    findings = run_bids_validator(workspace.out).findings
    found = {
        finding.location.split("sub-")[1].split("/")[0]
        for finding in findings
        if finding.code == "PIXEL_SIZE_INCONSISTENT"
    }
    assert predicted == found
    said = {name for name, (_, _, says) in (cases | TEXTS).items() if says} | {"plane"}
    assert found == said


@pytest.mark.parametrize("name", SEEN)
def test_c3_what_is_said_of_sizes(tmp_path: Path, name: str) -> None:
    text, says = SEEN[name]
    workspace = workspace_of(tmp_path, override_header="PixelSize")
    path = tmp_path / "raw" / "a.ome.tif"
    write(path, in_order(VOXELS, "XYZCT"), Xml(VOXELS, sizes=text).text())
    told = [p for p in problems(workspace) if p.code == "source.pixel-size"]
    assert [says in problem.message for problem in told] == [True] * bool(says)
    assert problems(workspace, backend="ome-zarr:convert=all") == []


def test_c3_units_of_the_sidecar_count() -> None:
    seen = {f"PhysicalSize{a}": n for a, n in zip("XYZ", ("1.8", "1.8", "4"), strict=True)}
    seen |= {f"PhysicalSize{axis}Unit": "µm" for axis in "XYZ"}
    assert describe_inconsistency([0.0018, 0.0018, 0.004], "mm", seen) == ""
    assert describe_inconsistency([1800, 1800, 4000], "nm", seen) == ""
    assert "third number" in describe_inconsistency([1.8, 1.8], "um", seen)
