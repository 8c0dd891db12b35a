"""An original that holds more than the image that was made of it is not safe to delete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from ome_sets import Xml, piece, write

from spimpack_tasks import api
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

MANIFEST = """\
dataset_description: {Name: Small, BIDSVersion: "1.10.0", DatasetType: raw, License: CC0}
scans_tsv: scans.tsv
"""
HEAD = (
    "subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\tPixelSize\tPixelSizeUnits"
)
VOXELS = np.random.default_rng(1).integers(0, 4000, (6, 50, 40)).astype("uint16")


def write_planes(path: Path) -> None:
    path.mkdir()
    for number, plane in enumerate(VOXELS):
        tifffile.imwrite(path / f"plane_{number:03}.tif", plane)


def write_store(path: Path, zarr_format: int = 2) -> None:
    """Write an OME-Zarr of two levels and a label image by the library alone."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    group.attrs.update(describe(zarr_format, 2))
    write_levels(group, VOXELS, 2)
    labels = group.create_group("labels")
    told = {"labels": ["cells"]}
    labels.attrs.update(told if zarr_format == 2 else {"ome": {"version": "0.5", **told}})
    cells = labels.create_group("cells")
    cells.attrs.update(describe(zarr_format, 1))
    write_levels(cells, (VOXELS > 3000).astype("uint8"), 1)


def write_levels(group: zarr.Group, voxels: np.ndarray, levels: int) -> None:
    for level in range(levels):
        values = voxels[:, :: 2**level, :: 2**level]
        array = group.create_array(
            str(level), shape=values.shape, chunks=(4, 16, 16), dtype=values.dtype
        )
        array[:] = values


def describe(zarr_format: int, levels: int) -> dict:
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [{"type": "scale", "scale": [1, 2**level, 2**level]}],
        }
        for level in range(levels)
    ]
    image = {"axes": axes, "datasets": datasets, "name": "a"}
    if zarr_format == 2:
        return {"multiscales": [{**image, "version": "0.4"}]}
    return {"ome": {"version": "0.5", "multiscales": [image]}}


def write_store_3(path: Path) -> None:
    write_store(path, 3)


def write_made_here(path: Path) -> None:
    write_store(path.with_name("first.ome.zarr"), 3)
    api.convert(path.with_name("first.ome.zarr"), path)
    shutil.rmtree(path.with_name("first.ome.zarr"))


def write_tiff(path: Path) -> None:
    tifffile.imwrite(path, VOXELS, photometric="minisblack", metadata={"axes": "ZYX"})


def write_pyramid(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(VOXELS, subifds=1, metadata={"axes": "ZYX"})
        writer.write(VOXELS[:, ::2, ::2], subfiletype=1)


def write_imagej(path: Path, **more: object) -> None:
    tifffile.imwrite(path, VOXELS, imagej=True, metadata={"axes": "ZYX", **more})


def certify(folder: Path, name: str, capsys, axes: str = "", merge: str = "") -> tuple[int, str]:
    """Package and certify the image at `name`, and return exit code and what is said."""
    (folder / "manifest.yml").write_text(MANIFEST)
    row = f"01\tbrain\t{name}\tRPI\tDAPI\t1;1;1\tum\t{axes}\t{merge}\n"
    (folder / "scans.tsv").write_text(f"{HEAD}\taxes\tmerge_axis\n{row}")
    command = ["package", str(folder / "manifest.yml"), str(folder / "bids"), "--backend"]
    assert main([*command, "ome-zarr:convert=all"]) == ExitCode.OK, capsys.readouterr()
    capsys.readouterr()
    code = main(["certify", str(folder / "bids")])
    return code, capsys.readouterr().out


PLAIN = {
    "planes": write_planes,
    "v2.ome.zarr": write_store,
    "v3.ome.zarr": write_store_3,
    "made.ome.zarr": write_made_here,
    "plain.tif": write_tiff,
    "plain.ome.tif": write_tiff,
    "pyramid.ome.tif": write_pyramid,
    "imagej.tif": write_imagej,
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_original_is_safe(tmp_path, capsys, name):
    PLAIN[name](tmp_path / name)
    code, out = certify(tmp_path, name, capsys)
    assert code == ExitCode.OK, out
    assert f"safe to delete: {tmp_path / name} (" in out
    assert "not safe" not in out


def put(name: str):
    def add(path: Path) -> None:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("{}")

    return add


def put_four(path: Path) -> None:
    for name in "dcba":
        put(f"{name}.txt")(path)


def put_attribute(folder: str, name: str):
    def add(path: Path) -> None:
        zarr.open(path / folder, mode="r+").attrs[name] = {"mine": 1}

    return add


def add_array(path: Path) -> None:
    zarr.open_group(path, mode="r+").create_array("other", shape=(4,), dtype="u1", chunks=(4,))[
        :
    ] = 7


def add_label(path: Path) -> None:
    labels = zarr.open_group(path / "labels", mode="r+")
    labels.create_array("hidden", shape=(4,), dtype="u1", chunks=(4,))[:] = 7


def add_pages(path: Path) -> None:
    """Write it again with two pages that its OME-XML knows nothing of."""
    with tifffile.TiffFile(path) as file:
        text = file.pages[0].description.encode()
    with tifffile.TiffWriter(path) as writer:
        for number, plane in enumerate([*VOXELS, *VOXELS[:2]]):
            writer.write(plane, description=None if number else text, metadata=None)


def write_again_with(**more: object):
    def write(path: Path) -> None:
        path.unlink()
        write_imagej(path, **more)

    return write


def write_page_texts(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for number, plane in enumerate(VOXELS):
            writer.write(plane, description=f"frame at {number} s", metadata=None)


def write_plane_with_rois(path: Path) -> None:
    tifffile.imwrite(path / "plane_003.tif", VOXELS[3], imagej=True, metadata={"Info": "mine"})


def write_reduced(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(VOXELS, subifds=1, metadata={"axes": "ZYX"})
        writer.write(VOXELS[:, ::2, ::2], subfiletype=1)


ROIS = "ImageJ metadata that are not kept (ROIs, overlays)"
FURTHER = [
    ("planes", put("settings.xml"), "'settings.xml'"),
    ("planes", put(".hidden"), "'.hidden'"),
    ("planes", put("log/log.txt"), "'log/log.txt'"),
    ("planes", put("deep/er/plane_000.tif"), "'deep/er/plane_000.tif'"),
    ("planes", put_four, "'a.txt', 'b.txt', 'c.txt', and 1 more"),
    ("planes", write_plane_with_rois, f"{ROIS} in 'plane_003.tif'"),
    ("v2.ome.zarr", put("notes.txt"), "'notes.txt'"),
    ("v2.ome.zarr", put("0/notes.txt"), "'0/notes.txt'"),
    ("v2.ome.zarr", put("0/9.0.0"), "'0/9.0.0'"),
    ("v2.ome.zarr", put("1/0.0.00"), "'1/0.0.00'"),
    ("v2.ome.zarr", put("labels/cells/0/a.b.c"), "'labels/cells/0/a.b.c'"),
    ("v2.ome.zarr", add_array, "'other/.zarray'"),
    ("v2.ome.zarr", add_label, "'labels/hidden/.zarray'"),
    ("v2.ome.zarr", put_attribute("0", "stage"), "attributes of '0' (stage)"),
    ("v2.ome.zarr", put_attribute("labels", "who"), "attributes of 'labels' (who)"),
    ("v2.ome.zarr", put_attribute("labels/cells", "who"), "attributes of 'labels/cells' (who)"),
    ("v3.ome.zarr", put("0/c/0/0/notes.txt"), "'0/c/0/0/notes.txt'"),
    ("v3.ome.zarr", put("0/0/0/0"), "'0/0/0/0'"),
    ("v3.ome.zarr", add_array, "'other/c/0', 'other/zarr.json'"),
    ("v3.ome.zarr", add_label, "'labels/hidden/c/0', 'labels/hidden/zarr.json'"),
    ("v3.ome.zarr", put_attribute("1", "stage"), "attributes of '1' (stage)"),
    ("made.ome.zarr", put("notes.txt"), "'notes.txt'"),
    ("made.ome.zarr", put_attribute("", "who"), "attributes of the image (who)"),
    ("plain.ome.tif", add_pages, "8 pages, of which 6 were read"),
    ("imagej.tif", write_again_with(Info="by me"), ROIS),
    ("imagej.tif", write_again_with(ROI=b"Iout1234"), ROIS),
    ("imagej.tif", write_again_with(Overlays=[b"Iout1234"]), ROIS),
    ("imagej.tif", write_again_with(Labels=["a", "b"]), ROIS),
    ("plain.tif", write_page_texts, "descriptions of 5 pages behind the first"),
    ("plain.tif", write_reduced, "pages below 6 pages (SubIFDs)"),
]


@pytest.mark.parametrize(
    ("name", "add", "expected"), FURTHER, ids=[f"{name}-{told}" for name, _, told in FURTHER]
)
def test_an_original_that_holds_more_is_not_safe(tmp_path, capsys, name, add, expected):
    PLAIN[name](tmp_path / name)
    add(tmp_path / name)
    code, out = certify(tmp_path, name, capsys, axes="ZYX" if "behind" in expected else "")
    assert f"not safe: {tmp_path / name}: it holds more than was converted: " in out
    assert expected in out
    assert "1 image proven equal" in out
    assert code == ExitCode.FAILED
    told = json.loads((tmp_path / "bids/.spimpack/certificate.json").read_text())
    assert expected in told["sources"][str(tmp_path / name)]["unsafe"]


def test_each_file_of_a_merge_is_looked_at(tmp_path, capsys):
    for number in (1, 2):
        write_imagej(tmp_path / f"{number}.tif", **({"Info": "mine"} if number == 2 else {}))
    code, out = certify(tmp_path, "1.tif;2.tif", capsys, merge="T")
    assert code == ExitCode.FAILED
    assert f"safe to delete: {tmp_path}/1.tif (" in out
    assert f"not safe: {tmp_path}/2.tif: it holds more than was converted: {ROIS}" in out


def write_set(folder: Path, further: int) -> None:
    """Write an OME-TIFF in two files, the second of which may have further pages."""
    names = ("a.ome.tif", "b.ome.tif")
    pieces = "".join(
        piece(name, IFD=0, FirstZ=3 * number, PlaneCount=3) for number, name in enumerate(names)
    )
    image = Xml(VOXELS[None, None], tiff_data=pieces, sizes="")
    for number, name in enumerate(names):
        planes = [*VOXELS[3 * number : 3 * number + 3], *VOXELS[: further * number]]
        write(folder / name, planes, image.text(name))


@pytest.mark.parametrize("further", [0, 1])
def test_each_file_of_a_set_is_looked_at(tmp_path, capsys, further):
    write_set(tmp_path, further)
    code, out = certify(tmp_path, "a.ome.tif", capsys)
    assert code == (ExitCode.FAILED if further else ExitCode.OK)
    assert f"safe to delete: {tmp_path}/a.ome.tif (" in out
    assert ("4 pages, of which 3 were read" in out) == bool(further)
    assert (f"safe to delete: {tmp_path}/b.ome.tif (" in out) != bool(further)
