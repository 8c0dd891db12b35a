"""What an OME-Zarr costs beside `cp`: encoded, in place, rechunked, certified and restored.

    python benchmarks/second_copies.py [--planes N] [--side N] [--rounds N]

Makes a raw OME-TIFF of 16 bits as a microscope does, and in each round runs all programs one after
another, each a process of its own: `cp`, `cp --reflink=always` where the disk can,
`spimpack convert` with both ways of the full level, `spimpack rechunk`, and the same by
zarr-python with the codecs of zarrs, which encodes each level again, and with its own. The
targets: 0.05 s of CPU a GB for finding blocks and writing their index; rechunking with the CPU of
zarrs, and 300 MB. Then zarr reads planes and boxes of both forms.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import tifffile
import zarr
from measuring import BIN, Measurement, describe_machine, measure

HERE = Path(__file__).parent
SIDE = 64
"""Voxels of a side of a box."""
BY_ZARR = """\
import sys, zarr
from zarr.codecs import BloscCodec, Crc32cCodec
source, count, target, pipeline = sys.argv[1:]
if pipeline:
    zarr.config.set({"codec_pipeline.path": pipeline})
codecs = [BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=2), Crc32cCodec()]
levels = zarr.open_group(source, mode="r")
for name in sorted(levels.array_keys())[: int(count)]:
    old = levels[name]
    new = zarr.create_array(
        f"{target}/{name}", shape=old.shape, dtype=old.dtype, chunks=old.chunks,
        shards=old.shards, compressors=codecs, fill_value=0,
    )
    depth, rows, columns = (old.shards or old.chunks)[-3:]
    for z in range(0, old.shape[-3], depth):
        for y in range(0, old.shape[-2], rows):
            for x in range(0, old.shape[-1], columns):
                box = (..., slice(z, z + depth), slice(y, y + rows), slice(x, x + columns))
                new[box] = old[box]
"""
INDEX = """\
import sys, time
from spimpack_tasks.volumes.in_place.tiff import find_blocks
find_blocks(sys.argv[1])  # imports
begin = time.process_time()
blocks = find_blocks(sys.argv[1])
index = blocks.index_of((0,) * 5)
print(f"{len(index.data) // 16} {time.process_time() - begin}")
"""


def write_source(path: Path, planes: int, side: int) -> None:
    """Write a stack with structure and the noise of counted photons."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]

    def plane(z: int) -> np.ndarray:
        return rng.poisson(200 + 80 * np.sin(x / 37 + z / 9) + 60 * np.cos(y / 51)).astype("u2")

    tifffile.imwrite(
        path, (plane(z) for z in range(planes)), shape=(planes, side, side), dtype="u2",
        metadata={"axes": "ZYX"},
    )  # fmt: skip


def commands(folder: Path) -> dict[str, list[str | Path]]:
    """Return what is run, by name; each makes a target of its own."""
    spimpack, source, image = BIN / "spimpack", folder / "a.ome.tif", folder / "blosc.ome.zarr"
    one, all_levels = ([sys.executable, "-c", BY_ZARR, image, count] for count in ("1", "99"))
    return {
        "cp": ["cp", source, folder / "cp"],
        "convert, encoded (blosc)": [spimpack, "convert", source, image],
        "convert, in place": [
            *(spimpack, "convert", source, folder / "place.ome.zarr", "--level0", "in-place")
        ],
        "rechunk to lz4": [
            *(spimpack, "rechunk", image, folder / "lz4.ome.zarr", "--codec", "lz4")
        ],
        "rechunk to chunks of 64": [
            *(spimpack, "rechunk", image, folder / "64.ome.zarr", "--chunk", "64,64,64")
        ],
        "zarr with zarrs, all levels": [*all_levels, folder / "all", "zarrs.ZarrsCodecPipeline"],
        "zarr with zarrs, full level": [*one, folder / "zarrs", "zarrs.ZarrsCodecPipeline"],
        "zarr, full level": [*one, folder / "zarr", ""],
        "restore to TIFF": [
            *(spimpack, "restore", "--uncertified", image, folder / "back.ome.tif")
        ],
    }


def time_reading(path: Path) -> dict[str, float]:
    """Return milliseconds of reading parts of the full level by zarr, the best of three."""
    array = zarr.open_array(path / "0", mode="r")
    z, y, x = (max((n - SIDE) // 2, 0) for n in array.shape[-3:])
    parts = {
        "a plane z": (..., z, slice(None), slice(None)),
        "a plane y": (..., y, slice(None)),
        "a box": (..., slice(z, z + SIDE), slice(y, y + SIDE), slice(x, x + SIDE)),
        "all": ...,
    }
    found = {}
    for name, part in parts.items():
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            array[part]
            times.append(1000 * (time.perf_counter() - begin))
        found[name] = min(times)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=256)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    results: dict[str, list[Measurement]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(describe_machine(name), end="\n\n")
        source = folder / "a.ome.tif"
        write_source(source, arguments.planes, arguments.side)
        giga = source.stat().st_size / 1e9
        for number in range(arguments.rounds):
            for what, command in commands(folder).items():
                results[what].append(measure(command))
            if number < arguments.rounds - 1:
                for path in folder.iterdir():
                    if path != source:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
        clone = ["cp", "--reflink=always", source, folder / "clone"]
        can_share = subprocess.run(clone, capture_output=True, check=False).returncode == 0
        if can_share:
            results["cp --reflink"].append(measure([*clone[:-1], folder / "clone2"]))
        count, seconds = measure([sys.executable, "-c", INDEX, source]).output.split()
        print(f"| {giga:.2f} GB | CPU s | wall s | peak MiB | CPU / cp |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for what, each in results.items():
            ratio = statistics.median(
                one.cpu_s / cp.cpu_s for one, cp in zip(each, results["cp"], strict=False)
            )
            middle = [statistics.median(getattr(m, k) for m in each) for k in ("cpu_s", "wall_s")]
            peak = max(m.peak_mib for m in each)
            print(f"| {what} | {middle[0]:.2f} | {middle[1]:.2f} | {peak:.0f} | {ratio:.1f} |")
        print(f"\nindex of {count} blocks: {float(seconds) / giga:.3f} CPU s a GB (at most 0.05)")
        for what, aim in (("all levels", " (at most 1.0)"), ("full level", "")):
            pairs = zip(results["rechunk to lz4"], results[f"zarr with zarrs, {what}"], strict=True)
            ratio = statistics.median(ours.cpu_s / theirs.cpu_s for ours, theirs in pairs)
            print(f"rechunk, which makes all levels / zarrs, {what}: {ratio:.2f} of the CPU{aim}")
        print(f"disk that shares data: {'yes' if can_share else 'no'}\n")
        print("| zarr reads, ms | in place | encoded |\n| --- | ---: | ---: |")
        place, encoded = (time_reading(folder / f"{n}.ome.zarr") for n in ("place", "blosc"))
        for what, ms in place.items():
            print(f"| {what} | {ms:.1f} | {encoded[what]:.1f} |")


if __name__ == "__main__":
    main()
