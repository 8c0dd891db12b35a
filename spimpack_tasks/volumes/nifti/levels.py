"""The one level of NIfTI files; the slope and intercept of values do not matter to a picture."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.rows import flat_index, level_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from spimpack_tasks.volumes.levels import StoredLevel

_PIECE = 2**20
"""Bytes read at once up to the checksum."""
_GZIP = b"\x1f\x8b"


@contextmanager
def open_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the level of a NIfTI file, compressed or not."""
    with open_regular(path) as plain:
        packed = plain.read(2) == _GZIP
        plain.seek(0)
        if not packed:
            yield [_open_level(plain)]
            return
        with gzip.open(plain) as unpacked:

            def finish() -> None:
                while unpacked.read(_PIECE):  # the checksum stands behind all
                    pass

            yield [replace(_open_level(unpacked), is_stream=True, finish=finish)]


def _open_level(file: BinaryIO | gzip.GzipFile) -> StoredLevel:
    nibabel = load_library("nibabel")
    kind = nibabel.Nifti2Header if file.read(4) in _NIFTI_2 else nibabel.Nifti1Header
    file.seek(0)
    header = kind.from_fileobj(file, check=False)
    dtype = header.get_data_dtype()
    if dtype.fields:
        message = f"voxels of several values ({dtype}) are not shown"
        raise ValueError(message)
    # The first axis of NIfTI runs fastest.
    shape = tuple(int(n) for n in header.get_data_shape())[::-1]
    if len(shape) < 2:
        message = f"it has the shape {shape}"
        raise ValueError(message)
    start = int(header["vox_offset"])
    plane_bytes: int = shape[-1] * shape[-2] * dtype.itemsize

    def offset_of(plane: tuple[int, ...]) -> int:
        return start + flat_index(plane, shape[:-2]) * plane_bytes

    axes = ("x", "y", "z", "t", "c")[: len(shape)][::-1]
    level = level_of_rows(file, axes, shape, dtype, offset_of)  # type: ignore[arg-type]
    slope, intercept = header.get_slope_inter()
    is_scaled = slope is not None and (slope, intercept) != (1, 0)
    return replace(level, caveat="has values that are to be scaled") if is_scaled else level


_NIFTI_2 = {b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"}
