"""Planes of any source become a pyramidal OME-TIFF: voxels, levels, metadata, size."""

import errno
import os
import subprocess
import sys

import children
import numpy as np
import ome_types
import plane_sources as sources
import pytest
import tifffile
from conversions import Job, convert_to_tiff
from plain_pyramid import halve_plainly
from plane_harm import Killer, fill_disk, kill
from plane_sources import SPACING_UM, compose_voxels

from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.tiff import layout
from spimpack_tasks.volumes.tiff.layout import extension_of, plane_sizes

SHAPE = (2, 3, 4, 530, 277)


def make_job(source, path, codec="zlib", threads=2, **request):
    return Job(str(source), str(path), Request(codec=codec, name="image", **request), "id", threads)


def expected_levels(voxels):
    levels = [voxels]
    for size in plane_sizes(voxels.shape[3:])[1:]:
        pairs = zip(levels[-1].shape[3:], size, strict=True)
        levels.append(halve_plainly(levels[-1], [1, *(2 if m < n else 1 for n, m in pairs)]))
    return levels


def read_levels(path):
    with tifffile.TiffFile(path) as file:
        assert len(file.series) == 1
        series = file.series[0]
        return [level.asarray() for level in series.levels]


DTYPES = ("uint8", "uint16", "int16", "float32")
CASES = [(dtype, codec) for dtype in DTYPES for codec in ("zlib", "zstd")]


@pytest.mark.parametrize(("dtype", "codec"), CASES)
def test_every_voxel_of_every_level(tmp_path, dtype, codec):
    voxels = compose_voxels(SHAPE, dtype)
    sources.write_zarr(tmp_path / "a.ome.zarr", voxels, chunks=(1, 1, 3, 200, 200))
    out = tmp_path / "out.ome.tif"
    told = []
    convert_to_tiff(make_job(tmp_path / "a.ome.zarr", out, codec), told.append)
    found, expected = read_levels(out), expected_levels(voxels)
    assert [level.shape[-2:] for level in expected] == [(530, 277), (265, 138), (132, 69)]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert sum(told) == voxels.nbytes
    with tifffile.TiffFile(out) as file:
        page = file.pages[0]
        assert page.tile == (256, 256)
        assert page.predictor == (3 if dtype == "float32" else 2)
        assert page.compression.name == {"zlib": "ADOBE_DEFLATE", "zstd": "ZSTD"}[codec]
    assert not list(tmp_path.glob("*.part"))


SOURCES = {
    "planes": ((1, 2, 5, 40, 37), "folder"),
    "a.ims": ((2, 2, 5, 40, 37), sources.write_imaris),
    "a.nii.gz": ((2, 2, 5, 40, 37), sources.write_nifti),
    "motorola.nii": ((2, 2, 5, 40, 37), lambda p, v: sources.write_nifti(p, v, order=">")),
    "a.ome.tif": ((2, 2, 5, 40, 37), sources.write_ome),
    "a.ozx": ((2, 2, 5, 40, 37), sources.write_zip),
    "plane.tif": ((1, 1, 1, 1, 300), sources.write_pages),
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources(tmp_path, name):
    shape, write = SOURCES[name]
    voxels = compose_voxels(shape)
    if write == "folder":
        sources.write_folder(tmp_path / name, voxels, sources.write_tif, "C{c}_Z{z}.tif")
    else:
        write(tmp_path / name, voxels)
    convert_to_tiff(make_job(tmp_path / name, tmp_path / "out.tif"), lambda _: None)
    found = read_levels(tmp_path / "out.tif")
    for one, other in zip(found, expected_levels(voxels), strict=True):
        assert np.array_equal(one.reshape(other.shape), other)


def test_the_metadata_are_sound_and_those_of_the_source(tmp_path):
    sources.write_imaris(tmp_path / "a.ims", compose_voxels(SHAPE))
    out = tmp_path / "out.ome.tif"
    convert_to_tiff(
        make_job(tmp_path / "a.ims", out, channel_names=("Aβ", "<&>", "")), lambda _: None
    )
    with tifffile.TiffFile(out) as file:
        description = file.pages[0].tags["ImageDescription"].value
        assert not any("ImageDescription" in page.tags for page in file.pages[1:])
    told = ome_types.from_xml(description, validate=True)
    pixels = told.images[0].pixels
    assert [getattr(pixels, f"size_{axis}") for axis in "tczyx"] == list(SHAPE)
    assert [getattr(pixels, f"physical_size_{axis}") for axis in "zyx"] == list(SPACING_UM)
    assert {getattr(pixels, f"physical_size_{axis}_unit").value for axis in "zyx"} == {"µm"}
    assert [channel.name for channel in pixels.channels] == ["Aβ", "<&>", None]
    assert pixels.channels[0].color.as_rgb_tuple()[:3] == (0, 255, 0)
    header = read_header(str(out), "OME-TIFF")
    assert header.axes == ("t", "c", "z", "y", "x")
    assert header.shapes == (SHAPE, (*SHAPE[:3], 265, 138), (*SHAPE[:3], 132, 69))
    assert header.spacing_um_xyz == SPACING_UM[::-1]
    assert header.channel_names == ("Aβ", "<&>", "")


def test_what_is_not_known_is_left_out(tmp_path):
    sources.write_pages(tmp_path / "a.tif", compose_voxels((1, 1, 5, 40, 37)))
    job = make_job(tmp_path / "a.tif", tmp_path / "out.tif", source_axes="zyx")
    convert_to_tiff(job, lambda _: None)
    assert read_header(str(tmp_path / "out.tif"), "OME-TIFF").spacing_um_xyz == (None, None, None)


def test_the_bytes_do_not_depend_on_the_threads(tmp_path):
    sources.write_imaris(tmp_path / "a.ims", compose_voxels((1, 2, 9, 300, 37)))
    contents = set()
    for threads in (1, 2, 5):
        job = make_job(tmp_path / "a.ims", tmp_path / "out.tif", threads=threads)
        convert_to_tiff(job, lambda _: None)
        contents.add((tmp_path / "out.tif").read_bytes())
    assert len(contents) == 1


EXTENSIONS = {
    "small": ((1, 1, 512, 1024, 1024), 2, ".ome.tif"),
    "one level just fits": ((1, 1, 2**32 // 2**16 - 2**9, 256, 256), 1, ".ome.tif"),
    "one plane more does not": ((1, 1, 2**32 // 2**16 - 2**9 + 1, 256, 256), 1, ".ome.btf"),
    "with its smaller levels": ((1, 1, 1800, 1024, 1024), 2, ".ome.btf"),
    "tiles are whole": ((1, 1, 2**15, 257, 10), 1, ".ome.btf"),
}


@pytest.mark.parametrize("name", EXTENSIONS)
def test_what_might_not_fit_becomes_a_bigtiff(name):
    shape, itemsize, extension = EXTENSIONS[name]
    assert extension_of(shape, itemsize) == extension


@pytest.mark.parametrize("size", [40 * 256 * 256, 40 * 256 * 256 - 1])
def test_a_bigtiff_is_written_where_it_might_not_fit(tmp_path, monkeypatch, size):
    monkeypatch.setattr(layout, "LARGEST_CLASSIC", size)
    voxels = compose_voxels((2, 2, 5, 40, 37))
    sources.write_imaris(tmp_path / "a.ims", voxels)
    convert_to_tiff(make_job(tmp_path / "a.ims", tmp_path / "out"), lambda _: None)
    with tifffile.TiffFile(tmp_path / "out") as file:
        assert file.is_bigtiff == (size < 40 * 256 * 256)
        assert np.array_equal(file.asarray(), voxels)


def test_a_type_that_ome_tiff_has_not_is_refused(tmp_path):
    sources.write_zarr(tmp_path / "a.ome.zarr", compose_voxels((1, 1, 2, 8, 8), "int64"))
    with pytest.raises(OSError, match="has voxels of type int64, which OME-TIFF has not"):
        convert_to_tiff(make_job(tmp_path / "a.ome.zarr", tmp_path / "out"), lambda _: None)


def test_a_damaged_plane_leaves_nothing(tmp_path):
    sources.write_folder(
        tmp_path / "planes", compose_voxels((1, 1, 9, 40, 37)), sources.write_png, "{z}.png"
    )
    file = tmp_path / "planes/7.png"
    os.truncate(file, file.stat().st_size - 500)
    with pytest.raises(OSError, match=r"the plane '.*/planes/7\.png' cannot be read"):
        convert_to_tiff(make_job(tmp_path / "planes", tmp_path / "out"), lambda _: None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["planes"]


@pytest.mark.parametrize(("k", "harm", "code"), [(1, fill_disk, errno.ENOSPC), (2, kill, -9)])
def test_a_kill_leaves_nothing_at_the_final_path(tmp_path, k, harm, code):
    voxels = compose_voxels((1, 1, 9, 40, 37))
    sources.write_folder(tmp_path / "planes", voxels, sources.write_tif, "{z}.tif")
    job = make_job(tmp_path / "planes", tmp_path / "out.tif")

    def action():
        Killer(tmp_path / "out", k, harm).watch()
        try:
            convert_to_tiff(job, lambda _: None)
        except OSError as error:
            return error.errno
        return 0

    assert children.wait(children.start(action)) == code
    assert not (tmp_path / "out.tif").exists()
    convert_to_tiff(job, lambda _: None)
    assert np.array_equal(read_levels(tmp_path / "out.tif")[0], voxels[0, 0])
    assert not list(tmp_path.glob("*.part"))


def test_a_full_disk_leaves_nothing(tmp_path):
    """The system refuses to let a file grow, in the middle of a plane."""
    sources.write_folder(
        tmp_path / "planes", compose_voxels((1, 1, 9, 300, 300)), sources.write_tif, "{z}.tif"
    )
    code = (
        "import resource, signal, sys\n"
        "from spimpack_tasks.volumes.conversion import Conversion, Request\n"
        "from spimpack_tasks.volumes.convert import convert_to_ome_tiff\n"
        "from spimpack_tasks.volumes.formats import PLANE_FOLDER\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "source, path = sys.argv[1:]\n"
        "conversion = Conversion(source, PLANE_FOLDER, Request('zlib'))\n"
        "try: convert_to_ome_tiff(conversion, path, lambda _: None, 2)\n"
        "except OSError as error: sys.exit(error.errno)\n"
    )
    arguments = [str(tmp_path / "planes"), str(tmp_path / "out.tif")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=False)
    assert done.returncode == errno.EFBIG
    assert [entry.name for entry in tmp_path.iterdir()] == ["planes"]
