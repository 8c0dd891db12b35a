"""Reads parts of displacement fields, so that memory does not grow with their size.

A field of ANTs is a NIfTI file, mostly a compressed one, of which no part can be read alone. It is
unpacked into a temporary file without a name, which vanishes with the process. The numbers are as
ITK reads them.
"""

from __future__ import annotations

import gzip
import math
import os
import shutil
import zlib
from dataclasses import dataclass
from tempfile import TemporaryFile, gettempdir
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.transforms import AtlasFileError, image_on, read_image_grid
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.nifti.header import read_fields

if TYPE_CHECKING:
    from typing import IO

    from spimpack_tasks.alignment.geometry import Grid, Index

_DISPLACEMENTS_RAS = 1006
"""The intent of NIfTI by which displacements are RAS; ITK turns these alone to LPS."""
_GZIP = b"\x1f\x8b"
_PIECE = 2**20
"""Bytes unpacked at once; more is not faster."""


@dataclass(frozen=True, slots=True)
class StoredField:
    """A field of displacements in a file: component, z, y, x."""

    path: str
    grid: Grid
    file: IO[bytes]
    start: int
    """Bytes before the first number."""
    dtype: str
    slope: float
    is_ras: bool

    def part(self, low: Index, high: Index) -> Any:
        """Return an image of the displacements from index `low` to before `high`, LPS in mm.

        Raises
        ------
        AtlasFileError
            A displacement is no finite number.
        """
        import numpy as np

        x, y, z = self.grid.size_xyz
        # The pages of the file leave memory with the array.
        stored = np.memmap(self.file, self.dtype, "r", self.start, (3, z, y, x))
        region = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))
        values = np.array(stored[:, *region].transpose(1, 2, 3, 0), np.float64) * self.slope
        if not np.isfinite(values).all():
            raise AtlasFileError(f"{self.path}: has displacements that are no finite numbers")
        if self.is_ras:
            values[..., :2] *= -1
        return image_on(self.grid.part(low, high), values, is_vector=True)


def read_field_header(path: str) -> tuple[Grid, Any]:
    """Return the grid of a field of displacements, and its header.

    Raises
    ------
    AtlasFileError
        It is missing, damaged, or no such field.
    """
    grid = read_image_grid(path)
    try:
        header, _, _ = read_fields(path)
    except HeaderError as error:
        raise AtlasFileError(f"{path}: is no field of displacements; copy it again") from error
    count, *sizes = (int(n) for n in header["dim"])
    if (count, *sizes[3:5]) != (5, 1, 3) or tuple(sizes[:3]) != tuple(grid.size_xyz):
        raise AtlasFileError(f"{path}: is not a field of three displacements at each voxel")
    return grid, header


def open_field(path: str) -> StoredField:
    """Open a field of displacements.

    Raises
    ------
    AtlasFileError
        It is missing, damaged, or no such field.
    """
    grid, header = read_field_header(path)
    dtype = header.get_data_dtype()
    start, length = int(header["vox_offset"]), 3 * math.prod(grid.size_xyz) * dtype.itemsize
    file, start = _open_numbers(path, start, length)
    slope = float(header["scl_slope"])
    return StoredField(
        path=path,
        grid=grid,
        file=file,
        start=start,
        dtype=dtype.str,
        slope=slope if math.isfinite(slope) and slope else 1.0,
        is_ras=int(header["intent_code"]) == _DISPLACEMENTS_RAS,
    )


def _open_numbers(path: str, start: int, length: int) -> tuple[IO[bytes], int]:
    """Return a file with the numbers of a field, unpacked, and where they begin."""
    file = open(path, "rb")  # noqa: SIM115 - it stays open with the field
    is_packed = file.read(2) == _GZIP
    file.seek(0)
    if not is_packed:
        return _checked(file, path, start, length), start
    unpacked = TemporaryFile(prefix="spimpack-")  # noqa: SIM115 - it stays open with the field
    try:
        with file, gzip.open(file) as packed:
            packed.read(start)
            shutil.copyfileobj(packed, unpacked, _PIECE)
        unpacked.flush()
    except BaseException as error:
        unpacked.close()
        if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
            raise AtlasFileError(f"{path}: cannot be unpacked; copy it again") from error
        if isinstance(error, OSError) and error.filename is None:
            error.filename = gettempdir()  # a write does not know it, and a user may choose another
        raise
    return _checked(unpacked, path, 0, length), 0


def _checked(file: IO[bytes], path: str, start: int, length: int) -> IO[bytes]:
    """Return a file that is long enough; another one is closed."""
    if os.fstat(file.fileno()).st_size >= start + length:
        return file
    file.close()
    raise AtlasFileError(f"{path}: ends too early; copy it again")
