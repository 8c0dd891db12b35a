"""Writes and reads volumes as compressed NRRD in pieces, so that none need be in memory.

Facts: http://teem.sourceforge.net/nrrd/format.html. The header is the one that ITK writes.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.transforms import AtlasFileError
from spimpack_tasks.files.atomic import Durability, replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.alignment.geometry import Grid, Index

_TYPES = {
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long int",
    "uint64": "unsigned long long int",
    "float32": "float",
    "float64": "double",
}
"""Names of data types in NRRD by those of NumPy."""
_LEVEL = 2
"""Of compression: higher ones take several times as long, for a few percent of a microscope's
noise."""
_GZIP = 31
"""By which zlib writes and reads a gzip stream; it has no time in it."""
_MOST_HEADER = 2**16
"""Bytes of a header of ours at the most."""
_PIECE = 2**20
"""Bytes unpacked at once."""


def write_nrrd(path: str, grid: Grid, pieces: Iterable[Any]) -> None:
    """Write a volume that is whole once it has its name.

    Parameters
    ----------
    path
        Its file.
    grid
        Its grid, LPS in mm.
    pieces
        Its voxels z, y, x in the order of the file, all of one data type.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    is_begun = False
    with replacing(path, Durability.SAFE) as aside:
        for piece in pieces:
            if not is_begun:
                aside.file.write(compose_header(grid, piece.dtype.name).encode())
                is_begun = True
            voxels = piece.astype(piece.dtype.newbyteorder("<"), order="C", copy=False)
            for plane in voxels:
                aside.file.write(packer.compress(plane.tobytes()))
        aside.file.write(packer.flush())


def compose_header(grid: Grid, dtype: str) -> str:
    """Return the header of a volume."""
    columns = [
        [grid.direction[3 * row + k] * grid.spacing_mm_xyz[k] for row in range(3)] for k in range(3)
    ]
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        f"type: {_TYPES[dtype]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, grid.size_xyz))}",
        f"space directions: {' '.join(map(_vector, columns))}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(grid.origin_mm_lps)}",
    ]
    return "\n".join(lines) + "\n\n"


def _vector(numbers: Iterable[float]) -> str:
    """Return a vector; the shortest texts that give the same numbers again, and no `-0.0`."""
    return f"({','.join(repr(float(n) + 0.0) for n in numbers)})"


def read_planes(path: str) -> Iterator[Any]:
    """Yield the planes y, x of a volume that `write_nrrd` has written.

    Raises
    ------
    AtlasFileError
        It is damaged, or was written by another program.
    """
    import numpy as np

    with open(path, "rb") as file:
        start, _, rest = file.read(_MOST_HEADER).partition(b"\n\n")
        (x, y, z), dtype = _parse_header(start.decode(errors="replace"), path)
        unpacker, plane_bytes = zlib.decompressobj(_GZIP), x * y * dtype.itemsize
        data, count = bytearray(), 0
        try:
            while rest or (rest := file.read(_PIECE)):
                data += unpacker.decompress(rest, _PIECE)
                while len(data) >= plane_bytes:
                    yield np.frombuffer(bytes(data[:plane_bytes]), dtype).reshape(y, x)
                    del data[:plane_bytes]
                    count += 1
                rest = unpacker.unconsumed_tail
        except zlib.error as error:
            raise AtlasFileError(f"{path}: cannot be unpacked; make it again") from error
        if count != z:
            raise AtlasFileError(f"{path}: ends after {count} of {z} planes; make it again")


def _parse_header(text: str, path: str) -> tuple[Index, Any]:
    import numpy as np

    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    names = {name: dtype for dtype, name in _TYPES.items()}
    try:
        x, y, z = (int(n) for n in fields["sizes"].split())
        return (x, y, z), np.dtype(names[fields["type"]]).newbyteorder("<")
    except (KeyError, ValueError) as error:
        raise AtlasFileError(f"{path}: has another header than ours; make it again") from error
