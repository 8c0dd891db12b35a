"""The metadata of a source as texts by name, and how a reader makes them of files and data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from spimpack_tasks.files.limits import LARGEST_XML, allowed
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.errors import HeaderError

Texts = dict[str, str]
"""Texts by name."""


def read_text(path: str) -> str:
    """Return the text of a file beside an image; one that is too long is refused."""
    with open_regular(path) as file:
        data = file.read(allowed(LARGEST_XML) + 1)
    if len(data) > allowed(LARGEST_XML):
        raise HeaderError(path, f"has more than {allowed(LARGEST_XML):,} bytes of metadata")
    return data.decode("utf-8", "replace")


def as_json(data: Any) -> str:
    """Return data of a library as JSON."""
    return json.dumps(_plain(data), ensure_ascii=False, allow_nan=False, indent=1)


def _plain(value: Any) -> Any:
    """Return a value of Python, numpy or another library as JSON has it; no number is null."""
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)
