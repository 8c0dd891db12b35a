"""Makes images that take long, side by side with other workers, and resumes interrupted ones.

An image is made in a working folder of its own (see `state.staging`), the only one that is locked
meanwhile. Then it is published like any other image (see `state.publish`). The current plan is
checked all the time: a worker for another plan stops soon, and leaves its unfinished image to the
next run that needs it.

A large image may be shared: workers make its parts, each holding the working folder with the
others, and when all are noted one holds it alone and makes the image whole.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import discard, sync_disk
from spimpack_tasks.files.evidence import is_still
from spimpack_tasks.files.noted_parts import parts_within
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.state.publish import SOURCE_CHANGED, Failure, ImageMaker, publish, reason_of
from spimpack_tasks.state.receipts import images_made_from
from spimpack_tasks.state.staging import find_unfinished, hold_unfinished
from spimpack_tasks.state.sweep import Status, differences_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.state.runs import TaskWork
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.state.sweep import Matches
    from spimpack_tasks.state.work_notes import Worker

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Time between two checks of the current plan."""
_TOGETHER = 64 * 2**20
"""Bytes of small images that are synced and published together."""
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class ResumableMaker:
    """Functions of a backend that makes its images over hours and can resume."""

    matches: Matches
    """Tells whether the image at a path is as planned."""
    measure: Callable[[Output], int]
    """Returns the amount of work, in bytes or in the unit that `resume` reports."""
    resume: Callable[[Output, str, Callable[[int], None]], None]
    """Makes an image, or resumes the one at the path, and reports each amount that is done."""
    tell: Callable[[int, int], None]
    """Receives the amount that is done, and the total."""
    worker: Worker
    """Receives the image that is made, and each amount that is done."""
    work: TaskWork
    """Counts the finished work."""
    take_over: Callable[[Output, str, str], bool] | None = None
    """Makes an image from an earlier one of the same source; returns whether it could."""
    parts: PartMaker | None = None
    """How an image is made in parts."""


@dataclass(frozen=True, slots=True)
class PartMaker:
    """Functions of a backend that makes its images in parts."""

    make: Callable[[Output, str, int, Callable[[int], None]], bool]
    """Makes the part of a number at a path, or resumes it, and reports each amount that is done.
    Returns whether it did; if not, the image is made at the end, as if it had no parts."""
    can_take_over: Callable[[Output, str], bool]
    """Tells whether an image is to be made of an earlier one of the same source, at a path."""


def make_and_publish(
    store: Store,
    plan_id: str,
    outputs: list[Output],
    maker: ResumableMaker,
    *,
    overwrite: bool = False,
) -> list[Failure]:
    """Make and publish images of the current plan; images that are right already are not touched.

    Returns
    -------
    list of Failure
        The images that could not be made; the others are in place.

    Raises
    ------
    SupersededError
        Another plan has become the current one.
    """
    store.require_current(plan_id)
    with store.lock("making", shared=True):
        return _Work(store, plan_id, maker, overwrite=overwrite).run(outputs)


def make_part(
    store: Store,
    plan_id: str,
    part: tuple[Output, int],
    maker: ResumableMaker,
    *,
    overwrite: bool = False,
) -> list[Failure]:
    """Make and note one part of an image of the current plan, unless that was done.

    Parameters
    ----------
    store, plan_id, maker, overwrite
        As of `make_and_publish`.
    part
        The image, and the number of the part.

    Returns
    -------
    list of Failure
        The reason why it could not be made, if it could not.

    Raises
    ------
    SupersededError
        Another plan has become the current one.
    """
    store.require_current(plan_id)
    with store.lock("making", shared=True):
        return _Work(store, plan_id, maker, overwrite=overwrite).run_part(*part)


class _Work:
    """Makes the images of one unit."""

    def __init__(
        self, store: Store, plan_id: str, maker: ResumableMaker, *, overwrite: bool
    ) -> None:
        self.store = store
        self.plan_id = plan_id
        self.maker = maker
        self.overwrite = overwrite
        self.sizes: dict[str, int] = {}
        self.next_look = time.monotonic() + _LOOK_S

    def run(self, outputs: list[Output]) -> list[Failure]:
        """Make the missing images, and publish all."""
        failures = []
        for output in self._wanting(outputs):
            try:
                self.sizes[output.path] = self._measure(output)
            except OSError as error:
                failures.append(Failure(output.path, _reason(output, error)))
        self.maker.worker.expect(sum(self.sizes.values()))
        failed = {failure.path for failure in failures}
        for batch in self._batches([o for o in outputs if o.path not in failed]):
            failures += self._make(batch)
        return failures

    def _measure(self, output: Output) -> int:
        """Return the amount of work that is left, nothing where all parts are made."""
        if output.part_count:
            path = find_unfinished(self.store, output)
            if parts_within(path, output.part_count).are_made():
                return 0
        return self.maker.measure(output)

    def run_part(self, output: Output, number: int) -> list[Failure]:
        """Make one part of an image, while others make others."""
        try:
            if any(self._wanting([output])):
                self.sizes[output.path] = self.maker.measure(output) // output.part_count
                with hold_unfinished(self.store, output, is_shared=True) as path:
                    if any(self._wanting([output])):  # it may have been made while we waited
                        self._make_part(output, path, number)
        except OSError as error:
            return [Failure(output.path, _reason(output, error))]
        return []

    def _make_part(self, output: Output, path: str, number: int) -> None:
        if self.maker.parts is None:
            raise NotImplementedError
        self._require_same_source(output)
        noted = parts_within(path, output.part_count)
        with noted.making(number) as is_missing:
            if not is_missing:
                return
            name = f"{output.path}, part {number + 1} of {output.part_count}"
            self.maker.worker.expect(self.sizes[output.path])
            self.maker.worker.begin_image(name, self.sizes[output.path])
            can_take_over = self.maker.parts.can_take_over
            is_left = any(can_take_over(output, earlier) for earlier in self._earlier(output))
            if not is_left:
                is_left = not self.maker.parts.make(output, path, number, self._advance)
            self._require_same_source(output)
            sync_disk(self.store.root)
            noted.note(number, is_left=is_left)

    def _wanting(self, outputs: list[Output]) -> Iterator[Output]:
        """Yield the outputs to make; `publish` handles the others."""
        wanting = {Status.NEW, Status.MISSING, Status.CHANGED}
        if self.overwrite:
            wanting |= {Status.ALTERED, Status.FOREIGN}
        for inspection in differences_of(self.store, outputs, self.maker.matches):
            if inspection.status in wanting:
                yield inspection.output

    def _batches(self, outputs: list[Output]) -> Iterator[list[Output]]:
        batch, size = [], 0
        for output in outputs:
            batch.append(output)
            size += self.sizes.get(output.path, 0)
            if size >= _TOGETHER or output is outputs[-1]:
                yield batch
                batch, size = [], 0

    def _make(self, outputs: list[Output]) -> list[Failure]:
        """Make images and publish them together, holding the working folder of each."""
        made, failures = {}, []
        with ExitStack() as places:
            for output in outputs:
                if output.path in self.sizes:
                    try:
                        path = places.enter_context(hold_unfinished(self.store, output))
                        if self._make_one(output, path):
                            made[output.path] = path
                    except OSError as error:
                        failures.append(Failure(output.path, _reason(output, error)))
            if made:
                sync_disk(self.store.root)
            failed = {failure.path for failure in failures}
            rest = [output for output in outputs if output.path not in failed]
            maker = ImageMaker(self.maker.matches, _refuse, made)
            failures += publish(self.store, self.plan_id, rest, maker, overwrite=self.overwrite)
            self.maker.work.made += len(made.keys() - {failure.path for failure in failures})
        return failures

    def _make_one(self, output: Output, path: str) -> bool:
        """Make an image, unless another process has made it while we waited for its folder."""
        if not any(self._wanting([output])):
            return False
        self.maker.worker.begin_image(output.path, self.sizes[output.path])
        self._require_same_source(output)
        noted = parts_within(path, output.part_count)
        is_shared = noted.are_made()
        if not is_shared:
            if output.part_count and not noted.lacking():
                logger.info("%s: is not divided, so one worker makes it", output.path)
            # Before anything of the image can be deleted: no note may outlive its part.
            noted.discard()
            if self._take_over(output, path):
                return True
        if os.path.lexists(path) and not output.part_count:
            logger.info("%s: resumes where an earlier run stopped", output.path)
        try:
            self.maker.resume(output, path, self._advance)
        except OSError as error:
            # Smaller images may still fit. Of a large one the parts of many hours stay.
            if error.errno in _FULL and not output.part_count and os.path.lexists(path):
                discard(path)
            raise
        noted.discard()
        return True

    def _take_over(self, output: Output, path: str) -> bool:
        """Make an image from one in place that was made from the same source for another plan."""
        if self.maker.take_over is None:
            return False
        for earlier in self._earlier(output):
            if self.maker.take_over(output, earlier, path):
                self._advance(self.sizes[output.path])
                return True
        return False

    def _earlier(self, output: Output) -> Iterator[str]:
        """Yield the images in place that were made from the same source for another plan."""
        for name, receipt in images_made_from(self.store, output.source, output.stamp):
            earlier = f"{self.store.output_dir}/{name}"
            if is_still(earlier, receipt.evidence):
                yield earlier

    def _require_same_source(self, output: Output) -> None:
        if stamp_text(output.source) != output.stamp:
            raise OSError(errno.ESTALE, SOURCE_CHANGED)

    def _advance(self, amount: int) -> None:
        self.maker.worker.advance(amount)
        self.maker.work.bytes += amount
        self.maker.tell(self.maker.work.bytes, sum(self.sizes.values()))
        if time.monotonic() >= self.next_look:
            self.store.require_current(self.plan_id)
            self.next_look = time.monotonic() + _LOOK_S


def _refuse(output: Output, path: str) -> None:
    """Fail in place of a maker: an image that was in place has vanished since."""
    del path
    raise OSError(errno.ESTALE, "it vanished just now; run it again", output.path)


def _reason(output: Output, error: OSError) -> str:
    reason = reason_of(output, error)
    return f"{reason}; free some and run it again" if error.errno in _FULL else reason
