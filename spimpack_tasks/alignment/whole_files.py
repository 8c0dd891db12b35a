"""Tells whether the file of a volume holds all of its voxels: NIfTI and NRRD, packed or not.

ITK fills with zeros what a packed file lacks. Facts: `nifti1.h` (`dim`, `vox_offset`), the format
of NRRD (http://teem.sourceforge.net/nrrd/format.html), and RFC 1952 for gzip: its last four bytes
are the length of what was packed.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.alignment.transforms import AtlasFileError
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.nifti.header import read_fields

if TYPE_CHECKING:
    from typing import IO

_NIFTI, _NRRD = (".nii", ".nii.gz"), (".nrrd", ".nhdr")
_GZIP = b"\x1f\x8b"
_MOST_HEADER = 2**20
"""Bytes of a header of NRRD at the most; a line for each of three axes takes some hundred."""
_PIECE = 2**20
"""Bytes unpacked at once; more is not faster."""
_TYPE_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8"), 1),
    **dict.fromkeys(("uint8_t", "short", "short int", "signed short", "signed short int"), 2),
    **dict.fromkeys(("int16", "int16_t", "ushort", "unsigned short", "unsigned short int"), 2),
    **dict.fromkeys(("uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int"), 4),
    **dict.fromkeys(("uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long"), 8),
    **dict.fromkeys(("signed long long int", "int64", "int64_t", "ulonglong"), 8),
    **dict.fromkeys(("unsigned long long", "unsigned long long int", "uint64", "uint64_t"), 8),
    "double": 8,
}
"""Bytes of a voxel by the types of NRRD."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where the bytes of voxels lie in a file."""

    path: str
    begin: int
    """Byte at which they, or the packed ones, begin."""
    length: int
    """Bytes unpacked, from there to the end of the last voxel."""
    is_packed: bool


def check_whole(path: str, *, is_read: bool = False) -> None:
    """Refuse the file of a volume that ends too early.

    Parameters
    ----------
    path
        The file; formats other than NIfTI and NRRD are left to those who read them.
    is_read
        Whether a packed file is read to its end in any case. Else it is only where its last bytes
        are not those of the length that it must have.

    Raises
    ------
    AtlasFileError
        It is cut off, or cannot be unpacked.
    """
    stored = None
    if not os.path.isfile(path):
        return
    if path.endswith(_NIFTI):
        stored = _find_in_nifti(path)
    elif path.endswith(_NRRD):
        stored = _find_in_nrrd(path)
    if stored is None:
        return
    try:
        size = os.stat(stored.path).st_size
    except OSError as error:
        raise AtlasFileError(f"{stored.path}: cannot be read; copy it again") from error
    if not stored.is_packed:
        _compare(stored, size - stored.begin)
        return
    with open(stored.path, "rb") as file:
        if is_read or size < 4 or _told_length(file) != stored.length % 2**32:
            file.seek(stored.begin)
            _compare(stored, _unpacked_length(file, stored.path))


def _compare(stored: _Stored, length: int) -> None:
    if length < stored.length:
        message = f"is cut off: it has {length} bytes of voxels, but needs {stored.length}"
        raise AtlasFileError(f"{stored.path}: {message}; copy it again")


def _find_in_nifti(path: str) -> _Stored | None:
    """Return where the voxels of NIfTI are, `None` where nibabel does not know the header."""
    damage = load_library("nibabel").spatialimages.HeaderDataError
    try:
        header, _, _ = read_fields(path)
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
        start = int(header["vox_offset"])
    except (HeaderError, damage, ValueError, KeyError, TypeError, ArithmeticError):
        return None
    with open(path, "rb") as file:
        is_packed = file.read(2) == _GZIP
    length = math.prod(int(n) for n in shape) * int(dtype.itemsize)
    # Header and voxels are packed together.
    return _Stored(path, 0, start + length, is_packed)


def _find_in_nrrd(path: str) -> _Stored | None:
    """Return where the voxels of NRRD are, `None` for forms that few programs write."""
    with open(path, "rb") as file:
        begin = _end_of_header(file)
        file.seek(0)
        lines = file.read(min(begin, _MOST_HEADER)).decode(errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line and line[0] != "#")
    fields = {key.strip().lower(): value.strip() for key, value in pairs}
    encoding, name = fields.get("encoding"), fields.get("data file", fields.get("datafile", ""))
    skips = {fields.get(key, "0") for key in ("line skip", "byte skip", "lineskip", "byteskip")}
    voxel_bytes = _TYPE_BYTES.get(fields.get("type", "").lower())
    if voxel_bytes is None or encoding not in {"raw", "gzip", "gz"} or skips != {"0"}:
        return None
    try:
        length = math.prod(int(n) for n in fields["sizes"].split()) * voxel_bytes
    except (KeyError, ValueError):
        return None
    if not name:
        return _Stored(path, begin, length, encoding != "raw")
    if "%" in name or name.upper().startswith("LIST"):
        return None
    return _Stored(os.path.join(os.path.dirname(path), name), 0, length, encoding != "raw")


def _end_of_header(file: IO[bytes]) -> int:
    """Return the byte behind the empty line that ends a header, the end of the file without it."""
    file.seek(0)
    while (line := file.readline(_MOST_HEADER)).strip():
        pass
    return file.tell() if line else os.fstat(file.fileno()).st_size


def _told_length(file: IO[bytes]) -> int:
    """Return the length, less multiples of 4 GiB, that the end of a gzip stream tells."""
    file.seek(-4, os.SEEK_END)
    return int.from_bytes(file.read(4), "little")


def _unpacked_length(file: IO[bytes], path: str) -> int:
    """Return how many bytes are packed from the place of a file on; each checksum is compared."""
    length = 0
    try:
        with gzip.open(file) as packed:
            while piece := packed.read(_PIECE):
                length += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        message = f"is cut off or damaged: it cannot be unpacked ({error})"
        raise AtlasFileError(f"{path}: {message}; copy it again") from error
    return length
