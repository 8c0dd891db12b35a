"""Writes Thorlabs RAW files with the `Experiment.xml` of ThorImage, or a YAML file, beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

BITS = {"uint8": 8, "uint16": 14, "float32": 32}


@dataclass(frozen=True)
class Raw:
    """One recording."""

    t: int = 1
    z: int = 3
    c: int = 2
    y: int = 6
    x: int = 8
    dtype: str = "uint16"
    pixel_um: str = "0.684"
    step_um: str = "5"
    interval_s: str = "1.5"
    streams: bool = False
    flies: bool = False
    """Whether a fast stage moves while it streams."""

    def voxels(self) -> np.ndarray:
        """Return numbers along t, z, c, y, x of which no two are equal."""
        shape = (self.t, self.z, self.c, self.y, self.x)
        return np.arange(np.prod(shape)).reshape(shape).astype(self.dtype)

    def experiment(self) -> str:
        names = "ABCDEFGH"[: self.c]
        waves = "".join(f'<Wavelength name="Chan{name}" exposuretimeMS="0"/>' for name in names)
        stack = int(self.z > 1 and not self.streams)
        return f"""<?xml version="1.0"?>
<ThorImageExperiment>
  <Name name="Experiment_001"/>
  <Wavelengths nyquistExWavelengthNM="488">{waves}</Wavelengths>
  <Camera name="Simulator" bitsPerPixel="{BITS[self.dtype]}"/>
  <LSM name="LSM" pixelX="{self.x}" pixelY="{self.y}" pixelSizeUM="{self.pixel_um}"/>
  <ZStage name="Stage" enable="{stack}" steps="{self.z}" stepSizeUM="{self.step_um}"/>
  <Timelapse timepoints="{self.t}" intervalSec="{self.interval_s}"/>
  <Streaming enable="{int(self.streams)}" frames="{self.t}" zFastEnable="{int(self.flies)}"/>
</ThorImageExperiment>
"""


def write_voxels(path: Path, raw: Raw, voxels: np.ndarray | None = None) -> Path:
    """Write a RAW file alone; `voxels` lie along t, z, c, y, x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = raw.voxels() if voxels is None else voxels
    path.write_bytes(data.astype(np.dtype(raw.dtype).newbyteorder("<")).tobytes())
    return path


def write_raw(path: Path, raw: Raw, voxels: np.ndarray | None = None) -> Path:
    """Write a RAW file with an `Experiment.xml`."""
    write_voxels(path, raw, voxels)
    (path.parent / "Experiment.xml").write_text(raw.experiment())
    return path
