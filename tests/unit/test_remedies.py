"""What to do about files that are refused, in the message itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from czi_sources import Czi, write_czi
from lsm_sources import Lsm, write_lsm
from merge_sources import write_ome
from ome_sets import Xml, binary_only, piece, stack, write

from spimpack_tasks.api import SpimpackError, merge_files, open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, in_arguments, in_flags
from spimpack_tasks.model.selection import Selection
from spimpack_tasks.qc.page_file import default_place


def write_an_lsm(folder: Path) -> Path:
    return write_lsm(folder / "a.lsm", Lsm())


def write_a_czi(folder: Path) -> Path:
    return write_czi(folder / "a.czi", Czi())


def told(path: Path) -> str:
    with pytest.raises(SpimpackError) as caught:
        open_image(path)
    return str(caught.value)


def test_n12_choices_in_the_words_of_each_reader():
    hint = "with merge_spacing=first, or axes=ZYX; scene=0 of scenes"
    assert in_flags(hint) == "with --merge-spacing first, or --axes ZYX; --scene 0 of scenes"
    assert in_flags(hint, "--source-axes").count("--source-axes ZYX") == 1
    assert in_arguments(hint) == 'with spacing="first", or axes="ZYX"; scene="0" of scenes'


def test_n4_a_negative_spacing_of_imagej_is_unknown_and_quoted(tmp_path):
    path = tmp_path / "a.tif"
    metadata = {"axes": "ZYX", "spacing": -3, "unit": "um"}
    voxels = np.zeros((3, 8, 9), "u2")
    tifffile.imwrite(path, voxels, imagej=True, metadata=metadata, resolution=(2, 2))
    info = probe_image(path)
    assert info.spacing_um_zyx == (None, 0.5, 0.5)
    assert info.doubts == ("ImageJ's spacing: '-3' is not above 0",)


@pytest.mark.parametrize("listed", [True, False], ids=["n17-named", "n17-not-there"])
def test_a_companion_leads_to_its_images(tmp_path, listed):
    voxels = stack(1, 2, 3)
    name = "k_t0.ome.tif"
    pieces = piece(name, IFD=0, PlaneCount=6)
    (tmp_path / "k.companion.ome").write_text(Xml(voxels, tiff_data=pieces).text("k.companion.ome"))
    if listed:
        planes = voxels.reshape(6, *voxels.shape[-2:])
        write(tmp_path / name, [*planes], binary_only("k.companion.ome", name))
    message = told(tmp_path / "k.companion.ome")
    assert "no voxels" in message
    assert (str(tmp_path / name) if listed else "name one of its .ome.tif files") in message


def test_n19_a_raw_file_without_facts_leads_to_the_command(tmp_path, capsys):
    path = tmp_path / "my image.raw"
    path.write_bytes(bytes(2 * 3 * 4 * 5))
    assert f"spimpack init --facts '{path}'" in told(path)
    assert main(["init", "--facts", str(path)]) == ExitCode.OK
    capsys.readouterr()
    message = told(path)
    assert "T, Z, C, Y, X are not filled in" in message
    text = path.with_suffix(".yaml").read_text()
    for key, size in zip("TZCYX", (1, 3, 1, 4, 5), strict=True):
        text = text.replace(f"\n{key}:\n", f"\n{key}: {size}\n")
    path.with_suffix(".yaml").write_text(text)
    assert probe_image(path).shape == (1, 3, 1, 4, 5)


def test_n21_another_format_leads_to_bioio(tmp_path, capsys):
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG")
    assert 'reader="bioio"' in told(path)
    assert main(["info", str(path)]) == ExitCode.BAD_INPUT
    assert "--reader bioio" in capsys.readouterr().err


def cut(path: Path, tenths: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * tenths // 10])


DAMAGED = {"n20-lsm": write_an_lsm, "n20-czi": write_a_czi}


@pytest.mark.parametrize("tenths", [3, 6, 9])
@pytest.mark.parametrize("make", DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_is_cut_off_is_described_in_our_words(tmp_path, make, tenths):
    path = make(tmp_path)
    cut(path, tenths)
    with pytest.raises(SpimpackError) as caught, open_image(path) as image:
        image.levels[0][...]
    message = str(caught.value)
    assert str(path) in message
    assert not [
        word for word in ("unpack", "buffer", "offset", "0x", "Exception") if word in message
    ]


def test_n30_each_choice_in_an_image_has_a_page_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages = [
        default_place("/raw/a.lif", selection)
        for selection in (
            Selection(),
            Selection(scene="0"),
            Selection(scene="1"),
            Selection(scene="left / right"),
            Selection(axes="zyx"),
            Selection(scene="0", axes="tyx"),
        )
    ]
    names = [page.removeprefix(f"{tmp_path}/spimpack-qc/") for page in pages]
    assert names[0] == "a.lif.html"
    assert names[1] == "a.lif_scene-0.html"
    assert names[4] == "a.lif_axes-ZYX.html"
    assert len(set(names)) == len(names)
    assert not [name for name in names if "/" in name or " " in name]


@pytest.mark.parametrize("cell", ["raw/a.ome.tif;raw/b.ome.tif", "raw/*.ome.tif"])
@pytest.mark.parametrize("column", ["", "\tmerge_axis"])
def test_several_files_without_an_axis_are_told(study, capsys, cell, column):
    for name in "ab":
        write_ome(study.folder / f"raw/{name}.ome.tif")
    head = f"subject\tsample\tspim_path\torientation_string_xyz\tsample_staining{column}\n"
    row = f"01\tbrain\t{cell}\tRPI\tA{chr(9) if column else ''}\n"
    study.write("scans.tsv", head + row)
    assert main(["validate", "manifest.yml"]) == 2
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "spim_path" in each]
    assert line.startswith("scans.tsv:2:10")
    assert "[source.merge]" in line
    assert "merge_axis" in line


def test_a_row_names_the_column_of_a_policy(study, capsys):
    write_ome(study.folder / "raw/a.ome.tif", size_um=(1.0, 1.0, 2.0))
    write_ome(study.folder / "raw/b.ome.tif", size_um=(1.0, 1.0, 3.0))
    head = "subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\tmerge_axis\n"
    study.write("scans.tsv", f"{head}01\tbrain\traw/a.ome.tif;raw/b.ome.tif\tRPI\tA\tT\n")
    assert main(["validate", "manifest.yml"]) == 2
    out = capsys.readouterr().out
    assert "merge_spacing" in out
    assert "--merge" not in out


def test_one_path_is_one_file_and_choices_are_checked(tmp_path):
    write_ome(tmp_path / "a.ome.tif")
    assert probe_image(merge_files(str(tmp_path / "a.ome.tif"), "T")).shape is not None
    for paths, axis, policies in (
        ([tmp_path / "a.ome.tif"], "t", {}),
        ([tmp_path / "a.ome.tif"], "T", {"shape": "crop"}),
        ([], "T", {}),
    ):
        with pytest.raises(SpimpackError):
            merge_files(paths, axis, **policies)
        with pytest.raises(ValueError, match=r".+"):
            merge_files(paths, axis, **policies)


def test_info_tells_programs_what_is_unclear(tmp_path, capsys):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((4, 8, 9), "u2"), metadata=None, photometric="minisblack")
    assert main(["info", str(path), "--format", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["shape_tzcyx"] is None
    assert "pages" in told["unclear"]["message"]


def test_another_scene_has_a_page_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite(
        "stack.tif", np.zeros((4, 8, 9), "u2"), metadata=None, photometric="minisblack"
    )
    for options in ([], ["--axes", "TYX"], ["--axes", "ZYX"]):
        assert main(["qc", "stack.tif", *options]) == 0
    assert sorted(path.name for path in Path("spimpack-qc").iterdir()) == [
        "stack.tif.html",
        "stack.tif_axes-TYX.html",
        "stack.tif_axes-ZYX.html",
    ]


def test_a_companion_leads_to_its_files(tmp_path, capsys):
    (tmp_path / "k.companion.ome").write_text("<OME/>")
    assert main(["info", str(tmp_path / "k.companion.ome")]) == 2
    assert "name one of its .ome.tif files" in capsys.readouterr().err


def test_a_gap_is_told_after_a_scan(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (0, 1, 3):
        write_ome(tmp_path / f"raw/m1_z{number}.ome.tif")
    assert main(["init", "study", "--scan", "raw", "--pattern", "{subject}_z{Z}"]) == 0
    assert "there is no Z 2" in capsys.readouterr().err
