"""Reads affine maps as ANTs has them: MATLAB files of version 4, by SimpleITK.

ITK takes what its memory holds for numbers that a file lacks, so a file is looked at before. Facts:
"MAT-File Format", level 4. A record is a header of five whole numbers of 4 bytes (type, rows,
columns, whether there is an imaginary part, length of the name), the name, and the numbers. The
digits of the type are the order of bytes, a 0, the kind of number, and 0 for a full matrix.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.transforms import AtlasFileError, load_sitk

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER_BYTES = 20
"""Bytes of the five whole numbers before a name."""
_KINDS = {0: ("<", "d"), 10: ("<", "f"), 1000: (">", "d"), 1010: (">", "f")}
"""Order of bytes and kind of number by the type of a record, for those that ITK writes."""
_MOST_BYTES = 2**16
"""Bytes of a file at the most: an affine map has 15 numbers, and names of some dozen letters."""
_COUNTS = (12, 3)
"""Numbers of an affine map of three axes: its matrix with the shift, and its centre."""
_AFFINES = ("AffineTransform_", "MatrixOffsetTransformBase_")
"""Begins of the names of affine maps in ITK; other linear maps have fewer numbers."""


def read_affine(path: str) -> Any:
    """Read an affine map of three axes.

    Raises
    ------
    AtlasFileError
        It is missing, cut off, damaged, or another transformation.
    """
    check_affine_file(path)
    sitk = load_sitk()
    try:
        affine = sitk.ReadTransform(path)
    except RuntimeError as error:
        raise AtlasFileError(f"{path}: is no transformation; copy it again") from error
    if affine.GetDimension() != 3 or not affine.IsLinear():
        raise AtlasFileError(f"{path}: is not an affine transformation of three axes")
    return affine


def inverse_affine(path: str) -> Any:
    """Read an affine map, and return its inverse.

    Raises
    ------
    AtlasFileError
        It is missing, cut off, damaged, or has no inverse.
    """
    try:
        return read_affine(path).GetInverse()
    except RuntimeError as error:
        raise AtlasFileError(f"{path}: cannot be inverted") from error


def check_affine_file(path: str) -> None:
    """Refuse the file of an affine map that lacks bytes, or has numbers that are not finite.

    Raises
    ------
    AtlasFileError
        It is such a file.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES)
    except OSError as error:
        raise AtlasFileError(f"{path}: is no transformation; copy it again") from error
    counts = []
    for name, numbers in _records(content, path):
        if not all(map(math.isfinite, numbers)):
            message = f"has numbers that are not finite in {name!r}; register the image again"
            raise AtlasFileError(f"{path}: {message}")
        counts.append((name, len(numbers)))
    if len(counts) != 2:
        message = f"has {len(counts)} of two records, the map and its centre"
        raise AtlasFileError(f"{path}: {message}; it is cut off or no affine map: copy it again")
    (name, count), (_, fixed) = counts
    if name.startswith(_AFFINES) and (count, fixed) != _COUNTS:
        message = f"has {count} and {fixed} numbers, an affine map of three axes 12 and 3"
        raise AtlasFileError(f"{path}: {message}; give one of three axes")


def _records(content: bytes, path: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield the name and the numbers of each record of a file."""
    start = 0
    while start < len(content):
        header = content[start : start + _HEADER_BYTES]
        known = [
            (kind, struct.unpack(f"{kind[0]}5i", header))
            for number, kind in _KINDS.items()
            if len(header) == _HEADER_BYTES
            and struct.unpack(f"{kind[0]}i", header[:4])[0] == number
        ]
        if not known:
            if start:
                message = f"is cut off: byte {start} begins no whole record"
                raise AtlasFileError(f"{path}: {message}; copy it again")
            raise AtlasFileError(f"{path}: is no transformation; copy it again")
        (order, letter), (_, rows, columns, _, length) = known[0]
        start += _HEADER_BYTES
        count, size = rows * columns, struct.calcsize(letter)
        end = start + length + count * size
        if min(rows, columns, length) < 0 or end > len(content):
            message = f"is cut off: it has {len(content)} bytes, but needs {end}"
            raise AtlasFileError(f"{path}: {message}; copy it again")
        name = content[start : start + length].rstrip(b"\0").decode(errors="replace")
        yield name, struct.unpack_from(f"{order}{count}{letter}", content, start + length)
        start = end
