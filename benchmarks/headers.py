"""CPU seconds to read 1,000 headers of each format, and what the first one costs.

    python benchmarks/headers.py [files]

Linux. Makes its own small files, one for each header, so that nothing is read twice. Each format
has a process of its own; import and first header are counted apart.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from spimpack_tasks.demo.images import (
    DemoImage,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)

BUDGETS = {"Imaris": 3.0, "OME-Zarr 0.4": 0.2, "OME-Zarr 0.5": 0.2, "OME-TIFF": 0.5}
WRITERS = {
    "Imaris": (".ims", write_imaris),
    "OME-Zarr 0.4": (".ome.zarr", partial(write_ome_zarr, ngff="0.4")),
    "OME-Zarr 0.5": (".ome.zarr", partial(write_ome_zarr, ngff="0.5")),
    "OME-Zarr in a zip": (".ozx", write_ozx),
    "OME-TIFF": (".ome.tif", write_ome_tiff),
    "OME-BigTIFF": (".ome.btf", partial(write_ome_tiff, bigtiff=True)),
}
READ_ALL = """
import json, resource, sys, time
from pathlib import Path
start = time.process_time()
from spimpack_tasks.volumes.read_header import read_header
paths = sorted(map(str, Path(sys.argv[1]).iterdir()))
read_header(paths[0], paths[0])
first = time.process_time() - start
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
memory = resident()
start = time.process_time()
for path in paths[1:]:
    read_header(path, path)
rest = time.process_time() - start
grown = resident() - memory
heavy = sorted({"zarr", "dask", "zarrnii", "tifffile"} & set(sys.modules))
print(json.dumps([first, rest, memory, grown, heavy]))
"""
IMAGE = DemoImage(("autof", "Abeta"), (13, 50, 70), (4.0, 2.6, 0.3467), levels=3)


def fill(folder: Path, ending: str, write: partial[None], count: int) -> None:
    """Write one image and `count` copies of it; of a directory, its metadata only."""
    folder.mkdir()
    first = folder / f"0{ending}"
    write(first, IMAGE)
    for number in range(1, count + 1):
        target = folder / f"{number}{ending}"
        if first.is_file():
            shutil.copyfile(first, target)
        else:
            no_chunks = shutil.ignore_patterns("c", "[0-9]*[!0-9n]")
            shutil.copytree(first, target, ignore=no_chunks)


def machine() -> str:
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.partition(":")[2].strip() for x in lines if "model name" in x), model)
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{machine()}; CPU seconds, {count} files of each format\n")
    print(
        "| Format | First header with import | Next ones | Per 1,000 | Budget | MiB | Grown MiB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (ending, write) in WRITERS.items():
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder, "files"), ending, write, count)
            done = subprocess.run(
                [sys.executable, "-c", READ_ALL, str(Path(folder, "files"))],
                check=True,
                stdout=subprocess.PIPE,
            )
        first, rest, memory, grown, heavy = json.loads(done.stdout)
        assert not heavy, heavy
        per_1000 = 1000 * rest / count
        budget = BUDGETS.get(name)
        told = f"{budget} {'kept' if per_1000 <= budget else 'MISSED'}" if budget else "-"
        print(
            f"| {name} | {first:.3f} | {rest:.3f} | {per_1000:.3f} | {told} "
            f"| {memory / 2**20:.0f} | {grown / 2**20:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
