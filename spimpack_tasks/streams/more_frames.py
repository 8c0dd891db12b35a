"""Appends the planes of arrays in files to a stream that was taken up, once all files fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import count_of
from spimpack_tasks.streams.errors import SourceError
from spimpack_tasks.streams.frame_source import frame_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.streams.stream import Stream


def append_files(stream: Stream, paths: Sequence[str]) -> None:
    """Append the planes of arrays of numpy; none, unless all files fit.

    Parameters
    ----------
    stream
        The stream.
    paths
        Files (`.npy`), in the order of their planes.

    Raises
    ------
    SourceError
        A file is no such array, or has other frames than announced, or too many.
    OSError
        See `Stream.append`.
    """
    import numpy as np

    shape, dtype = frame_shape(stream.settings), np.dtype(stream.settings.dtype)
    arrays = [_open(path, shape, dtype) for path in paths]
    counts = [len(array) for array in arrays]
    total, first = stream.settings.num_frames, stream.next_frame
    if total is not None and first + sum(counts) > total:
        left = f"{total - first:,} of {count_of(total, 'frame')} are left"
        whole = [path for path, n in zip(paths, counts, strict=True) if first and n == total]
        message = f"the files have {count_of(sum(counts), 'plane')}, but {left}"
        if whole:
            message += f"; {whole[0]} has all frames: give those from number {first} on alone"
        raise SourceError(message)
    for array in arrays:
        for frame in array:
            stream.append(frame.astype(dtype, copy=False))


def _open(path: str, shape: Any, dtype: Any) -> Voxels:
    """Return the planes of a file along number, y and x."""
    import numpy as np

    try:
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is none"
        message = f"{path} cannot be read as an array of numpy (.npy): {reason}"
        raise SourceError(message) from error
    if not isinstance(array, np.ndarray):
        message = f"{path} is an archive of arrays (.npz); give a single array (.npy)"
        raise SourceError(message)
    if array.ndim < 2 or array.shape[-2:] != shape or array.dtype.newbyteorder("=") != dtype:
        message = (
            f"{path} has planes of {array.shape[-2:]} of type {array.dtype}, but frames of {shape} "
            f"of type {dtype} are announced"
        )
        raise SourceError(message)
    planes: Voxels = array.reshape(-1, *shape)
    return planes
