"""Recordings of tiles on a disk, in each layout that is known; written from the layouts alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from acquisition_files import MESOSPIM
from dcimg_files import compose_frames, write_dcimg
from plane_sources import write_imaris, write_nifti

METADATA = (
    "Obj\tRes\tµm/pix\tX/Z Step (µm)\toSPIM3\tv2.1\nTL 2x\t2048\t3.226\t2.281\t\tNoOffset02152022\n"
)
FRAMES, ROWS, COLUMNS = 5, 8, 6


def frames(seed: int = 0) -> np.ndarray:
    """Return a stack along frames, rows and columns."""
    return compose_frames(FRAMES, ROWS, COLUMNS) + np.uint16(seed)


STAGE = {
    (0, 0, 0): "000000/000000_000000/000000",
    (0, -12000, 0): "000000/000000_-12000/000000",
    (0, -12000, 3500): "000000/000000_-12000/003500",
    (20000, 0, 0): "020000/020000_000000/000000",
}
"""Folders by x, y and z in tenths of a micrometre."""


def write_stage_tree(root: Path, channel: str = "Ex_488_Em_1", metadata: str = METADATA) -> Path:
    """Write DCIMG files of an oblique microscope."""
    for number, name in enumerate(STAGE.values()):
        path = root / channel / f"{name}.dcimg"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_dcimg(path, frames(number))
    (root / "metadata.txt").write_text(metadata, encoding="latin-1")
    return root


def write_smartspim(root: Path, channel: str = "Ex_488_Em_525") -> Path:
    """Write planes of SmartSPIM, which begin at 100 µm, at steps of 2 µm."""
    for x, y in ((0, 0), (0, 5120), (-3600, 0)):
        folder = root / channel / f"{x:06}" / f"{x:06}_{y:06}"
        folder.mkdir(parents=True)
        for n, plane in enumerate(frames()):
            tifffile.imwrite(folder / f"{1000 + 20 * n:06}.tif", plane)
    text = "Obj\tRes\tµm/pix\tZ step (µm)\nLCT 3.6x\t2000\t1.800\t2.000\n"
    (root / "metadata.txt").write_text(text, encoding="latin-1")
    return root


def write_mesospim(root: Path, *, z_start: float = 100, z_end: float = 80) -> Path:
    """Write tiles of mesoSPIM-control, of two channels."""
    root.mkdir(parents=True, exist_ok=True)
    for channel in ("488", "561"):
        for n, (x, y) in enumerate(((1000, 2000), (-500, 2000), (1000, 700.5))):
            name = f"brain_Mag1x_Tile{n}_Ch{channel}_Sh0_Rot0.tiff"
            tifffile.imwrite(root / name, frames(n), imagej=True, metadata={"axes": "ZYX"})
            text = MESOSPIM.format(name=name, pixel="6.55", step="-5", planes="5")
            text = text.replace("[x_pos] 2500.5", f"[x_pos] {x}")
            text = text.replace("[y_pos] 52987.74", f"[y_pos] {y}")
            text = text.replace("[z_start] 22009.29", f"[z_start] {z_start}")
            text = text.replace("[z_end] 20909.09", f"[z_end] {z_end}")
            (root / f"{name}_meta.txt").write_text(text)
    return root


TERASTITCHER = """<?xml version="1.0" encoding="UTF-8" ?>
<!DOCTYPE TeraStitcher SYSTEM "TeraStitcher.DTD">
<TeraStitcher volume_format="TiledXY|3Dseries" input_plugin="IMS_HDF5">
    <stacks_dir value="{folder}" />
    <ref_sys ref1="1" ref2="2" ref3="3" />
    <voxel_dims V="0.6" H="0.6" D="2.5" />
    <origin V="0" H="0" D="0" />
    <mechanical_displacements V="300" H="300" />
    <dimensions stack_rows="1" stack_columns="2" stack_slices="5" />
    <STACKS>
        <Stack ROW="0" COL="0" ABS_V="0" ABS_H="0" ABS_D="0" DIR_NAME="" IMG_REGEX="a_F000.ims" />
        <Stack ROW="0" COL="1" ABS_V="4" ABS_H="500" ABS_D="-2" DIR_NAME="" IMG_REGEX="a_F001.ims" />
    </STACKS>
</TeraStitcher>
"""  # noqa: E501 - as the program writes it


def write_terastitcher(root: Path, folder: str = "C:/data") -> Path:
    """Write Imaris files of two channels with a document, which names another machine's folder."""
    root.mkdir(parents=True, exist_ok=True)
    both = np.stack([frames(), frames(9)])[None]
    for name in ("a_F000.ims", "a_F001.ims"):
        write_imaris(root / name, both)
    (root / "import.xml").write_text(TERASTITCHER.format(folder=folder))
    return root / "import.xml"


def write_table(root: Path, text: str | None = None) -> Path:
    """Write a table of a DCIMG file and a NIfTI file."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "raw").mkdir(exist_ok=True)
    write_dcimg(root / "raw/a.dcimg", frames())
    write_nifti(root / "raw/b.nii", frames()[None, None])
    rows = "path\tx\ty\tz\nraw/a.dcimg\t0\t0\t0\nraw/b.nii\t-4.5\t1e3\t0.25\n"
    (root / "tiles.tsv").write_text(text if text is not None else rows)
    return root / "tiles.tsv"
