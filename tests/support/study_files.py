"""A small study of an oblique brain: two channels of two tiles each."""

from __future__ import annotations

import math
from pathlib import Path

import tifffile
from oblique_scenes import make_scene, sample_tile

PITCH_UM = 2.0
STEP_UM = PITCH_UM / math.sqrt(2)
SHAPE_FRC = (24, 32, 16)
_PLACES_UM = (0.0, 48.0)
"""Of the tiles along y, which overlap by a quarter."""
CHANNELS = {"488": "cFos", "561": "NeuN"}


def write_recording(folder: Path) -> None:
    """Write the tiles of both channels, and a table of each."""
    folder.mkdir(parents=True)
    for seed, channel in enumerate(CHANNELS, start=4):
        scene = make_scene((-10, -10, -10), (60, 140, 80), seed=seed, sigma_um=(4, 8))
        rows = ["path\tx\ty\tz"]
        for number, y in enumerate(_PLACES_UM):
            frames = sample_tile(scene, (0.0, y, 0.0), SHAPE_FRC, v_um=PITCH_UM, step_um=STEP_UM)
            name = f"{channel}_{number}.ome.tif"
            tifffile.imwrite(folder / name, frames, metadata={"axes": "ZYX"})
            rows.append(f"{name}\t0\t{y}\t0")
        (folder / f"{channel}.tsv").write_text("\n".join(rows) + "\n")


STUDY = f"""\
name: One brain
stages:
  stitch:
    brain1/Ex_488:
      recording: raw/488.tsv
      pitch_um: {PITCH_UM}
      step_um: {STEP_UM!r}
      angle_deg: 45
      align: stage
    brain1/Ex_561:
      recording: raw/561.tsv
      pitch_um: {PITCH_UM}
      step_um: {STEP_UM!r}
      angle_deg: 45
      align: stage
  convert:
    times:
      source: [raw/488_0.ome.tif, raw/488_1.ome.tif]
      merge: T
      spacing_um_xyz: [2, 2, 2]
  package:
    manifest:
      dataset_description:
        Name: One brain
        BIDSVersion: "1.10.0"
        DatasetType: raw
        License: CC0
        Authors: [A. Author]
      datasets:
        - dataset_id: brain1
          assets:
            - spim_path: stitched:brain1/Ex_488
              subject: "01"
              sample: brain
              stain: cFos
              sample_staining: [cFos]
              orientation_string_xyz: RPI
            - spim_path: stitched:brain1/Ex_561
              subject: "01"
              sample: brain
              stain: NeuN
              sample_staining: [NeuN]
              orientation_string_xyz: RPI
    output_dir: bids
    backend: symlink
  validate:
  report:
"""


def write_study(folder: Path, text: str = STUDY) -> Path:
    """Write recording and study, and return the path of the study."""
    write_recording(folder / "raw")
    path = folder / "study.yml"
    path.write_text(text)
    return path


def look(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return inode, time and content of every file that a run makes, but logs, by its path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        is_log = "/runs/" in name or name.endswith("study-log.jsonl") or "/locks" in name
        if path.is_file() and not path.is_symlink() and not name.startswith("raw/") and not is_log:
            status = path.stat()
            found[name] = (status.st_ino, status.st_mtime_ns, path.read_bytes())
    return found
