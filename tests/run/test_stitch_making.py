"""Volumes on the disk: resumed, made by several processes, of both versions, equal in each byte."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import tifffile
import zarr
from oblique_scenes import ROOT, covered_by, cut_tiles, tile_set

from spimpack_tasks.files.held_folders import TargetTakenError
from spimpack_tasks.stitching import tiles as tile_sets
from spimpack_tasks.stitching import volume as volumes
from spimpack_tasks.stitching.making import (
    finish,
    has_part,
    make_part,
    stitch,
)
from spimpack_tasks.stitching.tiles import Geometry
from spimpack_tasks.stitching.volume import deskew, identify_stitching, stitch_on_stage
from spimpack_tasks.stitching.working import TargetRefusedError

EXACT = Geometry(pitch_um=ROOT, step_um=1.0)
STARTS = [(z, y, x) for z in (0, 30) for y in (0, 50) for x in (0, 80)]
SIZE = (40, 60, 120)
SHAPE = (70, 110, 239)


def nothing(_):
    pass


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return tiles in TIFF files, the volume that they were cut of, and what they cover."""
    folder = tmp_path_factory.mktemp("tiles")
    volume = np.random.default_rng(1).integers(1, 4000, SHAPE).astype("u2")
    sizes = [SIZE] * len(STARTS)
    stacks = cut_tiles(volume, STARTS, sizes)
    paths = []
    for number, stack in enumerate(stacks):
        paths.append(folder / f"tile{number}.tif")
        tifffile.imwrite(paths[-1], stack, metadata={"axes": "ZYX"}, imagej=True)
    positions = [(z + 5, y * ROOT - 7, x + 11) for z, y, x in STARTS]
    tiles = tile_set([s.shape for s in stacks], positions, EXACT, paths=paths)
    covered = covered_by(SHAPE, STARTS, sizes)
    return tiles, np.where(covered, volume, 0)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(volumes, "BLOCK_SIDES_ZYX", (32, 64, 128))
    monkeypatch.setattr(tile_sets, "SAMPLES_OF_A_PART", 2**18)


def digest_of(folder):
    """Return names and bytes of all files below a folder as one digest."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_i19_26_s10_a_stitched_volume_is_read_by_other_libraries(study, tmp_path, ngff):
    tiles, wanted = study
    target = tmp_path / "whole.ome.zarr"
    assert stitch(stitch_on_stage(tiles, ngff=ngff, channel_name="cFos"), str(target), 2, nothing)
    group = zarr.open_group(target, mode="r")
    assert np.array_equal(group["0"][:], wanted)
    halves = wanted[:70, :110, :238].astype("u4")
    mean = sum(halves[z::2, y::2, x::2] for z in (0, 1) for y in (0, 1) for x in (0, 1)) // 8
    assert np.array_equal(group["1"][:], mean)
    driver = "zarr3" if ngff == "0.5" else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(target / "0")}}
    assert np.array_equal(tensorstore.open(spec).result().read().result(), wanted)
    attributes = dict(group.attrs)
    scales = (attributes.get("ome") or attributes)["multiscales"][0]
    assert [axis["name"] for axis in scales["axes"]] == ["z", "y", "x"]
    transforms = scales["datasets"][0]["coordinateTransformations"]
    assert transforms[0]["scale"] == pytest.approx([1, ROOT, 1])
    assert transforms[1]["translation"] == pytest.approx([5, -7, 11])
    assert not (tmp_path / ".whole.ome.zarr.unfinished").exists()


def test_i19_09_chunks_of_zeros_are_not_there(study, tmp_path):
    tiles, wanted = study
    target = tmp_path / "whole.ome.zarr"
    stitch(stitch_on_stage(tiles, ngff="0.4"), str(target), 2, nothing)
    chunk = zarr.open_array(target / "0", mode="r").chunks
    places = {
        tuple(map(int, path.relative_to(target / "0").parts))
        for path in (target / "0").rglob("[0-9]*")
        if path.is_file()
    }
    filled = set()
    for place in np.ndindex(*(-(-n // c) for n, c in zip(wanted.shape, chunk, strict=True))):
        box = tuple(slice(p * c, (p + 1) * c) for p, c in zip(place, chunk, strict=True))
        if wanted[box].any():
            filled.add(place)
    assert places == filled | {(0, 0, 0)}


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_i19_25_any_number_of_threads_gives_equal_bytes(study, tmp_path, ngff):
    tiles, _ = study
    found = set()
    for threads in (1, 2, 5):
        target = tmp_path / str(threads) / "whole.ome.zarr"
        target.parent.mkdir()
        stitch(stitch_on_stage(tiles, ngff=ngff), str(target), threads, nothing)
        found.add(digest_of(target))
    assert len(found) == 1


def test_i19_25_parts_in_any_order_give_equal_bytes(study, tmp_path):
    tiles, _ = study
    work = stitch_on_stage(tiles)
    whole, target = tmp_path / "whole.ome.zarr", tmp_path / "parts.ome.zarr"
    stitch(work, str(whole), 2, nothing)
    for number in (2, 0, 1):
        assert make_part(work, str(target), (number, 3), 1, nothing)
        assert has_part(work, str(target), (number, 3))
    assert finish(work, str(target), 3, 1)
    assert digest_of(whole) == digest_of(target)


def test_a_volume_is_not_finished_without_all_parts(study, tmp_path):
    tiles, _ = study
    work, target = stitch_on_stage(tiles), tmp_path / "whole.ome.zarr"
    make_part(work, str(target), (0, 2), 1, nothing)
    with pytest.raises(OSError, match="1 of 2 parts"):
        finish(work, str(target), 2, 1)
    assert not target.exists()
    assert make_part(work, str(target), (1, 2), 1, nothing)
    assert finish(work, str(target), 2, 1)


def test_i19_23_a_second_run_reads_and_writes_nothing(study, tmp_path, monkeypatch):
    tiles, _ = study
    target = tmp_path / "whole.ome.zarr"
    work = stitch_on_stage(tiles)
    stitch(work, str(target), 2, nothing)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr("spimpack_tasks.stitching.frames.open_volume", None)
    assert not stitch(work, str(target), 2, nothing)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_i19_24_a_changed_choice_makes_another_volume_in_its_place(study, tmp_path):
    tiles, _ = study
    target = tmp_path / "whole.ome.zarr"
    stitch(stitch_on_stage(tiles), str(target), 2, nothing)
    first = digest_of(target)
    assert stitch(stitch_on_stage(tiles, channel_name="NeuN"), str(target), 2, nothing)
    assert digest_of(target) != first
    assert [path.name for path in tmp_path.iterdir()] == ["whole.ome.zarr"]


def test_a_changed_tile_makes_another_volume(study):
    tiles, _ = study
    work = stitch_on_stage(tiles)
    before = identify_stitching(work)
    path = Path(tiles.tiles[0].path)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert identify_stitching(work) != before


def test_a_tile_that_changes_meanwhile_is_noticed(study, tmp_path):
    tiles, _ = study
    path = Path(tiles.tiles[0].path)

    def touch(_):
        path.touch()

    with pytest.raises(OSError, match="changed while it was read"):
        stitch(stitch_on_stage(tiles), str(tmp_path / "whole.ome.zarr"), 2, touch)
    assert not (tmp_path / "whole.ome.zarr").exists()


def test_what_is_not_ours_stays(study, tmp_path):
    tiles, _ = study
    target = tmp_path / "whole.ome.zarr"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(TargetTakenError, match="no stitched volume"):
        stitch(stitch_on_stage(tiles), str(target), 1, nothing)
    assert [path.name for path in tmp_path.rglob("*")] == ["whole.ome.zarr", "mine.txt"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("whole.zarr", "does not end in"), ("no/whole.ome.zarr", "is not a folder")],
)
def test_targets_that_are_refused(study, tmp_path, name, said):
    with pytest.raises(TargetRefusedError, match=said):
        stitch(stitch_on_stage(study[0]), str(tmp_path / name), 1, nothing)
    assert not [*tmp_path.iterdir()]


def test_a_target_in_a_source_is_refused(study):
    target = f"{study[0].tiles[0].path}/whole.ome.zarr"
    with pytest.raises(TargetRefusedError, match="lie in one another"):
        stitch(stitch_on_stage(study[0]), target, 1, nothing)


def test_a_damaged_tile_is_named_and_nothing_is_made(study, tmp_path):
    tiles, _ = study
    path = tmp_path / "cut.tif"
    path.write_bytes(Path(tiles.tiles[0].path).read_bytes()[:100_000])
    broken = tile_set(
        [tiles.tiles[0].shape_frc], [tiles.tiles[0].position_um_zyx], EXACT, paths=[path]
    )
    target = tmp_path / "whole.ome.zarr"
    with pytest.raises(OSError, match=r"cut\.tif"):
        stitch(stitch_on_stage(broken), str(target), 1, nothing)
    assert not target.exists()


def test_a_tile_of_other_sizes_is_refused(study, tmp_path):
    tiles, _ = study
    other = tile_set([(2, 3, 4)], [(0, 0, 0)], EXACT, paths=[tiles.tiles[0].path])
    with pytest.raises(OSError, match="but its tile was found with 2 frames of 3 x 4 pixels"):
        stitch(stitch_on_stage(other), str(tmp_path / "whole.ome.zarr"), 1, nothing)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_i19_05_turned_frames_are_deskewed_as_numpy_turns_them(tmp_path, turns, flip):
    turned = np.random.default_rng(2).integers(1, 4000, (30, 17, 23)).astype("u2")
    stored = turned[:, ::-1] if flip else turned
    stored = np.ascontiguousarray(np.rot90(stored, -turns, axes=(1, 2)))
    tifffile.imwrite(tmp_path / "tile.tif", stored, metadata={"axes": "ZYX"}, imagej=True)
    geometry = Geometry(ROOT, 1.0, rotate_90=turns, flip_ud=flip)
    tiles = tile_set([stored.shape], [(0, 0, 0)], geometry, paths=[tmp_path / "tile.tif"])
    target = tmp_path / "tile.ome.zarr"
    assert stitch(deskew(tiles, 0), str(target), 1, nothing)
    wanted = np.zeros((23, 17, 30 + 22), "u2")
    for column in range(23):
        wanted[column, :, column : column + 30] = turned[:, :, column].T
    assert np.array_equal(zarr.open_group(target, mode="r")["0"][:], wanted)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_planes_across_z_are_stitched(tmp_path, ngff):
    volume = np.random.default_rng(3).integers(1, 4000, (20, 150, 170)).astype("u2")
    starts = [(0, 0, 0), (0, 0, 70), (0, 60, 0), (4, 60, 70)]
    paths = []
    for number, (z, y, x) in enumerate(starts):
        paths.append(tmp_path / f"tile{number}.tif")
        box = volume[z : z + 16, y : y + 90, x : x + 100]
        tifffile.imwrite(paths[-1], box, metadata={"axes": "ZYX"}, imagej=True)
    positions = [(4 * z, 2 * y, 2 * x) for z, y, x in starts]
    geometry = Geometry(pitch_um=2.0, step_um=4.0, angle_deg=None)
    tiles = tile_set([(16, 90, 100)] * 4, positions, geometry, paths=paths)
    target = tmp_path / "whole.ome.zarr"
    assert stitch(stitch_on_stage(tiles, ngff=ngff), str(target), 2, nothing)
    covered = np.zeros(volume.shape, bool)
    for z, y, x in starts:
        covered[z : z + 16, y : y + 90, x : x + 100] = True
    found = zarr.open_group(target, mode="r")["0"][:]
    assert np.array_equal(found, np.where(covered, volume, 0))


COMPILED = """
import sys
sys.path[:0] = {paths!r}
import numpy as np
from oblique_scenes import tile_set
from spimpack_tasks.stitching.frames import ArrayFrames
from spimpack_tasks.stitching.fuse import Fuser
from spimpack_tasks.stitching.placing import place_alone
from spimpack_tasks.stitching.tiles import Geometry
canvas = place_alone(tile_set([(4, 3, 2)], [(0, 0, 0)], Geometry(1, 1)), 0)
frames = {{0: ArrayFrames(np.ones((4, 3, 2), "u2"))}}
box = tuple(slice(0, n) for n in canvas.shape_zyx)
print(Fuser(canvas, np.dtype("u2"), "linear", keeps_to_frames=True).fuse(box, frames, None).sum())
"""


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["new", "/dev/null/no"])
def test_compiled_code_is_kept_in_the_users_cache_or_nowhere(tmp_path, cache):
    folder = tmp_path / cache
    package = Path(volumes.__file__).parent
    before = {*package.rglob("*.nbi")} | {*package.rglob("*.nbc")}
    environment = os.environ | {"XDG_CACHE_HOME": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    code = COMPILED.format(paths=sys.path)
    command = [sys.executable, "-c", code]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    found = {process.communicate(timeout=120)[0] for process in running}
    assert len(found) == 1
    assert float(found.pop()) > 0
    assert ({*package.rglob("*.nbi")} | {*package.rglob("*.nbc")}) == before
    assert bool([*tmp_path.rglob("*.nbi")]) == (cache == "new")


KILLED = """
import sys
sys.path[:0] = {paths!r}
from spimpack_tasks.stitching import volume as volumes
volumes.BLOCK_SIDES_ZYX = (32, 64, 128)
from spimpack_tasks.stitching.making import stitch
from spimpack_tasks.stitching.volume import stitch_on_stage
from spimpack_tasks.stitching import tiles as tile_sets
from spimpack_tasks.stitching.tiles import *
tile_sets.SAMPLES_OF_A_PART = 2**18
tiles = {tiles!r}
def advance(size):
    print(size, flush=True)
    {wait}
stitch(stitch_on_stage(tiles), {target!r}, 1, advance)
"""


def run_stitch(tiles, target, wait):
    """Start a process that stitches."""
    code = KILLED.format(paths=sys.path, tiles=tiles, target=str(target), wait=wait)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_i19_23_a_killed_run_is_resumed_to_equal_bytes(study, tmp_path):
    tiles, _ = study
    target = tmp_path / "whole.ome.zarr"
    other = tmp_path / "other.ome.zarr"
    stitch(stitch_on_stage(tiles), str(other), 1, nothing)
    with run_stitch(tiles, target, "import time; time.sleep(0.2)") as process:
        for _ in range(4):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    shards = [*tmp_path.glob(".whole.ome.zarr.unfinished/*/0/c/*/*/*")]
    before = {path: path.stat().st_mtime_ns for path in shards if path.suffix != ".part"}
    assert 2 <= len(before) < len([*other.glob("0/c/*/*/*")])
    assert stitch(stitch_on_stage(tiles), str(target), 2, nothing)
    for path, time_ns in before.items():
        inner = path.relative_to(path.parents[5])
        assert (target / Path(*inner.parts[1:])).stat().st_mtime_ns == time_ns
    assert digest_of(target) == digest_of(other)


@pytest.mark.slow
def test_i19_25_two_processes_at_once_give_equal_bytes(study, tmp_path):
    tiles, _ = study
    other, target = tmp_path / "other.ome.zarr", tmp_path / "whole.ome.zarr"
    stitch(stitch_on_stage(tiles), str(other), 1, nothing)
    running = [run_stitch(tiles, target, "pass") for _ in range(2)]
    deadline = time.monotonic() + 120
    for process in running:
        with process:
            process.communicate(timeout=max(deadline - time.monotonic(), 1))
        assert process.returncode == 0
    assert digest_of(target) == digest_of(other)
    assert not (tmp_path / ".whole.ome.zarr.unfinished").exists()
    assert tile_sets.count_parts(tiles) > 1
