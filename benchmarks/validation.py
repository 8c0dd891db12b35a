"""CPU, wall time and memory of `spimpack bids-validate`, of the mirror and of the dataset itself.

    python benchmarks/validation.py [chunks] [images]

Linux. Validates a dataset with one OME-Zarr of many chunks, which are hard links of a few files,
and one with many images of three formats, both packaged by `spimpack package`. Each run is a
process of its own; its CPU time counts the official validator's, and its memory is that of the
largest process, which is the official validator. Every figure is the median of three runs.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scale_inputs import DESCRIPTION

from spimpack_tasks.demo.images import DemoImage, write_imaris, write_ome_tiff, write_ome_zarr

SPIMPACK = Path(sys.executable).parent / "spimpack"
ROUNDS = 3
BUDGETS = {"one store, mirror": (3.0, 250), "many images, mirror": (10.0, 400)}
IMAGE = DemoImage(("Abeta",), (4, 16, 16), (4.0, 1.8, 1.8), levels=1)
FORMATS = {".ome.zarr": write_ome_zarr, ".ims": write_imaris, ".ome.tif": write_ome_tiff}


def package(folder: Path, sources: list[Path]) -> Path:
    """Package one image for each subject, and return the dataset."""
    columns = ("subject", "sample", "spim_path", "orientation_string_xyz", "sample_staining")
    rows = [(f"{n:05}", "brain", str(path), "RPI", "Abeta") for n, path in enumerate(sources)]
    lines = ("\t".join(cells) + "\n" for cells in (columns, *rows))
    (folder / "scans.tsv").write_text("".join(lines))
    (folder / "manifest.yml").write_text(DESCRIPTION)
    command = [SPIMPACK, "package", "--manifest", folder / "manifest.yml", "--output-dir"]
    subprocess.run([*command, folder / "bids"], check=True, capture_output=True)
    return folder / "bids"


def one_store(folder: Path, chunks: int) -> Path:
    """Make a dataset with one OME-Zarr of many chunks, a thousand in a folder."""
    store = folder / "big.ome.zarr"
    write_ome_zarr(store, IMAGE, ngff="0.5")
    for number in range(chunks):
        place = store / "0" / "c" / f"many{number // 1000}" / str(number)
        if number % 1000 == 0:
            place.parent.mkdir()
            place.write_bytes(b"chunk")
            first = place
        else:
            os.link(first, place)
    return package(folder, [store])


def many_images(folder: Path, count: int) -> Path:
    """Make a dataset with many images, a third of each format."""
    sources = []
    for ending, write in FORMATS.items():
        first = folder / f"first{ending}"
        write(first, IMAGE, **({"ngff": "0.5"} if ending == ".ome.zarr" else {}))  # type: ignore[operator]
        for number in range(count // len(FORMATS)):
            sources.append(folder / f"{number}{ending}")
            if first.is_dir():
                sources[-1].symlink_to(first)
            else:
                os.link(first, sources[-1])
    return package(folder, sources)


def measure(dataset: Path, *further: str) -> tuple[float, float, float]:
    """Return CPU seconds, wall seconds, and the most MiB of one process of a validation."""
    start = time.monotonic()
    command = [SPIMPACK, "bids-validate", dataset, *further]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{dataset} is not valid")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def machine() -> str:
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"


def main() -> None:
    chunks, images = (int(text) for text in (*sys.argv[1:], "100000", "10000")[:2])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "one").mkdir()
        (folder / "many").mkdir()
        datasets = {
            "one store": one_store(folder / "one", chunks),
            "many images": many_images(folder / "many", images),
        }
        print(f"{machine()}; one store of {chunks:,} chunks, many = {images:,} images\n")
        print("| Dataset | CPU s | Wall s | MiB | Budget (wall s, MiB) |")
        print("| --- | --- | --- | --- | --- |")
        for name, dataset in datasets.items():
            for mode, further in (("mirror", ()), ("full", ("--full",))):
                rounds = [measure(dataset, *further) for _ in range(ROUNDS)]
                cpu, wall, memory = (statistics.median(c) for c in zip(*rounds, strict=True))
                seconds, most = BUDGETS.get(f"{name}, {mode}", (None, None))
                kept = (not seconds or wall <= seconds) and (not most or memory <= most)
                told = f"{seconds}, {most or '-'} {'kept' if kept else 'MISSED'}"
                print(
                    f"| {name}, {mode} | {cpu:.2f} | {wall:.2f} | {memory:.0f} "
                    f"| {told if seconds else '-'} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
