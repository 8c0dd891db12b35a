"""What the other commands take for 1,000 to 100,000 images, and whether that grows evenly.

    python benchmarks/commands.py --assets 1000 10000 100000

Writes Markdown: CPU and peak of each command on a dataset of tiny OME-TIFFs, and how much more an
image costs in the largest dataset than in the smallest. Pictures are drawn and the official
validator is asked for up to 10,000 images; put TMPDIR on a disk for it, since it cannot read below
/dev.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path

from measuring import BIN, Measurement, describe_machine, measure
from scale_inputs import write_inputs

MOST_SLOW = 10_000
"""More pictures, or the mirror of more images for the official validator, take minutes."""

Results = dict[str, dict[int, list[Measurement]]]
"""By command and number of images."""


def measure_size(results: Results, folder: Path, rounds: int) -> None:
    """Package a study, and measure all commands on it."""
    assets = int(folder.name)
    write_inputs(folder, assets)
    out, raw = folder / "bids", folder / "raw"
    inputs: list[str | Path] = ["--manifest", folder / "manifest.yml", "--output-dir", out]
    measure([BIN / "spimpack", "package", *inputs])
    commands: dict[str, list[str | Path]] = {
        "plan": ["plan", *inputs],
        "status": ["status", *inputs],
        "verify": ["verify", out],
        "report": ["report", out],
        "init --scan": ["init", folder / "new", "--scan", raw, "--pattern", "{sample}.ome.tif"],
    }
    if assets <= MOST_SLOW:
        commands["report --thumbnails"] = ["report", out, "--thumbnails"]
        commands["bids-validate"] = ["bids-validate", out]
    for _ in range(rounds):
        for name, arguments in commands.items():
            results[name][assets].append(measure([BIN / "spimpack", *arguments]))
            shutil.rmtree(folder / "new", ignore_errors=True)
    shutil.rmtree(folder)


def print_table(results: Results, sizes: list[int]) -> None:
    """Print medians, and the CPU of an image in the largest dataset over that in the smallest."""
    print(
        "| CPU s (peak MiB) | "
        + " | ".join(f"{n:,}" for n in sizes)
        + " | an image, last / first |"
    )
    print("| --- |" + " ---: |" * (len(sizes) + 1))
    for name, by_size in results.items():
        cpu = {n: statistics.median(m.cpu_s for m in rounds) for n, rounds in by_size.items()}
        peak = {n: max(m.peak_mib for m in rounds) for n, rounds in by_size.items()}
        cells = [f"{cpu[n]:.2f} ({peak[n]:.0f})" if n in cpu else "" for n in sizes]
        first, last = min(cpu), max(cpu)
        growth = f"{cpu[last] / last / (cpu[first] / first):.2f}"
        print(f"| `{name}` | {' | '.join(cells)} | {growth} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    sizes = {"type": int, "nargs": "+", "default": [1_000, 10_000], "metavar": "N"}
    parser.add_argument("--assets", help="numbers of images", **sizes)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    arguments = parser.parse_args()
    results: Results = defaultdict(partial(defaultdict, list))
    with tempfile.TemporaryDirectory() as folder:
        print(f"{describe_machine(folder)}; {arguments.rounds} rounds.\n")
        for assets in arguments.assets:
            measure_size(results, Path(folder, str(assets)), arguments.rounds)
    print_table(results, arguments.assets)


if __name__ == "__main__":
    main()
