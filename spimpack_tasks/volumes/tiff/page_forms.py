"""How the voxels of pages are stored, which must be alike where one page stands for all.

tifffile reads the tags of one page of a series, and of the others only where their voxels lie. A
page with another compression or predictor would be read as what it is not.

Facts: TIFF 6.0, with the values that count where a tag is left out.
"""

from __future__ import annotations

from typing import Any

from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.tiff.directory import (
    BITS,
    LENGTH,
    PLANAR,
    SAMPLE_FORMAT,
    SAMPLES,
    WIDTH,
    TiffFile,
)

_COMPRESSION, _FILL_ORDER, _ROWS_OF_STRIP, _PREDICTOR = 259, 266, 278, 317
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_ALL_ROWS = 2**32 - 1
"""Rows of a strip that count where they are left out: all of the page."""
_DEFAULTS: dict[int, tuple[int, ...]] = {
    WIDTH: (),
    LENGTH: (),
    BITS: (1,),
    _COMPRESSION: (1,),
    _FILL_ORDER: (1,),
    SAMPLES: (1,),
    _ROWS_OF_STRIP: (_ALL_ROWS,),
    PLANAR: (1,),
    _PREDICTOR: (1,),
    _TILE_WIDTH: (),
    _TILE_LENGTH: (),
    SAMPLE_FORMAT: (1,),
}
_TAGS = frozenset(_DEFAULTS)


class PageForms:
    """Compares pages of a file with the first one of their level."""

    def __init__(self, file: TiffFile) -> None:
        self._file = file
        self._first: dict[int, tuple[bytes, tuple[Any, ...]]] = {}
        """By level: the entries of a page as they are written, and what they say."""

    def check(self, level: int, page: int, offset: int) -> None:
        """Refuse a page that is not stored as the first one of its level was.

        Parameters
        ----------
        level
            0 for the full one.
        page
            Number of the page in the file, for the message.
        offset
            Where its directory is.

        Raises
        ------
        HeaderError
            It differs.
        """
        written = self._file.entries(offset, _TAGS)
        if level not in self._first:
            self._first[level] = written, self._form(offset)
            return
        first, form = self._first[level]
        # Two pages may write the same values in other ways, as where a list lies elsewhere.
        if written != first and self._form(offset) != form:
            what = f"has pages that are stored in different ways; page {page} is not as the first"
            hint = (
                "compression, predictor, tiles and type must be alike: let a program write it again"
            )
            raise HeaderError(self._file.path, what, hint)

    def _form(self, offset: int) -> tuple[Any, ...]:
        tags, _ = self._file.directory(offset)
        values = {n: self._file.numbers(tags.get(n), each) for n, each in _DEFAULTS.items()}
        values[_ROWS_OF_STRIP] = min(values[_ROWS_OF_STRIP], values[LENGTH])
        return tuple(values.values())


def find_series(file: Any, path: str) -> Any:
    """Return the first series of an open file of tifffile, all pages of which are stored alike.

    Raises
    ------
    HeaderError
        A page differs from the first of its level.
    """
    series = file.series[0]
    with TiffFile(path) as pages:
        for level in series.levels:
            forms = PageForms(pages)
            for page in level.pages:
                # Of planes that lie one behind the other, only the first has a directory.
                if page is not None and page.offset:
                    forms.check(0, page.index, page.offset)
    return series
