"""A digest of the voxels of an image, which anybody can compute with numpy.

It is the SHA-256 of the SHA-256 digests of all planes of the full level, one behind the other in
the order of t, c, z. The digest of a plane is that of its voxels in little-endian order, row by
row:

    planes = (sha256(plane.astype(plane.dtype.newbyteorder("<")).tobytes()).digest() for plane in …)
    sha256(b"".join(planes)).hexdigest()

So it depends on no chunk, codec or format, and planes of any size can be read in parts.
"""

from __future__ import annotations

import math
from hashlib import sha256
from itertools import product
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.grid import shape_of
from spimpack_tasks.volumes.copy import finish_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.grid import Region, Voxels
    from spimpack_tasks.volumes.volume import Level

_PIECE = 16 * 2**20
"""Bytes of voxels that are read at once, or one row of chunks."""


class PlanesDigest:
    """The digest of voxels whose planes come one after the other."""

    def __init__(self) -> None:
        self._whole = sha256()

    def add(self, plane: bytes | memoryview) -> None:
        """Add the bytes of a plane, in little-endian order."""
        self.add_digest(sha256(plane).digest())

    def add_digest(self, digest: bytes) -> None:
        """Add a plane by its own digest."""
        self._whole.update(digest)

    def hexdigest(self) -> str:
        """Return the digest of the planes so far, as 64 hexadecimal digits."""
        return self._whole.hexdigest()


def little_endian(voxels: Voxels) -> Voxels:
    """Return voxels one behind the other, in little-endian order."""
    import numpy as np

    return np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("<"))


def plane_regions(level: Level) -> Iterator[list[Region]]:
    """Yield the parts of the planes that are stored together, from top to bottom."""
    times, channels, planes, rows, columns = level.shape
    together, side = level.chunk[2:4]
    row = min(together, planes) * columns * int(level.dtype.itemsize)
    step = max(_PIECE // (row * side), 1) * side
    for t, c, z in product(range(times), range(channels), range(0, planes, together)):
        image = slice(t, t + 1), slice(c, c + 1), slice(z, min(z + together, planes))
        yield [
            (*image, slice(y, min(y + step, rows)), slice(0, columns)) for y in range(0, rows, step)
        ]


def digest_voxels(level: Level, advance: Callable[[int], None] = lambda _: None) -> str:
    """Return the digest of the voxels of a level, as 64 hexadecimal digits.

    Parameters
    ----------
    level
        Along t, c, z, y, x.
    advance
        Told the number of bytes of voxels after each piece.

    Raises
    ------
    UnreadableVoxelsError
        The level is damaged.
    """
    whole = PlanesDigest()
    for parts in plane_regions(level):
        planes = [sha256() for _ in range(shape_of(parts[0])[2])]
        for region in parts:
            voxels = little_endian(level.read(region))[0, 0]
            for digest, plane in zip(planes, voxels, strict=True):
                digest.update(plane)
            advance(math.prod(shape_of(region)) * int(level.dtype.itemsize))
        for digest in planes:
            whole.add_digest(digest.digest())
    finish_reading(level)
    return whole.hexdigest()
