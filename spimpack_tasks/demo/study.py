"""The study that the how-to pages work on: the example manifest, with an image for each row."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from spimpack_tasks.demo.images import DemoImage, write_ome_zarr

_PACKAGED = Path(__file__).parent / "example"
_IN_CHECKOUT = Path(__file__).parents[2] / "configs" / "example"


def write_study(directory: Path) -> Path:
    """Write manifest, tables and small images that are not there yet; return the manifest's path.

    Raises
    ------
    MissingExtraError
        A library that writes images is not installed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    example = _PACKAGED if _PACKAGED.is_dir() else _IN_CHECKOUT
    for path in example.iterdir():
        if not (directory / path.name).exists():
            shutil.copyfile(path, directory / path.name)
    with (directory / "scans.tsv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    for row in rows:
        x, y, z = map(float, row["PixelSize"].split(";"))
        stains = tuple(row["sample_staining"].split(";"))
        image = DemoImage(stains, (4, 16, 16), (z, y, x), levels=1)
        if not (directory / row["spim_path"]).exists():
            write_ome_zarr(directory / row["spim_path"], image, ngff="0.5")
    return directory / "manifest.yml"
