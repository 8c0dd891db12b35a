"""How much of a volume is written, by the files beside its target, whichever processes write them.

Blocks in which no tile has a voxel have no file, and none is expected there.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.held_folders import place_of
from spimpack_tasks.model.meter import Amount, Meter
from spimpack_tasks.stitching.steps import stitching_of
from spimpack_tasks.stitching.volume import count_objects, plan_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.stitching.chain import Chain

_PATIENCE = 20
"""Counting files takes at most one part in this many of the time."""


class WrittenVolume:
    """The state of a stitched volume, for a progress line.

    Parameters
    ----------
    chain
        Its steps.
    clock
        Returns seconds.
    """

    def __init__(self, chain: Chain, clock: Callable[[], float] = time.monotonic) -> None:
        self._chain, self._clock = chain, clock
        self._meter = Meter(clock)
        self._files = self._size = self._done = 0
        self._due = 0.0

    def tell(self) -> tuple[float, str]:
        """Return the share that is done, and the step with its bytes and their rate."""
        if not self._files and not self._plan():
            return self._tell_earlier()
        if self._clock() >= self._due:
            began = self._clock()
            self._done = sum(1 for _ in _files(place_of(self._chain.choices.output)))
            self._due = self._clock() + _PATIENCE * (self._clock() - began)
        share = min(self._done / self._files, 1.0)
        amount = Amount(round(share * self._size), self._size)
        return share, f"Stitching  {self._meter.text(amount)}"

    def _plan(self) -> bool:
        """Plan the volume as soon as the tiles are aligned; tell whether it is planned."""
        if not self._chain.has_alignment():
            return False
        try:
            work = stitching_of(self._chain)
        except (SpimpackError, OSError):  # corrected frames are missing; the run tells faults
            return False
        self._files = count_objects(work)
        self._size = plan_volume(work)[0].size
        self._meter = Meter(self._clock)
        return True

    def _tell_earlier(self) -> tuple[float, str]:
        """Return which step before the volume is under way."""
        count = len(self._chain.tiles.tiles)
        made = sum(self._chain.has_frames(number) for number in range(count))
        text = self._meter.text(Amount())
        if made < count:
            return made / count, f"Correcting frames  {made} of {count} tiles  {text}"
        return 0.0, f"Aligning  {text}"


def _files(place: str) -> Iterator[str]:
    """Yield the files of chunks or shards of the full level that is made in a place."""
    try:
        volumes = [entry.path for entry in os.scandir(place) if entry.is_dir()]
    except OSError:  # not started yet, or made
        return
    for volume in volumes:
        for _, _, names in os.walk(f"{volume}/0"):
            yield from (name for name in names if name.isdecimal())
