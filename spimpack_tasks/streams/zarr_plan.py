"""How the images of a stream are cut into levels, chunks and shards, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.grid import SLAB_CHUNKS, LevelGrid
from spimpack_tasks.arrays.pyramid import level_sizes
from spimpack_tasks.arrays.pyramid import plan_levels as plan_usual_levels
from spimpack_tasks.model.quantities import UM_PER_UNIT
from spimpack_tasks.streams.rules import SECONDS
from spimpack_tasks.volumes.spec import COLOURS, VolumeSpec
from spimpack_tasks.volumes.spec import Channel as ShownChannel

if TYPE_CHECKING:
    from typing import Any

    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.values import Position

ENDLESS = 2**40
"""Planes along an axis without an end: more than any disk holds, and few enough for Python."""
_USUAL_HEIGHT = 64
"""Planes for which the chunks of a stack without an end are chosen: the highest usual chunk."""
_CHUNK = 2**20
"""Bytes of a chunk that small frames are gathered to, like the usual chunks of the product."""
_SHARE = 4
"""A chosen slab takes at most one part in so many of the memory: others wait beside it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Chunks and shards of the full level."""

    chunk: Shape
    """Voxels of a chunk along t, c, z, y, x."""
    shard: Shape
    """Chunks of a shard along t, c, z, y, x."""


def choose_cut(settings: AcquisitionSettings) -> Cut:
    """Return chunks and shards as the user has them, or chosen where he has not."""
    dims = {axis: settings.along(axis) for axis in "tczyx"}
    counts = {axis: (each.count if each else 1) for axis, each in dims.items()}
    chunk = dict(zip("tczyx", _usual_chunk(settings, counts), strict=True))
    for axis, each in dims.items():
        if each and each.chunk_size:
            chunk[axis] = min(each.chunk_size, each.count or each.chunk_size)
    shard = dict.fromkeys("tcz", 1)
    for axis in "yx":
        shard[axis] = min(-(-(counts[axis] or 1) // chunk[axis]), SLAB_CHUNKS)
    for axis, each in dims.items():
        if each and each.shard_size_chunks:
            most = -(-each.count // chunk[axis]) if each.count else each.shard_size_chunks
            shard[axis] = min(each.shard_size_chunks, most)
    return Cut(tuple(chunk[axis] for axis in "tczyx"), tuple(shard[axis] for axis in "tczyx"))


def _usual_chunk(settings: AcquisitionSettings, counts: dict[str, int | None]) -> Shape:
    """Return the chunk of the product, lower where its slab is large, longer for small frames."""
    import numpy as np

    itemsize = np.dtype(settings.dtype).itemsize
    y, x = counts["y"] or 1, counts["x"] or 1
    shape = (1, 1, counts["z"] or _USUAL_HEIGHT, y, x)
    height, *sides = plan_usual_levels(shape, itemsize)[0].chunk[2:]
    while height > 1 and height * y * x * itemsize > settings.memory_bytes // _SHARE:
        height //= 2
    time = 1
    is_free = not any(each.chunk_size for each in settings.dimensions)
    if (
        is_free
        and sides[0] >= y
        and sides[1] >= x
        and counts["z"] is not None
        and height >= counts["z"]
    ):
        most = counts["t"] or ENDLESS
        height = counts["z"]
        while 2 * time * height * y * x * itemsize <= _CHUNK and time < most:
            time *= 2
        time = min(time, most)
    return (time, 1, height, min(sides[0], y), min(sides[1], x))


def plan_levels(
    settings: AcquisitionSettings, cut: Cut, sizes: PlaneAt, *, is_final: bool
) -> tuple[LevelGrid, ...]:
    """Return the levels of an image, the full one first.

    While a stack has no end, it has no smaller levels.

    Parameters
    ----------
    settings
        The settings.
    cut
        Chunks and shards of the full level.
    sizes
        Planes along t, c and z, 0 without an end.
    is_final
        Whether the sizes are those of the finished image.
    """
    import numpy as np

    y, x = (each.count or 1 for each in settings.dimensions[-2:])
    shape = (*(n or ENDLESS for n in sizes), y, x)
    zyx = [shape[2:]]
    if settings.pyramid and (is_final or sizes[2]):
        zyx = level_sizes(shape[2:], np.dtype(settings.dtype).itemsize)
    levels = [LevelGrid(shape, cut.chunk, shard_chunks=cut.shard)]
    for size in zyx[1:]:
        chunk = *cut.chunk[:2], *(min(n, m) for n, m in zip(cut.chunk[2:], size, strict=True))
        counts = (-(-n // m) for n, m in zip(size, chunk[2:], strict=True))
        shard = (min(n, m) for n, m in zip(cut.shard[2:], counts, strict=True))
        level = LevelGrid((*shape[:2], *size), chunk, shard_chunks=(*cut.shard[:2], *shard))
        levels.append(level)
    return tuple(levels)


def describe(
    settings: AcquisitionSettings, position: Position, sizes: PlaneAt, dtype: Any
) -> VolumeSpec:
    """Return what is known of an image.

    Parameters
    ----------
    settings
        The settings.
    position
        Whose image it is; its coordinates shift the origin.
    sizes
        Planes along t, c and z.
    dtype
        Type of the voxels.
    """
    y, x = (each.count or 1 for each in settings.dimensions[-2:])
    stage = (position.z_coord, position.y_coord, position.x_coord)
    spacing, origin = zip(*(_along_space(settings, axis) for axis in "zyx"), strict=True)
    time = settings.along("t")
    step = time.scale * SECONDS[time.unit] if time and time.scale else None
    axes = "".join(axis for axis in "tczyx" if axis in "zyx" or settings.along(axis))
    return VolumeSpec(
        shape_tczyx=(*sizes, y, x),
        dtype=dtype,
        name=position.name,
        axes=axes,
        spacing_um_zyx=spacing,
        time_step_s=step,
        origin_um_zyx=tuple((at or 0.0) + first for at, first in zip(stage, origin, strict=True)),
        channels=_shown_channels(settings),
    )


def _along_space(settings: AcquisitionSettings, axis: str) -> tuple[float | None, float]:
    """Return spacing and origin along an axis in micrometres."""
    dimension = settings.along(axis)
    if dimension is None:
        return None, 0.0
    unit = float(UM_PER_UNIT[dimension.unit or "micrometer"])
    spacing = dimension.scale * unit if dimension.scale is not None else None
    return spacing, dimension.translation * unit


def _shown_channels(settings: AcquisitionSettings) -> tuple[ShownChannel, ...]:
    shown = []
    for number, channel in enumerate(settings.channels):
        colour = channel.color.lstrip("#").upper() or COLOURS[number % len(COLOURS)]
        shown.append(ShownChannel(channel.name, colour, None))
    return tuple(shown)
