"""Slices as pictures, by Pillow, in the proportions of the specimen."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from spimpack_tasks.qc.slices import VIEWS, add_colours, cut_slice, size_um, to_canonical
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.qc.preview import Preview
    from spimpack_tasks.qc.slices import View

STRIP_VERSION = 2
"""Raised when a strip of the same image looks different from before; previews have it, too."""
STRIP_SIDE = 108
"""Pixels of the square around each slice of a strip."""
_GAP = 14
"""Pixels between two views."""
_LETTER = 11
"""Pixels of a letter at the edge of a view; smaller ones cannot be read."""
_THINNEST = 4
"""Pixels of the short side of a slice, so that a thin one can be seen."""
_AIR = 4
"""Pixels around a letter."""
_BOX = STRIP_SIDE + 2 * (_LETTER + _AIR)
"""A view with its letters on both sides."""
STRIP_SIZE = (len(VIEWS) * (_BOX + _GAP) - _GAP, _BOX)
"""Width and height in pixels."""
_JPEG_QUALITY = 72
"""A choice between the size of a report and visible blocks in smooth tissue."""


def draw_slice(
    preview: Preview, code: str, view: View, side: int, position: int | None = None
) -> Any:
    """Return a slice as a picture of Pillow, at the scale at which the volume is `side` pixels."""
    image = load_library("PIL.Image")
    planes = cut_slice(to_canonical(preview.voxels, code), view, position)
    picture = image.fromarray(add_colours(planes, preview.channels))
    return picture.resize(pixel_size(preview, code, view, side), image.Resampling.BILINEAR)


def pixel_size(preview: Preview, code: str, view: View, side: int) -> tuple[int, int]:
    """Return width and height of a slice in a picture, where the longest axis has `side` pixels."""
    longest = max(size for view in VIEWS for size in size_um(preview, code, view))
    width, height = (round(size * side / longest) for size in size_um(preview, code, view))
    return max(_THINNEST, width), max(_THINNEST, height)


def encode_png(picture: Any) -> bytes:
    """Return a picture as a PNG."""
    data = BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def draw_strip(preview: Preview, code: str) -> bytes:
    """Return the three middle slices side by side, with the letters of their edges, as a JPEG."""
    data = BytesIO()
    _strip(preview, code).save(data, "JPEG", quality=_JPEG_QUALITY)
    return data.getvalue()


def encode_strip(preview: Preview, code: str, texts: Mapping[str, str]) -> bytes:
    """Return the same strip as a PNG, with texts by their keywords at its beginning."""
    info = load_library("PIL.PngImagePlugin").PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text)
    data = BytesIO()
    _strip(preview, code).save(data, "PNG", optimize=True, pnginfo=info)
    return data.getvalue()


def _strip(preview: Preview, code: str) -> Any:
    strip = load_library("PIL.Image").new("RGB", STRIP_SIZE)
    for number, view in enumerate(VIEWS):
        picture = frame_slice(draw_slice(preview, code, view, STRIP_SIDE), view, STRIP_SIDE)
        strip.paste(picture, (number * (_BOX + _GAP), 0))
    return strip


def frame_slice(picture: Any, view: View, side: int, letter: int = _LETTER) -> Any:
    """Return a slice in the middle of a black square, with the letters of its edges around it.

    Parameters
    ----------
    picture
        As `draw_slice` returns it for `side`.
    view
        Orientation of the slice.
    side
        Pixels of the square without the letters.
    letter
        Pixels of a letter.
    """
    box = side + 2 * (letter + _AIR)
    framed = load_library("PIL.Image").new("RGB", (box, box))
    half = (picture.width // 2, picture.height // 2)
    framed.paste(picture, (box // 2 - half[0], box // 2 - half[1]))
    pen = load_library("PIL.ImageDraw").Draw(framed)
    font = load_library("PIL.ImageFont").load_default(letter)
    across, up = (n + letter // 2 + _AIR // 2 for n in half)
    for text, x, y in (
        (view.left, -across, 0),
        (view.right, across, 0),
        (view.top, 0, -up),
        (view.bottom, 0, up),
    ):
        pen.text((box // 2 + x, box // 2 + y), text, fill="white", font=font, anchor="mm")
    return framed
