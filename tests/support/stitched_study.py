"""A small study of one stitched volume and one file that lies elsewhere, to be packaged."""

import json
from pathlib import Path

import numpy as np
import tifffile
from oblique_scenes import ROOT, tile_set

from spimpack_tasks.stitching.tile_files import write_tiles
from spimpack_tasks.stitching.tiles import Geometry

V = 1.8
SHAPE = (12, 16, 8)
DESCRIPTION = {
    "Name": "Test",
    "BIDSVersion": "1.10.0",
    "DatasetType": "raw",
    "License": "CC0",
    "Authors": ["A One"],
}
CELLS = {"sample": "brain", "orientation_string_xyz": "RPI", "sample_staining": ["NeuN"]}
TILES = ("tile0.tif", "tile1.tif")


def write_two_tiles(folder: Path) -> None:
    """Write two tiles and `tiles.json`."""
    random = np.random.default_rng(5)
    paths = [folder / name for name in TILES]
    for path in paths:
        frames = random.integers(100, 4000, SHAPE).astype("u2")
        tifffile.imwrite(path, frames, metadata={"axes": "ZYX"}, imagej=True)
    stage = [(0, 0, 0), (7.5, 12 * V, 3.25)]
    tiles = tile_set([SHAPE] * 2, stage, Geometry(V, V / ROOT), paths=paths)
    write_tiles(str(folder / "tiles.json"), tiles)


def write_study(folder: Path) -> Path:
    """Write `mine/study.yml` with its tiles, and a file in `elsewhere`; return the study."""
    mine, elsewhere = folder / "mine", folder / "elsewhere"
    mine.mkdir()
    elsewhere.mkdir()
    write_two_tiles(mine)
    other = elsewhere / "other.ome.tif"
    voxels = np.arange(np.prod(SHAPE), dtype="u2").reshape(SHAPE)
    sizes = {f"PhysicalSize{axis}": 2.0 for axis in "XYZ"}
    tifffile.imwrite(other, voxels, metadata={"axes": "ZYX", **sizes})
    rows = [{"spim_path": "stitched:one/whole", "subject": "01", **CELLS}]
    rows.append({"spim_path": str(other), "subject": "02", **CELLS})
    manifest = {
        "dataset_description": DESCRIPTION,
        "datasets": [{"dataset_id": "one", "assets": rows}],
    }
    stages = {
        "stitch": {"one/whole": {"tiles": "tiles.json", "align": "stage", "channel_name": "NeuN"}},
        "package": {"manifest": manifest, "output_dir": "bids", "backend": "symlink"},
        "validate": {},
        "report": {},
    }
    study = mine / "study.yml"
    study.write_text(json.dumps({"name": "One", "stages": stages}))  # JSON is YAML
    return study
