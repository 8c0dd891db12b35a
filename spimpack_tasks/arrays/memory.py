"""Keeps memory that is freed for the next chunk, where the C library gives it back each time.

A chunk is a megabyte that is there for a millisecond. glibc hands so much back to the kernel, which
fills it with zeros before it hands it out again: an eighth of the time of moving the chunks of an
Imaris file, measured with the thresholds of mallopt(3) as they are and as they are set here.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 64 * 2**20
"""Bytes that are kept at most, for each thread."""
_LARGE = 8 * 2**20
"""Larger pieces go back at once: slabs of planes."""


def keep_freed_memory() -> None:
    """Set how much this process keeps; without glibc nothing happens."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, _LARGE)
        set_option(_M_TRIM_THRESHOLD, _KEPT)
