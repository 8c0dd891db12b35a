"""Estimates how evenly the light sheet lights the frames: the flat, 1 on average.

Of some frames of all tiles, each block of pixels gives a percentile of what is brighter than the
background, less the dark counts. A quadratic function of row and column is fitted to these by
least squares that give outliers little weight (Huber, 1964). So bright spots do not count, and
memory is that of the sampled frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.stitching.frames import OpenTiles
    from spimpack_tasks.stitching.tiles import TileSet

_LEAST_PIXELS = 32
"""Bright pixels of a block that counts."""
_LEAST_BLOCKS = 24
"""Blocks that a function of six numbers is fitted to."""
_LEAST_ALONG = 6
"""Blocks along each side of a frame."""
_ROUNDS = 25
"""Weights hardly change after that many."""
_HUBER = 1.345
"""Standard deviations from which a block counts less; 95 % efficient for gaussian errors."""
_LEAST_FLAT = 0.05
"""Darkest part of a flat: less would only raise noise."""


class FlatRefusedError(SpimpackError):
    """A flat cannot be estimated; the message says why."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class FlatSettings:
    """How a flat is estimated."""

    frames: int = 64
    """Frames that are sampled, evenly from all tiles."""
    block_px: int = 16
    dark: float = 100.0
    """Counts of the camera without light."""
    background: float = 150.0
    """Counts that are no fluorescence."""
    percentile: float = 50.0
    """Of the bright pixels of a block."""
    seed: int = 0


def sample_frames(tiles: TileSet, stacks: OpenTiles, settings: FlatSettings) -> Any:
    """Return frames of all tiles at random, turned: frames x rows x columns."""
    import numpy as np

    random = np.random.default_rng(settings.seed)
    count = len(tiles.tiles)
    share = np.diff(np.linspace(0, settings.frames, count + 1).astype(int))
    found = []
    for number in range(count):
        if not share[number]:
            continue
        stack = stacks.need((number,))[number]
        depth, rows, columns = stack.shape_frc
        chosen = random.choice(depth, min(int(share[number]), depth), replace=False)
        for frame in sorted(chosen):
            region = (slice(frame, frame + 1), slice(0, rows), slice(0, columns))
            found.append(stack.read(region)[0])
    return np.stack(found)


def estimate_flat(frames: Any, settings: FlatSettings) -> Any:
    """Return the flat of frames: rows x columns, `float32`, 1 on average.

    Parameters
    ----------
    frames
        Some frames: frames x rows x columns.
    settings
        Dark counts, background, and how it is sampled.

    Raises
    ------
    FlatRefusedError
        Too little of the frames is brighter than the background.
    """
    import numpy as np

    _, rows, columns = frames.shape
    places, values = [], []
    side = max(min(settings.block_px, min(rows, columns) // _LEAST_ALONG), 1)
    for r in range(0, rows, side):
        for c in range(0, columns, side):
            block = frames[:, r : r + side, c : c + side]
            bright = block[block > settings.background]
            if bright.size >= _LEAST_PIXELS:
                height, width = block.shape[1:]
                places.append((r + (height - 1) / 2, c + (width - 1) / 2))
                values.append(float(np.percentile(bright, settings.percentile)) - settings.dark)
    if len(values) < _LEAST_BLOCKS:
        message = (
            f"only {len(values)} blocks of the frames have {_LEAST_PIXELS} pixels brighter than "
            f"{settings.background:g} counts; sample more frames, or give a lower background"
        )
        raise FlatRefusedError(message)
    terms = _fit(np.array(places), np.array(values), (rows, columns))
    row, column = np.indices((rows, columns))
    flat = _terms(row, column, (rows, columns)) @ terms
    if flat.max() <= 0:
        raise FlatRefusedError("the frames are darker than the dark counts; give a lower dark")
    flat /= flat.mean()
    return np.maximum(flat, _LEAST_FLAT * flat.max()).astype("float32")


def _terms(r: Any, c: Any, shape: tuple[int, int]) -> Any:
    """Return the terms of a quadratic function, of places from -1 to 1."""
    import numpy as np

    y, x = (2 * place / max(n - 1, 1) - 1 for place, n in zip((r, c), shape, strict=True))
    return np.stack([np.ones_like(y), x, y, x * x, x * y, y * y], axis=-1)


def _fit(places: Any, values: Any, shape: tuple[int, int]) -> Any:
    """Return the factors of the terms, by iteratively weighted least squares."""
    import numpy as np

    matrix = _terms(places[:, 0], places[:, 1], shape)
    weights = np.ones(len(values))
    factors = np.zeros(matrix.shape[1])
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        factors = np.linalg.lstsq(matrix * root[:, None], values * root, rcond=None)[0]
        away = np.abs(values - matrix @ factors)
        scale = 1.4826 * float(np.median(away)) + 1e-9
        weights = np.minimum(1.0, _HUBER * scale / np.maximum(away, 1e-9))
    return factors


def describe_flat(flat: Any, settings: FlatSettings) -> Mapping[str, float]:
    """Return what is worth knowing of a flat."""
    return {
        "darkest": float(flat.min()),
        "brightest": float(flat.max()),
        "dark": settings.dark,
        "background": settings.background,
    }
