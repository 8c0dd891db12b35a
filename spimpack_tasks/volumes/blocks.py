"""Blocks: the pieces in which the voxels of an image are handed to a writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.grid import shape_of
from spimpack_tasks.errors import ExitCode, SpimpackError, count_of

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import LevelGrid, Region, Shape, Voxels
    from spimpack_tasks.volumes.spec import VolumeSpec


class IncompleteVolumeError(SpimpackError):
    """An image is to be finished, but not all of its voxels were written."""

    exit_code = ExitCode.FAILED

    def __init__(self, count: int) -> None:
        super().__init__(f"{count_of(count, 'block')} of the image were not written")


@dataclass(frozen=True, slots=True)
class Block:
    """A box of the full level."""

    place: Shape
    """Place in the grid of blocks, along t, c, z, y, x."""
    region: Region
    """Where it lies, as far as the image goes."""

    @property
    def shape(self) -> Shape:
        """Sizes along t, c, z, y, x."""
        return shape_of(self.region)


def as_block(spec: VolumeSpec, block: Block, voxels: Voxels) -> Voxels:
    """Return the voxels of a block in the byte order of the image.

    Raises
    ------
    ValueError
        Shape or type are others.
    """
    found, wanted = (dtype.newbyteorder("=") for dtype in (voxels.dtype, spec.dtype))
    if voxels.shape != block.shape or found != wanted:
        message = (
            f"a block of {block.shape} voxels (t, c, z, y, x) of type {spec.dtype} is written, but "
            f"{voxels.shape} of type {voxels.dtype} were given"
        )
        raise ValueError(message)
    return voxels.astype(spec.dtype, copy=False)


def check_place(full: LevelGrid, block: Block) -> None:
    """Refuse a block that is none of an image, given its full level.

    Raises
    ------
    ValueError
        Its place is outside of the grid, or its region is another one.
    """
    inside = all(0 <= at < n for at, n in zip(block.place, full.shard_grid, strict=True))
    if not inside or block.region != full.region_of(block.place):
        message = f"{block} is no block of this image"
        raise ValueError(message)
