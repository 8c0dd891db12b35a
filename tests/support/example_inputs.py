"""Puts the example manifest into a folder, with small images where its table says."""

import csv
from pathlib import Path

from spimpack_tasks.demo.images import DemoImage, write_ome_zarr
from spimpack_tasks.demo.study import write_study

EXAMPLE = Path(__file__).parents[2] / "configs" / "example"


def place_example(folder):
    """Return the manifest's path."""
    return write_study(folder)


def place_tree(folder, paths):
    """Make images, and empty files of other kinds, below `microscope`."""
    image = DemoImage(("YoPro", "Abeta", "Iba1"), (4, 16, 16), (4.0, 1.8, 1.8), levels=1)
    for path in paths:
        if path.endswith(".ome.zarr"):
            write_ome_zarr(folder / "microscope" / path, image, ngff="0.5")
        else:
            (folder / "microscope" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "microscope" / path).touch()


def read_rows(table):
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
