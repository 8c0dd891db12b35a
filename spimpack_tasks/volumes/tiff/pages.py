"""The pages of a TIFF: the first one's size and data type, whether it is whole; names of axes."""

from __future__ import annotations

from operator import add

from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.tiff.directory import (
    BITS,
    LENGTH,
    SAMPLE_FORMAT,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    TILE_COUNTS,
    TILE_OFFSETS,
    WIDTH,
    Tag,
    TiffFile,
)

_AXES = {"S": "c", "Q": "page", "I": "page"}
"""Letters of tifffile: samples are channels, and of Q and I nobody says what they are."""
_KINDS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "int", 6: "complex"}


def check_first_page(file: TiffFile, tags: dict[int, Tag]) -> None:
    """Refuse a file without a first page, or cut off within it.

    Later pages are not looked at; a file cut off there passes.
    """
    if file.number(tags.get(WIDTH), 0) <= 0 or file.number(tags.get(LENGTH), 0) <= 0:
        raise HeaderError(file.path, "has a first page without a size")
    for offsets, counts in ((STRIP_OFFSETS, STRIP_COUNTS), (TILE_OFFSETS, TILE_COUNTS)):
        starts, sizes = file.numbers(tags.get(offsets)), file.numbers(tags.get(counts))
        end = max(map(add, starts, sizes), default=0)  # as many as both have
        if end > file.size:
            raise file.truncated(end)
        if starts and sizes:
            return
    raise HeaderError(file.path, "has a first page without pixels")


def page_dtype(file: TiffFile, tags: dict[int, Tag]) -> str:
    """Return the data type of the first page as numpy names it; odd widths are read into wider."""
    bits = file.number(tags.get(BITS), 1)
    kind = _KINDS.get(file.number(tags.get(SAMPLE_FORMAT), 1), "uint")
    if bits == 1:
        return "bool"
    width = next((w for w in (8, 16, 32, 64, 128) if bits <= w), 0)
    if not width or bits <= 0:
        raise HeaderError(file.path, f"has samples of {bits} bits")
    return f"{kind}{width}"


def name_axes(letters: str) -> tuple[str, ...]:
    """Return the names of axes; a name that stands there already gets a number."""
    names: list[str] = []
    for letter in letters:
        name = _AXES.get(letter, letter.lower())
        count = sum(name == known.partition(" ")[0] for known in names)
        names.append(f"{name} {count + 1}" if count else name)
    return tuple(names)
