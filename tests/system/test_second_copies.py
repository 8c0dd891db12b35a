"""A full level in place writes no voxels: by the system calls, and on disks that share data."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imaris_variants import Variant, write_variant

SHAPE = (24, 600, 520)
CALLS = "ioctl,copy_file_range,sendfile,splice,write,pwrite64,writev,pwritev,pwritev2,openat,open"
TOOLS = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def write_tiff(path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 60_000, SHAPE).astype("uint16")
    tifffile.imwrite(path, voxels, metadata={"axes": "ZYX"}, rowsperstrip=100)


def write_imaris(path: Path) -> None:
    write_variant(
        path, Variant(shape=SHAPE, chunks=((8, 128, 128), (8, 64, 64)), dtype="<u2", filters={})
    )


def write_planes(path: Path) -> None:
    path.mkdir()
    for number, plane in enumerate(np.random.default_rng(1).integers(0, 9, SHAPE).astype("uint16")):
        tifffile.imwrite(path / f"z{number:03}.tif", plane)


SOURCES = {"a.ome.tif": write_tiff, "a.ims": write_imaris, "planes": write_planes}


def command(source: Path, target: Path) -> list[str]:
    begin = [sys.executable, "-m", "spimpack_tasks.cli.main", "convert", str(source), str(target)]
    return [*begin, "--level0", "in-place"]


def shards(target: Path) -> list[Path]:
    return sorted(path for path in (target / "0/c").rglob("*") if path.is_file())


def trace(source: Path, target: Path) -> list[str]:
    """Convert, and return the system calls in which source or full level take part."""
    log = target.with_suffix(".strace")
    strace = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", "-o", str(log)]
    done = subprocess.run(
        [*strace, *command(source, target)], capture_output=True, text=True, check=False
    )
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip("processes cannot be traced here")
    assert done.returncode == 0, done.stderr
    level = re.compile(rf"{re.escape(str(source))}|{re.escape(target.name)}[^>\"]*/0/c/")
    return [line for line in log.read_text(errors="replace").splitlines() if level.search(line)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("name", SOURCES)
def test_21_data_are_shared_or_else_copied_by_the_kernel(tmp_path, name):
    source, target = tmp_path / name, tmp_path / "a.ome.zarr"
    SOURCES[name](source)
    calls = trace(source, target)
    made = shards(target)
    # The kernel is asked to share the data of each file before it is asked to copy.
    shared = [n for n, line in enumerate(calls) if "FICLONE" in line]
    copied = [n for n, line in enumerate(calls) if "copy_file_range(" in line]
    assert len(shared) == len(made)
    is_shared = [" = 0" in calls[n] for n in shared]
    if copied:
        assert min(shared) < min(copied)
    assert copied or all(is_shared)
    # Nothing but an index is written through this process: 16 bytes a chunk, and 4.
    results = (re.search(r"\bp?write\w*\(.* = (\d+)$", line) for line in calls)
    written = [int(found[1]) for found in results if found]
    assert len(written) == len(made)
    assert all(size % 16 == 4 for size in written)
    for shard, size in zip(made, sorted(written), strict=False):
        assert shard.stat().st_size > 100 * size
    # The source is never opened for writing.
    opened = [line for line in calls if re.search(rf'open\w*\(.*"{re.escape(str(source))}', line)]
    assert opened
    assert not [line for line in opened if re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", line)]


def mkfs(kind: str) -> list[str]:
    options = {"xfs": ["-q", "-m", "reflink=1"], "btrfs": ["-q"]}
    tool = shutil.which(f"mkfs.{kind}", path=TOOLS)
    if tool is None or shutil.which("mount", path=TOOLS) is None or os.geteuid() != 0:
        pytest.skip(f"a disk of {kind} cannot be made here")
    return [tool, *options[kind]]


@pytest.fixture(params=["xfs", "btrfs"])
def disk(request, tmp_path):
    """Return a folder on a disk that shares data between files."""
    maker = mkfs(request.param)
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(400 * 2**20)
    subprocess.run([*maker, str(image)], check=True, capture_output=True)
    mount = ["mount", "-o", "loop", str(image), str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip(f"a disk of {request.param} cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def used_bytes(place: Path) -> int:
    os.sync()
    told = os.statvfs(place)
    return (told.f_blocks - told.f_bfree) * told.f_frsize


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_21_a_disk_that_shares_data_takes_no_voxels_of_the_full_level(disk, name):
    source, target = disk / name, disk / "a.ome.zarr"
    SOURCES[name](source)
    before = used_bytes(disk)
    subprocess.run(command(source, target), check=True, capture_output=True)
    taken = used_bytes(disk) - before
    full = sum(path.stat().st_size for path in shards(target))
    others = sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) - full
    voxels = 2 * SHAPE[0] * SHAPE[1] * SHAPE[2]
    assert full >= voxels
    # What the disk needs for itself, among it a block for each index, is less than 4 MiB.
    assert taken < others + 4 * 2**20 < voxels
