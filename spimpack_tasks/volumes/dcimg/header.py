"""The header of a DCIMG file: sizes, and the times of its frames where they are sound."""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of
from spimpack_tasks.volumes.dcimg.layout import read_layout
from spimpack_tasks.volumes.errors import UnreadableHeaderError
from spimpack_tasks.volumes.header import Header, open_for_reading
from spimpack_tasks.volumes.metadata_texts import Texts, as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.volumes.dcimg.layout import Layout

LOST = "source.frames-lost"
"""Code of the problem that the camera has counted more frames than there are."""
_MICROS = 1_000_000
"""Of a second."""
_LAST_COUNTER = 2**32
"""Counters have 32 bits, and begin again at 0."""


@dataclass(frozen=True, slots=True)
class Stamps:
    """Counter and time of the first and of the last frame, as the camera wrote them."""

    counters: tuple[int, int]
    times_us: tuple[int, int]
    """Since 1970, in UTC; of cameras without a clock zero."""

    def lost(self, frames: int) -> int:
        """Return how many frames were counted that are not there; 0 where counters do not count."""
        counted = (self.counters[1] - self.counters[0]) % _LAST_COUNTER + 1
        is_counting = self.counters[1] > self.counters[0] and counted < 2 * frames
        return max(counted - frames, 0) if is_counting else 0

    def step_s(self, frames: int) -> float | None:
        """Return the mean distance of frames in seconds, `None` where times do not tell it."""
        span = self.times_us[1] - self.times_us[0]
        if frames < 2 or not self.times_us[0] or span <= 0 or self.lost(frames):
            return None
        return round(span / (frames - 1) / _MICROS, 9)


def read_header(path: str) -> Header:
    """Return the header of a DCIMG file; it has no distance of voxels."""
    with open_file(path) as (descriptor, layout):
        stamps = read_stamps(descriptor, layout)
    lost = stamps.lost(layout.frames) if stamps else 0
    counted = count_of(lost, "frame")
    remark = f"the camera has counted {counted} more than the {layout.frames:,} that are here"
    return Header(
        axes=("z", "y", "x"),
        shapes=(layout.shape_zyx,),
        dtype=layout.dtype,
        are_axes_assumed=True,
        time_step_s=stamps.step_s(layout.frames) if stamps else None,
        acquired_at=_time_text(stamps.times_us[0]) if stamps and stamps.times_us[0] else None,
        remarks=((LOST, remark),) if lost else (),
    )


@contextmanager
def open_file(path: str) -> Iterator[tuple[int, Layout]]:
    """Open a DCIMG file; yield its descriptor and its layout.

    Raises
    ------
    HeaderError
        It cannot be opened, or is no sound DCIMG file.
    """
    try:
        descriptor, _ = open_for_reading(path)
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    try:
        yield descriptor, read_layout(path, descriptor)
    finally:
        os.close(descriptor)


def read_stamps(descriptor: int, layout: Layout) -> Stamps | None:
    """Return the stamps of the first and the last frame, `None` where they are no times."""
    ends = (0, layout.frames - 1)
    counters = [_numbers(descriptor, layout.counters.of(frame), 1)[0] for frame in ends]
    times = [_numbers(descriptor, layout.times.of(frame), 2) for frame in ends]
    if any(micros >= _MICROS for _, micros in times):
        return None
    first, last = (seconds * _MICROS + micros for seconds, micros in times)
    return Stamps((counters[0], counters[1]), (first, last))


def describe(path: str) -> dict[str, object]:
    """Return the facts in a file that no other key has, JSON-ready."""
    with open_file(path) as (descriptor, layout):
        stamps = read_stamps(descriptor, layout)
    facts: dict[str, object] = {"version": f"{layout.version:#x}", "frames": layout.frames}
    if layout.kept is not None:
        facts["line with pixels from the footer"] = layout.kept_line
    if stamps is not None:
        facts |= {
            "first and last number of a frame": list(stamps.counters),
            "first and last time in microseconds": list(stamps.times_us),
        }
    return facts


def _numbers(descriptor: int, offset: int, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}I", os.pread(descriptor, 4 * count, offset))


def _time_text(micros: int) -> str:
    seconds, rest = divmod(micros, _MICROS)
    time = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    return time.isoformat()


def read_original(path: str) -> Texts:
    """Return version, numbers and times of a DCIMG file, as JSON."""
    return {"DCIMG": as_json(describe(path))}
