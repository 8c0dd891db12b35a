"""Reading one small volume: the right voxels of every format, each block once, within bounds."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from children import PRINT_PEAK_KIB
from czi_sources import Czi, write_czi
from dcimg_files import write_dcimg
from lif_sources import Lif, write_lif
from lsm_sources import Lsm, write_lsm
from markdown_blocks import ROOT
from nd2_sources import Nd2, write_nd2
from thorlabs_sources import Raw, write_voxels

from spimpack_tasks.demo.images import (
    DemoImage,
    compose_pyramid,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.qc import volume as volumes
from spimpack_tasks.qc.volume import choose_level, choose_steps, read_volume
from spimpack_tasks.volumes import rows
from spimpack_tasks.volumes.examine import format_of_source
from spimpack_tasks.volumes.volume import Level, open_levels, open_volume

IMAGE = DemoImage(("autof", "Abeta"), (13, 50, 70), (4.0, 2.6, 0.5), levels=3)
PYRAMID = [level.voxels for level in compose_pyramid(IMAGE)]
FULL = PYRAMID[0]


def write_nifti(path):
    affine = np.diag([0.0005, 0.0026, 0.004, 1])
    # x, y, z, t, c
    nifti = nibabel.Nifti1Image(FULL.transpose(3, 2, 1, 0)[:, :, :, None], affine)
    nifti.header.set_xyzt_units("mm")
    nibabel.save(nifti, path)


def write_planes(path):
    path.mkdir()
    for channel, z in np.ndindex(FULL.shape[:2]):
        tifffile.imwrite(path / f"C{channel}_Z{z:03}.tif", FULL[channel, z])


C, Z, Y, X = FULL.shape
TZCYX = FULL.transpose(1, 0, 2, 3)[None]


def write_zeiss_lsm(path):
    write_lsm(path, Lsm(z=Z, c=C, y=Y, x=X, spacing_m_xyz=(5e-7, 2.6e-6, 4e-6)), TZCYX)


def write_nikon_nd2(path):
    t, z, c, y, x = TZCYX.shape
    one = Nd2(t=t, z=z, c=c, y=y, x=x, dtype=TZCYX.dtype.name, is_calibrated=False)
    write_nd2(path, one, TZCYX[None])


def write_leica_lif(path):
    t, z, c, y, x = TZCYX.shape
    one = Lif(t=t, z=z, c=c, y=y, x=x, dtype=TZCYX.dtype.name, spacing_m_xyz=(5e-7, 2.6e-6, 4e-6))
    write_lif(path, [one], [TZCYX])


def write_zeiss_czi(path):
    one = Czi(z=Z, c=C, y=Y, x=X, tile=(Y, X), spacing_m_xyz=(5e-7, 2.6e-6, 4e-6))
    write_czi(path, one, TZCYX)


def write_thorlabs(path):
    write_voxels(path, Raw(z=Z, c=C, y=Y, x=X), TZCYX)
    sizes = f"T: 1\nZ: {Z}\nC: {C}\nY: {Y}\nX: {X}\nbits: 16\n"
    lengths = "PhysicalSizeX: 0.5\nPhysicalSizeY: 2.6\nPhysicalSizeZ: 4\n"
    path.with_suffix(".yaml").write_text(sizes + lengths)


def write_tiff_levels(path, **options):
    """Write an OME-TIFF whose levels, in SubIFDs, are smaller in y and x only."""
    given = {"photometric": "minisblack"} | options
    with tifffile.TiffWriter(path) as file:
        file.write(FULL, subifds=1, metadata={"axes": "CZYX"}, **given)
        file.write(FULL[:, :, ::2, ::2], subfiletype=1, **given)


def write_chunks(path, dtype="uint16", **options):
    """Write one level in many chunks."""
    root = zarr.create_group(path, zarr_format=3, attributes={"ome": OME}, overwrite=True)
    options = {"chunks": (1, 4, 16, 16), "shape": FULL.shape, "dtype": dtype} | options
    root.create_array("0", **options)[:] = FULL


SPACES = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
OME = {
    "version": "0.5",
    "multiscales": [
        {
            "axes": [{"name": "c", "type": "channel"}, *SPACES],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [1, *IMAGE.spacing_um_zyx]}
                    ],
                }
            ],
        }
    ],
}

ONE_CHANNEL = {"camera.dcimg"}
"""Formats of a camera hold one channel, and no size of voxels."""

WRITERS = {
    "v04.ome.zarr": partial(write_ome_zarr, image=IMAGE, ngff="0.4"),
    "v05.zarr": partial(write_ome_zarr, image=IMAGE, ngff="0.5"),
    "chunks.ome.zarr": write_chunks,
    "shards.ome.zarr": partial(write_chunks, shards=(1, 16, 64, 80)),
    "zipped.ozx": partial(write_ozx, image=IMAGE),
    "zipped.ome.zarr.zip": partial(write_ozx, image=IMAGE),
    "imaris.ims": partial(write_imaris, image=IMAGE),
    "packed.ome.tif": partial(write_ome_tiff, image=IMAGE),
    "big.ome.btf": partial(write_ome_tiff, image=IMAGE, bigtiff=True),
    "subifds.ome.tif": write_tiff_levels,
    "tiles.ome.tif": partial(write_tiff_levels, tile=(16, 32), compression="zlib"),
    "motorola.ome.tif": lambda path: tifffile.imwrite(
        path, FULL, byteorder=">", metadata={"axes": "CZYX"}, photometric="minisblack"
    ),
    "imagej.tif": lambda path: tifffile.imwrite(
        path, FULL.transpose(1, 0, 2, 3), imagej=True, metadata={"axes": "ZCYX"}
    ),
    "plain.nii": write_nifti,
    "packed.nii.gz": write_nifti,
    "planes of tif": write_planes,
    "zeiss.lsm": write_zeiss_lsm,
    "zeiss.czi": write_zeiss_czi,
    "nikon.nd2": write_nikon_nd2,
    "leica.lif": write_leica_lif,
    "thor.raw": write_thorlabs,
    "camera.dcimg": lambda path: write_dcimg(path, FULL[0]),
}
each_format = pytest.mark.parametrize("name", WRITERS)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name, write in WRITERS.items():
        write(folder / name)
    return folder


@each_format
def test_the_voxels_are_those_of_the_image(images, name):
    volume = read_volume(str(images / name))
    full = FULL[:1] if name in ONE_CHANNEL else FULL
    assert np.array_equal(volume.voxels, full)
    assert volume.voxels.dtype.newbyteorder("=") == FULL.dtype
    assert volume.bytes_read == full.nbytes
    assert (volume.level, volume.steps_zyx) == (0, (1, 1, 1))
    if name in {"nikon.nd2", *ONE_CHANNEL}:  # of nd2, x and y have one size
        assert not volume.is_spacing_known
    elif "tif" not in name or name in {"packed.ome.tif", "big.ome.btf"}:
        assert volume.is_spacing_known
        assert volume.spacing_um_xyz == pytest.approx((0.5, 2.6, 4.0))


@each_format
def test_a_smaller_level_or_every_other_voxel_is_taken(images, name, monkeypatch):
    monkeypatch.setattr(volumes, "LARGEST_SIDE", 25)
    monkeypatch.setattr(volumes, "SMALLEST_SIDE", 25)
    volume = read_volume(str(images / name))
    level, (z, y, x) = volume.level, volume.steps_zyx
    if name in {"v04.ome.zarr", "v05.zarr", "zipped.ozx", "zipped.ome.zarr.zip", "imaris.ims"}:
        assert level == 2
        expected = PYRAMID[2]
    else:
        expected = FULL[:1] if name in ONE_CHANNEL else FULL
        expected = expected[:, :, ::2, ::2] if level else expected
    assert (z, y, x) == tuple(-(-n // 25) for n in expected.shape[1:])
    expected = expected[:, z // 2 :: z, y // 2 :: y, x // 2 :: x]
    assert np.array_equal(volume.voxels, expected)
    extent = [n * s for n, s in zip(FULL.shape[:0:-1], (0.5, 2.6, 4.0), strict=True)]
    if volume.is_spacing_known:
        steps = (x, y, z)
        sizes = [
            n * s for n, s in zip(volume.spacing_um_xyz, volume.voxels.shape[:0:-1], strict=True)
        ]
        for size, whole, voxel, step in zip(
            sizes, extent, volume.spacing_um_xyz, steps, strict=True
        ):
            assert abs(size - whole) <= voxel * step


@each_format
def test_each_block_is_read_once_and_alone(images, name, monkeypatch):
    """What is asked of a format: never a voxel twice, and never more than a block at a time."""
    monkeypatch.setattr(volumes, "LARGEST_SIDE", 25)
    monkeypatch.setattr(rows, "BAND_BYTES", 1000)
    asked = []

    class Watched:
        def __enter__(self):
            self.context = open_volume(str(images / name), accept_unclear=True)
            volume = self.context.__enter__()
            return replace(volume, levels=tuple(map(self.watch, volume.levels)))

        def __exit__(self, *failure):
            return self.context.__exit__(*failure)

        def watch(self, level):
            def read(index):
                asked.append((level, index))
                return level.read(index)

            return replace(level, read=read)

    monkeypatch.setattr(volumes, "open_volume", lambda *_, **__: Watched())
    read_volume(str(images / name))
    assert len({id(level) for level, _ in asked}) == 1
    seen = np.zeros(asked[0][0].shape, int)
    for level, index in asked:
        sizes = [part.stop - part.start for part in index]
        small = level.shape == seen.shape and max(level.shape) <= 25
        assert small or all(n <= most for n, most in zip(sizes, level.chunk, strict=True))
        seen[index] += 1
    assert seen.max() == 1


def read_characters():
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])


@each_format
def test_no_more_bytes_are_read_than_the_source_has(images, name):
    """Linux counts them, whatever library reads."""
    path = images / name
    read_volume(str(path))  # imports
    before = read_characters()
    read_volume(str(path))
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    metadata = 220_000  # read a few times, by the readers of headers and planes and by the library
    if name.endswith(".lsm"):  # a block for each plane and thumbnail, for header and planes
        metadata += 2 * 2 * Z * 8192
    assert read_characters() - before < 1.1 * size + metadata


@each_format
def test_the_source_is_left_as_it_was(images, name):
    def stamps():
        entries = [images / name, *(images / name).rglob("*")]
        return {entry: (entry.stat().st_mtime_ns, entry.stat().st_size) for entry in entries}

    before = stamps()
    read_volume(str(images / name))
    assert stamps() == before


@each_format
def test_the_source_is_opened_for_reading_only(images, name):
    with open_levels(str(images / name), format_of_source(str(images / name)).name) as levels:
        levels[0].read(tuple(slice(0, 1) for _ in levels[0].shape))
        for descriptor in os.listdir("/proc/self/fd"):
            link = Path("/proc/self/fd", descriptor)
            if os.path.lexists(link) and str(link.readlink()).startswith(str(images)):
                flags = Path("/proc/self/fdinfo", descriptor).read_text().split()[3]
                assert int(flags, 8) & os.O_ACCMODE == os.O_RDONLY


def level_of(*shape_zyx, channels=1, chunk=(64, 64, 64)):
    chunk = (1, 1, *(min(b, n) for b, n in zip(chunk, shape_zyx, strict=True)))
    return Level((1, channels, *shape_zyx), np.dtype("uint16"), chunk, None)


PYRAMIDS = {
    "small": ([(50, 60, 70)], 1, 0),
    "one side too long": ([(50, 60, 300), (25, 30, 150)], 1, 1),
    "too many bytes": ([(256, 256, 256), (128, 128, 128)], 2, 1),
    "just fits": ([(512, 512, 512), (256, 256, 256), (128, 128, 128)], 1, 1),
    "none fits": ([(4000, 4000, 4000), (1000, 1000, 1000)], 1, 1),
    "planes are kept": ([(900, 4000, 4000), (900, 500, 500)], 2, 1),
}


@pytest.mark.parametrize("name", PYRAMIDS)
def test_the_level_is_chosen_by_its_size(name):
    shapes, channels, expected = PYRAMIDS[name]
    assert choose_level([level_of(*shape, channels=channels) for shape in shapes]) == expected


STRIDES = {
    "fits": ((100, 200, 256), {}, (1, 1, 1)),
    "long in one direction": ((100, 200, 257), {}, (1, 1, 2)),
    "a teravoxel in small chunks": ((10_000, 10_000, 10_000), {}, (313, 313, 313)),
    "large planes": ((2000, 20_000, 20_000), {"chunk": (1, 100, 20_000)}, None),
    "many channels": ((256, 256, 256), {"channels": 100}, (2, 2, 2)),
}


@pytest.mark.parametrize("name", STRIDES)
def test_the_stride_keeps_what_is_read_within_bounds(name):
    shape, options, expected = STRIDES[name]
    level = level_of(*shape, **options)
    steps = choose_steps(level)
    assert expected is None or steps == expected
    sides = [-(-n // step) for n, step in zip(shape, steps, strict=True)]
    assert max(sides) <= 256
    channels = min(level.shape[0], volumes.MOST_CHANNELS)
    assert np.prod(sides) * channels * 2 <= volumes.LARGEST_BYTES


def test_only_the_first_channels_are_shown(tmp_path):
    path = tmp_path / "many.ome.tif"
    voxels = np.arange(12 * 3 * 4 * 5, dtype="uint16").reshape(12, 3, 4, 5)
    tifffile.imwrite(path, voxels, metadata={"axes": "CZYX"}, photometric="minisblack")
    volume = read_volume(str(path))
    assert np.array_equal(volume.voxels, voxels[:8])
    assert volume.lines()[-1].startswith("shown: 8 channels")


def test_the_first_time_point_is_shown(tmp_path):
    path = tmp_path / "movie.ome.tif"
    voxels = np.arange(4 * 3 * 4 * 5, dtype="uint16").reshape(4, 1, 3, 4, 5)
    tifffile.imwrite(path, voxels, metadata={"axes": "TCZYX"}, photometric="minisblack")
    assert np.array_equal(read_volume(str(path)).voxels, voxels[0])


def test_colours_are_channels_and_one_plane_is_a_volume(tmp_path):
    path = tmp_path / "photo.tif"
    voxels = np.arange(4 * 5 * 3, dtype="uint8").reshape(4, 5, 3)
    tifffile.imwrite(path, voxels, photometric="rgb")
    assert np.array_equal(read_volume(str(path)).voxels, voxels.transpose(2, 0, 1)[:, None])


def cut_in_half(path):
    os.truncate(path, path.stat().st_size // 2)


def spoil_chunk(path):
    chunk = next(p for p in sorted(path.rglob("c/**/*")) if p.is_file())
    chunk.write_bytes(b"no chunk")


def spoil_stream(path):
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1000] = bytes(1000)
    path.write_bytes(data)


BROKEN = {
    "missing": ("gone.ims", None, "does not exist"),
    "no format": ("a.oib", lambda path: path.write_bytes(b"x"), "is a file of no known format"),
    "damaged zip": ("zipped.ozx", cut_in_half, "is not a sound zip file"),
    "cut stream": ("packed.nii.gz", cut_in_half, "the voxels of"),
    "damaged chunk": ("chunks.ome.zarr", spoil_chunk, "the voxels of"),
    "damaged stream": ("packed.nii.gz", spoil_stream, "the voxels of"),
    "cut tiff": ("motorola.ome.tif", cut_in_half, "is cut off or damaged"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_read_is_told_in_one_line(case, tmp_path):
    name, spoil, says = BROKEN[case]
    path = tmp_path / name
    if name in WRITERS:
        WRITERS[name](path)
    if spoil:
        spoil(path)
    with pytest.raises(SpimpackError) as caught:
        read_volume(str(path))
    assert says in str(caught.value)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


MEASURE = f"""
import sys
from spimpack_tasks.qc.volume import read_volume
for path in sys.argv[1:]:
    read_volume(path)
    {PRINT_PEAK_KIB}
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tiff", "zarr", "nifti"])
def test_memory_does_not_grow_with_the_image(form, tmp_path):
    """One level of 64 MB, and one of 512 MB, in the same process."""
    paths = []
    for planes in (32, 256):
        path, shape = tmp_path / str(planes), (planes, 1024, 1024)
        if form == "tiff":
            path = path.with_suffix(".ome.tif")
            voxels = (np.full(shape[1:], n, "uint16") for n in range(planes))
            tifffile.imwrite(path, voxels, shape=shape, dtype="uint16", metadata={"axes": "ZYX"})
        elif form == "nifti":
            path = path.with_suffix(".nii")
            header = nibabel.Nifti1Header()
            header["vox_offset"] = 352
            header.set_data_shape(shape[::-1])
            header.set_data_dtype("uint16")
            path.write_bytes(header.binaryblock + bytes(4))
            os.truncate(path, 352 + 2 * np.prod(shape))
        else:
            path = path.with_suffix(".ome.zarr")
            write_large_zarr(path, shape)
        paths.append(path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    small, large = map(int, done.stdout.split())
    assert large - small < 40 * 1024


def write_large_zarr(path, shape):
    multiscale = OME["multiscales"][0]
    ome = OME | {"multiscales": [multiscale | {"axes": SPACES}]}
    scale = {"type": "scale", "scale": [1, 1, 1]}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    ome["multiscales"][0] |= {"datasets": [dataset]}
    root = zarr.create_group(path, zarr_format=3, attributes={"ome": ome})
    array = root.create_array("0", shape=shape, chunks=(16, 256, 256), dtype="uint16")
    for start in range(0, shape[0], 16):
        array[start : start + 16] = start
