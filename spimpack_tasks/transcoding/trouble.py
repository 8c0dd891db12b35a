"""What can be wrong with a source that is converted, and how a converter tells it."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spimpack_tasks.readers.formats import SourceRefusedError
from spimpack_tasks.sources.base import UnreadableVoxelsError
from spimpack_tasks.transcoding.codecs import DamagedChunkError

if TYPE_CHECKING:
    from collections.abc import Iterator

UNCONVERTIBLE = (SourceRefusedError, UnreadableVoxelsError, DamagedChunkError)
"""What is raised of a source that cannot be converted; the message names the file."""


@contextmanager
def source_trouble_told() -> Iterator[None]:
    """Raise what is wrong with a source as an `OSError`, as converters do."""
    try:
        yield
    except UNCONVERTIBLE as error:
        raise OSError(errno.EIO, str(error)) from error
