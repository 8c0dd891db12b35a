"""The writer of images: blocks in any order, from any thread, in bounded memory, and resumed."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial

import children
import conversions
import numpy as np
import plane_sources as sources
import pytest
from plain_pyramid import plain_pyramid
from plane_harm import tree_of
from zarr_readers import read_with_zarr

from spimpack_tasks.arrays import grid, pyramid
from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.volumes import copy as copying
from spimpack_tasks.volumes.blocks import IncompleteVolumeError
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.ome_zarr import writer as ome_zarr_writer
from spimpack_tasks.volumes.spec import VolumeSpec, compose_channels
from spimpack_tasks.volumes.tiff.ome_writer import TileCodec, create_ome_tiff
from spimpack_tasks.volumes.writer import Layout, create_volume

SHAPE = (1, 2, 21, 66, 40)
SIZES = [(21, 66, 40), (10, 33, 20), (5, 16, 10), (2, 8, 5)]
"""Halves along all axes, odd rests dropped, until a level of a channel has at most 1,000 bytes."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Make the images of the tests consist of several blocks and levels."""
    monkeypatch.setattr(pyramid, "_CHUNKS", ((8, 16),))
    monkeypatch.setattr(grid, "SLAB_CHUNKS", 2)
    monkeypatch.setattr(pyramid, "SMALL_ENOUGH", 1000)


def voxels_of(shape=SHAPE, dtype="uint16"):
    return np.random.default_rng(7).integers(1, 250, shape).astype(dtype)


def spec_of(voxels):
    channels = compose_channels(voxels.shape[1], (), ())
    return VolumeSpec(voxels.shape, voxels.dtype, channels=channels)


def write(path, voxels, order=sorted, ngff="0.5", *, only=lambda _: True):
    with create_volume(LocalPlace(str(path)), spec_of(voxels), Layout(ngff)) as writer:
        blocks = [block for block in writer.missing() if only(block)]
        by_place = {block.place: block for block in blocks}
        for place in order(by_place):
            writer.write(by_place[place], voxels[by_place[place].region].copy())
        writer.finish()
    return blocks


def shuffled(places):
    return random.Random(3).sample(sorted(places), len(places))


ORDERS = {
    "as-they-are-missing": list,
    "planes": sorted,
    "backwards": lambda places: sorted(places, reverse=True),
    "shuffled": shuffled,
    "columns": lambda places: sorted(places, key=lambda place: place[::-1]),
}


@pytest.mark.few(8)
@pytest.mark.parametrize("held", [2**28, 3000, 0], ids=["all-held", "some-held", "none-held"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("ngff", NGFF)
def test_s3_the_order_of_blocks_makes_no_difference(tmp_path, monkeypatch, order, ngff, held):
    voxels = voxels_of()
    write(tmp_path / "wanted", voxels, ngff=ngff)
    monkeypatch.setattr(ome_zarr_writer, "MOST_HELD", held)
    write(tmp_path / "found", voxels, ORDERS[order], ngff)
    assert tree_of(tmp_path / "found") == tree_of(tmp_path / "wanted")


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_s3_every_voxel_of_every_level(tmp_path, dtype):
    voxels = voxels_of(dtype=dtype)
    write(tmp_path / "a.ome.zarr", voxels, shuffled)
    assert len(list((tmp_path / "a.ome.zarr").glob("[0-9]"))) == len(SIZES)
    for number, level in enumerate(plain_pyramid(voxels, SIZES)):
        found = read_with_zarr(tmp_path / "a.ome.zarr", str(number))
        assert found.dtype == dtype
        assert np.array_equal(found, level)


def test_s3_blocks_come_from_several_threads(tmp_path):
    voxels = voxels_of()
    write(tmp_path / "wanted", voxels)
    with create_volume(LocalPlace(str(tmp_path / "found")), spec_of(voxels)) as writer:
        with ThreadPoolExecutor(8) as pool:
            blocks = {block.place: block for block in writer.missing()}
            jobs = [
                pool.submit(writer.write, blocks[place], voxels[blocks[place].region].copy())
                for place in shuffled(blocks)
            ]
            for job in jobs:
                job.result()
        writer.finish()
    assert tree_of(tmp_path / "found") == tree_of(tmp_path / "wanted")


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_s3_a_writer_that_was_cut_off_is_resumed(tmp_path, ngff, share):
    voxels = voxels_of()
    whole = write(tmp_path / "wanted", voxels, ngff=ngff)
    chosen = set(shuffled([block.place for block in whole])[: int(share * len(whole))])
    with pytest.raises(IncompleteVolumeError, match=f"{len(whole) - len(chosen)} blocks"):
        write(tmp_path / "out", voxels, shuffled, ngff, only=lambda block: block.place in chosen)
    assert not (tmp_path / "out/zarr.json").exists()
    assert not (tmp_path / "out/.zattrs").exists()
    rest = write(tmp_path / "out", voxels, shuffled, ngff)
    assert {block.place for block in rest} == {block.place for block in whole} - chosen
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "wanted")


def test_s3_levels_that_a_kill_left_out_are_made_of_what_is_there(tmp_path):
    voxels = voxels_of()
    write(tmp_path / "wanted", voxels)
    write(tmp_path / "out", voxels)
    for name in ("1/c/0/1/0/0/0", "2/c/0/1/0/0/0", "3/c/0/0/0/0/0", "zarr.json"):
        (tmp_path / "out" / name).unlink()
    assert write(tmp_path / "out", np.zeros(SHAPE, "uint16")) == []
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "wanted")


def test_s3_blocks_that_never_came_are_zeros_where_that_is_asked_for(tmp_path):
    voxels = voxels_of()
    lost = voxels.copy()
    path = tmp_path / "a.ome.zarr"
    with create_volume(LocalPlace(str(path)), spec_of(voxels)) as writer:
        for block in shuffled_blocks(writer):
            if block.place == (0, 1, 1, 1, 0):
                lost[block.region] = 0
            else:
                writer.write(block, voxels[block.region])
        writer.finish(fill_missing=True)
    for number, level in enumerate(plain_pyramid(lost, SIZES)):
        assert np.array_equal(read_with_zarr(path, str(number)), level)


def shuffled_blocks(writer):
    blocks = {block.place: block for block in writer.missing()}
    return [blocks[place] for place in shuffled(blocks)]


@pytest.mark.parametrize(
    ("change", "says"),
    [(lambda v: v[:, :, 1:], "voxels"), (lambda v: v.astype("int32"), "of type int32")],
    ids=["s3-another-shape", "s3-another-type"],
)
def test_a_block_that_is_no_block_is_refused(tmp_path, change, says):
    voxels = voxels_of()
    with create_volume(LocalPlace(str(tmp_path / "a")), spec_of(voxels)) as writer:
        block = next(writer.missing())
        with pytest.raises(ValueError, match=says):
            writer.write(block, change(voxels[block.region]))


@pytest.mark.few(3)
@pytest.mark.parametrize("dtype", ["u2", "i2", "u8", "f4"])
@pytest.mark.parametrize("ngff", NGFF)
def test_s3_big_endian_voxels_have_the_same_smaller_levels(tmp_path, ngff, dtype):
    voxels = voxels_of(dtype=f">{dtype}")
    write(tmp_path / "a.ome.zarr", voxels, ngff=ngff)
    for number, level in enumerate(plain_pyramid(voxels.astype(dtype), SIZES)):
        assert np.array_equal(read_with_zarr(tmp_path / "a.ome.zarr", str(number)), level)


def test_s3_blocks_may_have_another_byte_order_than_the_image(tmp_path):
    voxels = voxels_of()
    write(tmp_path / "wanted", voxels)
    with create_volume(LocalPlace(str(tmp_path / "found")), spec_of(voxels)) as writer:
        for block in writer.missing():
            writer.write(block, voxels[block.region].astype(">u2"))
        writer.finish()
    assert tree_of(tmp_path / "found") == tree_of(tmp_path / "wanted")


@pytest.mark.parametrize("ngff", NGFF)
def test_s3_a_block_is_written_once(tmp_path, ngff):
    voxels = voxels_of()
    write(tmp_path / "wanted", voxels, ngff=ngff)
    with create_volume(LocalPlace(str(tmp_path / "a")), spec_of(voxels), Layout(ngff)) as writer:
        for block in writer.missing():
            writer.write(block, voxels[block.region])
            with pytest.raises(ValueError, match="is there already"):
                writer.write(block, np.zeros(block.shape, "uint16"))
        writer.finish()
    assert tree_of(tmp_path / "a") == tree_of(tmp_path / "wanted")


OTHER_BLOCKS = {
    "s3-beyond-the-grid": lambda block: replace(block, place=(0, 0, 99, 0, 0)),
    "s3-before-the-grid": lambda block: replace(block, place=(0, 0, -1, 0, 0)),
    "s3-another-region": lambda block: replace(block, place=(0, 1, 0, 0, 0)),
}


@pytest.mark.parametrize("change", OTHER_BLOCKS.values(), ids=OTHER_BLOCKS)
def test_a_block_of_another_image_is_refused(tmp_path, change):
    voxels = voxels_of()
    with create_volume(LocalPlace(str(tmp_path / "a")), spec_of(voxels)) as writer:
        block = next(writer.missing())
        with pytest.raises(ValueError, match="no block of this image"):
            writer.write(change(block), voxels[block.region])


def test_s3_a_disk_that_is_full_ends_the_writing(tmp_path):
    class FullPlace(LocalPlace):
        def put(self, key, pieces, durability):
            if key.startswith("1/"):
                raise OSError(28, "No space left on device")
            return super().put(key, pieces, durability)

    voxels = voxels_of()
    place = FullPlace(str(tmp_path / "a"))
    with create_volume(place, spec_of(voxels)) as writer:
        for block in writer.missing():
            writer.write(block, voxels[block.region])
        with pytest.raises(OSError, match="No space left"):
            writer.finish()
    assert not (tmp_path / "a/zarr.json").exists()


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_s3_a_level_that_could_not_be_made_is_made_at_the_end(tmp_path, monkeypatch, failure):
    class FaultyPlace(LocalPlace):
        faults = 1

        def read_ranges(self, key, tail, ranges):
            if self.faults:
                self.faults -= 1
                raise failure
            return super().read_ranges(key, tail, ranges)

    voxels = voxels_of()
    write(tmp_path / "wanted", voxels)
    monkeypatch.setattr(ome_zarr_writer, "MOST_HELD", 0)
    place = FaultyPlace(str(tmp_path / "found"))
    with create_volume(place, spec_of(voxels)) as writer:
        for block in writer.missing():
            with suppress(type(failure)):
                writer.write(block, voxels[block.region])
        assert not place.faults
        writer.finish()
    assert tree_of(tmp_path / "found") == tree_of(tmp_path / "wanted")


def test_s3_planes_of_a_tiff_come_in_their_order_or_not_at_all(tmp_path):
    voxels = voxels_of((1, 2, 3, 40, 30))
    path = tmp_path / "a.ome.tif"
    with WorkPool(2) as pool:
        with create_ome_tiff(str(path), spec_of(voxels), TileCodec(), pool) as writer:
            planes = list(writer.missing())
            assert len(planes) == 6
            with pytest.raises(ValueError, match="not the next one"):
                writer.write(planes[1], voxels[planes[1].region])
        assert list(tmp_path.iterdir()) == []
        with create_ome_tiff(str(path), spec_of(voxels), TileCodec(), pool) as writer:
            writer.write(planes[0], voxels[planes[0].region])
            with pytest.raises(IncompleteVolumeError, match="5 blocks"):
                writer.finish()
    assert list(tmp_path.iterdir()) == []


WIDE_SOURCES = {
    "tiles": partial(sources.write_ome, axes="TCZYX", tile=(16, 16), compression="zlib"),
    "zarr": partial(sources.write_zarr, chunks=(1, 1, 5, 20, 20)),
    "nifti": sources.write_nifti,
    "planes": partial(sources.write_folder, write=sources.write_tif, pattern="C{c}_Z{z:03}.tif"),
}
ENDINGS = {"tiles": "a.ome.tif", "zarr": "a.ome.zarr", "nifti": "a.nii", "planes": "planes"}


def convert_source(name, folder, target, told):
    job = conversions.Job(folder / ENDINGS[name], folder / target, Request(codec="gzip"))
    conversions.convert_voxels(job, told.append)
    return tree_of(folder / target)


@pytest.mark.parametrize("name", WIDE_SOURCES)
def test_s3_planes_that_are_too_wide_for_slabs_go_by_boxes(tmp_path, monkeypatch, name):
    voxels = voxels_of()
    WIDE_SOURCES[name](tmp_path / ENDINGS[name], voxels)
    by_slabs = convert_source(name, tmp_path, "slabs", [])
    asked = []
    original = copying.PlaneReader.read

    def read(self, region):
        asked.append(region)
        return original(self, region)

    monkeypatch.setattr(copying.PlaneReader, "read", read)
    monkeypatch.setattr(copying, "LARGEST_SLAB", 1000)
    monkeypatch.setattr(copying, "memory_at_most", lambda: 20_000)
    monkeypatch.setattr(copying, "_check_memory", lambda *_: None)
    told = []
    assert convert_source(name, tmp_path, "boxes", told) == by_slabs
    assert sum(told) == voxels.nbytes
    rows = {(part[3].stop - part[3].start, part[4].stop - part[4].start) for part in asked}
    assert max(height for height, _ in rows) <= 32
    assert max(width for _, width in rows) <= 32


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_s3_boxes_are_resumed_as_slabs_are(tmp_path, monkeypatch, share):
    voxels = voxels_of()
    WIDE_SOURCES["zarr"](tmp_path / ENDINGS["zarr"], voxels)
    wanted = convert_source("zarr", tmp_path, "slabs", [])
    blocks = [name for name in wanted if name.startswith("0/c/")]
    smaller = next(name for name in wanted if name.startswith("1/c/"))
    for name in [*shuffled(blocks)[: int(share * len(blocks))], "zarr.json", smaller]:
        (tmp_path / "slabs" / name).unlink()
    monkeypatch.setattr(copying, "LARGEST_SLAB", 1000)
    monkeypatch.setattr(copying, "memory_at_most", lambda: 20_000)
    monkeypatch.setattr(copying, "_check_memory", lambda *_: None)
    told = []
    assert convert_source("zarr", tmp_path, "slabs", told) == wanted
    assert sum(told) == voxels.nbytes


def test_s3_voxels_that_are_stored_together_must_fit_into_memory(tmp_path, monkeypatch):
    WIDE_SOURCES["zarr"](tmp_path / ENDINGS["zarr"], voxels_of())
    monkeypatch.setattr(copying, "LARGEST_SLAB", 1000)
    monkeypatch.setattr(copying, "memory_at_most", lambda: 5000)
    with pytest.raises(HeaderError, match=r"has 5 x 20 x 20 voxels .* needs .* of memory"):
        convert_source("zarr", tmp_path, "out", [])


WIDE = """
import sys
import numpy as np
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.volumes.spec import VolumeSpec
from spimpack_tasks.volumes.writer import create_volume

shape = tuple(map(int, sys.argv[2].split("x")))
spec = VolumeSpec(shape, np.dtype("uint16"))
with create_volume(LocalPlace(sys.argv[1]), spec) as writer:
    for block in writer.missing():
        voxels = np.zeros(block.shape, "uint16")
        voxels[..., ::64, ::64] = 1 + block.place[2] % 7
        writer.write(block, voxels)
    writer.finish()
"""


@pytest.mark.slow
@pytest.mark.parametrize("depth", [4, 12])
def test_s3_a_wide_image_is_written_in_little_memory(tmp_path, monkeypatch, depth):
    """Planes of 800 MB, which are never in memory as a whole."""
    monkeypatch.undo()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            WIDE + children.PRINT_PEAK_KIB,
            str(tmp_path / "a.ome.zarr"),
            f"1x1x{depth}x20000x20000",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) / 1024 < 1024
