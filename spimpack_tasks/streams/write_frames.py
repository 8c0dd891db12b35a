"""Writes the frames of a source into an image; a run takes up what a killed one has written."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.streams.errors import SettingsChangedError, UnfinishedStreamError
from spimpack_tasks.streams.growing_folder import GrowingFolder
from spimpack_tasks.streams.journal import read_journal
from spimpack_tasks.streams.opening import (
    create_stream,
    finish_stream,
    is_published,
    resume_stream,
)
from spimpack_tasks.streams.part import Part
from spimpack_tasks.streams.result import missing_ranges
from spimpack_tasks.streams.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.streams.frame_source import EndRule, FrameSource
    from spimpack_tasks.streams.result import StreamResult
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.stream import Stream

_FREE = ("overwrite", "memory_bytes", "when_behind", "allow_incomplete", "root_path", "bids")
"""Settings that may change between two runs for one image."""


def write_frames(
    settings: AcquisitionSettings,
    frames: str,
    rule: EndRule,
    advance: Callable[[int, int | None], None],
) -> StreamResult:
    """Write all frames of a source.

    Parameters
    ----------
    settings
        The settings of the image.
    frames
        The source, see `open_source`.
    rule
        When a source that grows has ended.
    advance
        Told how many frames are there, of how many; `None` without an end.

    Raises
    ------
    UnfinishedStreamError
        The source has ended before all announced frames were there. They are kept.
    SourceError
        The source cannot be read. The frames so far are kept.
    SpimpackError, OSError
        See `create_stream` and `Stream.append`.
    """
    # A camera that waits for the disk loses nothing here: frames are read when there is room.
    settings = replace(settings, when_behind="block")
    source = open_source(frames, settings, rule)
    part = Part(settings.root_path)
    if is_published(part):
        return finish_stream(settings.root_path)
    stream = _open(settings, part)
    try:
        if isinstance(source, GrowingFolder):
            names = read_journal(part.journal).names
            source.remember({n: name for n, name in names.items() if n < stream.next_frame})
        _refill(stream, source)
        for number, pixels, metadata, name in source.frames(stream.next_frame):
            if name:
                stream.note_name(number, name)
            if pixels is None:
                stream.skip(number + 1 - stream.next_frame)
            else:
                stream.append(pixels, metadata)
            advance(stream.next_frame, settings.num_frames)
        return _end(stream, settings)
    finally:
        stream.abandon(is_quiet=True)
        if not stream.next_frame and not stream.is_finished:
            part.discard()  # it would only keep other settings from being taken next time


def _open(settings: AcquisitionSettings, part: Part) -> Stream:
    """Return a new stream, or that of an earlier run."""
    if not os.path.exists(part.journal):
        # A run that was killed in its first moment may have left a folder without a journal.
        part.discard_empty()
        return create_stream(settings)
    given, kept = settings.as_data(), part.settings().as_data()
    changed = [key for key in given if key not in _FREE and given[key] != kept[key]]
    if changed:
        raise SettingsChangedError(part.path, changed)
    return resume_stream(settings.root_path, settings)


def _refill(stream: Stream, source: FrameSource) -> None:
    """Read frames again that an earlier run has lost."""
    for number in stream.lost:
        if not stream.is_skipped(number):
            pixels = source.read(number)
            if pixels is not None:
                stream.refill(number, pixels)


def _end(stream: Stream, settings: AcquisitionSettings) -> StreamResult:
    total = settings.num_frames or stream.next_frame
    lacking = missing_ranges(stream.lost, stream.next_frame, total)
    if lacking and not settings.allow_incomplete:
        raise UnfinishedStreamError(settings.root_path, lacking)
    return stream.close(allow_incomplete=True)
