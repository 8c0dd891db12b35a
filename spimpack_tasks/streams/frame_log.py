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
_HEAD = re.compile(r'\{"frame":[0-9]+,"position":([0-9]+),')
LARGEST_ATTRIBUTES = 4 * 2**20
"""Bytes of metadata of frames in the attributes of an image; viewers load all of them to show any
plane. Longer ones are in the file alone."""


class FrameLog:
    """The file of metadata of frames; it is made when the first frame has some."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: LineFile | None = None
        if os.path.exists(path):
            self._open().cut()

    def _open(self) -> LineFile:
        if self._lines is None:
            self._lines = LineFile(self._path)
        return self._lines

    def add(self, frame: int, target: Target, metadata: str) -> None:
        """Write the metadata of a frame, as `encode_metadata` returns them."""
        t, c, z = target.at
        head = f'{{"frame":{frame},"position":{target.image},"t":{t},"c":{c},"z":{z},"metadata":'
        (self._lines or self._open()).add(f"{head}{metadata}}}")

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
        return value.tolist()
    message = f"the metadata of a frame hold {value!r}, which JSON has no word for"
    raise TypeError(message)


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_as_json).encode


def encode_metadata(metadata: Any) -> str:
    """Return metadata as JSON, an empty text if there are none.

    Raises
    ------
    FrameError
        They are no mapping of texts to what JSON can hold; the error names the key.
    """
    if metadata is None:
        return ""
    if not isinstance(metadata, Mapping):
        message = f"metadata are a mapping of keys to values, not {metadata!r}"
        raise FrameError(message)
    for key, value in metadata.items():
        if not isinstance(key, str):
            message = f"the key {key!r} of the metadata is no text"
            raise FrameError(message)
        try:
            _encode({key: value}).encode()
        except (TypeError, ValueError, RecursionError) as error:
            message = f"the metadata {key!r} cannot be written as JSON: {error}"
            raise FrameError(message) from error
    return _encode(metadata) if metadata else ""


def lines_by_image(path: str, images: int) -> list[list[str]]:
    """Return the whole lines of a log as they are, by the number of the image."""
    grouped: list[list[str]] = [[] for _ in range(images)]
    with suppress(FileNotFoundError), open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            head = _HEAD.match(line)
            if head and line.endswith("\n"):
                grouped[int(head[1])].append(line)
    return grouped


def parse_frames(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the metadata of frames that lines of a log hold."""
    return [json.loads(line) for line in lines]
