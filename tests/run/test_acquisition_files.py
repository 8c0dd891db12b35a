"""Files of acquisition programs fill sidecars, and an edit of one remakes its image alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import acquisition_files as written
import h5py
import numpy as np
import pytest
import tifffile
from merge_sources import write_ome
from workspace import SHARED, Workspace

from spimpack_tasks.api import probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.demo.images import DemoImage, write_imaris
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.state.session import SESSION

PLANES = 5
ACQUISITION_WARNINGS = {"acquisition.doubt"}


def mesospim_study(root: Path, images: int = 2, **cells: str) -> Workspace:
    """Return a study of stacks whose own headers have no size, each with a file beside it."""
    workspace = Workspace(root)
    (root / "raw").mkdir()
    for number in range(images):
        name = f"brain_Mag1x_Tile{number}_Ch561_Sh0_Rot0.tif"
        tifffile.imwrite(root / "raw" / name, np.zeros((PLANES, 16, 24), "u2"))
        (root / "raw" / f"{name}_meta.txt").write_text(written.mesospim(name))
        workspace.rows.append(
            {
                "subject": "01",
                "sample": "brain",
                "chunk": str(number),
                "spim_path": f"raw/{name}",
                "orientation_string_xyz": "RPI",
                "sample_staining": "Abeta",
                **cells,
            }
        )
    return workspace


def sidecar(workspace: Workspace, number: int = 0) -> dict[str, Any]:
    name = f"sub-01_sample-brain_chunk-{number}_SPIM.json"
    data: dict[str, Any] = json.loads((workspace.out / "sub-01/micr" / name).read_text())
    return data


def beside(workspace: Workspace, number: int) -> Path:
    return workspace.root / f"raw/brain_Mag1x_Tile{number}_Ch561_Sh0_Rot0.tif_meta.txt"


def test_i16_6_a_sidecar_has_what_the_program_tells(tmp_path: Path) -> None:
    workspace = mesospim_study(tmp_path)
    assert workspace.run().exit_code is ExitCode.OK
    found = sidecar(workspace)
    assert (found["PixelSize"], found["PixelSizeUnits"]) == ([6.55, 6.55, 5], "um")
    assert found["ExcitationWavelengths"] == [561]
    assert (found["ImageFrames"], found["AcquisitionDirection"]) == (PLANES, "Z")
    assert found["OtherAcquisitionParameters"].startswith("mesoSPIM-control: laser 561 nm; ")
    # The program that wrote the TIFF is no program of a microscope.
    assert found["SoftwareVersions"] == "mesoSPIM-control"


def test_i16_6_cells_go_before_what_the_program_tells(tmp_path: Path) -> None:
    cells = {"OtherAcquisitionParameters": "as usual", "ExcitationWavelengths": "488;561"}
    workspace = mesospim_study(tmp_path, **cells)
    assert workspace.run().exit_code is ExitCode.OK
    assert sidecar(workspace)["OtherAcquisitionParameters"] == "as usual"
    assert sidecar(workspace)["ExcitationWavelengths"] == [488, 561]


def test_i16_6_a_size_of_the_table_is_compared_with_the_file(tmp_path: Path) -> None:
    workspace = mesospim_study(tmp_path, PixelSize="1.8;1.8;4", PixelSizeUnits="um")
    workspace.write()
    report = prepare_run(workspace.options()).report
    assert {(p.code, p.key) for p in report.errors} == {("sidecar.contradiction", "PixelSize")}
    says = f"but {beside(workspace, 0).name} says [6.55, 6.55, 5] um"
    assert says in report.errors[0].message


@pytest.mark.parametrize("change", ["edit", "removal", "return"])
def test_i16_6_a_change_of_a_file_remakes_its_image_alone(tmp_path: Path, change: str) -> None:
    workspace = mesospim_study(tmp_path, images=3)
    text = beside(workspace, 1).read_text()
    if change == "return":
        beside(workspace, 1).unlink()
        workspace.rows[1] |= {"PixelSize": "6.55;6.55;5", "PixelSizeUnits": "um"}
        for row in (workspace.rows[0], workspace.rows[2]):
            row |= {"PixelSize": "", "PixelSizeUnits": ""}
    workspace.run()
    SESSION.reset()
    assert workspace.run().counts["unchanged"] == 3
    if change == "edit":
        beside(workspace, 1).write_text(text.replace("561 nm", "488 nm"))
    elif change == "return":
        beside(workspace, 1).write_text(text)
    else:
        beside(workspace, 1).unlink()
    SESSION.reset()
    if change == "removal":
        report = prepare_run(workspace.options()).report
        assert [(p.code, p.place.line) for p in report.errors] == [("sidecar.no-pixel-size", 3)]
        return
    done = workspace.run()
    assert (done.exit_code, done.counts["changed"], done.counts["unchanged"]) == (0, 1, 2)
    assert sidecar(workspace, 1)["ExcitationWavelengths"] == [488 if change == "edit" else 561]
    SESSION.reset()
    assert workspace.run().counts["unchanged"] == 3


def test_i16_6_a_file_about_another_image_is_told_and_left_out(tmp_path: Path) -> None:
    workspace = mesospim_study(tmp_path, PixelSize="6.55;6.55;5", PixelSizeUnits="um")
    beside(workspace, 0).write_text(written.mesospim(planes="900"))
    assert workspace.run().exit_code is ExitCode.OK
    report = prepare_run(workspace.options()).report
    assert [(p.code, p.place.line) for p in report.warnings] == [("acquisition.doubt", 2)]
    told = report.warnings[0]
    assert told.message.startswith("has 5 planes, but ")
    assert told.message.endswith("describes 900 planes")
    assert "look whether it belongs to this image" in told.hint
    assert "ImageFrames" not in sidecar(workspace, 0)
    assert sidecar(workspace, 1)["ImageFrames"] == PLANES


def test_i16_6_the_header_of_the_image_goes_before_the_file(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ome.tif", subject="01")
    del workspace.rows[0]["PixelSize"], workspace.rows[0]["PixelSizeUnits"]
    text = written.mesospim("a.ome.tif", pixel="9.5", planes="2")
    (tmp_path / "raw/a.ome.tif_meta.txt").write_text(text)
    workspace.write()
    prepared = prepare_run(workspace.options())
    header = prepared.dataset.assets[0].sidecar["PixelSize"] if prepared.dataset else []
    assert header != []
    assert header[0] != 9.5
    told = [p.message for p in prepared.report.warnings if "9.5 um" in p.message]
    assert len(told) == 1, "x and y are alike, so they are told together"
    assert " um along x and y, but a.ome.tif_meta.txt tells 9.5 um" in told[0]


def test_i16_6_sources_that_lie_in_a_store_of_content_have_their_file_beside_the_link(
    tmp_path: Path,
) -> None:
    workspace = mesospim_study(tmp_path, images=1)
    (tmp_path / "store").mkdir()
    image = next((tmp_path / "raw").glob("*.tif"))
    image.rename(tmp_path / "store/MD5E-s1.tif")
    image.symlink_to(tmp_path / "store/MD5E-s1.tif")
    assert workspace.run().exit_code is ExitCode.OK
    assert sidecar(workspace)["PixelSize"] == [6.55, 6.55, 5]


def test_i16_6_planes_of_smartspim_have_the_sizes_of_its_file(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    channel = tmp_path / "raw/s/Ex_488_Ch1_stitched"
    channel.mkdir(parents=True)
    for z in range(3):
        tifffile.imwrite(channel / f"{z:06}.tif", np.full((8, 8), z, "u2"))
    (tmp_path / "raw/s/metadata_9.json").write_bytes(written.smartspim())
    workspace.rows.append(
        {
            "subject": "01",
            "sample": "brain",
            "spim_path": "raw/s/Ex_488_Ch1_stitched",
            "orientation_string_xyz": "RPI",
            "sample_staining": "Abeta",
        }
    )
    assert workspace.run(backend="ome-zarr").exit_code is ExitCode.OK
    found = json.loads(next(workspace.out.glob("sub-01/micr/*.json")).read_text())
    assert found["PixelSize"] == [1.8, 1.8, 2]
    assert found["ExcitationWavelengths"] == [488]
    image = next(workspace.out.glob("sub-01/micr/*.ome.zarr"))
    text = next(p for p in (image / "zarr.json", image / ".zattrs") if p.exists()).read_text()
    data = json.loads(text)
    whole = data.get("attributes", {}).get("ome", data)
    scale = whole["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale[-3:] == [2.0, 1.8, 1.8]


def test_i16_6_lasers_of_the_header_are_in_the_sidecar(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "raw").mkdir()
    image = DemoImage(("a", "b"), (2, 8, 8), (4.0, 1.0, 1.0), levels=1)
    write_imaris(tmp_path / "raw/a.ims", image)
    with h5py.File(tmp_path / "raw/a.ims", "r+") as file:
        for number, laser in enumerate((b"488 nm", b"561 nm")):
            told = file[f"DataSetInfo/Channel {number}"].attrs
            told["LSMExcitationWavelength"] = np.frombuffer(laser, "S1")
    row = {"subject": "01", "spim_path": "raw/a.ims", **SHARED}
    workspace.rows.append({k: v for k, v in row.items() if not k.startswith("PixelSize")})
    assert workspace.run().exit_code is ExitCode.OK
    found = json.loads(next(workspace.out.glob("sub-01/micr/*.json")).read_text())
    assert found["ExcitationWavelengths"] == [488, 561]


def test_i16_6_info_tells_the_file_beside_an_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesospim_study(tmp_path, images=1)
    image = next((tmp_path / "raw").glob("*.tif"))
    info = probe_image(image, axes="ZYX")
    assert info.spacing_um_zyx == (5.0, 6.55, 6.55)
    assert info.files == (str(image), f"{image}_meta.txt")
    rule = f"{image.name}_meta.txt tells it"
    assert ("spacing", rule) in [(one.field, one.rule) for one in info.decisions]
    assert main(["info", str(image)]) == ExitCode.OK
    assert f"spacing 6.55 x 6.55 x 5 um along x, y and z: {rule}" in capsys.readouterr().out


@pytest.mark.parametrize("given", [[], ["--pixel-size", "1;1;2"]])
def test_i16_6_a_conversion_takes_the_size_beside_the_image(
    tmp_path: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    mesospim_study(tmp_path, images=1)
    image = next((tmp_path / "raw").glob("*.tif"))
    target = tmp_path / "a.ome.zarr"
    words = ["convert", str(image), str(target), "--source-axes", "ZYX", *given]
    assert main(words) == ExitCode.OK
    assert ("tells 6.55 x 6.55 x 5 um" in capsys.readouterr().err) == (not given)
    assert probe_image(target).spacing_um_zyx == ((2, 1, 1) if given else (5, 6.55, 6.55))
    again = main(words)
    assert again == ExitCode.OK
    assert "is there already" not in capsys.readouterr().err


def test_n25_info_and_convert_tell_the_same_doubts(tmp_path, capsys):
    write_ome(tmp_path / "a.ome.tif")
    (tmp_path / "a.ome.tif_meta.txt").write_text(written.mesospim("a.ome.tif", planes="3"))
    doubt = "has voxels of 1.8 um along x and y, but a.ome.tif_meta.txt tells 6.55 um"
    assert main(["info", str(tmp_path / "a.ome.tif")]) == 0
    assert doubt in capsys.readouterr().out
    words = [str(tmp_path / name) for name in ("a.ome.tif", "out.ome.zarr")]
    assert main(["convert", *words]) == 0
    assert f"a.ome.tif: {doubt}\n" in capsys.readouterr().err
