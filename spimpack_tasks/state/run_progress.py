"""Progress of a run, counted from its log (see `state.runs`)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from spimpack_tasks.model.plan import SPECS, STEPS, Step, bucket_of, light_unit_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.state.runs import TaskRun

_COUNTS = {spec.task: spec.counts for spec in STEPS} | {"RecordChecksums": "read"}
_NAMES = 4
"""Number of unit names that may stand for one image: its own, its bucket's, and two shares'."""


class RunProgress:
    """Counter of the finished work of a run."""

    def __init__(self, images: Iterable[str], unread: Iterable[str]) -> None:
        self._images = _by_unit(images)
        self._unread = _by_unit(unread)
        self.image_count = sum(self._images.values()) // _NAMES
        self.unread_count = sum(self._unread.values()) // _NAMES
        self.sidecars = self.placed = self.read = 0
        self._seen: set[tuple[str, str]] = set()

    def add(self, task: TaskRun) -> None:
        """Count a task that has ended; one that failed has ended as well."""
        if (task.task, task.unit) in self._seen:
            return
        self._seen.add((task.task, task.unit))
        # A task that no step names is one of a backend.
        counts = _COUNTS.get(task.task, SPECS[Step.ASSETS].counts)
        if counts == "read":
            self.read += self._unread[task.unit]
        elif counts == "sidecars":
            self.sidecars += self._images[task.unit]
        elif counts == "placed" and task.unit:
            self.placed += self._images[task.unit]

    @property
    def step(self) -> str:
        """The present step, in words."""
        if self.placed < self.image_count:
            return "Placing images" if self.sidecars or self.placed else "Planning"
        return "Reading images" if self.read < self.unread_count else "Finishing"

    @property
    def counted(self) -> tuple[int, int]:
        """Number of images that are done, and of all, in the present step."""
        if self.step == "Reading images":
            return self.read, self.unread_count
        return self.placed, self.image_count

    @property
    def share(self) -> float:
        """The share of all steps that is done, from 0 to 1."""
        total = 2 * self.image_count + self.unread_count
        return (self.sidecars + self.placed + self.read) / total if total else 0.0


def _by_unit(keys: Iterable[str]) -> Counter[str]:
    """Count images by the units that may stand for them: the image itself, and its shares.

    The log of an earlier version has buckets.
    """
    return Counter(
        unit
        for key in keys
        for bucket in (bucket_of(key, 3),)
        for unit in (key, light_unit_of(bucket), bucket[:2], bucket)
    )
