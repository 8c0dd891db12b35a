"""Draws overlaps of aligned tiles: rows by columns of one frame, a tile in red and one in green."""

from __future__ import annotations

import io
import math
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.contrast import find_window

if TYPE_CHECKING:
    from spimpack_tasks.stitching.align import Alignment
    from spimpack_tasks.stitching.frames import OpenTiles
    from spimpack_tasks.stitching.tiles import TileSet

_MOST = 12
"""Pictures of a page: those of the largest residuals."""
_LONGEST = 512
"""Pixels of a picture along each side."""


def draw_overlaps(
    alignment: Alignment, tiles: TileSet, stacks: OpenTiles
) -> dict[tuple[str, str], str]:
    """Return pictures of some measured pairs, as `data:` addresses, by the names of the tiles.

    Raises
    ------
    UnreadableVoxelsError
        A tile is damaged.
    """
    numbers = {tile.name: n for n, tile in enumerate(tiles.tiles)}
    measured = [pair for pair in alignment.pairs if pair.residual_frc is not None]
    measured.sort(key=lambda pair: -max(map(abs, pair.residual_frc or (0.0,))))
    pictures = {}
    for pair in measured[:_MOST]:
        first, second = numbers[pair.first], numbers[pair.second]
        places = [alignment.tiles[n].place_frc for n in (first, second)]
        shift = [round(b - a) for a, b in zip(*places, strict=True)]
        frames = stacks.need((first, second))
        picture = _draw(frames[first], frames[second], shift)
        if picture:
            pictures[pair.first, pair.second] = picture
    return pictures


def _draw(first: Any, second: Any, shift: list[int]) -> str:
    """Return the middle frame of an overlap, nothing where there is none."""
    import numpy as np
    from PIL import Image

    low = [max(0, s) for s in shift]
    sides = zip(first.shape_frc, second.shape_frc, shift, strict=True)
    high = [min(n, s + m) for n, m, s in sides]
    if any(b <= a for a, b in zip(low, high, strict=True)):
        return ""
    middle = (low[0] + high[0]) // 2
    region = (slice(middle, middle + 1), slice(low[1], high[1]), slice(low[2], high[2]))
    other = [slice(part.start - s, part.stop - s) for part, s in zip(region, shift, strict=True)]
    parts = [first.read(region)[0], second.read((other[0], other[1], other[2]))[0]]
    step = max(math.ceil(max(parts[0].shape) / _LONGEST), 1)
    shown = np.zeros((*parts[0][::step, ::step].shape, 3), "uint8")
    for channel, part in enumerate(parts):
        shown[..., channel] = _scaled(part[::step, ::step])
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def _scaled(part: Any) -> Any:
    """Return pixels from black to full colour, by their percentiles."""
    import numpy as np

    low, high = find_window(part)
    values = (part.astype("float32") - low) / (high - low)
    return (255 * np.clip(values, 0, 1)).astype("uint8")
