"""Makes what the benchmarks of packaging read: tiny OME-TIFFs, a table and a manifest."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = "1.8000001"
"""The size of the voxels along x in the header of the image, as text. It begins with `1.8`."""
MAKE_IMAGE = f"""\
import sys
from pathlib import Path
from spimpack_tasks.demo.images import DemoImage, write_ome_tiff
image = DemoImage(("Abeta",), (2, 8, 8), (4.0, 1.8, {WIDTH}), levels=1)
write_ome_tiff(Path(sys.argv[1]), image)
"""
DESCRIPTION = """\
dataset_description:
  Name: Benchmark
  BIDSVersion: 1.10.0
  DatasetType: raw
  License: CC0
  Authors: [A One]
scans_tsv: scans.tsv
"""
COLUMNS = (
    *("subject", "sample", "acquisition", "spim_path", "orientation_string_xyz"),
    *("sample_staining", "PixelSize", "PixelSizeUnits", "Comment"),
)


def write_inputs(folder: Path, assets: int, *, differ: bool = False) -> None:
    """Make sources, table and manifest, ten images to a subject.

    Parameters
    ----------
    folder
        Where they are made; it is not there yet.
    assets
        The number of images.
    differ
        Whether the size of the voxels is another in each image, so that all sidecars differ.
    """
    raw = folder / "raw"
    raw.mkdir(parents=True)
    # In a process of its own: a child's peak of memory begins with that of its parent.
    subprocess.run([sys.executable, "-c", MAKE_IMAGE, raw / "image"], check=True)
    content = (raw / "image").read_bytes()
    if WIDTH.encode() not in content:
        sys.exit("the header of the image has another form than expected")
    rows = [COLUMNS]
    for number in range(assets):
        width = f"1.8{number:06}" if differ else WIDTH
        source = raw / f"{number:06}.ome.tif"
        source.write_bytes(content.replace(WIDTH.encode(), width.encode()))
        labels = (f"{number // 10:05}", "brain", f"{number % 10}x")
        rows.append((*labels, str(source), "RPI", "Abeta", f"{width};1.8;4", "um", "as delivered"))
    (raw / "image").unlink()
    (folder / "scans.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    (folder / "manifest.yml").write_text(DESCRIPTION)


def edit_one_cell(folder: Path) -> None:
    """Change the comment on the first image that has the first comment still."""
    table = folder / "scans.tsv"
    table.write_text(table.read_text().replace("as delivered", "edited", 1))


def undo_edit(folder: Path) -> None:
    """Give the image its first comment back."""
    table = folder / "scans.tsv"
    table.write_text(table.read_text().replace("edited", "as delivered", 1))
