"""Makes the smaller levels of an image from its planes, as they come.

A plane becomes half a plane, or with its neighbour along z half of both. The values are those that
the product makes everywhere, see `arrays.pyramid`. Planes gather in stacks that are halved at once:
of two planes, and of more where planes are small. Where too many wait in memory, or a plane never
comes, shards are made at the end, from the level below.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.arrays.pyramid import halve, halve_planes

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from spimpack_tasks.arrays.grid import LevelGrid, Voxels
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.work import Work
    from spimpack_tasks.streams.zarr_level import LevelWriter

_STACK = 2**19
"""Bytes of planes that are halved at once: below that calls take longer than their work."""
_MOST_AHEAD = 4
"""Planes whose smaller levels are still to be made: some, so that no thread waits for another."""


def steps_between(level: LevelGrid, above: LevelGrid) -> tuple[int, ...]:
    """Return how many voxels along z, y and x become one of the next level."""
    sizes = zip(level.shape[2:], above.shape[2:], strict=True)
    return tuple(2 if larger > smaller else 1 for larger, smaller in sizes)


class _Step(NamedTuple):
    """How a level becomes the next one."""

    steps: tuple[int, ...]
    depth: int
    """Planes of a stack."""
    height: int
    """Planes of the level along z, without the rest at an odd edge."""
    above_yx: tuple[int, ...]
    """Pixels of a plane of the next level."""


@dataclass(slots=True)
class _Stack:
    """Planes that wait to be halved together, without the one that comes last of a pair."""

    planes: Voxels
    absent: int

    @property
    def is_pair(self) -> bool:
        """Whether it holds a single plane, which waits for the other one."""
        return len(self.planes) == 1


class Pyramid:
    """The smaller levels of an image.

    Parameters
    ----------
    levels
        All levels, the full one first.
    work
        Threads and memory.
    is_small
        Whether planes are so small that the caller halves them quicker than another thread.
    """

    def __init__(self, levels: list[LevelWriter], work: Work, *, is_small: bool) -> None:
        self._levels, self._memory = levels, work.smaller
        self._halving = None if is_small else work.halving
        self._upper = None if is_small else work.upper
        self._waits = work.is_blocking
        self._plan = [_plan_step(a, b) for a, b in pairwise(levels)]
        self._stacks: dict[tuple[int, PlaneAt], _Stack] = {}
        self._ahead: deque[Future[None]] = deque()

    def push(self, at: PlaneAt, plane: Voxels, meanwhile: Callable[[], None]) -> None:
        """Take a plane of the full level, along y and x; do something else meanwhile.

        When this returns, the memory of the plane may be changed.
        """
        if self._halving is None or self._upper is None:
            meanwhile()
            self._hand_up(at, self._take(0, at, plane))
            return
        taken = self._halving.submit(self._take, 0, at, plane)
        try:
            meanwhile()
        finally:
            halves = taken.result()
        if halves is not None:
            self._ahead.append(self._upper.submit(self._hand_up, at, halves))
        self.settle(_MOST_AHEAD)

    def settle(self, most: int = 0) -> None:
        """Wait until no more than some planes are to be handed up."""
        while len(self._ahead) > most:
            self._ahead.popleft().result()

    def _take(self, level: int, at: PlaneAt, plane: Voxels) -> Voxels | None:
        """Return the planes of the next level that a plane completes, if there are any."""
        import numpy as np

        step = self._plan[level]
        t, c, z = at
        if z >= step.height:
            return None
        if step.depth == 1:
            return halve(plane[None], step.steps)
        first = z - z % step.depth
        key = level, (t, c, first)
        stack = self._stacks.get(key)
        if stack is None:
            stack = self._open(plane, min(step.depth, step.height - first))
            if stack is None:
                if level or self._upper is None:
                    self._give_up(level, at)
                else:  # the levels above belong to another thread
                    self._ahead.append(self._upper.submit(self._give_up, level, at))
                return None
            self._stacks[key] = stack
        stack.absent -= 1
        if stack.is_pair and not stack.absent:
            halves = np.empty((1, *step.above_yx), plane.dtype)
            halve_planes((stack.planes[0], plane), step.steps[1:], halves[0])
        else:
            stack.planes[0 if stack.is_pair else z - first] = plane
            if stack.absent:
                return None
            halves = halve(stack.planes, step.steps)
        del self._stacks[key]
        self._memory.give_buffer(stack.planes, stack.planes.nbytes)
        return halves

    def _open(self, plane: Voxels, count: int) -> _Stack | None:
        """Return an empty stack of so many planes, `None` if there is no memory for it."""
        held = count if count > 2 else 1
        if not self._memory.take_later(held * plane.nbytes, waits=self._waits):
            return None
        return _Stack(self._memory.buffer((held, *plane.shape), plane.dtype), count)

    def _give_up(self, level: int, at: PlaneAt) -> None:
        """Give up the slabs that a plane belongs to: their memory is for those that come later."""
        t, c, z = at
        for step, above in zip(self._plan[level:], self._levels[level + 1 :], strict=True):
            z //= step.steps[0]
            above.give_up((t, c, z))

    def _hand_up(self, at: PlaneAt, halves: Voxels | None, level: int = 0) -> None:
        """Put planes into the next level, and on to those above."""
        if halves is None:
            return
        step = self._plan[level]
        t, c, z = at
        first = (z - z % step.depth) // step.steps[0]
        for number, plane in enumerate(halves):
            above = t, c, first + number
            self._levels[level + 1].offer(above, plane)
            if level + 1 < len(self._plan):
                self._hand_up(above, self._take(level + 1, above, plane), level + 1)

    def drop(self) -> None:
        """Give up planes that wait: their shards are made at the end."""
        self.settle()
        for stack in self._stacks.values():
            self._memory.give(stack.planes.nbytes)
        self._stacks.clear()
        for level in self._levels[1:]:
            level.drop()


def _plan_step(level: LevelWriter, above: LevelWriter) -> _Step:
    steps = steps_between(level.grid.level, above.grid.level)
    if steps[0] == 1:
        return _Step(steps, 1, level.grid.level.shape[2], above.grid.size_yx)
    depth = 2
    while 2 * depth * level.grid.frame_bytes <= _STACK:
        depth *= 2
    return _Step(steps, depth, 2 * above.grid.level.shape[2], above.grid.size_yx)
