"""Image files that can be merged, each with voxels and facts of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile


def write_ome(
    path: Path,
    shape: tuple[int, ...] = (3, 20, 30),
    *,
    seed: int = 0,
    dtype: str = "uint16",
    axes: str = "ZYX",
    size_um: tuple[float, float, float] | None = (4.0, 1.8, 1.8),
    names: tuple[str, ...] = (),
    time_step_s: float | None = None,
    big_endian: bool = False,
) -> np.ndarray:
    """Write an OME-TIFF with random voxels, and return these as they are stored."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        voxels = rng.normal(size=shape).astype(kind)
    else:
        info = np.iinfo(kind)
        voxels = rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)
    metadata: dict[str, object] = {"axes": axes}
    if size_um:
        for axis, size in zip("ZYX", size_um, strict=True):
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    if names:
        metadata["Channel"] = {"Name": list(names)}
    if time_step_s is not None:
        metadata |= {"TimeIncrement": time_step_s, "TimeIncrementUnit": "s"}
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path,
        voxels,
        metadata=metadata,
        byteorder=">" if big_endian else "<",
        photometric="minisblack",
    )
    return voxels


def as_tczyx(voxels: np.ndarray, axes: str = "ZYX") -> np.ndarray:
    """Return voxels with all axes."""
    order = [axis for axis in "TCZYX" if axis in axes]
    moved = voxels.transpose([axes.index(axis) for axis in order])
    sizes = dict(zip(order, moved.shape, strict=True))
    return moved.reshape([sizes.get(axis, 1) for axis in "TCZYX"])
