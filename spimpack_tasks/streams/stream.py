"""A stream: frames go in one by one, in the order of the acquisition, and become images.

    with create_stream(settings) as stream:
        for frame in camera:
            stream.append(frame)

A frame that was appended is written or copied when `append` returns. Nothing lies at the final path
before the images are whole. If the process dies, or the body of the context raises, the frames so
far stay beside it: `resume_stream` or `finish_stream` picks them up.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from spimpack_tasks.streams.errors import (
    IncompleteStreamError,
    StreamClosedError,
    TooManyFramesError,
)
from spimpack_tasks.streams.facts import compose_facts
from spimpack_tasks.streams.frame_log import FrameLog, encode_metadata
from spimpack_tasks.streams.frame_source import frame_shape
from spimpack_tasks.streams.frames import as_frame
from spimpack_tasks.streams.journal import Journal
from spimpack_tasks.streams.notes import StreamNotes
from spimpack_tasks.streams.result import StreamResult, missing_ranges
from spimpack_tasks.streams.router import Router, Target
from spimpack_tasks.streams.view import StreamView
from spimpack_tasks.streams.work import make_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.streams.journal import Recorded
    from spimpack_tasks.streams.output import Output
    from spimpack_tasks.streams.part import Part
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.work import Work

_logger = logging.getLogger(__name__)


class Stream(StreamNotes):
    """An acquisition that is being written. `append` is for one thread, `view` for any.

    Parameters
    ----------
    settings
        The settings.
    part
        The folder of the stream, which exists.
    make_output
        Makes the images.
    enter_dataset
        Writes the rows of finished images into a table, from the settings and the path of the
        metadata of frames.
    count_in_files
        Counts the frames that are in files of a stream that nobody writes.
    """

    def __init__(
        self,
        settings: AcquisitionSettings,
        part: Part,
        make_output: Callable[[Part, AcquisitionSettings, Router, Work], Output],
        enter_dataset: Callable[[AcquisitionSettings, str], None],
        count_in_files: Callable[[Part], int],
    ) -> None:
        import numpy as np

        self.settings, self._part = settings, part
        self._enter_dataset, self._count_in_files = enter_dataset, count_in_files
        self._router = Router(settings)
        self._open = ExitStack()
        self._journal = Journal(part.journal)
        self._open.callback(self._journal.lines.close)
        self._work = self._open.enter_context(make_work(settings, part.spool, self._journal))
        self._output = make_output(part, settings, self._router, self._work)
        self._open.callback(self._output.close)
        self._images = self._output.images
        self._log = FrameLog(part.frames)
        self._open.callback(self._log.close)
        self._shape = frame_shape(settings)
        self._dtype = np.dtype(settings.dtype)
        self._total = self._router.total
        self._next = 0
        self._lost: set[int] = set()
        self._skipped: set[int] = set()
        super().__init__(settings, self._journal)
        self._lock = RLock()
        self._result: StreamResult | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the stream, or keep its frames after an error."""
        if kind is None:
            self.require_here()
        else:
            self.abandon()
            return
        try:
            self.close()
        finally:
            self._release()

    @property
    def is_finished(self) -> bool:
        """Whether the images are finished."""
        return self._result is not None

    @property
    def next_frame(self) -> int:
        """Number of the frame that is appended next, from 0."""
        return self._next

    @property
    def lost(self) -> tuple[int, ...]:
        """Numbers of frames before the next one that are not there: skipped, or lost by a kill."""
        return tuple(sorted(self._lost))

    @property
    def bytes_behind(self) -> int:
        """Bytes that are on their way to the disk."""
        return self._work.full.leaving

    def append(self, frame: Voxels, frame_metadata: Mapping[str, Any] | None = None) -> None:
        """Append the next frame. When this returns, the memory of the frame may be changed.

        Parameters
        ----------
        frame
            Pixels along y and x: an array, or what numpy takes for one of just that shape and type.
        frame_metadata
            Facts about the frame, which JSON can hold. `delta_t`, `exposure_time` (seconds) and
            `position_x`, `position_y`, `position_z` (micrometres) become facts of a plane in OME.

        Raises
        ------
        FrameError
            Shape or type are not those of the settings, or JSON cannot hold the metadata. The
            frame was not taken, and the stream goes on.
        TooManyFramesError
            All announced frames are there. The stream goes on.
        StreamBehindError
            The disk is behind, and waiting is not wanted. The frame was not taken.
        StreamClosedError
            The stream is closed.
        OSError
            The disk does not take a frame. The frames so far stay.
        """
        frame = as_frame(frame, self._shape, self._dtype)
        self._require_next()
        told = encode_metadata(frame_metadata)
        with self._lock:
            number = self._next
            target = self._router.target(number)
            if told:
                self._log.add(number, target, told)
            self._images[target.image].write(target.at, frame)
            self._next = number + 1
        if self._events.is_heard:
            self._events.tell(number)

    def skip(self, frames: int = 1) -> None:
        """Pass frames over that were not acquired. They count as missing.

        Raises
        ------
        TooManyFramesError
            There are not so many left; none is skipped.
        ValueError
            The number is not positive.
        """
        if frames < 1:
            message = f"the number of frames to skip is {frames}, but must be positive"
            raise ValueError(message)
        self._require_next(frames)
        with self._lock:
            self._journal.note({"skipped": [self._next, frames]})
            for number in range(self._next, self._next + frames):
                target = self._router.target(number)
                self._images[target.image].skip(target.at)
                self._lost.add(number)
                self._skipped.add(number)
                self._next = number + 1

    def is_skipped(self, number: int) -> bool:
        """Tell whether a frame was passed over."""
        return number in self._skipped

    def refill(
        self, number: int, frame: Voxels, frame_metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Put in an earlier frame that a killed process has lost, see `lost`.

        Raises
        ------
        ValueError
            The frame is not lost, or was passed over by `skip`.
        FrameError, StreamBehindError, StreamClosedError, OSError
            See `append`.
        """
        if number not in self._lost or number in self._skipped:
            message = f"frame {number} is not one that was lost; see `lost`"
            raise ValueError(message)
        frame = as_frame(frame, self._shape, self._dtype)
        self._require_next(0)
        told = encode_metadata(frame_metadata)
        with self._lock:
            target = self._router.target(number)
            if told:
                self._log.add(number, target, told)
            self._images[target.image].write(target.at, frame)
            self._lost.discard(number)

    def view(self, *, dynamic_shape: bool = True, strict: bool = False) -> StreamView:
        """Return what is written so far, like an array along the axes of the acquisition.

        Parameters
        ----------
        dynamic_shape
            Whether the first axis is as long as it was reached; if not, as long as announced.
        strict
            Whether frames that are not there are an error; if not, they are zeros.
        """
        return StreamView(self, is_dynamic=dynamic_shape, is_strict=strict)

    def read_frame(self, number: int) -> Voxels | None:
        """Return a frame that was appended, `None` if it is not there."""
        self.require_here()
        if not 0 <= number < self._next or number in self._lost:
            return None
        with self._lock:
            target = self._router.target(number)
            return self._images[target.image].read(target.at)

    def flush(self) -> None:
        """Wait until all frames so far are on the disk: neither a kill nor a power cut loses them.

        Raises
        ------
        OSError
            The disk does not take them.
        StreamClosedError
            The stream is closed.
        """
        self._require_next(0)
        with self._lock:
            for image in self._images:
                image.flush()
            self._work.pool.settle()
            self._log.sync()
            self._part.sync()
            self._journal.synced()

    def close(self, *, allow_incomplete: bool | None = None) -> StreamResult:
        """Finish the images: when this returns, all frames are counted and on the disk.

        Parameters
        ----------
        allow_incomplete
            Whether fewer frames than announced are no error; as in the settings if not given.

        Raises
        ------
        IncompleteStreamError
            Frames are missing. The images are finished nevertheless, and name these frames.
        StreamClosedError
            No frame was appended; nothing is written.
        OSError
            The disk does not take the images. The frames so far stay.
        """
        self.require_here()
        if self._result is None:
            with self._lock:
                self._result = self._finish_or_release()
        allowed = self.settings.allow_incomplete if allow_incomplete is None else allow_incomplete
        if not self._result.is_complete and not allowed:
            raise IncompleteStreamError(self._result)
        return self._result

    def abandon(self, *, is_quiet: bool = False) -> None:
        """Stop, and keep the frames so far for `resume_stream` or `finish_stream`.

        Parameters
        ----------
        is_quiet
            Whether this is not logged.
        """
        if not self._is_open or not self.is_here:
            return
        is_whole = False
        try:
            if not self._work.failures:
                self.flush()
                is_whole = True
        finally:
            self._release()
            if not is_quiet:
                kept = self._next - len(self._lost)
                told = f"{kept:,}" if is_whole else f"at least {self._count_in_files(self._part):,}"
                message = "%s frames are kept; finish them with: spimpack stream finish %s"
                _logger.warning(message, told, self._part.final)

    def _release(self) -> None:
        """Let the folder go, so that this process or another can take the stream up."""
        self._is_open = False
        self._open.close()

    def restore(self, recorded: Recorded) -> None:
        """Take up what an earlier process has written; the next frame follows the last of these."""
        self._attributes = dict(recorded.attributes)
        there = set()
        skipped: dict[int, set[PlaneAt]] = {}
        for image_of, at in map(self._router.target, recorded.skipped):
            skipped.setdefault(image_of, set()).add(at)
        for number, image in enumerate(self._images):
            image.restore(recorded, skipped.get(number, set()))
            there |= {self._router.frame(Target(number, at)) for at in image.recorded()}
        self._next = max(there | recorded.skipped, default=-1) + 1
        self._lost = set(range(self._next)) - there
        self._skipped = self._lost & recorded.skipped
        for number in self._skipped:
            target = self._router.target(number)
            self._images[target.image].skip(target.at)

    def _finish_or_release(self) -> StreamResult:
        """Finish; after a failure, all frames that can be kept are in files, and nothing is held.

        Where the disk takes no frames that wait in memory, the stream stays open for another try.
        """
        if self._is_open and not self._work.failures:
            for image in self._images:
                image.flush()
            self._work.pool.settle()
        try:
            return self._finish()
        except BaseException:
            self._release()
            raise

    def _finish(self) -> StreamResult:
        if not self._is_open:
            message = "the stream was abandoned; finish it with: spimpack stream finish"
            raise StreamClosedError(message)
        if self._work.failures:  # a frame that seems to be there may not be in the files
            raise self._work.failures[0]
        if self._next == len(self._lost):
            self._is_open = False
            self._open.close()
            self._part.discard()
            message = f"no frame was appended; nothing is written to {self._part.final}"
            raise StreamClosedError(message)
        self._part.require_free(may_replace=self.settings.overwrite)
        sizes = self._router.sizes_of(self._next)
        missing = missing_ranges(self.lost, self._next, self._router.end_of(self._next))
        result = StreamResult(self._part.final, self._next - len(self._lost), missing)
        self._log.close()
        facts = compose_facts(self.settings, self._part.frames, missing, self._attributes)
        inner = self._output.finish(sizes, facts)
        self._work.pool.settle()
        self._is_open = False
        self._journal.note({"finished": [result.frames, result.missing]})
        self._part.publish(inner, may_replace=self.settings.overwrite)
        self._open.close()
        self._output.move(self._part.final)
        self._enter_dataset(self.settings, self._part.frames)
        self._part.discard()
        return result

    def _require_next(self, frames: int = 1) -> None:
        """Refuse a frame for which there is no place.

        Raises
        ------
        StreamClosedError, TooManyFramesError, OSError
            See `append`.
        """
        self.require_open()
        if self._work.failures:
            raise self._work.failures[0]
        if self._total is not None and self._next + frames > self._total:
            raise TooManyFramesError.of(self._total, self._next, frames)
