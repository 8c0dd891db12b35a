"""Puts the example manifest into a folder, with small images where its table says."""

import csv
import shutil
from pathlib import Path

from spimpack_tasks.demo.images import DemoImage, write_ome_zarr

EXAMPLE = Path(__file__).parents[1] / "configs" / "example"
IMAGE = DemoImage(("YoPro", "Abeta", "Iba1"), (4, 16, 16), (4.0, 1.8, 1.8), levels=1)


def place_example(folder):
    """Return the manifest's path."""
    for path in EXAMPLE.iterdir():
        shutil.copy(path, folder)
    for row in read_rows(folder / "scans.tsv"):
        write_ome_zarr(folder / row["spim_path"], IMAGE, ngff="0.5")
    return folder / "manifest.yml"


def read_rows(table):
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
