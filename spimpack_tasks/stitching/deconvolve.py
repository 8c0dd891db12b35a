"""Sharpens an oblique volume by the method of Richardson and Lucy, block by block.

Light that is scattered on its way to the camera leaves a trail behind each point: along the tilted
detection axis, one voxel down z for each voxel back along x, and fading exponentially. The kernel
is one-sided, and 1 in sum:

    k[a] ~ exp(-power * a)    at (z + a, x - a), for a from 0 to its size - 1

Sources: W. H. Richardson, J. Opt. Soc. Am. 62 (1972) 55; L. B. Lucy, Astron. J. 79 (1974) 745; the
kernel and its default values are those of spimstitch (MIT). A sum along a diagonal with weights
that fade exponentially follows from the sum before it, so its cost does not depend on the size of
the kernel. Voxels outside the volume count as unknown, not as dark.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.held_folders import move_to_target
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.stitching.identity import digest
from spimpack_tasks.stitching.working import check_target, hold_place, is_made
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.volume import open_volume
from spimpack_tasks.volumes.writer import Layout, create_volume

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.stitching.identity import Pace
    from spimpack_tasks.volumes.blocks import Block
    from spimpack_tasks.volumes.volume import Level

FORM = 1
"""Raised when equal inputs give other voxels than before."""
_FADED = 0.01
"""Weight, as a share of the first, at which the kernel ends where no size is given."""
_HALO = 2
"""Voxels around a block, in sizes of the kernel: the estimate of one depends on its neighbours."""
_LARGEST_KERNEL = 1001
"""Voxels; a longer trail crosses blocks that do not fit into memory together."""
_SAME_SPACING = 0.05
"""Share by which the distances along z and x may differ, for a diagonal of voxels at 45°."""


class DeconvolutionRefusedError(SpimpackError):
    """Choices or the volume do not fit; the message has a line for each mistake."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Deconvolution:
    """How a volume is sharpened.

    Raises
    ------
    DeconvolutionRefusedError
        A value is impossible.
    """

    power: float = 0.09
    """By which power of e the trail fades from voxel to voxel."""
    kernel_size: int = 0
    """Voxels of the trail; where 0, the first odd number at which it is below 1 % of its start."""
    iterations: int = 10

    def __post_init__(self) -> None:
        """Check the values."""
        wrong = []
        if not 0 < self.power < 100:
            wrong.append(f"power is {self.power!r}; write a number above 0, such as 0.09")
        if not 0 <= self.kernel_size <= _LARGEST_KERNEL:
            wrong.append(f"kernel_size is {self.kernel_size!r}; at most {_LARGEST_KERNEL}")
        if not 1 <= self.iterations <= 1000:
            wrong.append(f"iterations is {self.iterations!r}; write a number from 1 on, such as 10")
        if not wrong and self.size > _LARGEST_KERNEL:
            wrong.append(f"power is {self.power!r}, for which a kernel is too long; give its size")
        if wrong:
            raise DeconvolutionRefusedError("\n".join(wrong))

    @property
    def size(self) -> int:
        """Voxels of the trail."""
        if self.kernel_size:
            return self.kernel_size
        faded = math.floor(-math.log(_FADED) / self.power) + 1
        return faded + 1 - faded % 2


def sharpen(voxels_zyx: Any, chosen: Deconvolution) -> Any:
    """Return the estimate of what was there before light was scattered, as `float32`.

    Parameters
    ----------
    voxels_zyx
        As they were recorded; negative ones count as 0.
    chosen
        The kernel, and how often the estimate is improved.
    """
    import numpy as np

    recorded = np.maximum(voxels_zyx.astype("float32"), 0)
    weights = _trail_back(np.ones_like(recorded), chosen)
    estimate = recorded.copy()
    for _ in range(chosen.iterations):
        blurred = _trail(estimate, chosen)
        ratio = np.divide(recorded, blurred, out=np.zeros_like(recorded), where=blurred > 0)
        estimate *= _trail_back(ratio, chosen)
        estimate /= weights
    return estimate


def _trail(values: Any, chosen: Deconvolution) -> Any:
    """Return values with their trails, down z and back along x."""
    import numpy as np

    size, fade = chosen.size, math.exp(-chosen.power)
    first = np.float32((1 - fade) / (1 - fade**size))
    found = values * first
    step, last = np.float32(fade), np.float32(fade**size) * first
    width = values.shape[2]
    for z in range(1, len(values)):
        found[z, :, : width - 1] += step * found[z - 1, :, 1:]
        if z >= size and width > size:
            found[z, :, : width - size] -= last * values[z - size, :, size:]
    return found


def _trail_back(values: Any, chosen: Deconvolution) -> Any:
    """Return values with trails the other way, up z and forth along x: the transpose."""
    return _trail(values[::-1, :, ::-1], chosen)[::-1, :, ::-1]


def identify_sharpened(source: str, chosen: Deconvolution) -> str:
    """Return what a sharpened volume is known by.

    Raises
    ------
    DeconvolutionRefusedError
        The source is no OME-Zarr.
    """
    for name in ("zarr.json", ".zattrs"):
        if os.path.isfile(f"{source}/{name}"):
            return digest(FORM, source, stamp_text(f"{source}/{name}"), asdict(chosen))
    raise DeconvolutionRefusedError(f"{source}: is no OME-Zarr; stitch the tiles first")


def write_sharpened(source: str, target: str, chosen: Deconvolution, pace: Pace) -> bool:
    """Write a sharpened volume, or resume that; tell whether anything was to be done.

    Parameters
    ----------
    source
        The OME-Zarr of a stitched volume, with voxels as far apart along z as along x.
    target
        Path of the OME-Zarr to make.
    chosen
        How it is sharpened.
    pace
        Threads, and who is told the bytes of voxels that are written.

    Raises
    ------
    SpimpackError
        The source or the target does not fit.
    OSError
        The source is damaged, or the disk does not take the volume.
    """
    check_target(target, [source])
    identity = identify_sharpened(source, chosen)
    if is_made(target, identity):
        return False
    with hold_place(target, identity, alone=True) as place:
        if place is None:
            return False
        path = f"{place}/{identity}"
        with as_os_errors():
            _write(source, path, identity, chosen, pace)
        move_to_target(path, target)
    return True


def _write(source: str, path: str, identity: str, chosen: Deconvolution, pace: Pace) -> None:
    with open_volume(source) as volume:
        level = volume.levels[0]
        told = {
            "version": __version__,
            "made_from": identity,
            "stitched_from": "one volume",
            "parameters": f"deconvolution: {asdict(chosen) | {'kernel_size': chosen.size}}",
        }
        spec = replace(volume.spec, provenance=told)
        _require_cubes(source, spec.spacing_um_zyx)
        with (
            WorkPool(pace.threads) as pool,
            create_volume(LocalPlace(path), spec, Layout(codec="blosc"), pool) as writer,
        ):
            for block in writer.missing():
                voxels = _sharpen_block(level, block, chosen)
                writer.write(block, voxels)
                pace.advance(voxels.nbytes)
            writer.finish()


def _require_cubes(source: str, spacing_um_zyx: Any) -> None:
    """Refuse a volume in which the diagonal of voxels is not that of the light."""
    z, x = (spacing_um_zyx or (None, None, None))[::2]
    if not (z and x and abs(z / x - 1) <= _SAME_SPACING):
        message = f"{source}: has voxels {z} µm apart along z and {x} µm along x"
        raise DeconvolutionRefusedError(f"{message}; the kernel needs the same distance")


def _sharpen_block(level: Level, block: Block, chosen: Deconvolution) -> Voxels:
    """Return the sharpened voxels of a block, by those around it along z and x."""
    import numpy as np

    halo = _HALO * chosen.size
    t, c, z, y, x = block.region
    wide = [
        slice(max(part.start - halo, 0), min(part.stop + halo, count))
        for part, count in ((z, level.shape[2]), (x, level.shape[4]))
    ]
    read = level.read((t, c, wide[0], y, wide[1]))
    inner = tuple(
        slice(part.start - around.start, part.stop - around.start)
        for part, around in zip((z, x), wide, strict=True)
    )
    dtype = level.dtype.newbyteorder("=")
    result = np.empty(block.shape, dtype)
    for place in np.ndindex(*read.shape[:2]):
        found = sharpen(read[place], chosen)[inner[0], :, inner[1]]
        if dtype.kind != "f":
            bounds = np.iinfo(dtype)
            found = np.clip(np.floor(found + np.float32(0.5)), bounds.min, bounds.max)
        result[place] = found
    return result


def identify_choices(source: str, choices: tuple[float, int, int]) -> str:
    """Return what a sharpened volume is known by, of power, size of the kernel and iterations.

    Raises
    ------
    DeconvolutionRefusedError
        The source is no OME-Zarr, or a choice is impossible.
    """
    return identify_sharpened(source, Deconvolution(*choices))


def has_sharpened(source: str, target: str, choices: tuple[float, int, int]) -> bool:
    """Tell whether a sharpened volume is there."""
    return is_made(target, identify_choices(source, choices))


def write_sharpened_by(
    source: str, target: str, choices: tuple[float, int, int], pace: Pace
) -> bool:
    """Write a sharpened volume, by power, size of the kernel and iterations.

    Raises
    ------
    SpimpackError, OSError
        As of `write_sharpened`.
    """
    return write_sharpened(source, target, Deconvolution(*choices), pace)
