"""Progress of a run, counted from its log (see `state.runs`) and its workers' notes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.model.buckets import PART, bucket_of, key_of_part, light_unit_of
from spimpack_tasks.model.meter import Amount
from spimpack_tasks.model.plan import SPECS, STEPS, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.model.meter import Meter
    from spimpack_tasks.state.runs import TaskRun
    from spimpack_tasks.state.work_notes import WorkNote

READING = "RecordChecksums"
"""Name of the task that reads images for their checksums."""
_COUNTS = {spec.task: spec.counts for spec in STEPS} | {READING: "read", PART: ""}
UNKNOWN = -1
"""Stands for the bytes of an image that nobody knows before it is started."""


@dataclass(frozen=True, slots=True)
class Work:
    """The images of a run, and the bytes that each will report; `UNKNOWN` where nobody knows."""

    images: Mapping[str, int]
    """By key, of images that are not as planned. One that is linked has 0 bytes."""
    unread: Mapping[str, int]
    """By key, of images to be read for their checksums."""


NO_WORK = Work({}, {})


class RunProgress:
    """Counter of the work of a run."""

    def __init__(self, work: Work = NO_WORK) -> None:
        self._images, self._unread = _Count(work.images), _Count(work.unread)
        self.image_count, self.unread_count = len(self._images), len(self._unread)
        self._pools = {"placed": _Bytes(work.images), "read": _Bytes(work.unread)}
        self.sidecars = self.placed = self.read = 0
        self.bytes_done = 0
        """By tasks that have ended."""
        self.notes: list[WorkNote] = []
        self._seen: set[tuple[str, str]] = set()

    def add(self, task: TaskRun) -> None:
        """Count a task that has ended; one that failed has ended as well."""
        self.bytes_done += task.bytes
        if task.task == PART:
            self.take_part(task)
            return
        if (task.task, task.unit) in self._seen:
            return
        self._seen.add((task.task, task.unit))
        counts = _counter_of(task.task)
        if counts == "read":
            self.read += self._unread.of(task.unit)
        elif counts == "sidecars":
            self.sidecars += self._images.of(task.unit)
        elif counts == "placed" and task.unit:
            self.placed += self._images.of(task.unit)
        if counts in self._pools and task.unit:
            self._pools[counts].take(task.unit)

    def take_part(self, task: TaskRun) -> None:
        """Take the bytes of a part, which are done, from those that its image is still to have."""
        self._pools["placed"].take_bytes(key_of_part(task.unit), task.bytes)

    def follow(self, notes: Iterable[WorkNote]) -> None:
        """Take the present notes of the workers."""
        self.notes = list(notes)

    @property
    def step(self) -> str:
        """The present step, in words."""
        if self.placed < self.image_count:
            return "Placing images"
        return "Reading images" if self.read < self.unread_count else "Finishing"

    @property
    def counted(self) -> tuple[int, int]:
        """Number of images that are done, and of all, in the present step."""
        if self.step == "Reading images":
            return self.read, self.unread_count
        return self.placed, self.image_count

    @property
    def amount(self) -> Amount:
        """The bytes that are done, and of all where they are known."""
        done = self.bytes_done + sum(note.done for note in self.notes)
        total, is_known = self.bytes_done, True
        pools = {name: pool.left() for name, pool in self._pools.items()}
        for note in self.notes:
            name = _counter_of(note.task)
            if note.task == PART:
                whole = self._pools["placed"].of(note.unit)
                pools["placed"] -= _Left(min(note.total, whole.bytes), 0)
            if name in pools:
                # The worker has measured its images, which is better than an estimate.
                pools[name] -= self._pools[name].of(note.unit)
            total += max(note.total, note.done)
        for left in pools.values():
            total += left.bytes
            is_known = is_known and left.unknown <= 0
        return Amount(done, max(total, done) if is_known else 0)

    @property
    def share(self) -> float:
        """The share of all work that is done, from 0 to 1: of bytes where they are known."""
        amount = self.amount
        steps = 2 * self.image_count + self.unread_count
        counted = (self.sidecars + self.placed + self.read) / steps if steps else 0.0
        return amount.share if amount.total and counted < 1 else counted

    def text(self, meter: Meter) -> str:
        """Return the step, the images, the bytes with their rate, and what is being made."""
        done, total = self.counted
        count = f"{done:,} of {total:,} images" if total else ""
        return "  ".join(filter(None, [self.step, count, meter.text(self.amount), self._present()]))

    def _present(self) -> str:
        """Return the image that has been in work for longest, and the number of others."""
        notes = sorted((n for n in self.notes if n.path), key=lambda note: note.path_since)
        if not notes:
            return ""
        first, *others = notes
        share = f" {first.image.share:.0%}" if first.path_total else ""
        more = f" and {len(others):,} more" if others else ""
        return f"{first.path.rpartition('/')[2]}{share}{more}"


@dataclass(frozen=True, slots=True)
class _Left:
    bytes: int
    unknown: int
    """Number of images of which nobody knows the bytes."""

    def __add__(self, other: _Left) -> _Left:
        return _Left(self.bytes + other.bytes, self.unknown + other.unknown)

    def __sub__(self, other: _Left) -> _Left:
        return _Left(self.bytes - other.bytes, self.unknown - other.unknown)


_NOTHING_LEFT = _Left(0, 0)


class _Bytes:
    """Bytes of images that have not been made, by the units that may stand for them."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._of_images = dict(sizes)
        self._of_shares: dict[str, _Left] = {}
        self._left = _NOTHING_LEFT
        for key, size in sizes.items():
            if size:
                self._left += _left_of(size)
                for share in _shares_of(key):
                    before = self._of_shares.get(share, _NOTHING_LEFT)
                    self._of_shares[share] = before + _left_of(size)

    def left(self) -> _Left:
        return self._left

    def of(self, unit: str) -> _Left:
        size = self._of_images.get(unit)
        return self._of_shares.get(unit, _NOTHING_LEFT) if size is None else _left_of(size)

    def take_bytes(self, key: str, size: int) -> None:
        """Count some bytes of an image as done."""
        known = self._of_images.get(key, 0)
        taken = _Left(min(size, max(known, 0)), 0)
        if taken.bytes:
            self._of_images[key] = known - taken.bytes
            self._left -= taken
            for share in _shares_of(key):
                self._of_shares[share] -= taken

    def take(self, unit: str) -> None:
        """Count a unit as done."""
        self._left -= self.of(unit)


class _Count:
    """Number of images, by the units that may stand for them."""

    def __init__(self, images: Mapping[str, int]) -> None:
        self._images = images
        self._of_shares = Counter(share for key in images for share in _shares_of(key))

    def __len__(self) -> int:
        return len(self._images)

    def of(self, unit: str) -> int:
        return 1 if unit in self._images else self._of_shares[unit]


def _counter_of(task: str) -> str:
    """Return the counter of a task; one that no step names is one of a backend."""
    return _COUNTS.get(task, SPECS[Step.ASSETS].counts)


def _left_of(size: int) -> _Left:
    return _Left(0, 1) if size == UNKNOWN else _Left(size, 0)


def _shares_of(key: str) -> tuple[str, ...]:
    """Return the shares that may stand for an image, besides itself.

    The log of an earlier version has buckets.
    """
    bucket = bucket_of(key, 3)
    return light_unit_of(bucket), bucket[:2], bucket
