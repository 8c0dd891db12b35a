"""Writers of images: blocks of voxels go in, in any order and from any thread.

    with create_volume(place, spec) as writer:
        for block in writer.missing():
            writer.write(block, voxels_of(block.region))
        writer.finish()

Until `finish` has written the metadata nothing can be opened. Blocks that an
interrupted writer has written are kept: the next one at the same place has fewer of them missing.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.arrays.codecs import choose_codec
from spimpack_tasks.arrays.parallel import WorkPool, count_threads
from spimpack_tasks.arrays.pyramid import plan_levels
from spimpack_tasks.model.axes import ALL_AXES
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.ome_zarr.chunk_sizes import describe_sizes, describe_small_chunks
from spimpack_tasks.volumes.ome_zarr.stores import has_bare_blosc, holds_another, open_store
from spimpack_tasks.volumes.ome_zarr.writer import OmeZarrWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import LevelGrid, Shape, Voxels
    from spimpack_tasks.files.places import Parts, Place
    from spimpack_tasks.volumes.blocks import Block
    from spimpack_tasks.volumes.spec import VolumeSpec


class VolumeWriter(Protocol):
    """An image that is being written."""

    @property
    def spec(self) -> VolumeSpec:
        """The image without its voxels."""

    @property
    def order(self) -> Literal["any", "planes"]:
        """Whether blocks may come in any order, or as planes in the order of `missing`."""

    def missing(self) -> Iterator[Block]:
        """Yield the blocks that are not there yet, in the order that takes the least memory."""

    def write(self, block: Block, voxels: Voxels) -> None:
        """Write the voxels of a block, along t, c, z, y, x. They must not be changed afterwards."""

    def finish(self) -> None:
        """Wait for what is being written, and write the metadata: now the image can be opened.

        Raises
        ------
        IncompleteVolumeError
            Blocks are missing.
        """


class LevelsWriter(VolumeWriter, Protocol):
    """A writer that takes encoded chunks of all levels."""

    @property
    def levels(self) -> tuple[LevelGrid, ...]:
        """The levels, the full one first."""

    @property
    def codec(self) -> Codec:
        """How chunks are encoded."""

    def has(self, level: int, shard: Shape) -> bool:
        """Tell whether a shard is there."""

    def write_encoded(self, level: int, shard: Shape, chunks: Iterable[Parts | None]) -> None:
        """Write a shard whose chunks are encoded already."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the voxels of an OME-Zarr are stored."""

    ngff: str = NGFF[0]
    """Version of OME-Zarr: `0.5` in shards, `0.4` in single chunks."""
    codec: str = CODEC_NAMES[0]
    """`gzip`, `blosc`, `lz4` or `none`."""
    levels: tuple[LevelGrid, ...] = ()
    """The levels, if all of them are given by `write_encoded`. If not, they are chosen, and the
    smaller ones are made of the blocks."""
    made_levels: tuple[LevelGrid, ...] = ()
    """The levels of which the smaller ones are made of the blocks, where the source suits blocks of
    another form than those of `arrays.pyramid.plan_levels`."""
    chunk_zyx: Shape = ()
    """Sizes of a chunk along z, y and x, nothing to have them chosen."""
    shard_zyx: Shape = ()
    """Sizes of a shard, multiples of those of a chunk; nothing to have them chosen."""

    def plan(self, spec: VolumeSpec) -> tuple[LevelGrid, ...]:
        """Return the levels of an image, the full one first."""
        itemsize = int(spec.dtype.itemsize)
        return (
            self.levels
            or self.made_levels
            or plan_levels(spec.shape_tczyx, itemsize, self.chunk_zyx, self.shard_zyx)
        )


_DEFAULT = Layout()
_LARGEST_VOXEL = 8
"""Bytes; numpy has larger numbers, but Zarr has not."""
_CODECS = (*CODEC_NAMES, "none")
_AXES = (ALL_AXES, "czyx", "tzyx", "zyx")


def check_new(spec: VolumeSpec, layout: Layout) -> None:
    """Refuse an image that no OME-Zarr can be written of.

    Raises
    ------
    TypeError
        The type of its voxels is none of numpy.
    ValueError
        Sizes, axes or the type of its voxels do not fit, or the layout is none.
    """
    import numpy as np

    if not isinstance(spec.dtype, np.dtype):
        message = f"the data type of the image is {spec.dtype!r}, but must be a numpy.dtype"
        raise TypeError(message)
    shape, axes = tuple(spec.shape_tczyx), spec.axes
    sizes = layout.ngff, shape[2:], int(spec.dtype.itemsize), layout.chunk_zyx
    if len(shape) != len(ALL_AXES) or min(shape) < 1:
        message = f"the shape {shape} is not five positive numbers, along t, c, z, y, x"
    elif axes not in _AXES:
        message = f"axes are {axes!r}; choose {', '.join(_AXES)}"
    elif any(n > 1 and axis not in axes for n, axis in zip(shape, ALL_AXES, strict=True)):
        message = f"an image of the axes {axes!r} has one voxel along the others, but is {shape}"
    elif spec.dtype.kind not in "buif" or spec.dtype.itemsize > _LARGEST_VOXEL:
        message = f"voxels of type {spec.dtype} cannot be written"
    elif layout.ngff not in NGFF or layout.codec not in _CODECS:
        message = f"choose one of the versions {NGFF} and of the codecs {_CODECS}, not {layout}"
    elif fault := describe_sizes(*sizes, layout.shard_zyx) or describe_small_chunks(*sizes):
        message = fault
    else:
        return
    raise ValueError(message)


def is_taken(place: Place, spec: VolumeSpec, layout: Layout) -> bool:
    """Tell whether a whole image lies at a place whose voxels are stored in another way."""
    return holds_another(place, layout.ngff, layout.plan(spec)[0], spec)


@contextmanager
def create_volume(
    place: Place, spec: VolumeSpec, layout: Layout = _DEFAULT, pool: WorkPool | None = None
) -> Iterator[OmeZarrWriter]:
    """Create an OME-Zarr at a place, or resume one.

    Parameters
    ----------
    place
        Where it is written. Blocks that lie there come from an earlier writer of the same image.
    spec
        What is known of the image.
    layout
        How its voxels are stored.
    pool
        The threads that encode and write; one for each processor if not given.

    Raises
    ------
    OSError
        The place does not take the image.
    """
    itemsize = int(spec.dtype.itemsize)
    levels = layout.plan(spec)
    is_bare = layout.ngff == "0.4" or (layout.codec == "blosc" and has_bare_blosc(place))
    codec = choose_codec(layout.codec, itemsize, has_checksum=not is_bare)
    store = open_store(place, layout.ngff, spec.axes, levels)
    with ExitStack() as stack:
        threads = pool or stack.enter_context(WorkPool(count_threads()))
        yield OmeZarrWriter(store, spec, codec, threads, makes_levels=not layout.levels)
