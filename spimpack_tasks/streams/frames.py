"""Takes what a program hands over as a frame: an array of numpy, or what is one without a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.errors import FrameError

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Shape, Voxels


def as_frame(given: Any, shape: Shape, dtype: Any) -> Voxels:
    """Return a frame as an array of numpy, without a copy where it is one.

    Arrays of other libraries, memory views and lists are taken where numpy finds in them exactly
    the pixels that are announced.

    Raises
    ------
    FrameError
        Its shape or type is another one, or a part of it is masked.
    """
    import numpy as np

    frame: Any = given
    if type(given) is not np.ndarray:
        try:
            frame = np.asarray(given)
        except (TypeError, ValueError) as error:  # rows of several lengths
            message = f"a frame is an array of {shape} pixels (y, x), not {given!r:.80}"
            raise FrameError(message) from error
        if np.ma.is_masked(given):
            message = "a frame with masked pixels is appended; fill them first"
            raise FrameError(message)
    if frame.shape != shape or frame.dtype != dtype:
        raise FrameError.of(frame, shape, dtype, type(given).__name__)
    taken: Voxels = frame
    return taken
