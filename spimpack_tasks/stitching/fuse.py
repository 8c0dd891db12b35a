"""Makes voxels of tiles straight from their frames, block by block: no tile is deskewed first.

    for block in writer.missing():
        writer.write(block, fuser.fuse(block.region))

Where tiles overlap, each counts by the square of the product of its distances to its own faces,
along frames, rows and columns. Of two tiles that differ along one axis this is d² / (d² + d'²): the
distances along the others are equal. Tiles lie at fractions of voxels; `cubic` (Catmull and Rom,
1974) and `linear` interpolate there, `nearest` keeps the counts of the camera.

A block is made in bands of rows. So memory is one block of voxels and a band of samples for each
thread, for any number and length of stacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from spimpack_tasks.stitching.frames import ReadFrames
from spimpack_tasks.stitching.kept_frames import SLOW_ROWS
from spimpack_tasks.stitching.kernels import (
    Distances,
    Taps,
    choose_kernels,
    real_type,
    rounding_of,
)
from spimpack_tasks.stitching.placing import first_covered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.arrays.parallel import WorkPool
    from spimpack_tasks.stitching.frames import Frames
    from spimpack_tasks.stitching.kernels import Kernels
    from spimpack_tasks.stitching.names import Interpolation
    from spimpack_tasks.stitching.placing import Canvas, Placement

    Box = tuple[slice, slice, slice]

BAND = 16
"""Rows that are made at a time."""
_SAME = 1e-6
"""Fractions of a sample that count as none."""


@dataclass(frozen=True, slots=True)
class Fuser:
    """Fuses tiles on a canvas. Equal blocks get equal voxels, by any number of threads."""

    canvas: Canvas
    dtype: Any
    """Data type of numpy."""
    interpolation: Interpolation = "cubic"
    is_oblique: bool = True
    """Whether columns of frames lie along z; otherwise frames do."""
    keeps_to_frames: bool = False
    """Whether no voxel lies before the first frame or behind the last one, not even by a half."""
    kernels: Kernels | None = None
    """The loops; chosen if not given."""
    kept: dict[int, ReadFrames] = field(default_factory=dict)
    """Of tiles whose frames are slow to read: those of the last block, for the next one."""

    def numbers_in(self, box_zyx: Box) -> list[int]:
        """Return the numbers of the tiles that may cover a part of a box."""
        return [
            number
            for number, placement in enumerate(self.canvas.placements)
            # The nearest column may be half a column away.
            if overlaps(placement, box_zyx, slack=1 + abs(placement.shear))
        ]

    def fuse(self, box_zyx: Box, frames: Mapping[int, Frames], pool: WorkPool | None) -> Voxels:
        """Return the voxels of a box along z, y, x; zeros where no tile is.

        Parameters
        ----------
        box_zyx
            A part of the canvas.
        frames
            The open tiles by their numbers; at least those of `numbers_in`.
        pool
            Threads that make bands side by side; they must not be waiting for the caller.
        """
        import numpy as np

        shape = tuple(part.stop - part.start for part in box_zyx)
        voxels = np.zeros(shape, self.dtype)
        z, y, x = box_zyx
        bands = [slice(at, min(at + BAND, y.stop)) for at in range(y.start, y.stop, BAND)]
        frames = self._read_ahead(box_zyx, frames)
        jobs = [
            partial(
                self._fuse_band, (z, band, x), frames,
                voxels[:, band.start - y.start : band.stop - y.start],
            )
            for band in bands
        ]  # fmt: skip
        if pool is None:
            for job in jobs:
                job()
        else:
            for _ in pool.results(iter(jobs)):
                pass
        return voxels

    def _read_ahead(self, box: Box, frames: Mapping[int, Frames]) -> Mapping[int, Frames]:
        """Read what bands and blocks would decode again and again, such as compressed frames."""
        ready: dict[int, Frames] = {}
        slow: dict[int, ReadFrames] = {}
        real = real_type(self.dtype)
        for number in self.numbers_in(box):
            stack = frames[number]
            part = self._cut(self.canvas.placements[number], stack, box, real)
            is_slow = part is not None and stack.stored_rows > SLOW_ROWS
            ready[number] = stack
            if part and is_slow:
                before = self.kept.pop(number, None)
                slow[number] = ready[number] = ReadFrames(stack, part.region_frc()[0], before)
        self.kept.clear()
        self.kept.update(slow)
        return ready

    def _fuse_band(self, box: Box, frames: Mapping[int, Frames], voxels: Voxels) -> None:
        """Set the voxels of a band of rows."""
        import numpy as np

        kernels = self.kernels or choose_kernels()
        real = real_type(self.dtype)
        rounding = rounding_of(self.dtype, real)
        parts = [
            part
            for number in self.numbers_in(box)
            if (part := self._cut(self.canvas.placements[number], frames[number], box, real))
        ]
        if len(parts) == 1:
            part = parts[0]
            inner = voxels[part.where]
            if part.taps.is_plain:
                kernels.remap(part.samples(), part.taps, inner)
            else:
                kernels.resample(part.samples(), part.taps, rounding, inner)
        elif parts:
            sums = np.zeros(voxels.shape, real)
            weights = np.zeros(voxels.shape, real)
            for part in parts:
                kernels.add(
                    part.samples(), part.taps, part.distances,
                    sums[part.where], weights[part.where],
                )  # fmt: skip
            kernels.divide(sums, weights, rounding, voxels)

    def _cut(self, placement: Placement, frames: Frames, box: Box, real: Any) -> _Part | None:
        """Return what a tile has for a box, `None` if it covers no voxel of it."""
        margin = 0.0 if self.keeps_to_frames else 0.5
        return cut_part(
            placement,
            frames,
            box,
            _Style(self.interpolation, margin, real, is_oblique=self.is_oblique),
        )


@dataclass(frozen=True, slots=True)
class _Style:
    interpolation: Interpolation
    margin: float
    """Samples that a tile covers beyond its first and its last frame."""
    real: Any
    is_oblique: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """The share of one tile in a box of voxels."""

    where: Box
    """Which voxels of the box."""
    taps: Taps
    distances: Distances
    frames: Frames
    first_frc: tuple[int, int, int]
    """First sample that is needed, which may lie before the tile."""
    end_frc: tuple[int, int, int]
    is_oblique: bool

    @property
    def _order(self) -> tuple[int, int, int]:
        """Axes of the frames along which x, y and z of voxels run."""
        return (0, 1, 2) if self.is_oblique else (2, 1, 0)

    def region_frc(self) -> tuple[Box, list[tuple[int, int]]]:
        """Return the samples to read, and how many are needed before and behind them."""
        shape = [self.frames.shape_frc[axis] for axis in self._order]
        bounds = [*zip(self.first_frc, self.end_frc, shape, strict=True)]
        inside = [slice(min(max(a, 0), n - 1), max(min(b, n), 1)) for a, b, n in bounds]
        beyond = [
            (max(part.start - a, 0), max(b - part.stop, 0))
            for (a, b, _), part in zip(bounds, inside, strict=True)
        ]
        f, r, c = (inside[axis] for axis in self._order)
        return (f, r, c), beyond

    def samples(self) -> Voxels:
        """Return the samples along frame, row and column; those beyond the edge repeat it."""
        import numpy as np

        region, beyond = self.region_frc()
        read = self.frames.read(region).transpose(self._order)
        return np.pad(read, beyond, mode="edge") if any(map(any, beyond)) else read


def cut_part(placement: Placement, frames: Frames, box: Box, style: _Style) -> _Part | None:
    """Return what a tile has for a box of voxels, `None` if it covers none of them."""
    import numpy as np

    z, y, x = box
    oz, oy, ox = placement.origin_zyx
    depth, rows, count = placement.shape_crf
    (z0, z1), (y0, y1), _ = _bounds(placement, box)
    column = _Axis(oz, z0, z1, depth, style)
    row = _Axis(oy, y0, y1, rows, style)
    if z1 <= z0 or y1 <= y0:
        return None
    of_column = column.place if style.interpolation != "nearest" else column.place_of_sample
    frame_zero = ox + placement.shear * of_column  # the x of frame 0, for each z
    low, high = _covered(frame_zero - x.start, count, style)
    low, high = np.maximum(low, 0), np.minimum(high, x.stop - x.start)
    if not (high > low).any():
        return None
    place = x.start - frame_zero  # the frame of x = 0
    at, weights = _split(place, style)
    used = high > low
    first = int((at + low)[used].min())
    end = int((at + high)[used].max()) + weights.shape[1] - 1
    taps = Taps(row.taps, column.taps, weights, np.where(used, at - first, 0), low, high)
    distances = Distances(
        row.distances, column.distances, place.astype(style.real), style.real.type(count)
    )
    return _Part(
        where=(
            slice(z0 - z.start, z1 - z.start), slice(y0 - y.start, y1 - y.start), slice(None),
        ),
        taps=taps, distances=distances, frames=frames,
        first_frc=(first, row.first, column.first), end_frc=(end, row.end, column.end),
        is_oblique=style.is_oblique,
    )  # fmt: skip


class _Axis:
    """Rows or columns: voxels from `start` until `stop`, of samples from `origin` on."""

    def __init__(self, origin: float, start: int, stop: int, count: int, style: _Style) -> None:
        import numpy as np

        self.place = np.arange(start, stop) - origin
        at, weights = _split(self.place[:1], style)
        if stop <= start:
            at, weights = np.zeros(1, "int64"), np.ones((1, 1), style.real)
        self.taps = np.ascontiguousarray(weights[0])
        self.first = int(at[0])
        self.end = self.first + max(stop - start, 0) + self.taps.size - 1
        near = np.minimum(self.place + 1, count - self.place)
        self.distances = near.astype(style.real)
        self.place_of_sample = np.arange(stop - start) + float(self.first)
        """Samples that `nearest` takes."""


def _split(place: Any, style: _Style) -> tuple[Any, Any]:
    """Return the first sample and the weights of taps for places that may lie between samples.

    Where all are whole numbers, one tap is enough.
    """
    import numpy as np

    if style.interpolation == "nearest":
        return np.floor(place + 0.5 + _SAME).astype("int64"), np.ones((place.size, 1), style.real)
    whole = np.floor(place + _SAME)
    rest = place - whole
    rest[np.abs(rest) < 2 * _SAME] = 0
    at = whole.astype("int64")
    if not rest.any():
        return at, np.ones((place.size, 1), style.real)
    if style.interpolation == "linear":
        return at, np.stack([1 - rest, rest], axis=1).astype(style.real)
    return at - 1, np.stack(_catmull_rom(rest), axis=1).astype(style.real)


def _catmull_rom(t: Any) -> list[Any]:
    """Return the weights of four samples around a place that lies `t` behind the second one."""
    return [
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    ]


def _covered(frame_zero: Any, count: int, style: _Style) -> tuple[Any, Any]:
    """Return bounds of the voxels along x that frames cover, by the place of the first frame."""
    import numpy as np

    if style.margin:
        low = np.ceil(frame_zero - style.margin - _SAME)
        high = np.ceil(frame_zero + count - 1 + style.margin - _SAME)
    else:
        low = np.ceil(frame_zero - _SAME)
        high = np.floor(frame_zero + count - 1 + _SAME) + 1
    return low.astype("int64"), high.astype("int64")


def _bounds(placement: Placement, box: Box) -> list[tuple[int, int]]:
    """Return which voxels along z, y and x a tile may cover in a box."""
    sides = zip(placement.low_zyx, placement.high_zyx, box, strict=True)
    return [(max(low, part.start), min(high, part.stop)) for low, high, part in sides]


def overlaps(placement: Placement, box: Box, slack: float = 0.0) -> bool:
    """Tell whether a tile covers a voxel of a box; a sheared tile has empty corners.

    Parameters
    ----------
    placement
        The tile.
    box
        Along z, y and x.
    slack
        Voxels along x by which it may miss the box, and still counts.
    """
    (z0, z1), (y0, y1), _ = _bounds(placement, box)
    if z1 <= z0 or y1 <= y0:
        return False
    oz, _, ox = placement.origin_zyx
    ends = [ox + placement.shear * (z - oz) for z in (z0, z1 - 1)]
    high = first_covered(max(ends) + placement.shape_crf[2] + slack)
    return bool(first_covered(min(ends) - slack) < box[2].stop and high > box[2].start)
