"""What no packager can do without: making the files, or looking at them.

python benchmarks/floors.py make TABLE OUT    a loop of os.symlink and json.dump
python benchmarks/floors.py look TABLE OUT    os.stat of each source, os.lstat of each output
"""

from __future__ import annotations

import csv
import json
import os
import sys


def places(table: str, out: str) -> list[tuple[str, str, str, dict[str, str]]]:
    """Return source, folder, stem and sidecar of each row."""
    found = []
    with open(table, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            folder = f"{out}/sub-{row['subject']}/micr"
            stem = f"sub-{row['subject']}_sample-{row['sample']}_acq-{row['acquisition']}_SPIM"
            found.append((row["spim_path"], folder, stem, row))
    return found


def make(table: str, out: str) -> None:
    for source, folder, stem, sidecar in places(table, out):
        os.makedirs(folder, exist_ok=True)
        os.symlink(source, f"{folder}/{stem}.ome.tif")
        with open(f"{folder}/{stem}.json", "w", encoding="utf-8") as file:
            json.dump(sidecar, file, indent=2)


def look(table: str, out: str) -> None:
    for source, folder, stem, _ in places(table, out):
        os.stat(source)
        os.lstat(f"{folder}/{stem}.ome.tif")
        os.lstat(f"{folder}/{stem}.json")


if __name__ == "__main__":
    {"make": make, "look": look}[sys.argv[1]](*sys.argv[2:])
