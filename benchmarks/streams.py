"""Frames into images: throughput, memory and cost of a frame, beside ome-writers and a bare write.

    python benchmarks/streams.py [FOLDER] [--runs 5] [--peer PYTHON]

Each case runs in a process of its own, the programs by turns. `--peer` is a Python in whose
environment ome-writers is installed (it pins other versions than we do); without it we stand
alone. The floor writes the bytes of each frame into a file of its own.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FRAMES, SIDE = 128, 2048
SMALL, SMALL_SIDE = 100_000, 64
CPU_BEFORE: list[float] = []
METADATA = {"delta_t": 1.25, "exposure_time": 0.005, "position_z": 300.5, "laser": "488 nm"}
CASES = {
    "frame chunks, none": {"chunks": {"z": 1, "y": SIDE, "x": SIDE}, "peer": "tensorstore"},
    "32x128x128, none": {
        "chunks": {"z": 32, "y": 128, "x": 128},
        "shards": {"y": 1, "x": 1},
        "peer": "zarrs-python",
    },
    "32x128x128 in shards, none": {
        "chunks": {"z": 32, "y": 128, "x": 128},
        "shards": {"z": 1, "y": 16, "x": 16},
        "peer": "tensorstore",
    },
    "512x512, blosc": {
        "chunks": {"z": 1, "y": 512, "x": 512},
        "shards": {"y": 1, "x": 1},
        "codec": "blosc",
        "peer": "zarrs-python",
    },
    "OME-TIFF, none": {"format": "ome-tiff", "peer": "tifffile"},
    "64x64 frames": {"small": "t"},
    "64x64 frames of a stack": {"small": "z"},
}


def frames_of(side: int) -> list[Any]:
    import numpy as np  # noqa: PLC0415 - not of the floor

    noise = np.random.default_rng(0)
    return [noise.poisson(100, (side, side)).astype("uint16") for _ in range(4)]


def report(size: int, count: int, begin: float, idle: int) -> None:
    seconds = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cpu = time.process_time() - CPU_BEFORE[-1]
    print(json.dumps({"rate": size / seconds / 1e6, "memory": (used - idle) / 1e6,
                      "frame_us": seconds / count * 1e6, "cpu_us": cpu / count * 1e6}))  # fmt: skip


def idle_memory() -> int:
    CPU_BEFORE.append(time.process_time())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run_ours(case: dict[str, Any], path: str, *, pyramid: bool, metadata: bool) -> None:
    sys.path.insert(0, str(ROOT))
    from spimpack_tasks import streams  # noqa: PLC0415 - not in the environment of the peer

    side, count = (SMALL_SIDE, SMALL) if case.get("small") else (SIDE, FRAMES)
    axis = case.get("small", "z")
    dims = streams.dims_from_standard_axes(
        {axis: count, "y": side, "x": side}, case.get("chunks"), case.get("shards")
    )
    settings = streams.AcquisitionSettings(
        path,
        dims,
        format=case.get("format", "ome-zarr"),
        compression=case.get("codec", "none"),
        pyramid=pyramid,
    )
    frames = frames_of(side)
    warm = streams.dims_from_standard_axes({"y": 64, "x": 64})
    with streams.create_stream(
        replace(settings, root_path=f"{path}.warm", dimensions=warm)
    ) as tiny:
        tiny.append(frames[0][:64, :64])  # imports
    idle, begin = idle_memory(), time.perf_counter()
    with streams.create_stream(settings) as stream:
        for number in range(count):
            stream.append(frames[number % 4], METADATA if metadata else None)
    report(count * frames[0].nbytes, count, begin, idle)


def run_peer(case: dict[str, Any], path: str) -> None:
    import ome_writers  # noqa: PLC0415 - only in the environment of the peer

    dims = ome_writers.dims_from_standard_axes(
        {"z": FRAMES, "y": SIDE, "x": SIDE},
        chunk_shapes=case.get("chunks"),
        **({"shard_shapes": case["shards"]} if case.get("shards", {}).get("z") else {}),
    )
    codec = {"blosc": "blosc-zstd"}.get(case.get("codec"))
    settings = ome_writers.AcquisitionSettings(
        root_path=path, dimensions=dims, dtype="uint16", format=case["peer"], compression=codec
    )
    frames = frames_of(SIDE)
    idle, begin = idle_memory(), time.perf_counter()
    with ome_writers.create_stream(settings) as stream:
        for number in range(FRAMES):
            stream.append(frames[number % 4])
    report(FRAMES * frames[0].nbytes, FRAMES, begin, idle)


def run_floor(case: dict[str, Any], path: str) -> None:
    side, count = (SMALL_SIDE, SMALL) if case.get("small") else (SIDE, FRAMES)
    frames = frames_of(side)
    os.makedirs(path)
    idle, begin = idle_memory(), time.perf_counter()
    for number in range(count):
        with open(f"{path}/{number}", "wb") as file:
            file.write(frames[number % 4].data)
    report(count * frames[0].nbytes, count, begin, idle)


def measure(program: str, name: str, folder: str, peer: str) -> dict[str, Any]:
    ending = ".ome.tif" if CASES[name].get("format") == "ome-tiff" else ".ome.zarr"
    path = f"{folder}/case{ending}"
    python = peer if program == "ome-writers" else sys.executable
    command = [python, __file__, "--one", program, name, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for left in Path(folder).glob("case*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["killed"])[-1][:120]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_one(program: str, name: str, path: str) -> None:
    case = CASES[name]
    if program == "ome-writers":
        run_peer(case, path)
    elif program == "floor":
        run_floor(case, path)
    else:
        words = program.split()
        run_ours(case, path, pyramid="pyramid" in words, metadata="metadata" in words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=".")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer")
    parser.add_argument("--case", help="a part of the name of the only cases")
    parser.add_argument("--one", nargs=3)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(*arguments.one)
        return
    print("| case | program | MB/s (median) | MB added | us/frame | CPU us/frame |")
    print("|---|---|---|---|---|---|")
    for name, case in CASES.items():
        if arguments.case and arguments.case not in name:
            continue
        programs = ["floor", "ours", "ours with pyramid"]
        if "peer" not in case or "frame" in name:
            programs.append("ours with metadata")
        if arguments.peer and "peer" in case:
            programs.append("ome-writers")
        found = {program: [] for program in programs}
        for _ in range(arguments.runs):
            for program in programs:
                found[program].append(measure(program, name, arguments.folder, arguments.peer))
        for program, runs in found.items():
            good = [run for run in runs if "rate" in run]
            if not good:
                print(f"| {name} | {program} | {runs[0]['error']} | | | |")
                continue
            rate, memory, cost, cpu = (
                statistics.median(run[key] for run in good)
                for key in ("rate", "memory", "frame_us", "cpu_us")
            )
            cells = (name, program, f"{rate:,.0f}", f"{memory:,.0f}", f"{cost:,.1f}", f"{cpu:,.1f}")
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
