"""Takes stripes along the rows out of frames by zarrnii, a program of its own that users install.

It works on frames whose sides are multiples of 16 pixels. So the last rows and columns of others
are repeated until they fit, and cut off again.
"""

from __future__ import annotations

import warnings
from typing import Any

_MULTIPLE = 16
"""Pixels: it takes a frame apart into as many pictures along each axis."""


def destripe_by_zarrnii(frame: Any) -> Any:
    """Return a frame without stripes along its rows, as `float32`."""
    import numpy as np
    from zarrnii.destripe import destripe_block

    rows, columns = frame.shape
    beyond = [(0, -count % _MULTIPLE) for count in (rows, columns)]
    padded = np.pad(frame, beyond, mode="edge")
    with warnings.catch_warnings():  # of what its own libraries will change
        warnings.simplefilter("ignore")
        found = destripe_block(padded)
    return np.asarray(found, "float32")[:rows, :columns]
