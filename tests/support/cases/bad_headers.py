"""Damaged and lying sources: each case spoils one thing in a sound file, and says what is told."""

from __future__ import annotations

import json
import os
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np


@dataclass(frozen=True)
class Case:
    """One damaged source: the sound one, how it is spoilt, and a text that the message has."""

    id: str
    name: str
    spoil: Callable[[Path], object]
    says: str


def edit(file: str, change: Callable[[dict], object]):
    """Change the JSON of a file of an OME-Zarr."""

    def spoil(path):
        data = json.loads((path / file).read_text())
        change(data)
        (path / file).write_text(json.dumps(data))

    return spoil


def content(file: str, text: str):
    return lambda path: (path / file).write_text(text)


def cut(size: int):
    return lambda path: os.truncate(path, size)


def cut_half(path):
    os.truncate(path, path.stat().st_size // 2)


def replace(old: bytes, new: bytes):
    """Replace bytes by as many others."""
    assert len(old) == len(new)

    def spoil(path):
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new))

    return spoil


def image(key: str, value: object):
    """Set something in the multiscales of a Zarr v3."""

    def change(data):
        data["attributes"]["ome"]["multiscales"][0][key] = value

    return edit("zarr.json", change)


def scale(*values: float):
    transformation = [{"type": "scale", "scale": list(values)}]
    return image("datasets", [{"path": "0", "coordinateTransformations": transformation}])


def imaris(change: Callable[[h5py.File], object]):
    def spoil(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return spoil


def attribute(group: str, name: str, text: str):
    def change(file):
        file[group].attrs[name] = np.frombuffer(text.encode(), "S1")

    return imaris(change)


def delete(name: str):
    def change(file):
        del file[name]

    return imaris(change)


def directory(path):
    """Return where the first directory of a small classic TIFF begins, and its count of tags."""
    data = path.read_bytes()
    (offset,) = struct.unpack_from("<I", data, 4)
    return data, offset, struct.unpack_from("<H", data, offset)[0]


def tag(code: int, count: int | None = None, value: int | None = None):
    """Set count or value of a tag of the first directory."""

    def spoil(path):
        data, offset, tags = directory(path)
        data = bytearray(data)
        for place in range(offset + 2, offset + 2 + 12 * tags, 12):
            if struct.unpack_from("<H", data, place)[0] == code:
                if count is not None:
                    struct.pack_into("<I", data, place + 4, count)
                if value is not None:
                    struct.pack_into("<I", data, place + 8, value)
        path.write_bytes(data)

    return spoil


def following(to: int | None):
    """Let the first directory of a classic TIFF be followed by another; `None` is itself."""

    def spoil(path):
        data, offset, tags = directory(path)
        data = bytearray(data)
        struct.pack_into("<I", data, offset + 2 + 12 * tags, offset if to is None else to)
        path.write_bytes(data)

    return spoil


def xml(old: str, new: str):
    """Replace a text in the OME-XML, which must not grow; blanks fill up."""

    def spoil(path):
        data = path.read_bytes()
        found = re.search(old.encode(), data)
        assert found, old
        text = new.encode()
        start = data.index(b"</OME>") + len(b"</OME>")
        grown = len(text) - len(found[0])
        assert grown <= 0
        data = data[: found.start()] + text + data[found.end() : start] + b" " * -grown
        path.write_bytes(data + path.read_bytes()[start:])

    return spoil


def archive(**entries: str):
    def spoil(path):
        with zipfile.ZipFile(path, "w") as file:
            for name, text in entries.items():
                file.writestr(name.replace("__", "/").replace("_json", ".json"), text)

    return spoil


def nifti(offset: int, layout: str, *values: float):
    def spoil(path):
        data = bytearray(path.read_bytes())
        struct.pack_into(layout, data, offset, *values)
        path.write_bytes(data)

    return spoil


def pipe(file: str):
    def spoil(path):
        target = path / file if file else path
        target.unlink()
        os.mkfifo(target)

    return spoil


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zarr.json", b" " * (17 * 2**20))


def nested(path):
    (path / "zarr.json").write_text("[" * 100_000)


ZARR, OLD, OZX, IMS, TIF, BTF = (
    "v05.ome.zarr",
    "v04.ome.zarr",
    "zipped.ozx",
    "imaris.ims",
    "classic.ome.tif",
    "big.ome.btf",
)
IMAGE = "DataSetInfo/Image"
CHANNEL = "DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"
NO_MULTISCALES = edit("zarr.json", lambda data: data["attributes"]["ome"].pop("multiscales"))
PLATE = edit("zarr.json", lambda data: data["attributes"]["ome"].update(plate={}))
NO_ATTRIBUTES = edit(".zattrs", dict.clear)
SHAPELESS = edit("0/zarr.json", lambda data: data.pop("shape"))
EMPTY_AXIS = edit("0/zarr.json", lambda data: data.update(shape=[1, 0, 5, 5]))
STRANGE_TYPE = edit("0/.zarray", lambda data: data.update(dtype="<M8[ns]"))
LARGE_LEVEL = edit("1/zarr.json", lambda data: data.update(shape=[2, 99, 99, 99]))
ORIENTATION = edit("zarr.json", lambda data: data["attributes"].update(xyz_orientation="RRR"))
ENTITY = '<!DOCTYPE OME [<!ENTITY a "aaaa">]><OME>&a;</OME>'
TWO_FOLDERS = {"a__zarr_json": "{}", "b__zarr_json": "{}"}

CASES = [
    Case("zarr-not-json", ZARR, content("zarr.json", "{no"), "'zarr.json' that is not JSON"),
    Case("zarr-empty-json", ZARR, content("zarr.json", ""), "'zarr.json' that is not JSON"),
    Case(
        "zarr-not-text",
        ZARR,
        content("zarr.json", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")),
        "is not JSON",
    ),
    Case("zarr-list", ZARR, content("zarr.json", "[]"), "is no JSON object"),
    Case("zarr-nested", ZARR, nested, "is not JSON"),
    Case("zarr-pipe", ZARR, pipe("zarr.json"), "is not a regular file"),
    Case("zarr-no-multiscales", ZARR, NO_MULTISCALES, "has no multiscales"),
    Case("zarr-v2-no-attributes", OLD, NO_ATTRIBUTES, "has no multiscales"),
    Case("zarr-plate", ZARR, PLATE, "is a plate"),
    Case("zarr-no-datasets", ZARR, image("datasets", []), "multiscales without datasets"),
    Case("zarr-datasets-of-text", ZARR, image("datasets", ["0"]), "a level with the path"),
    Case("zarr-outside", ZARR, image("datasets", [{"path": "../x"}]), "with the path '../x'"),
    Case("zarr-no-axes", ZARR, image("axes", None), "multiscales without axes"),
    Case("zarr-equal-axes", ZARR, image("axes", ["z", "z", "y", "x"]), "without a name of their"),
    Case("zarr-three-axes", ZARR, image("axes", list("zyx")), "3 axes, but 4 sizes"),
    Case("zarr-no-array", ZARR, lambda path: (path / "0/zarr.json").unlink(), "no '0/zarr.json'"),
    Case("zarr-no-shape", ZARR, SHAPELESS, "no shape of positive numbers in '0/zarr.json'"),
    Case("zarr-empty-axis", ZARR, EMPTY_AXIS, "no shape of positive numbers"),
    Case("zarr-type", OLD, STRANGE_TYPE, "no known data type in '0/.zarray'"),
    Case("zarr-larger-level", ZARR, LARGE_LEVEL, "level 1 that is larger"),
    Case("zarr-scale-short", ZARR, scale(1, 1, 1), "not a list of 4 numbers"),
    Case("zarr-orientation", ZARR, ORIENTATION, "an xyz_orientation that is none: 'RRR'"),
    Case("ozx-text", OZX, lambda path: path.write_text("x" * 100), "is not a sound zip file"),
    Case("ozx-cut", OZX, cut_half, "is not a sound zip file"),
    Case("ozx-no-zarr", OZX, archive(a="x"), "holds no zarr.json"),
    Case("ozx-two-images", OZX, archive(**TWO_FOLDERS), "several folders with Zarr metadata"),
    Case("ozx-bomb", OZX, bomb, "of more than 16 MiB"),
    Case("ozx-damaged", OZX, replace(b'"zarr_format"', b'"zarr_farmot"'), "damaged 'zarr.json'"),
    Case("ozx-pipe", OZX, pipe(""), "is not a regular file"),
    Case("ims-magic-only", IMS, cut(8), "is not a sound Imaris file"),
    Case("ims-cut", IMS, cut_half, "is not a sound Imaris file"),
    Case("ims-text", IMS, lambda path: path.write_text("x" * 4000), "is not a sound Imaris file"),
    Case("ims-other-hdf5", IMS, imaris(lambda file: file.clear()), "it is not an Imaris file"),
    Case("ims-no-data", IMS, delete(f"{CHANNEL}/Data"), "no three-dimensional"),
    Case("ims-no-channel", IMS, delete(CHANNEL), "has no 'Channel 0'"),
    Case("ims-pipe", IMS, pipe(""), "is not a regular file"),
    Case("ims-size", IMS, attribute(CHANNEL, "ImageSizeX", "many"), "an ImageSizeX of 'many'"),
    Case(
        "ims-larger-size", IMS, attribute(CHANNEL, "ImageSizeX", "99999"), "ImageSizeX of '99999'"
    ),
    Case("tif-magic-only", TIF, cut(4), "does not begin as TIFF files do"),
    Case("tif-cut", TIF, cut(600), "is cut off or damaged"),
    Case("btf-cut", BTF, cut(12), "does not begin as BigTIFF files do"),
    Case("tif-text", TIF, lambda path: path.write_text("x" * 99), "does not begin as TIFF"),
    Case("tif-directory-outside", TIF, nifti(4, "<I", 2**31), "names byte"),
    Case("tif-claims-500-mb", TIF, tag(270, count=500_000_000), "names byte"),
    Case("tif-next-outside", TIF, following(2**31), "names byte"),
    Case("tif-no-size", TIF, tag(256, value=0), "first page without a size"),
    Case("tif-other-size", TIF, tag(256, value=71), "pages of 71 x 50, but OME-XML of 70 x 50"),
    Case("tif-other-type", TIF, tag(258, value=8), "pixels of type uint8, but OME-XML of uint16"),
    Case("tif-no-xml", TIF, xml("<OME ", "<XML "), "holds no OME-XML"),
    Case("tif-bad-xml", TIF, xml("<Pixels ", "<Pixels<"), "is not well-formed"),
    Case("tif-entities", TIF, xml(r"<\?xml.*?<Pixels ", ENTITY), "has a document type"),
    Case("tif-no-image", TIF, xml("<Pixels .*</Pixels>", ""), "OME-XML without an image"),
    Case("tif-zero-size", TIF, xml('SizeZ="13"', 'SizeZ="0"'), "with a SizeZ of '0'"),
    Case("tif-order", TIF, xml('DimensionOrder="XYZCT"', 'DimensionOrder="XY"'), "dimensions 'XY'"),
    Case("tif-type", TIF, xml('Type="uint16"', 'Type="words"'), "pixels of type 'words'"),
    Case(
        "tif-companion",
        TIF,
        xml("<Image.*</Image>", '<BinaryOnly MetadataFile="a.companion.ome"/>'),
        "in 'a.companion.ome', which is not there",
    ),
    Case(
        "tif-companion-elsewhere",
        TIF,
        xml("<Image.*</Image>", '<BinaryOnly MetadataFile="/a/b.ome"/>'),
        "which is not in its folder",
    ),
    Case("plain-loop", "plain.tif", following(None), "runs in a loop"),
    Case("imagej-count", "imagej.tif", replace(b"slices=2", b"slices=7"), "has 6 images by ImageJ"),
    Case("imagej-text", "imagej.tif", replace(b"slices=2", b"slices=x"), "has 'x' slices"),
    Case("nii-magic-only", "nifti.nii", cut(4), "does not begin as NIfTI files do"),
    Case("nii-cut", "nifti.nii", cut(400), "is cut off: it has 400 bytes"),
    Case("nii-shape", "nifti.nii", nifti(42, "<h", -4), "has the shape (-4, 5, 4)"),
    Case("nii-type", "nifti.nii", nifti(70, "<h", 9999), "has a damaged header"),
    Case("nii-gz-cut", "nifti.nii.gz", cut(30), "cannot be unpacked"),
    Case("nii-gz-text", "nifti.nii.gz", lambda path: path.write_text("x"), "does not begin"),
]


IMAGEJ = "imagej.tif"
DOUBTFUL = [
    Case("c1-zarr-nan", ZARR, scale(1, float("nan"), 1, 1), "z: the scale along z: nan"),
    Case("c1-zarr-zero", ZARR, scale(1, 1, 0, 1), "y: the scale along y: 0 is not above 0"),
    Case("c1-zarr-negative", ZARR, scale(1, 1, 1, -2), "x: the scale along x: -2 is not above 0"),
    Case("c1-zarr-infinite", ZARR, scale(1, 1, 1, float("inf")), "x: the scale along x: inf"),
    Case("c1-zarr-tiny", ZARR, scale(1, 1, 1, 1e-300), "x: um is not a distance of voxels"),
    Case("c1-zarr-text", ZARR, scale(1, 1, 1, "0,5"), "x: the scale along x: '0,5' is not a"),
    Case("c1-ims-unit", IMS, attribute(IMAGE, "Unit", "furlong"), "xyz: 'furlong' is not a known"),
    Case("c1-ims-none", IMS, attribute(IMAGE, "ExtMax0", "0"), "x: to '0' is not above 0"),
    Case("c1-ims-other-way", IMS, attribute(IMAGE, "ExtMax1", "-5"), "y: to '-5' is not above 0"),
    Case("c1-ims-nan", IMS, attribute(IMAGE, "ExtMax0", "nan"), "x: 'nan' is not a number"),
    Case("c1-ims-comma", IMS, attribute(IMAGE, "ExtMax2", "52,0"), "z: '52,0' is not a number"),
    Case(
        "c1-tif-negative", TIF, xml('X="0.3467"', 'X="-1"'), "x: PhysicalSizeX: '-1' is not above"
    ),
    Case("c1-tif-zero", TIF, xml('Y="2.6"', 'Y="0"'), "y: PhysicalSizeY: '0' is not above 0"),
    Case(
        "c1-tif-nan", TIF, xml('X="0.3467"', 'X="NaN"'), "x: PhysicalSizeX: 'NaN' is not a number"
    ),
    Case("c1-tif-comma", TIF, xml('X="0.3467"', 'X="0,346"'), "x: PhysicalSizeX: '0,346' is not a"),
    Case(
        "c1-tif-unit", TIF, xml('XUnit="µm"', 'XUnit="q"'), "x: PhysicalSizeX: 'q' is not a known"
    ),
    Case(
        "c1-imagej-unit", IMAGEJ, replace(b"unit=um", b"unit=xm"), "xyz: 'xm' is not a known unit"
    ),
    Case("c1-imagej-zero", IMAGEJ, replace(b"ing=4.0", b"ing=0.0"), "z: '0.0' is not above 0"),
    Case("c1-imagej-nan", IMAGEJ, replace(b"ing=4.0", b"ing=NaN"), "z: 'NaN' is not a number"),
    Case("c1-imagej-comma", IMAGEJ, replace(b"ing=4.0", b"ing=4,0"), "z: '4,0' is not a number"),
    Case("c1-nii-zero", "nifti.nii", nifti(80, "<f", 0.0), "x: pixdim[1]: '0.0' is not above 0"),
    Case(
        "c1-nii-negative", "nifti.nii", nifti(84, "<f", -2.0), "y: pixdim[2]: '-2.0' is not above"
    ),
    Case("c1-nii-nan", "nifti.nii", nifti(88, "<f", float("nan")), "z: pixdim[3]: 'nan' is not a"),
]
"""Sizes that cannot be: the axes whose size is unknown then, and a part of what is told."""
