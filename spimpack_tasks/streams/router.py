"""The router: from the number of a frame to the place where it is stored.

It alone knows the order of the acquisition and that of the storage. Writers get places: an image,
and t, c and z in it.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.streams.settings import AcquisitionSettings

PlaneAt: TypeAlias = tuple[int, int, int]
"""Indices along t, c and z of a plane in its image."""
_PLANES = "tcz"


class Target(NamedTuple):
    """The place where a frame is stored."""

    image: int
    """Number of the position."""
    at: PlaneAt


class Router:
    """The places of frames.

    Parameters
    ----------
    settings
        The settings, whose axes become numbers here.
    """

    def __init__(self, settings: AcquisitionSettings) -> None:
        loops = settings.dimensions[:-2]
        sizes = [each.count or 1 for each in loops]
        self.total = settings.num_frames
        """Number of frames, `None` without an end."""
        self.round = prod(sizes[1:])
        """Number of frames of one step of the first axis."""
        self._strides = dict.fromkeys("ptcz", (0, 1))
        for number, each in enumerate(loops):
            size = 0 if each.count is None else sizes[number]
            self._strides[each.axis] = (prod(sizes[number + 1 :]), size)
        along = {each.axis: each.count for each in loops}
        self.images = along.get("p", 1) or 1
        """Number of images."""
        self.sizes = tuple(along.get(axis, 1) or 0 for axis in _PLANES)
        """Sizes of an image along t, c and z, 0 without an end."""
        self._order = _storage_order(settings)
        self._divisors = tuple(self._strides[axis] for axis in "ptcz")

    def target(self, frame: int) -> Target:
        """Return where a frame is stored, by its number from 0."""
        p, t, c, z = (
            0 if not stride else frame // stride % size if size else frame // stride
            for stride, size in self._divisors
        )
        return Target(p, (t, c, z))

    def frame(self, target: Target) -> int:
        """Return the number of the frame that is stored at a place."""
        places = (target.image, *target.at)
        return sum(at * stride for at, (stride, _) in zip(places, self._divisors, strict=True))

    def sizes_of(self, frames: int) -> PlaneAt:
        """Return the sizes of an image along t, c and z after so many frames.

        Axes with an end have their size from the start.
        """
        grown = -(-frames // self.round)
        t, c, z = (size or grown for size in self.sizes)
        return t, c, z

    def end_of(self, frames: int) -> int:
        """Return how many frames are announced, without an end those of whole rounds so far."""
        return -(-frames // self.round) * self.round if self.total is None else self.total

    def planes(self, sizes: PlaneAt) -> Iterator[PlaneAt]:
        """Yield the planes of an image in the order in which they are stored."""
        along = [range(sizes[_PLANES.index(axis)]) for axis in self._order]
        spots = [self._order.index(axis) for axis in _PLANES]
        for place in product(*along):
            t, c, z = (place[spot] for spot in spots)
            yield t, c, z

    @property
    def storage(self) -> str:
        """The letters t, c and z in the order of the storage, the slowest first."""
        return self._order


def _storage_order(settings: AcquisitionSettings) -> str:
    """Return the letters t, c and z in the order of the storage, absent axes first."""
    axes = {each.name: each.axis for each in settings.array_dimensions}
    order = settings.storage_order
    if order == "ome":
        return _PLANES
    names = axes if order == "acquisition" else order
    found = "".join(axes[name] for name in names if axes[name] in _PLANES)
    return "".join(axis for axis in _PLANES if axis not in found) + found
