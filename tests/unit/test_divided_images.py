"""Images that several writers share: whole shards, each of one maker, and equal bytes."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import conversions
import numpy as np
import plane_sources as sources
import pytest
import tifffile
from imaris_variants import Variant, write_variant
from plane_harm import tree_of

from spimpack_tasks.arrays import grid, pyramid
from spimpack_tasks.files.noted_parts import NotedParts, bounds_of_part, parts_within
from spimpack_tasks.model.plan import Kind, Output, Step
from spimpack_tasks.packaging.splitting import count_parts, fault_of_size, read_size, spread_parts
from spimpack_tasks.state.plan_files import part_of, values_of
from spimpack_tasks.state.staging import hold_unfinished, idle_unfinished
from spimpack_tasks.state.store import Store
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.convert_part import convert_part, finish_parts
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.ome_zarr import stores
from spimpack_tasks.volumes.ome_zarr.families import Family, plan_part


@pytest.fixture
def small_chunks(monkeypatch):
    """Make the images of the tests consist of several blocks and levels."""
    monkeypatch.setattr(pyramid, "_CHUNKS", ((4, 16),))
    monkeypatch.setattr(grid, "SLAB_CHUNKS", 2)
    monkeypatch.setattr(pyramid, "SMALL_ENOUGH", 1000)


def voxels_of(shape, dtype="uint16"):
    voxels = np.random.default_rng(7).integers(0, 250, shape).astype(dtype)
    voxels[:, :, : shape[2] // 3] = 0  # blocks without a voxel have no file
    return voxels


SHAPES = {
    "isotropic": (1, 1, 67, 66, 40),
    "few planes": (1, 1, 9, 130, 70),
    "many planes": (1, 1, 300, 20, 22),
    "one plane": (1, 1, 1, 200, 90),
    "t and c": (2, 3, 21, 34, 40),
    "one block": (1, 1, 4, 16, 16),
}


def make_parts(job, count, order=None, advance=conversions.ignore):
    os.makedirs(job.path)
    for number in order or random.Random(5).sample(range(count), count):
        part = number, count
        assert convert_part(job.conversion, str(job.path), part, advance, job.threads)


def finish(job):
    finish_parts(job.conversion, str(job.path), job.threads)


@pytest.mark.few(8)
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("name", SHAPES)
def test_21_parts_come_to_the_bytes_of_the_whole(tmp_path, name, ngff, count):
    voxels = voxels_of(SHAPES[name])
    sources.write_ome(tmp_path / "a.ome.tif", voxels)
    whole = conversions.Job(tmp_path / "a.ome.tif", tmp_path / "whole", Request(ngff=ngff), "x")
    conversions.convert(whole)
    told = []
    job = replace(whole, path=tmp_path / "parts")
    make_parts(job, count, advance=told.append)
    assert sum(told) == voxels.nbytes
    assert not (job.path / "zarr.json").exists()
    assert not (job.path / ".zattrs").exists()
    finish(job)
    assert tree_of(job.path) == tree_of(whole.path)


@pytest.mark.few(3)
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("codec", ["gzip", "blosc", "lz4"])
def test_21_any_codec_and_type(tmp_path, codec, dtype):
    sources.write_ome(tmp_path / "a.ome.tif", voxels_of(SHAPES["isotropic"], dtype))
    request = Request(codec=codec)
    whole = conversions.Job(tmp_path / "a.ome.tif", tmp_path / "whole", request, threads=1)
    conversions.convert(whole)
    job = replace(whole, path=tmp_path / "parts", threads=3)
    make_parts(job, 5)
    finish(job)
    assert tree_of(job.path) == tree_of(whole.path)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("chunk", "shard"), [((3, 7, 9), ()), ((2, 8, 8), (6, 16, 24)), ((4, 16, 16), (4, 16, 16))]
)
def test_21_chunks_and_shards_of_any_size(tmp_path, chunk, shard):
    sources.write_ome(tmp_path / "a.ome.tif", voxels_of(SHAPES["isotropic"]))
    request = Request(chunk_zyx=chunk, shard_zyx=shard)
    whole = conversions.Job(tmp_path / "a.ome.tif", tmp_path / "whole", request)
    conversions.convert(whole)
    job = replace(whole, path=tmp_path / "parts")
    make_parts(job, 4)
    finish(job)
    assert tree_of(job.path) == tree_of(whole.path)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("count", [1, 3, 16])
def test_21_each_shard_has_one_maker(shape, count):
    levels = pyramid.plan_levels(shape, 2)
    made = []
    for number in range(count):
        part = plan_part(levels, (number, count))
        shards = [*part.tops(levels)]
        for level in range(part.top, -1, -1):
            made += [(level, shard) for shard in shards]
            family = Family(levels[level - 1], levels[level]) if level else None
            shards = [c for shard in shards for c in family.children(shard)] if family else []
    assert len(made) == len(set(made))
    top = part.top
    wanted = {(n, s) for n, grid_ in enumerate(levels[: top + 1]) for s in grid_.shards()}
    assert set(made) == wanted
    assert top >= min(1, len(levels) - 1)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_21_each_shard_is_written_once(tmp_path, monkeypatch, shape):
    """Two writers of one file would share its temporary name."""
    sources.write_ome(tmp_path / "a.ome.tif", voxels_of(shape) + 1)
    written, write = Counter(), stores._ShardFiles.write

    def count(store, level, shard, chunks):
        written[level, shard] += 1
        write(store, level, shard, chunks)

    monkeypatch.setattr(stores._ShardFiles, "write", count)
    job = conversions.Job(tmp_path / "a.ome.tif", tmp_path / "parts")
    make_parts(job, 3)
    top = max(level for level, _ in written)
    levels = pyramid.plan_levels(shape, 2)
    assert set(written) == {(n, s) for n, g in enumerate(levels[: top + 1]) for s in g.shards()}
    finish(job)
    assert set(written) == {(n, s) for n, g in enumerate(levels) for s in g.shards()}
    assert set(written.values()) == {1}


def test_21_few_voxels_are_left_to_the_one_who_finishes():
    """Of an image of 6 TB, in 256 parts, level 4 is read again: a 4,096th of it."""
    levels = pyramid.plan_levels((1, 2, 12000, 16000, 16000), 2)
    parts = [plan_part(levels, (number, 256)) for number in range(256)]
    rows = [part.end - part.first for part in parts]
    assert {part.top for part in parts} == {4}
    assert (min(rows), max(rows)) == (2, 3)


@pytest.mark.usefixtures("small_chunks")
def test_21_parts_of_an_imaris_file_are_copied_undecoded(tmp_path):
    write_variant(tmp_path / "a.ims", Variant(channels=2))
    whole = conversions.Job(tmp_path / "a.ims", tmp_path / "whole")
    conversions.convert(whole)
    job = replace(whole, path=tmp_path / "parts")
    make_parts(job, 3)
    finish(job)
    assert tree_of(job.path) == tree_of(whole.path)


def test_21_what_cannot_be_divided_is_left_untouched(tmp_path):
    voxels = voxels_of((1, 1, 12, 300, 260))
    tifffile.imwrite(tmp_path / "a.ome.tif", voxels[0, 0], metadata={"axes": "ZYX"})
    sources.write_nifti(tmp_path / "b.nii.gz", voxels)
    sources.write_zip(tmp_path / "c.ozx", voxels)
    for name, request in {
        "a.ome.tif": Request(level0="in-place"),
        "b.nii.gz": Request(),
        "c.ozx": Request(),
    }.items():
        job = conversions.Job(tmp_path / name, tmp_path / f"{name}.zarr", request)
        os.makedirs(job.path)
        assert not convert_part(job.conversion, str(job.path), (0, 2), conversions.ignore, 1)
        assert os.listdir(job.path) == []


KILLED_PART = """
import sys
sys.path[:0] = {paths}
import conversions, plane_harm
from spimpack_tasks.arrays import grid, pyramid
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.convert_part import convert_part, finish_parts
pyramid._CHUNKS, grid.SLAB_CHUNKS, pyramid.SMALL_ENOUGH = ((4, 16),), 2, 1000
source, path, ngff, number, count, k = sys.argv[1:]
job = conversions.Job(source, path, Request(ngff=ngff), "x", threads=1)
plane_harm.Killer(path, int(k), plane_harm.kill).watch()
if number == "finish":
    finish_parts(job.conversion, path, 1)
else:
    convert_part(job.conversion, path, (int(number), int(count)), conversions.ignore, 1)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("number", ["0", "1", "2", "finish"])
def test_21_a_part_that_was_killed_is_made_again(tmp_path, ngff, number):
    sources.write_ome(tmp_path / "a.ome.tif", voxels_of(SHAPES["t and c"]))
    whole = conversions.Job(tmp_path / "a.ome.tif", tmp_path / "whole", Request(ngff=ngff), "x")
    conversions.convert(whole)
    wanted = tree_of(whole.path)
    program = KILLED_PART.format(paths=sys.path)
    codes = []
    for k in (1, 3, 12, 40):
        job = replace(whole, path=tmp_path / f"{k}")
        os.makedirs(job.path)
        others = [n for n in range(3) if str(n) != number]
        for other in others:
            convert_part(job.conversion, str(job.path), (other, 3), conversions.ignore, 1)
        command = [sys.executable, "-c", program, job.source, job.path, ngff, number, "3", str(k)]
        done = subprocess.run(list(map(str, command)), check=False, stderr=subprocess.DEVNULL)
        codes.append(done.returncode)
        for again in {0, 1, 2} - set(others):
            convert_part(job.conversion, str(job.path), (again, 3), conversions.ignore, 1)
        finish(job)
        assert tree_of(job.path) == wanted
    assert codes.count(-signal.SIGKILL) >= 3


@pytest.mark.parametrize(
    ("items", "count"), [(0, 3), (1, 3), (7, 3), (16, 16), (156, 125), (10**9, 256)]
)
def test_21_shares_are_all_and_even(items, count):
    bounds = [bounds_of_part(items, (number, count)) for number in range(count)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == items
    assert all(end == first for (_, end), (first, _) in itertools.pairwise(bounds))
    sizes = [end - first for first, end in bounds]
    assert max(sizes) - min(sizes) <= 1


def test_21_a_part_is_made_by_one_at_a_time(tmp_path):
    noted, turns = NotedParts(str(tmp_path / "notes"), 2), []

    def make(name):
        with noted.making(0) as is_missing:
            turns.append((name, is_missing))
            if is_missing:
                noted.note(0)

    threads = [threading.Thread(target=make, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [is_missing for _, is_missing in turns] == [True, False, False]
    assert (noted.has(0), noted.lacking(), noted.are_made()) == (True, [1], False)


def test_21_a_part_that_is_left_is_noted_and_not_made(tmp_path):
    noted = parts_within(str(tmp_path), 2)
    for number in range(2):
        with noted.making(number):
            noted.note(number, is_left=number == 1)
    assert noted.lacking() == []
    assert not noted.are_made()
    assert not parts_within(str(tmp_path), 0).are_made()
    noted.discard()
    assert os.listdir(tmp_path) == []


def test_21_no_part_is_noted_of_an_image_that_was_given_up(tmp_path):
    noted = parts_within(str(tmp_path / "a.ome.zarr"), 2)
    with noted.making(0):
        noted.discard()
        with pytest.raises(FileNotFoundError):
            noted.note(0)


SIZES = {
    "500GB": 500 * 10**9,
    "500 GB": 500 * 10**9,
    "500gb": 500 * 10**9,
    "1.5TB": 1_500_000_000_000,
    "2GiB": 2 * 2**30,
    "1e9": 10**9,
    "1": 1,
    "12345": 12345,
    "1B": 1,
    "0": None,
    "0GB": None,
    "0.4": None,
    "-1": None,
    "abc": None,
    "12 parsecs": None,
    "12 pc": None,
    "GB": None,
    "": None,
    "1e": None,
    "1,5TB": None,
    "\u0665GB": 5 * 10**9,
    "inf": None,
    "nan": None,
}


@pytest.mark.parametrize("text", SIZES)
def test_21_sizes_are_read(text):
    assert read_size(text) == SIZES[text]
    assert bool(fault_of_size(text)) is (SIZES[text] is None)
    assert SIZES[text] or repr(text) in fault_of_size(text)


@pytest.mark.parametrize(
    ("size", "count"),
    [(1, 16), (64 * 10**9, 16), (500 * 10**9, 125), (10**12, 250), (10**14, 256)],
)
def test_21_large_images_have_more_parts(size, count):
    assert count_parts(size) == count


def test_21_many_images_have_fewer_parts_each():
    assert spread_parts({"a": 16, "b": 0}) == {"a": 16}
    many = spread_parts(dict.fromkeys(map(str, range(100)), 16))
    assert set(many.values()) == {10}
    assert spread_parts(dict.fromkeys(map(str, range(600)), 250)) == {}


def an_image(tmp_path, **more):
    source = tmp_path / "a.ims"
    source.write_bytes(b"voxels")
    path = "sub-01/micr/sub-01_sample-a_SPIM.ome.zarr"
    facts = {"source": str(source), "format": "Imaris", "target": "{}"} | more
    return Output(path, Step.ASSETS, Kind.IMAGE, "fingerprint", is_converted=True, **facts)


def test_21_a_saved_plan_has_the_parts(tmp_path):
    for image in (an_image(tmp_path), an_image(tmp_path, part_count=16)):
        (found,) = part_of({"backend": "x", "outputs": [values_of(image)]}).outputs
        assert found == image
    assert len(values_of(image)) == len(values_of(image._replace(part_count=0))) + 1


def test_21_those_who_share_an_image_hold_it_together(tmp_path):
    store = Store(str(tmp_path / "out"))
    store.create()
    image = an_image(tmp_path)
    with hold_unfinished(store, image, is_shared=True) as path:
        with hold_unfinished(store, image, is_shared=True) as other:
            assert other == path
            os.makedirs(f"{path}/0")
        entered = threading.Event()

        def enter():
            with suppress(FileNotFoundError), hold_unfinished(store, image):
                entered.set()

        finisher = threading.Thread(target=enter)
        finisher.start()
        assert not entered.wait(0.2)
        assert list(idle_unfinished(store)) == []
    finisher.join()
    assert entered.is_set()
    assert os.path.isdir(f"{path}/0")


def test_21_an_empty_folder_goes_with_the_last_who_shared_it(tmp_path):
    store = Store(str(tmp_path / "out"))
    store.create()
    image = an_image(tmp_path)
    with hold_unfinished(store, image, is_shared=True):
        with hold_unfinished(store, image, is_shared=True):
            pass
        assert len(os.listdir(store.path("unfinished"))) == 1
    assert os.listdir(store.path("unfinished")) == []
