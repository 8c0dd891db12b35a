"""Metadata of frames: line by line while they come, grouped by image when the stream ends."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.errors import FrameError
from spimpack_tasks.streams.journal import LineFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.streams.router import Target

FRAMES = "frames.jsonl"
"""Name of the file with the metadata of frames, also beside the pixels of a finished image."""
_HEAD = re.compile(r'\{"frame":([0-9]+),"position":([0-9]+),')
_LINE = b'{"frame":%d,"position":%d,"t":%d,"c":%d,"z":%d,"metadata":%b}'
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types of values that hold no others."""
LARGEST_ATTRIBUTES = 4 * 2**20
"""Bytes of metadata of frames in the attributes of an image; viewers load all of them to show any
plane. Longer ones are in the file alone."""


class FrameLog:
    """The file of metadata of frames; it is made when the first frame has some."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: LineFile | None = None
        self._last = b""
        if os.path.exists(path):
            self._open().cut()

    def _open(self) -> LineFile:
        if self._lines is None:
            self._lines = LineFile(self._path)
        return self._lines

    def add(self, frame: int, target: Target, metadata: bytes) -> None:
        """Write the metadata of a frame, as `encode_metadata` returns them.

        They come before the frame, so that no frame lacks them after a kill. One that is refused
        while the disk is behind is tried again, with the same line.
        """
        line = _LINE % (frame, target.image, *target.at, metadata)
        if line != self._last:
            (self._lines or self._open()).add(line)
            self._last = line

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        if self._lines:
            self._lines.sync()

    def close(self) -> None:
        """Close the file."""
        if self._lines:
            self._lines.close()
            self._lines = None


def _as_json(value: Any) -> Any:
    """Return a number or an array of numpy as JSON has it."""
    if hasattr(value, "tolist"):
        found = value.tolist()
        _require_texts(found)
        return found
    message = f"the metadata of a frame hold {value!r}, which JSON has no word for"
    raise TypeError(message)


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_as_json).encode


def encode_metadata(metadata: Any) -> bytes:
    """Return metadata as JSON, nothing if there are none.

    Raises
    ------
    FrameError
        They are no mapping of texts to what JSON can hold; the error names the key.
    """
    if not metadata and (metadata is None or isinstance(metadata, Mapping)):
        return b""
    if not isinstance(metadata, Mapping):
        message = f"metadata are a mapping of keys to values, not {metadata!r}"
        raise FrameError(message)
    try:
        _require_texts(metadata)
        return _encode(metadata if isinstance(metadata, dict) else {**metadata}).encode()
    except (TypeError, ValueError, RecursionError):
        _refuse_key(metadata)
        raise


def _require_texts(value: Any) -> None:
    """Refuse keys that are no texts at any depth: JSON would change them without a word.

    Raises
    ------
    TypeError
        There is one.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                message = f"the key {key!r} is no text"
                raise TypeError(message)
            if type(each) not in _PLAIN:
                _require_texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            if type(each) not in _PLAIN:
                _require_texts(each)


def _refuse_key(metadata: Mapping[Any, Any]) -> None:
    """Name the first key of metadata that cannot be written.

    Raises
    ------
    FrameError
        There is one.
    """
    for key, value in metadata.items():
        try:
            _require_texts({key: value})
            _encode({key: value}).encode()
        except (TypeError, ValueError, RecursionError) as error:
            message = f"the metadata {key!r} cannot be written as JSON: {error}"
            raise FrameError(message) from error


def read_frame_lines(path: str) -> list[tuple[int, str]]:
    """Return the whole lines of a log with the numbers of their images, in the order of the frames.

    A frame that was appended again after a kill has several lines, of which the last one counts.
    """
    last: dict[int, tuple[int, str]] = {}
    with suppress(FileNotFoundError), open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            head = _HEAD.match(line)
            if head and line.endswith("\n"):
                last[int(head[1])] = int(head[2]), line
    return [last[frame] for frame in sorted(last)]


def lines_by_image(path: str, images: int) -> list[list[str]]:
    """Return the lines of a log as they are, one a frame, by the number of the image."""
    grouped: list[list[str]] = [[] for _ in range(images)]
    for image, line in read_frame_lines(path):
        grouped[image].append(line)
    return grouped


def parse_frames(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the metadata of frames that lines of a log hold."""
    return [json.loads(line) for line in lines]
