"""Planes of any source become an OME-Zarr with a pyramid: voxel by voxel, and after a kill."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import children
import conversions
import nibabel
import numpy as np
import plane_sources as sources
import pytest
import tifffile
import yaozarrs
from conversions import Job
from ome_zarr_models import open_ome_zarr
from plain_pyramid import plain_pyramid
from plane_harm import Killer, fill_disk, kill, tree_of
from plane_sources import SPACING_UM, compose_voxels
from zarr_readers import READERS, read_with_zarr

from spimpack_tasks.arrays import grid as layout
from spimpack_tasks.arrays import pyramid
from spimpack_tasks.arrays.codecs import DamagedChunkError
from spimpack_tasks.arrays.pyramid import level_sizes, plan_levels
from spimpack_tasks.files.plane_names import UnclearPlanesError, sort_planes
from spimpack_tasks.volumes import volume as volumes
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.errors import HeaderError, SourceRefusedError
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.plane_folder import levels as plane_folder
from spimpack_tasks.volumes.plane_folder.levels import read_plane
from spimpack_tasks.volumes.volume import open_volume

FIVE = (2, 3, 13, 50, 37)
STACK = (1, 1, 13, 50, 37)
tif = sources.write_tif


def folder(write, pattern="Z{z:03}.tif"):
    return partial(sources.write_folder, write=write, pattern=pattern)


ome = partial(partial, sources.write_ome)
SOURCES = {
    "tif": (STACK, folder(tif)),
    "natural order": (STACK, folder(tif, "brain 1 {z}.tif")),
    "channels": ((1, 3, 13, 50, 37), folder(tif, "C{c:02}_Z{z:04}.tif")),
    "times": (FIVE, folder(tif, "x 2_t{t}_ch{c}_{z:04}.TIF")),
    "one plane": ((1, 1, 1, 50, 37), folder(tif, "plane.tif")),
    "lzw": (STACK, folder(partial(tif, compression="lzw", predictor=True))),
    "tiles": (STACK, folder(partial(tif, compression="zlib", tile=(16, 32)))),
    "big-endian": (STACK, folder(partial(tif, byteorder=">"))),
    "png": (STACK, folder(sources.write_png, "Z{z}.png")),
    "jp2": (STACK, folder(sources.write_jp2, "Z{z}.jp2")),
    "a.ome.tif": (FIVE, sources.write_ome),
    "order.ome.tif": (FIVE, ome(axes="ZTCYX")),
    "packed.ome.tif": (FIVE, ome(axes="TZCYX", compression="zlib", tile=(16, 16))),
    "motorola.ome.tif": (FIVE, ome(byteorder=">")),
    "a.ome.btf": (FIVE, ome(bigtiff=True, compression="zstd", predictor=True)),
    "pages.tif": (STACK, sources.write_pages),
    "imagej.tif": (FIVE, sources.write_imagej),
    "colours.tif": ((1, 3, 1, 50, 37), sources.write_colours),
    "a.nii": (FIVE, sources.write_nifti),
    "motorola.nii": (FIVE, partial(sources.write_nifti, order=">")),
    "a.nii.gz": (FIVE, sources.write_nifti),
    "a.ome.zarr": (FIVE, sources.write_zarr),
    "v2.ome.zarr": (FIVE, partial(sources.write_zarr, version=2)),
    "a.ozx": (FIVE, sources.write_zip),
    "a.ims": (FIVE, sources.write_imaris),
}
DTYPES = {
    "uint8": ["png", "jp2", "lzw", "packed.ome.tif", "a.nii.gz", "a.ome.zarr", "a.ims"],
    "uint16": list(SOURCES),
    "int16": ["tif", "motorola.ome.tif", "motorola.nii", "a.ome.zarr"],
    "float32": ["tif", "big-endian", "motorola.ome.tif", "a.nii", "a.ome.zarr", "a.ims"],
}
CASES = [(name, dtype) for dtype, names in DTYPES.items() for name in names]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Make the images of the tests consist of several slabs, shards and levels."""
    monkeypatch.setattr(pyramid, "_CHUNKS", ((8, 16),))
    monkeypatch.setattr(layout, "SLAB_CHUNKS", 2)
    monkeypatch.setattr(pyramid, "SMALL_ENOUGH", 500)


def convert_planes(source, path, codec="blosc", threads=2, advance=lambda _: None, *, ngff="0.5"):
    axes = "zyx" if os.path.basename(source) == "pages.tif" else ""  # it does not say them
    request = Request(codec=codec, ngff=ngff, name="image", source_axes=axes)
    job = Job(str(source), str(path), request, "id", threads)
    conversions.convert_voxels(job, advance)


def expected_levels(voxels):
    return plain_pyramid(voxels, level_sizes(voxels.shape[2:], voxels.itemsize))


def read_levels(path):
    return [
        read_with_zarr(path, dataset["path"])
        for dataset in sources.read_metadata(path)["ome"]["multiscales"][0]["datasets"]
    ]


def assert_levels(found, expected):
    assert len(found) == len(expected) > 1
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.few(12)
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_every_voxel_of_every_level(tmp_path, name, dtype):
    shape, write = SOURCES[name]
    voxels = compose_voxels(shape, dtype)
    write(tmp_path / name, voxels)
    told = []
    convert_planes(tmp_path / name, tmp_path / "out.ome.zarr", advance=told.append)
    assert_levels(read_levels(tmp_path / "out.ome.zarr"), expected_levels(voxels))
    assert sum(told) == voxels.nbytes
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.few(14)
@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("codec", ["gzip", "blosc", "lz4"])
@pytest.mark.parametrize("shape", sources.ODD_SHAPES, ids=str)
def test_odd_sizes(tmp_path, shape, codec, ngff):
    voxels = compose_voxels(shape)
    sources.write_zarr(tmp_path / "a.ome.zarr", voxels)
    convert_planes(tmp_path / "a.ome.zarr", tmp_path / "out.ome.zarr", codec, ngff=ngff)
    found, expected = read_levels(tmp_path / "out.ome.zarr"), expected_levels(voxels)
    assert len(found) == len(expected)
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("ngff", NGFF)
def test_the_bytes_do_not_depend_on_the_threads(tmp_path, ngff):
    write_stack(tmp_path / "planes")
    for threads in (1, 2, 5):
        out = tmp_path / f"{threads}.ome.zarr"
        convert_planes(tmp_path / "planes", out, threads=threads, ngff=ngff)
    first = tree_of(tmp_path / "1.ome.zarr")
    assert len(first) > 20
    assert first == tree_of(tmp_path / "2.ome.zarr") == tree_of(tmp_path / "5.ome.zarr")


def write_stack(path, shape=(1, 2, 40, 50, 37)):
    voxels = compose_voxels(shape)
    voxels[0, 0, :8] = 0  # a slab without a shard
    folder(tif, "C{c}_Z{z:03}.tif")(path, voxels)
    return voxels


def test_a_chunk_of_zeros_takes_no_room(tmp_path):
    write_stack(tmp_path / "planes")
    convert_planes(tmp_path / "planes", tmp_path / "out")
    assert not list((tmp_path / "out/0/c/0/0").glob("*/*"))
    assert len(list((tmp_path / "out/0/c/1/0").glob("*/*"))) == 4
    convert_planes(tmp_path / "planes", tmp_path / "files", ngff="0.4")
    assert list((tmp_path / "files/0/0/0").glob("*/*")) == [tmp_path / "files/0/0/0/0/0"]
    assert len(list((tmp_path / "files/0/1/0").glob("*/*"))) == 12


@pytest.mark.few(8)
@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("codec", ["gzip", "blosc", "lz4"])
@pytest.mark.parametrize("reader", READERS)
def test_all_readers_find_the_same_voxels(tmp_path, reader, codec, ngff):
    voxels = write_stack(tmp_path / "planes")
    convert_planes(tmp_path / "planes", tmp_path / "out.ome.zarr", codec, ngff=ngff)
    for number, expected in enumerate(expected_levels(voxels)):
        found = READERS[reader](tmp_path / "out.ome.zarr", number)
        assert np.array_equal(np.reshape(found, expected.shape), expected)


@pytest.mark.parametrize("ngff", NGFF)
def test_the_metadata_are_sound_and_have_what_the_source_says(tmp_path, ngff):
    sources.write_ome(tmp_path / "a.ome.tif", compose_voxels(FIVE))
    request = Request(codec="blosc", ngff=ngff, name="image", orientation_xyz="RAS")
    out = tmp_path / "out.ome.zarr"
    conversions.convert(Job(str(tmp_path / "a.ome.tif"), str(out), request, "id"))
    assert yaozarrs.validate_zarr_store(str(out)).ome_version() == ngff
    open_ome_zarr(out, version=ngff)
    attributes = sources.read_metadata(out)
    multiscale = attributes["ome"]["multiscales"][0]
    for number, (dataset, size) in enumerate(
        zip(multiscale["datasets"], level_sizes(FIVE[2:], 2), strict=True)
    ):
        scale, shift = dataset["coordinateTransformations"]
        steps = 2 ** np.floor(np.log2(np.divide(FIVE[2:], size)))
        assert scale["scale"] == [1, 1, *(steps * SPACING_UM)], number
        assert shift["translation"] == [0, 0, *((steps - 1) * SPACING_UM / 2)]
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, None, *["micrometer"] * 3]
    labels = [channel["label"] for channel in attributes["ome"]["omero"]["channels"]]
    assert labels == ["stain 0", "stain 1", "stain 2"]
    assert attributes["xyz_orientation"] == "RAS"
    assert attributes["spimpack_tasks"]["converted_from"] == "OME-TIFF"


def test_channels_are_shown_between_their_dark_and_their_bright_voxels(tmp_path):
    voxels = np.zeros((2, 3, 13, 50, 37), "uint16")
    voxels[0, 1] = np.linspace(100, 1100, 37)
    voxels[1] = 5000  # later time points do not count
    sources.write_ome(tmp_path / "a.ome.tif", voxels)
    out = tmp_path / "out"
    convert_planes(tmp_path / "a.ome.tif", out)
    channels = sources.read_metadata(out)["ome"]["omero"]["channels"]
    low, high = channels[1]["window"]["start"], channels[1]["window"]["end"]
    assert 100 < low < 300
    assert 800 < high < 1100
    for number in (0, 2):
        assert (channels[number]["window"]["start"], channels[number]["window"]["end"]) == (0, 1)


def test_the_window_lies_between_two_percentiles(tmp_path):
    """On paper: of the numbers 0 to 199, 1 % is at 0.01 * 199, and 99.8 % at 0.998 * 199."""
    numbers = np.random.default_rng(1).permutation(200).reshape(10, 20).astype("uint8")
    voxels = np.kron(numbers, np.ones((2, 2), "uint8"))[None, None, None]
    sources.write_ome(tmp_path / "a.ome.tif", voxels)
    convert_planes(tmp_path / "a.ome.tif", tmp_path / "out")
    assert [level.shape[-2:] for level in read_levels(tmp_path / "out")] == [(20, 40), (10, 20)]
    (channel,) = sources.read_metadata(tmp_path / "out")["ome"]["omero"]["channels"]
    assert channel["window"]["start"] == pytest.approx(1.99, abs=1e-9)
    assert channel["window"]["end"] == pytest.approx(198.602, abs=1e-9)


FLAT = {
    # An axis of n voxels is halved where (10 n)^2 is more than the product of the two others:
    # 40^2 = 1,600 is less than 40 * 41 = 1,640, and 50^2 = 2,500 is more; 40^2 is more than 400.
    4: [(4, 40, 41), (4, 20, 20), (2, 10, 10)],
    5: [(5, 40, 41), (2, 20, 20), (2, 10, 10)],
}


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("depth", FLAT)
def test_a_flat_image_is_halved_along_its_planes_first(tmp_path, depth, ngff):
    voxels = compose_voxels((1, 1, depth, 40, 41))
    sources.write_ome(tmp_path / "a.ome.tif", voxels)
    convert_planes(tmp_path / "a.ome.tif", tmp_path / "out", ngff=ngff)
    found = [read_with_zarr(tmp_path / "out", str(level)) for level in range(3)]
    assert [level.shape[-3:] for level in found] == FLAT[depth]
    assert_levels(found, plain_pyramid(voxels, FLAT[depth]))


def test_numbers_that_are_none_do_not_spoil_the_metadata(tmp_path):
    voxels = np.full((1, 2, 13, 50, 37), np.nan, "float32")
    voxels[0, 1] = 7
    voxels[0, 1, 0, 0, 0] = np.inf
    sources.write_nifti(tmp_path / "a.nii", voxels)
    convert_planes(tmp_path / "a.nii", tmp_path / "out")
    channels = sources.read_metadata(tmp_path / "out")["ome"]["omero"]["channels"]
    assert [channel["window"]["start"] for channel in channels] == [0, 7]
    found = read_with_zarr(tmp_path / "out")
    assert np.array_equal(found, voxels, equal_nan=True)


def test_what_is_stored_together_is_decoded_once(tmp_path, monkeypatch):
    """Chunks of the source are higher than the slabs, and end elsewhere."""
    voxels = compose_voxels((1, 2, 20, 33, 31))
    sources.write_zarr(tmp_path / "a.ome.zarr", voxels, chunks=(1, 1, 6, 33, 31))
    asked = []
    original = volumes._normalise

    def watched(level):
        def read(index):
            asked.append((index[1].start, index[2].start, index[2].stop))
            return level.read(index)

        return original(replace(level, read=read))

    monkeypatch.setattr(volumes, "_normalise", watched)
    convert_planes(tmp_path / "a.ome.zarr", tmp_path / "out")
    assert_levels(read_levels(tmp_path / "out"), expected_levels(voxels))
    bounds = [(0, 6), (6, 12), (12, 18), (18, 20)]
    assert asked == [(c, *bound) for c in range(2) for bound in bounds]


def rename(path, old, new):
    (path / old).rename(path / new)


def swap_type(path, name="Z005.tif", **changes):
    given = {"shape": (50, 37), "dtype": "uint16"} | changes
    kind = "rgb" if given["shape"][-1] == 3 else "minisblack"
    tif(path / name, np.zeros(**given), photometric=kind)


REFUSED = {
    "a plane is missing": (lambda p: (p / "Z005.tif").unlink(), "lacks 1 plane: Z005.tif"),
    "many planes are missing": (
        lambda p: rename(p, "Z012.tif", "Z100.tif"),
        "lacks 88 planes: Z012.tif, Z013.tif, Z014.tif, Z015.tif, Z016.tif, …",
    ),
    "another size": (
        lambda p: swap_type(p, shape=(50, 38)),
        "Z005.tif' has 38 x 50 pixels of uint16, but 'Z000.tif' has 37 x 50 pixels of uint16",
    ),
    "several others": (
        lambda p: [swap_type(p, f"Z{z:03}.tif", shape=(50, 38)) for z in range(3, 12)],
        (
            "Z003.tif' has 38 x 50 pixels of uint16, but 'Z000.tif' has 37 x 50 pixels of uint16; "
            "wrong as well: 'Z004.tif', 'Z005.tif', 'Z006.tif', 'Z007.tif', 'Z008.tif', …"
        ),
    ),
    "another type": (
        lambda p: swap_type(p, dtype="uint8"),
        "Z005.tif' has 37 x 50 pixels of uint8, but 'Z000.tif' has 37 x 50 pixels of uint16",
    ),
    "colours": (lambda p: swap_type(p, shape=(50, 37, 3)), "Z005.tif' has colours"),
    "several pages": (lambda p: swap_type(p, shape=(4, 50, 37)), "Z005.tif' has 4 pages"),
    "empty file": (lambda p: (p / "Z005.tif").write_bytes(b""), "Z005.tif' does not begin as"),
    "no planes": (lambda p: [f.unlink() for f in p.glob("Z*")], "is a directory of no known"),
    "other names": (
        lambda p: rename(p, "Z005.tif", "Y005.tif"),
        "holds planes whose names differ in more than numbers: 'Y005.tif', 'Z000.tif'",
    ),
    "two formats": (
        lambda p: rename(p, "Z005.tif", "Z005.png"),
        "holds planes whose names differ in more than numbers: 'Z000.tif', 'Z005.png'",
    ),
    "the same number twice": (
        lambda p: shutil.copy(p / "Z005.tif", p / "Z05.tif"),
        "has the same numbers in 'Z005.tif' and 'Z05.tif'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_folders_that_are_no_image_are_refused(tmp_path, name):
    folder(tif)(tmp_path / "planes", compose_voxels(STACK))
    spoil, message = REFUSED[name]
    spoil(tmp_path / "planes")
    with pytest.raises(SourceRefusedError) as refused, open_volume(str(tmp_path / "planes")):
        pass
    assert message in str(refused.value)


NAMES = {
    "letters": (["A_z{z}_c{c}_t{t}.tif"], "zct"),
    "words": (["channel 1{c} time0{t} slice{z}.tif"], "ctz"),
    "a table": (["[00 x 00]_C0{c}_xyz-Table Z{z:04}.ome.tif"], "cz"),
    "one has no letter": (["{z:05}_CH{c}.tif"], "zc"),
    "a number that does not count": (["mouse 7 z{z}.tif"], "z"),
}


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_told_apart_by_the_letters_before_them(name):
    (pattern,), axes = NAMES[name]
    counts = {"t": 2, "c": 3, "z": 12}
    expected = [
        pattern.format(t=t, c=c, z=z)
        for t in range(2 if "t" in axes else 1)
        for c in range(3 if "c" in axes else 1)
        for z in range(counts["z"])
    ]
    names, found = sort_planes(expected[::-1])
    assert names == expected
    assert found == tuple(counts[axis] if axis in axes else 1 for axis in "tcz")


UNCLEAR = {
    "two numbers": [f"{a}_{b}.tif" for a in range(2) for b in range(3)],
    "two of z": [f"z{a}_z{b}.tif" for a in range(2) for b in range(3)],
    "channels and two more": [f"{a}_{b}_c{c}.tif" for a in "01" for b in "01" for c in "01"],
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_numbers_that_may_mean_anything_are_refused(name):
    with pytest.raises(UnclearPlanesError, match="several numbers that count, and does not say wh"):
        sort_planes(UNCLEAR[name])


def cut(path):
    os.truncate(path, path.stat().st_size - 100)


def spoil(path, at=0.5, length=40):
    data = bytearray(path.read_bytes())
    start = int(at * len(data))
    data[start : start + length] = bytes(length)
    path.write_bytes(data)


DAMAGED = {
    "planes of png": ("png", lambda p: spoil(p / "Z9.png"), "plane 9: the plane '{path}/Z9.png' c"),
    "planes of jp2": ("jp2", lambda p: cut(p / "Z9.jp2"), None),
    "packed planes": (
        "tiles",
        lambda p: spoil(p / "Z009.tif"),
        "plane 9: the plane '{path}/Z009.tif",
    ),
    "pages": (
        "packed.ome.tif",
        lambda p: spoil(p, 0.35, 400),
        "time point 0, channel 0, plane 9: the voxels of '{path}' cannot be read",
    ),
    "chunks": (
        "a.ome.zarr",
        lambda p: (p / "0/c/1/2/1/0/0").write_bytes(b"no chunk"),
        "time point 1, channel 2, plane 5: the voxels of '{path}' cannot be read",
    ),
    "stream": ("a.nii.gz", cut, "time point 1, channel 2, plane 12: the voxels of"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_named(tmp_path, name):
    source, harm, message = DAMAGED[name]
    shape, write = SOURCES[source]
    path = tmp_path / source
    write(path, compose_voxels(shape))
    harm(path)
    with pytest.raises(DamagedChunkError) as told:
        convert_planes(path, tmp_path / "out")
    assert (message or "Z9.jp2").format(path=path) in str(told.value)
    assert not (tmp_path / "out/zarr.json").exists()
    assert not list(tmp_path.rglob("*.part"))


def drop_page(path):
    """Take the last directory out of the chain."""
    with tifffile.TiffFile(path) as file:
        before, last = file.pages[-2:]
        offset = before.offset + 2 + 12 * len(before.tags)
        assert int.from_bytes(path.read_bytes()[offset : offset + 4], "little") == last.offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 4] = bytes(4)
    path.write_bytes(data)


def test_an_image_with_a_page_too_few_is_refused(tmp_path):
    sources.write_ome(tmp_path / "a.ome.tif", compose_voxels(FIVE), compression="zlib")
    drop_page(tmp_path / "a.ome.tif")
    with pytest.raises(HeaderError, match="lacks 1 of its planes"):
        convert_planes(tmp_path / "a.ome.tif", tmp_path / "out")


def test_pages_of_different_sizes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for width in (8, 8, 9):
            file.write(np.zeros((8, width), "uint16"), metadata=None)
    with pytest.raises(HeaderError, match="has pages of different sizes"):
        convert_planes(tmp_path / "a.tif", tmp_path / "out")


def test_complex_numbers_are_refused(tmp_path):
    tif(tmp_path / "a.tif", np.zeros((8, 8), "complex64"), metadata=None)
    with pytest.raises(
        HeaderError, match="has voxels of type complex64, which cannot be converted"
    ):
        convert_planes(tmp_path / "a.tif", tmp_path / "out")


def write_colour_nifti(path):
    colours = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), path)


UNCONVERTIBLE = {
    "refused.nii": (write_colour_nifti, "the voxels of '{path}' cannot be read: voxels of several"),
    "cut.ome.tif": (
        lambda path: (sources.write_ome(path, compose_voxels(FIVE)), cut(path)),
        "'{path}' is cut off or damaged",
    ),
    "gone.nii": (lambda _: None, "'{path}' does not exist"),
    "a.oib": (lambda path: path.write_bytes(b"x"), "'{path}' is a file of no known format"),
}


@pytest.mark.parametrize("convert_by", [conversions.convert, conversions.convert_to_tiff])
@pytest.mark.parametrize("name", UNCONVERTIBLE)
def test_a_converter_raises_no_error_but_of_the_system(tmp_path, name, convert_by):
    write, message = UNCONVERTIBLE[name]
    path = tmp_path / name
    write(path)
    job = Job(str(path), str(tmp_path / "out"), Request(codec="zlib"))
    with pytest.raises(OSError, match=re.escape(message.format(path=path))):
        convert_by(job)


def test_values_that_are_to_be_scaled_are_refused(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), "int16"), np.eye(4))
    image.header.set_slope_inter(2, 1)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(HeaderError, match="has values that are to be scaled"):
        convert_planes(tmp_path / "a.nii", tmp_path / "out")


def run_harmed(source, out, k, harm, ngff):
    """Convert in a child that is harmed; return its exit code, 0 if there was nothing to harm."""

    def action():
        Killer(out, k, harm).watch()
        try:
            convert_planes(source, out, ngff=ngff)
        except OSError as error:
            return error.errno
        return 0

    return children.wait(children.start(action))


@pytest.mark.few(6)
@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("harm", [kill, fill_disk])
@pytest.mark.parametrize("k", [1, 2, 7, 20, 40, 60])
def test_a_rerun_ends_with_the_same_bytes(tmp_path, k, harm, ngff):
    voxels = write_stack(tmp_path / "planes", (1, 1, 100, 50, 37))
    convert_planes(tmp_path / "planes", tmp_path / "whole", ngff=ngff)
    whole = tree_of(tmp_path / "whole")
    out = tmp_path / "out"
    code = run_harmed(tmp_path / "planes", out, k, harm, ngff)
    assert code == (-signal.SIGKILL if harm is kill else errno.ENOSPC)
    assert not any((out / name).exists() for name in ("zarr.json", ".zattrs"))
    left = tree_of(out) if out.exists() else {}
    known = {name: data for name, data in left.items() if name in whole}
    if ngff == "0.5":
        assert known == {name: whole[name] for name in left if not name.endswith(".part")}
    else:  # the chunks of a shard that was being made need not be whole
        assert all(whole[name].startswith(data) for name, data in known.items())
    if harm is fill_disk:
        assert not list(tmp_path.rglob("*.part"))
    told = []
    convert_planes(tmp_path / "planes", out, advance=told.append, ngff=ngff)
    assert tree_of(out) == whole
    assert sum(told) == voxels.nbytes


def test_a_rerun_reads_no_plane_that_is_finished(tmp_path, monkeypatch):
    shape = (1, 1, 100, 50, 37)
    folder(tif)(tmp_path / "planes", compose_voxels(shape))
    convert_planes(tmp_path / "planes", tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "out")
    shutil.rmtree(tmp_path / "out/0/c/9")  # planes 36 to 39
    shutil.rmtree(tmp_path / "out/2")
    read = []

    def watched(path, page):
        read.append(Path(path).name)
        return read_plane(path, page)

    monkeypatch.setattr(plane_folder, "read_plane", watched)
    convert_planes(tmp_path / "planes", tmp_path / "out")
    assert sorted(read) == [f"Z{z:03}.tif" for z in range(36, 40)]
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "whole")


SHAPES_OF_CHUNKS = {
    "small planes": ((1, 1, 512, 1024, 1024), 2, (32, 128, 128)),
    "bytes": ((1, 1, 512, 1024, 1024), 1, (64, 128, 128)),
    "floats": ((1, 1, 512, 1024, 1024), 4, (16, 128, 128)),
    "large planes": ((1, 1, 512, 2048, 2048), 2, (8, 256, 256)),
    "very large planes": ((1, 1, 512, 10000, 10000), 2, (2, 512, 512)),
    "one plane": ((1, 1, 1, 1024, 1000), 2, (1, 128, 128)),
    "small": ((1, 1, 5, 60, 100), 2, (8, 64, 128)),
    # 64 planes of 2 MiB, 16 of 8 MiB or 8 of 16 MiB are 128 MiB; one more column is too much.
    "64 planes just fit": ((1, 1, 512, 1024, 2048), 1, (64, 128, 128)),
    "64 planes do not fit": ((1, 1, 512, 1024, 2049), 1, (16, 256, 256)),
    "16 planes just fit": ((1, 1, 512, 2048, 4096), 1, (16, 256, 256)),
    "16 planes do not fit": ((1, 1, 512, 2048, 4097), 1, (4, 512, 512)),
    "4 planes do not fit": ((1, 1, 512, 20000, 30000), 1, (4, 512, 512)),
    "8 planes of eight bytes just fit": ((1, 1, 512, 1024, 2048), 8, (8, 128, 128)),
    "8 planes of eight bytes do not fit": ((1, 1, 512, 1025, 2048), 8, (2, 256, 256)),
    "high and narrow": ((1, 1, 512, 32768, 64), 1, (64, 128, 64)),
    "low and wide": ((1, 1, 512, 64, 32768), 1, (64, 64, 128)),
}


@pytest.mark.parametrize("name", SHAPES_OF_CHUNKS)
def test_chunks_are_as_high_as_memory_allows(monkeypatch, name):
    monkeypatch.undo()
    shape, itemsize, chunk = SHAPES_OF_CHUNKS[name]
    assert {level.chunk[2:] for level in plan_levels(shape, itemsize)} == {chunk}
    assert {level.shard[2] for level in plan_levels(shape, itemsize)} == {1}


SLOW_DISK = """
import sys, time
from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.volumes.conversion import Conversion, Request
from spimpack_tasks.volumes.convert import convert_to_ome_zarr
from spimpack_tasks.volumes.formats import PLANE_FOLDER

def slowly(do, *arguments):
    time.sleep(0.05)
    do(*arguments)

write = WorkPool.write
WorkPool.write = lambda pool, size, *call: write(pool, size, slowly, *call)
source, path = sys.argv[1:]
conversion = Conversion(source, PLANE_FOLDER, Request("blosc"))
convert_to_ome_zarr(conversion, path, lambda _: None, 2)
"""
"""Converts planes to a disk that takes 320 MiB/s, so as much waits for it as may."""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_planes(tmp_path):
    """The peak of a process, with 24 and with 64 slabs of 16 MiB."""
    peaks = []
    for count in (768, 2048):
        plane = compose_voxels((512, 512))
        tif(tmp_path / "Z0.tif", plane)
        (tmp_path / str(count)).mkdir()
        for z in range(count):
            os.link(tmp_path / "Z0.tif", tmp_path / str(count) / f"Z{z}.tif")
        arguments = [str(tmp_path / str(count)), str(tmp_path / f"{count}.ome.zarr")]
        done = subprocess.run(
            [sys.executable, "-c", SLOW_DISK + children.PRINT_PEAK_KIB, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) / 1024)
    assert max(peaks) < 400
    assert peaks[1] - peaks[0] < 60  # of 640 MiB more voxels
