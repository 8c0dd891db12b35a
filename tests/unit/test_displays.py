"""Colours and windows of a source reach what is made of it, and what cannot be is told."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import nibabel
import numpy as np
import ome_types
import plane_sources as sources
import pytest
import tifffile
from imaris_variants import Variant, write_variant
from ome_sets import Xml, stack, write
from plane_sources import read_metadata
from test_image_rules import problems, workspace_of

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.displays import Display, read_ome_colours, read_omero
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.read_header import read_header

VOXELS = sources.compose_voxels((1, 2, 5, 20, 17))


def run(*arguments: object) -> int:
    return main([*map(str, arguments)])


def convert(source: Path, *options: object, ending: str = ".ome.zarr") -> Path:
    target = source.parent / f"out{ending}"
    assert run("convert", source, target, *options) == ExitCode.OK
    return target


def shown_in(path: Path) -> list[dict]:
    return read_metadata(path)["ome"]["omero"]["channels"]


def colours_in(path: Path) -> list[tuple[int, ...]]:
    """Return the colours of an OME-TIFF by another library."""
    [image] = ome_types.from_tiff(path).images
    return [channel.color.as_rgb_tuple()[:3] for channel in image.pixels.channels]


# --- what is kept

OMERO = [
    {
        "label": "a",
        "color": "FF8000",
        "active": True,
        "window": {"min": 0.0, "max": 4095.0, "start": 100.0, "end": 900.5},
    },
    {
        "label": "b",
        "color": "0000FF",
        "active": False,
        "window": {"min": -5.0, "max": 10.0, "start": 1.0, "end": 2.0},
    },
]


def tell_omero(path: Path, channels: object) -> None:
    """Put omero into an OME-Zarr of either version."""
    name = "zarr.json" if (path / "zarr.json").exists() else ".zattrs"
    data = json.loads((path / name).read_text())
    told = data["attributes"]["ome"] if name == "zarr.json" else data
    told["omero"] = {"channels": channels}
    (path / name).write_text(json.dumps(data))


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("version", [2, 3])
def test_g2_ome_zarr_to_ome_zarr(tmp_path: Path, version: int, ngff: str) -> None:
    sources.write_zarr(tmp_path / "a.ome.zarr", VOXELS, version)
    tell_omero(tmp_path / "a.ome.zarr", OMERO)
    out = convert(tmp_path / "a.ome.zarr", "--ngff", ngff)
    assert shown_in(out) == OMERO
    other = {"0.5": "0.4", "0.4": "0.5"}[ngff]
    again = tmp_path / "again.ome.zarr"
    assert run("convert", out, again, "--ngff", other) == ExitCode.OK  # our own
    assert shown_in(again) == OMERO


def test_g2_ome_zarr_to_ome_tiff_and_back(tmp_path: Path) -> None:
    sources.write_zarr(tmp_path / "a.ome.zarr", VOXELS)
    tell_omero(tmp_path / "a.ome.zarr", OMERO)
    out = convert(tmp_path / "a.ome.zarr", ending=".ome.tif")
    assert colours_in(out) == [(255, 128, 0), (0, 0, 255)]
    back = tmp_path / "back.ome.zarr"
    assert run("convert", out, back) == ExitCode.OK
    assert [each["color"] for each in shown_in(back)] == ["FF8000", "0000FF"]
    # OME-TIFF has no word for windows, so they are computed.
    assert shown_in(back)[0]["window"]["max"] == 65535


def test_g2_zip_to_ome_tiff(tmp_path: Path) -> None:
    sources.write_zarr(tmp_path / "a.ome.zarr", VOXELS)
    tell_omero(tmp_path / "a.ome.zarr", OMERO)
    import shutil

    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a.ome.zarr")
    (tmp_path / "a.zip").rename(tmp_path / "b.ozx")
    assert colours_in(convert(tmp_path / "b.ozx", ending=".ome.tif")) == [
        (255, 128, 0),
        (0, 0, 255),
    ]


def test_g2_imaris_to_both(tmp_path: Path) -> None:
    write_variant(tmp_path / "a.ims", Variant(channels=2))
    shown = shown_in(convert(tmp_path / "a.ims"))[1]
    assert shown["color"] == "FF8000"
    assert (shown["window"]["start"], shown["window"]["end"]) == (5, 100)
    assert colours_in(convert(tmp_path / "a.ims", ending=".ome.tif")) == [(255, 128, 0)] * 2


OF_OME = {
    "g2-red": ("-16776961", "FF0000"),  # FF0000FF, as the schema has it
    "g2-green": ("16711935", "00FF00"),
    "g2-blue": ("65535", "0000FF"),
    "g2-white": ("-1", "FFFFFF"),
    "g2-without-opacity": ("16711680", "00FF00"),
    "g2-smallest": ("-2147483648", "800000"),
    "g2-largest": ("2147483647", "7FFFFF"),
    "g2-with-blanks": (" -1 ", "FFFFFF"),
    "g2-too-large": ("2147483648", None),
    "g2-unsigned": ("4294967295", None),
    "g2-too-small": ("-2147483649", None),
    "g2-fraction": ("1.5", None),
    "g2-exponent": ("1e5", None),
    "g2-word": ("red", None),
    "g2-hexadecimal": ("#FF0000", None),
    "g2-empty": ("", None),
    "g2-other-digits": ("\u0661\u0662", None),
    "g2-endless": ("9" * 5000, None),
}
"""`Color`, and red, green and blue by the schema; none for what is no such number."""


@pytest.mark.parametrize("case", OF_OME)
def test_colours_of_ome_xml(case: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    text, wanted = OF_OME[case]
    voxels = stack(1, 1, 3)
    xml = Xml(voxels, channels=f'<Channel ID="Channel:0:0" Color="{text}"/>').text()
    write(tmp_path / "a.ome.tif", voxels[0, 0], xml)
    header = read_header(str(tmp_path / "a.ome.tif"), "OME-TIFF")
    assert bool(header.display_doubts) == (wanted is None)
    for ending in (".ome.zarr", ".ome.tif"):
        (tmp_path / ending[1:]).mkdir()
        source = (tmp_path / "a.ome.tif").rename(tmp_path / ending[1:] / "a.ome.tif")
        out = convert(source, ending=ending)
        assert ("does not tell how it is shown" in capsys.readouterr().err) == (wanted is None)
        red, green, blue = bytes.fromhex(wanted or "00FF00")
        found = shown_in(out)[0]["color"] if ending == ".ome.zarr" else colours_in(out)[0]
        assert found == ((wanted or "00FF00") if ending == ".ome.zarr" else (red, green, blue))
        source.rename(tmp_path / "a.ome.tif")


def test_g2_what_the_file_does_not_say_is_chosen() -> None:
    assert read_ome_colours([None, "-1"]).known == (Display(), Display("FFFFFF"))
    assert read_ome_colours([None, None]).known == ()
    assert read_omero(None, 2).known == ()


WINDOW = {"start": 1, "end": 2}
BAD_OMERO = {
    "g2-hash": ({"color": "#ff8000"}, Display("FF8000"), 0),
    "g2-name": ({"color": "red"}, Display(), 1),
    "g2-three-digits": ({"color": "F80"}, Display(), 1),
    "g2-eight-digits": ({"color": "FF8000FF"}, Display(), 1),
    "g2-number": ({"color": 255}, Display(), 1),
    "g2-float": ({"color": 1.5}, Display(), 1),
    "g2-list": ({"color": [255, 0, 0]}, Display(), 1),
    "g2-line-end": ({"color": "FF8000\n"}, Display(), 1),
    "g2-window": ({"window": WINDOW}, Display(window=(1, 2)), 0),
    "g2-reversed": ({"window": {"start": 2, "end": 1}}, Display(), 1),
    "g2-equal": ({"window": {"start": 2, "end": 2}}, Display(), 1),
    "g2-one-end": ({"window": {"start": 2}}, Display(), 1),
    "g2-texts": ({"window": {"start": "1", "end": "2"}}, Display(), 1),
    "g2-booleans": ({"window": {"start": False, "end": True}}, Display(), 1),
    "g2-not-finite": ({"window": {"start": 0, "end": float("inf")}}, Display(), 1),
    "g2-nan": ({"window": {"start": float("nan"), "end": 1}}, Display(), 1),
    "g2-huge": ({"window": {"start": 0, "end": 10**400}}, Display(), 1),
    "g2-no-object": ({"window": [1, 2]}, Display(), 1),
    "g2-limits": ({"window": {**WINDOW, "min": 5, "max": 0}}, Display(window=(1, 2)), 1),
    "g2-no-channel": ("YoPro", Display(), 0),
}
"""One channel of omero, what is known of it, and how many values are doubted."""


@pytest.mark.parametrize("case", BAD_OMERO)
def test_values_of_omero(case: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    told, wanted, doubts = BAD_OMERO[case]
    displays = read_omero({"channels": [told]}, 1)
    assert displays.found == [wanted]
    assert len(displays.doubts) == doubts
    assert all(len(doubt) < 200 for doubt in displays.doubts)
    sources.write_zarr(tmp_path / "a.ome.zarr", VOXELS[:, :1])
    tell_omero(tmp_path / "a.ome.zarr", [told])
    [shown] = shown_in(convert(tmp_path / "a.ome.zarr"))
    assert capsys.readouterr().err.count("does not tell how it is shown") == doubts
    assert shown["color"] == (wanted.colour or "00FF00")
    window = shown["window"]
    assert window["start"] < window["end"]
    assert (window["min"], window["max"]) == (0, 65535)


def test_g2_many_doubts_are_few_lines() -> None:
    displays = read_ome_colours(["red"] * 4000)
    assert len(displays.doubts) == 5
    assert displays.doubts[-1].startswith("3996 ")


def test_g2_omero_of_other_channels_counts_for_none() -> None:
    displays = read_omero({"channels": OMERO}, 3)
    assert displays.known == ()
    assert len(displays.doubts) == 1
    for strange in (7, [], {"channels": {}}, {"channels": None}):
        assert read_omero(strange, 1).known == ()


OF_IMARIS = {
    "g2-float": ({"Color": "0.2 0.4 0.6"}, "336699", None, 0),
    "g2-rounded": ({"Color": "1.0001 0 0"}, "FF0000", None, 0),
    "g2-of-255": ({"Color": "255 0 0"}, "", None, 1),
    "g2-negative": ({"Color": "-1 0 0"}, "", None, 1),
    "g2-two-numbers": ({"Color": "1 0"}, "", None, 1),
    "g2-word": ({"Color": "red"}, "", None, 1),
    "g2-nan": ({"Color": "nan 0 0"}, "", None, 1),
    "g2-range-reversed": ({"ColorRange": "9 3"}, "", None, 1),
    "g2-range-of-one": ({"ColorRange": "9"}, "", None, 1),
    "g2-range-infinite": ({"ColorRange": "0 inf"}, "", None, 1),
    "g2-range": ({"ColorRange": "-3 9.5"}, "", (-3, 9.5), 0),
}


@pytest.mark.parametrize("case", OF_IMARIS)
def test_values_of_imaris(case: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    told, colour, window, doubts = OF_IMARIS[case]
    write_variant(tmp_path / "a.ims", Variant())
    with h5py.File(tmp_path / "a.ims", "r+") as file:
        section = file["DataSetInfo/Channel 0"]
        for name in ("Color", "ColorRange"):
            del section.attrs[name]
        for name, text in told.items():
            section.attrs[name] = np.frombuffer(text.encode(), "S1")
    header = read_header(str(tmp_path / "a.ims"), "Imaris")
    assert header.displays == ((Display(colour, window),) if colour or window else ())
    assert len(header.display_doubts) == doubts
    [shown] = shown_in(convert(tmp_path / "a.ims"))
    assert capsys.readouterr().err.count("does not tell how it is shown") == doubts
    assert shown["color"] == colour or not colour
    assert shown["window"]["start"] == (window[0] if window else 0)


OF_NIFTI = {
    "g2-unset": ((0, 0), {}, None, 0),
    "g2-set": ((10.5, 99), {}, (10.5, 99), 0),
    "g2-single-precision": ((0.1, 0.3), {}, (0.1, 0.3), 0),
    "g2-reversed": ((5, 1), {}, None, 1),
    "g2-nan": ((float("nan"), 1), {}, None, 1),
    "g2-scaled": ((1, 5), {"scl_slope": 2, "scl_inter": 0}, None, 0),
}


@pytest.mark.parametrize("case", OF_NIFTI)
def test_windows_of_nifti(case: str, tmp_path: Path) -> None:
    (low, high), others, wanted, doubts = OF_NIFTI[case]
    nifti = nibabel.Nifti1Image(VOXELS[0, 0].T.astype("int16"), np.eye(4))
    for name, value in {"cal_min": low, "cal_max": high}.items():
        nifti.header[name] = value
    nibabel.save(nifti, tmp_path / "a.nii")
    if others:  # nibabel writes numbers of its own
        content = bytearray((tmp_path / "a.nii").read_bytes())
        content[112:120] = np.array([others["scl_slope"], others["scl_inter"]], "<f4").tobytes()
        (tmp_path / "a.nii").write_bytes(content)
    header = read_header(str(tmp_path / "a.nii"), "NIfTI")
    assert header.displays == ((Display(window=wanted),) if wanted else ())
    assert len(header.display_doubts) == doubts
    if not others:
        [shown] = shown_in(convert(tmp_path / "a.nii"))
        assert wanted is None or (shown["window"]["start"], shown["window"]["end"]) == wanted


OF_IMAGEJ = {
    "g2-one": (1, {"min": 5.0, "max": 70.0}, (5, 70), 0),
    "g2-reversed": (1, {"min": 70.0, "max": 5.0}, None, 1),
    "g2-channels": (2, {"min": 5.0, "max": 70.0}, None, 0),
    "g2-calibrated": (1, {"min": 5.0, "max": 70.0, "c0": -32768}, None, 0),
    "g2-none": (1, {}, None, 0),
}


@pytest.mark.parametrize("case", OF_IMAGEJ)
def test_windows_of_imagej(case: str, tmp_path: Path) -> None:
    channels, told, wanted, doubts = OF_IMAGEJ[case]
    voxels = VOXELS[0, :channels].transpose(1, 0, 2, 3)
    metadata = {"axes": "ZCYX", **told}
    tifffile.imwrite(tmp_path / "a.tif", voxels, imagej=True, metadata=metadata)
    header = read_header(str(tmp_path / "a.tif"), "TIFF")
    assert header.displays == ((Display(window=wanted),) if wanted else ())
    assert len(header.display_doubts) == doubts


# --- datasets


def test_g2_a_dataset_tells_what_cannot_be(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, sample_staining="YoPro")
    voxels = stack(1, 1, 3)
    sizes = " ".join(
        f'PhysicalSize{axis}="{size}" PhysicalSize{axis}Unit="µm"'
        for axis, size in {"X": 1.8, "Y": 1.8, "Z": 4}.items()
    )
    channel = '<Channel ID="Channel:0:0" Color="1e5"/>'
    xml = Xml(voxels, sizes=sizes, channels=channel).text()
    write(tmp_path / "raw" / "a.ome.tif", voxels[0, 0], xml)
    assert problems(workspace, backend="symlink") == []  # it is linked as it is
    [problem] = problems(workspace, backend="ome-zarr:convert=all")
    assert (problem.code, problem.severity.value) == ("source.display", "warning")
    assert "'1e5'" in problem.message
