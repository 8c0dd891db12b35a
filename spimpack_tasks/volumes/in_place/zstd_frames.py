"""Tells whether a block of zstd is one frame, as every reader of Zarr wants a chunk.

tensorstore does not read a chunk of two frames, nor one that begins with a frame to be skipped;
zarr and zarrs do. Only the heads of the frame and of its parts are read. Facts: RFC 8878.
"""

from __future__ import annotations

import os
import struct

from spimpack_tasks.volumes.unpacking import REPEATED, ZSTD_FRAME, begin_frame

_LONGEST_HEAD = 18
"""Bytes of the magic number and the longest header of a frame."""
_BLOCK_HEAD = 3
"""Bytes in front of each part of a frame."""


def is_one_frame(descriptor: int, offset: int, length: int, size: int) -> bool:
    """Tell whether a range of an open file is one frame, which may leave out its size.

    Parameters
    ----------
    descriptor
        Of the file.
    offset, length
        The range, in bytes.
    size
        Bytes of the voxels that the frame must hold.
    """
    head = os.pread(descriptor, min(_LONGEST_HEAD, length), offset).ljust(_LONGEST_HEAD, b"\0")
    if struct.unpack_from("<I", head)[0] != ZSTD_FRAME:
        return False
    told, place, tail = begin_frame(memoryview(head), 4)
    is_last = told not in {None, size}
    while not is_last and place + _BLOCK_HEAD + tail <= length:
        number = int.from_bytes(os.pread(descriptor, _BLOCK_HEAD, offset + place), "little")
        is_last, kind = bool(number & 1), number >> 1 & 3
        place += _BLOCK_HEAD + (1 if kind == REPEATED else number >> 3)
    return is_last and told in {None, size} and place + tail == length
