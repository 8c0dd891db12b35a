"""What it costs to share one image among workers, and what many workers would take.

    python benchmarks/split_image.py [--planes N] [--side N] [--rounds N] [--codec NAME] [--bytes N]

Makes a raw OME-TIFF of 16 bits. In each round three runs follow one another: the image undivided by
one worker on one processor; divided, by one worker there; and divided, by two workers on two
processors, each on its own. Efficiency is the time of the first by N times that of the others.
Then it measures what a part takes besides its voxels (start of its process, locks, calls of the
scheduler and their time at a luigid of its own), and simulates up to 64 workers with an image of
500 GB on disks of several speeds. The simulation knows nothing that is not printed.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import math
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import luigi
import numpy as np
import tifffile
from luigi.rpc import RemoteScheduler
from luigi.scheduler import Scheduler
from measuring import BIN, Measurement, describe_machine, measure

from spimpack_tasks import PackageDataset
from spimpack_tasks.files.noted_parts import parts_within
from spimpack_tasks.model.buckets import PART
from spimpack_tasks.model.plan import Kind, Output, Step
from spimpack_tasks.packaging.splitting import count_parts
from spimpack_tasks.state.staging import hold_unfinished
from spimpack_tasks.state.store import Store

MANIFEST = """\
dataset_description: {Name: Large, BIDSVersion: "1.10.0", DatasetType: raw, License: CC0}
scans_tsv: scans.tsv
"""
TABLE = """\
subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\tPixelSize\tPixelSizeUnits
01\tbrain\ta.ome.tif\tRPI\tDAPI\t1;1;1\tum
"""
DISTINCT = 32
"""Planes that differ; more would take longer to make than to convert."""
WHOLE = "ome-zarr:convert=all,codec={codec}"
SPLIT = "ome-zarr:convert=all,codec={codec},split_above=1"
WORKERS = (1, 2, 4, 8, 16, 32, 64)
DISKS = {"any": math.inf, "10 GB/s": 10e9, "2 GB/s": 2e9}
CONFIG = Path(__file__).parents[1] / "configs/luigi.cfg"
PATIENCE_S = 60


def write_source(folder: Path, planes: int, side: int) -> Path:
    """Write a stack with the noise of counted photons, and a dataset of it; return its folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    known = rng.poisson(200, (min(planes, DISTINCT), side, side)).astype("u2")
    tifffile.imwrite(
        folder / "a.ome.tif", (known[z % len(known)] for z in range(planes)),
        shape=(planes, side, side), dtype="u2", metadata={"axes": "ZYX"},
    )  # fmt: skip
    (folder / "manifest.yml").write_text(MANIFEST)
    (folder / "scans.tsv").write_text(TABLE)
    return folder


def package(folder: Path, out: str, backend: str, cpus: str, workers: int) -> Measurement:
    """Measure a run on some processors."""
    command = ["taskset", "--cpu-list", cpus, sys.executable, "-m", "spimpack_tasks.cli.main"]
    inputs = ["package", str(folder / "manifest.yml"), str(folder / out)]
    return measure([*command, *inputs, "--backend", backend, "--workers", str(workers)])


def shared_by_luigid(folder: Path, port: int, backend: str) -> Measurement:
    """Measure a run by luigid with a worker on each of two processors."""
    script = folder / "two.sh"
    run = (
        f"{BIN}/luigi --module spimpack_tasks PackageDataset --manifest {folder}/manifest.yml "
        f"--output-dir {folder}/two --backend {backend} --scheduler-host 127.0.0.1 "
        f"--scheduler-port {port} --no-lock --worker-wait-interval 0.2 --worker-wait-jitter 0.1"
    )
    script.write_text(
        f"export LUIGI_CONFIG_PATH={CONFIG}\n"
        f"taskset --cpu-list 1 {run} --assistant & other=$!\n"
        f"taskset --cpu-list 0 {run}; code=$?\n"
        "kill -USR1 $other; wait $other; exit $code\n"
    )
    return measure(["bash", script])


@dataclass
class Luigid:
    """A scheduler of its own."""

    folder: Path

    def __enter__(self) -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port: int = server.getsockname()[1]
        where = ["--address", "127.0.0.1", "--port", str(port), "--logdir", str(self.folder)]
        self.process = subprocess.Popen(
            [BIN / "luigid", *where, "--state-path", self.folder / "luigid.pickle"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return port
            time.sleep(0.05)
        sys.exit("luigid does not answer")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


class CountingScheduler(Scheduler):  # type: ignore[misc]  # Luigi has no types
    """A scheduler that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(prune_on_get_work=False)
        self.asked: Counter[str] = Counter()

    def __getattribute__(self, name: str) -> object:
        if name in {"add_task", "get_work", "ping", "add_worker", "announce_scheduling_failure"}:
            self.asked[name] += 1
        return super().__getattribute__(name)


def count_calls(folder: Path, backends: tuple[str, str]) -> tuple[float, int]:
    """Return calls of the scheduler for each part, and those that announce the run."""
    counts = []
    for out, backend in zip(("calls-1", "calls-2"), backends, strict=True):
        scheduler = CountingScheduler()
        where = {"manifest": str(folder / "manifest.yml"), "output_dir": str(folder / out)}
        with luigi.worker.Worker(scheduler, keep_alive=False) as worker:
            worker.add(PackageDataset(**where, backend=backend))
            announced = sum(scheduler.asked.values())
            worker.run()
        counts.append((sum(scheduler.asked.values()), announced))
    (whole, _), (split, announced) = counts
    return (split - whole) / parts_of(folder / "calls-2"), announced


def parts_of(out: Path) -> int:
    return len(part_seconds(out))


def part_seconds(out: Path) -> list[float]:
    """Return the time of each part, by the log of the run."""
    logs = (out / ".spimpack/runs").glob("*.jsonl")
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return [line["ended"] - line["started"] for line in lines if line.get("task") == PART]


def measure_locks(folder: Path, rounds: int = 200) -> float:
    """Return the seconds that locks and note of a part take, without waiting for others."""
    store = Store(str(folder / "locks"))
    store.create()
    source = str(folder / "a.ome.tif")
    image = Output("a", Step.ASSETS, Kind.IMAGE, "f", source=source, part_count=rounds)
    begin = time.perf_counter()
    for number in range(rounds):
        with hold_unfinished(store, image, is_shared=True) as path:
            noted = parts_within(path, rounds)
            with noted.making(number):
                noted.note(number)
    return (time.perf_counter() - begin) / rounds


def measure_call(port: int, rounds: int = 200) -> float:
    """Return the seconds that luigid takes for one call."""
    scheduler = RemoteScheduler(f"http://127.0.0.1:{port}")
    begin = time.perf_counter()
    for _ in range(rounds):
        scheduler.ping(worker="benchmark")
    return (time.perf_counter() - begin) / rounds


@dataclass(frozen=True)
class Costs:
    """What the simulation knows."""

    cpu_s_per_gb: float
    """Of one processor, for voxels."""
    disk_bytes_per_byte: float
    """Bytes read and written for each byte of voxels."""
    start_s: float
    """Of each part: process, libraries, opening the source."""
    lock_s: float
    calls: float
    """Of the scheduler, for each part."""
    call_s: float
    begin_s: float
    """Of the run, before the first part: inputs, plan, announcing all tasks."""
    end_s: float
    """Of the run, after the last part, besides the voxels that are left."""
    left: float
    """Share of the voxels that is left to the one who finishes: those of the third level."""


def simulate(workers: int, size: float, disk: float, costs: Costs) -> tuple[float, float]:
    """Return the wall time of a run, and the share of it that the scheduler is busy.

    Parts are equal. The scheduler answers one call at a time. A part that finds the disk busy slows
    down as all others do, until together they need what the disk has.
    """
    count = count_parts(int(size))
    work = size / count / 1e9 * costs.cpu_s_per_gb + costs.start_s + costs.lock_s
    demand = size / count * costs.disk_bytes_per_byte / work
    now = costs.begin_s
    scheduler_free, left, virtual = now, count, 0.0
    # Moments at which a worker asks for work (False), or begins the part that it has got (True).
    coming = [(now, False)] * min(workers, count)
    running: list[float] = []  # heap of the virtual times at which parts end
    while coming or running:
        rate = min(1.0, disk / (len(running) * demand)) if running else 1.0
        ends = now + (running[0] - virtual) / rate if running else math.inf
        if not coming or coming[0][0] > ends:
            virtual, now = running[0], ends
            heapq.heappop(running)
            heapq.heappush(coming, (now, False))
            continue
        moment, has_part = heapq.heappop(coming)
        virtual, now = virtual + (moment - now) * rate, moment
        if has_part:
            heapq.heappush(running, virtual + work)
        else:
            scheduler_free = max(scheduler_free, now) + costs.calls * costs.call_s
            if left:
                left -= 1
                heapq.heappush(coming, (scheduler_free, True))
    busy = count * costs.calls * costs.call_s / (now - costs.begin_s)
    return now + costs.end_s + size / 1e9 * costs.cpu_s_per_gb * costs.left, busy


def measure_runs(
    folder: Path, rounds: int, port: int, backends: tuple[str, str]
) -> tuple[dict[str, list[Measurement]], int, int]:
    """Return the runs of each kind, with the bytes of the image and the number of its parts.

    The runs of a round follow one another. Each image is deleted when it was compared.
    """
    results: dict[str, list[Measurement]] = {"whole": [], "one": [], "two": []}
    made, stored, parts = set(), 0, 0
    for _ in range(rounds):
        for out, measured in results.items():
            if out == "two":
                measured.append(shared_by_luigid(folder, port, backends[1]))
            else:
                measured.append(package(folder, out, backends[out == "one"], "0", 1))
            found, stored = digest(folder / out)
            made.add(found)
            parts = max(parts, parts_of(folder / out))
            shutil.rmtree(folder / out)
    if len(made) > 1:
        sys.exit("the images differ")
    return results, stored, parts


def digest(out: Path) -> tuple[str, int]:
    """Return a digest of all files of the images, and their bytes."""
    digest, size = hashlib.blake2b(), 0
    for path in sorted(path for path in (out / "sub-01").rglob("*") if path.is_file()):
        data = path.read_bytes()
        size += len(data)
        digest.update(f"{path.relative_to(out)} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest(), size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=4096)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--codec", choices=("gzip", "blosc", "lz4"), default="blosc")
    parser.add_argument("--bytes", type=float, default=500e9, help="of the simulated image")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(describe_machine(name), end="\n\n")
        small = write_source(Path(name, "small"), 64, 64)
        backends = tuple(each.format(codec=arguments.codec) for each in (WHOLE, SPLIT))
        nothing = [package(small, f"nothing-{n}", backends[0], "0", 1) for n in range(3)]
        large = write_source(Path(name, "large"), arguments.planes, arguments.side)
        with Luigid(Path(name)) as port:
            results, stored, parts = measure_runs(large, arguments.rounds, port, backends)
            call_s = measure_call(port)
        shared = Shared(*count_calls(small, backends), call_s, measure_locks(small), stored, parts)
        giga = (large / "a.ome.tif").stat().st_size / 1e9
        costs = show_measured(giga, results | {"nothing": nothing}, shared)
        show_simulated(arguments.bytes, costs)


@dataclass(frozen=True)
class Shared:
    """What was measured of a run that shares an image, besides its time."""

    calls: float
    """Of the scheduler, for each part."""
    announced: int
    """Calls of the scheduler that begin the run."""
    call_s: float
    lock_s: float
    stored: int
    """Bytes of the image that was made."""
    parts: int


def show_measured(giga: float, results: dict[str, list[Measurement]], shared: Shared) -> Costs:
    """Print what was measured, and return what the simulation needs of it."""
    middle = {
        what: [statistics.median(getattr(m, k) for m in each) for k in ("cpu_s", "wall_s")]
        for what, each in results.items()
    }
    empty = measure([sys.executable, "-c", "import spimpack_tasks.volumes.convert_part, tifffile"])
    print(f"| {giga:.2f} GB in {shared.parts} parts | CPU s | wall s | of CPU | of wall |")
    print("| --- | ---: | ---: | ---: | ---: |")
    names = {"whole": (1, "whole, 1 worker"), "one": (1, "1 worker"), "two": (2, "2 workers")}
    for what, (count, text) in names.items():
        pairs = [*zip(results["whole"], results[what], strict=True)]
        cpu = statistics.median(whole.cpu_s / each.cpu_s for whole, each in pairs)
        wall = statistics.median(whole.wall_s / each.wall_s / count for whole, each in pairs)
        seconds = " | ".join(f"{each:.2f}" for each in middle[what])
        print(f"| {text} | {seconds} | {cpu:.2f} | {wall:.2f} |")
    extra = (middle["one"][0] - middle["whole"][0]) / shared.parts
    # Of an image that is too small to be measured it would be less than nothing.
    rate = max((middle["whole"][0] - middle["nothing"][0]) / giga, 0.01)
    print(f"\nvoxels: {rate:.2f} CPU s a GB; a run of a small image: {middle['nothing'][0]:.2f}")
    print(f"a part besides its voxels: {extra:.3f} CPU s in a process that goes on,")
    print(f"{empty.cpu_s:.2f} more where each has its own; locks and note of it:", end=" ")
    print(
        f"{shared.lock_s * 1e3:.2f} ms; {shared.calls:.1f} calls of luigid for it, each of", end=" "
    )
    print(f"{shared.call_s * 1e3:.2f} ms; {shared.announced} calls begin the run\n")
    return Costs(
        cpu_s_per_gb=rate,
        disk_bytes_per_byte=1 + shared.stored / 1e9 / giga,
        start_s=max(extra, 0.0) + empty.cpu_s,
        lock_s=shared.lock_s,
        calls=shared.calls,
        call_s=shared.call_s,
        begin_s=middle["nothing"][0] + shared.announced * shared.call_s,
        end_s=middle["nothing"][0],
        left=8**-3,
    )


def show_simulated(size: float, costs: Costs) -> None:
    """Print the times and efficiencies of many workers."""
    print(f"{costs}\n")
    heads = " | ".join(f"{disk}: min | efficiency" for disk in DISKS)
    print(f"| {size / 1e9:.0f} GB, workers | {heads} |")
    print(f"| ---: |{' ---: | ---: |' * len(DISKS)}")
    shares = []
    alone = {name: simulate(1, size, disk, costs)[0] for name, disk in DISKS.items()}
    for workers in WORKERS:
        cells = []
        for name, disk in DISKS.items():
            wall, busy = simulate(workers, size, disk, costs)
            cells += [f"{wall / 60:.1f}", f"{alone[name] / wall / workers:.2f}"]
            shares.append(busy)
        print(f"| {workers} | {' | '.join(cells)} |")
    print(f"\nluigid is busy for {max(shares):.1%} of the time at the most")


if __name__ == "__main__":
    main()
