"""Headers of NIfTI-1 and NIfTI-2 files (`.nii`, `.nii.gz`), by nibabel, which zarrnii brings.

zarrnii opens these files as well, at a second for the import, and gives an orientation also where
the file has none. Facts: `nifti1.h` (`pixdim`, `xyzt_units`, `qform_code`, `sform_code`).
"""

from __future__ import annotations

import gzip
import math
import zlib
from typing import Any

from spimpack_tasks.model.displays import read_window
from spimpack_tasks.model.header_values import TOLERANCE
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.model.quantities import Doubts, length_in_um
from spimpack_tasks.volumes.errors import HeaderError, UnreadableHeaderError
from spimpack_tasks.volumes.header import Header, SpacingXYZ, load_library, open_for_reading
from spimpack_tasks.volumes.metadata_texts import Texts, as_json

_AXES = ("x", "y", "z", "t", "c")
"""Dimension 5 is that of the values at one point and time. The first runs fastest on disk, but
nibabel, as the format, names it first."""
_KINDS = {
    b"\x5c\x01\x00\x00": ("Nifti1Header", 348),
    b"\x00\x00\x01\x5c": ("Nifti1Header", 348),
    b"\x1c\x02\x00\x00": ("Nifti2Header", 540),
    b"\x00\x00\x02\x1c": ("Nifti2Header", 540),
}
"""Class in nibabel and length by the first four bytes, which tell the length."""
_LONGEST_HEADER = 540
"""A header of NIfTI-2 has 540 bytes, one of NIfTI-1 348."""
_MAGIC = (b"n+1\0", b"n+2\0\r\n\x1a\n")
"""Of files that hold header and voxels; two-file NIfTI is no source format."""
_GZIP = b"\x1f\x8b"
_MOST_INFLATED = 1032
"""Bytes that a byte of deflated data stands for, at the most (zlib's technical details)."""
_DAMAGE = (ValueError, KeyError, TypeError, OverflowError, ArithmeticError)
"""Exceptions of nibabel and numpy for values that a header cannot have."""


def read_header(path: str) -> Header:
    """Return the header of a NIfTI file."""
    nibabel = load_library("nibabel")
    header, length, size = read_fields(path)
    try:
        unit = header.get_xyzt_units()[0]
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        start = int(header["vox_offset"])
        orientation = _orientation(nibabel, header)
        window = _window(header)
    except (*_DAMAGE, nibabel.spatialimages.HeaderDataError) as error:
        reason = " ".join(str(error).split())[:200]
        raise HeaderError(path, f"has a damaged header: {reason}") from error
    if not 0 < len(shape) <= len(_AXES) or not all(n > 0 for n in shape):
        raise HeaderError(path, f"has the shape {shape}")
    if start < length:
        raise HeaderError(path, f"has its voxels at byte {start}, in the midst of its header")
    end = start + math.prod(shape) * dtype.itemsize
    if size < end:
        raise HeaderError(path, f"is cut off: it has {size} bytes at the most, but needs {end}")
    doubts, channels = Doubts(), shape[4] if len(shape) == 5 else 1
    displays = read_window("cal_min and cal_max", window, channels)
    return Header(
        axes=_AXES[: len(shape)],
        shapes=(shape,),
        dtype=str(dtype.name),
        spacing_um_xyz=_spacing(path, header, unit, doubts),
        channel_count=channels,
        displays=displays.known,
        display_doubts=displays.doubts,
        orientation_xyz=orientation,
        doubts=doubts.told,
    )


def read_fields(path: str) -> tuple[Any, int, int]:
    """Return the header as nibabel has it, its length, and the size of the file, unpacked.

    Raises
    ------
    HeaderError
        The file is no NIfTI file.
    """
    nibabel = load_library("nibabel")
    block, size = _first_bytes(path)
    kind = _KINDS.get(block[:4])
    if kind is None or len(block) < kind[1] or not any(m in block for m in _MAGIC):
        raise HeaderError(path, "does not begin as NIfTI files do")
    try:
        # Checks of nibabel would put right what is wrong, such as a voxel size of 0.
        return getattr(nibabel, kind[0])(block[: kind[1]], check=False), kind[1], size
    except (*_DAMAGE, nibabel.spatialimages.HeaderDataError) as error:
        raise HeaderError(path, f"has a damaged header: {error}") from error


def _first_bytes(path: str) -> tuple[bytes, int]:
    """Return what a header takes, and the size of the file, unpacked: that it has at the most."""
    try:
        descriptor, size = open_for_reading(path)
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    with open(descriptor, "rb") as file:
        try:
            block = file.read(_LONGEST_HEADER)
            if not block.startswith(_GZIP):
                return block, size
            file.seek(0)
            with gzip.open(file) as unpacked:
                return unpacked.read(_LONGEST_HEADER), size * _MOST_INFLATED
        except (OSError, EOFError, zlib.error) as error:
            raise HeaderError(path, f"cannot be unpacked: {error}") from error


def _spacing(path: str, header: Any, unit: str, doubts: Doubts) -> SpacingXYZ:
    zooms = header.get_zooms()[:3]
    # `str` of a number in single precision has no more digits than that holds.
    texts = enumerate(map(str, zooms), 1)
    found = [doubts.ask(f"pixdim[{n}]", length_in_um, text, unit) for n, text in texts]
    _check_affine(path, header, [float(zoom) for zoom in zooms])
    x, y, z = [*found, None, None, None][:3]
    return x, y, z


def _check_affine(path: str, header: Any, sizes: list[float]) -> None:
    """Refuse two sizes of a voxel: that of `pixdim`, and that of the affine of `sform`."""
    if int(header["sform_code"]) <= 0:
        return
    numpy = load_library("numpy")
    affine = header.get_sform()[:3, : len(sizes)].astype(float)
    lengths = numpy.sqrt((affine**2).sum(axis=0)).tolist()
    told = [(a, b) for a, b in zip(lengths, sizes, strict=True) if math.isfinite(b) and b > 0]
    if all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in told):
        return
    shown = [" x ".join(f"{n:.6g}" for n in each) for each in (lengths, sizes)]
    what = f"has voxels of {shown[0]} by its affine (sform), and of {shown[1]} by its pixdim"
    raise HeaderError(path, what, "make them agree, or set sform_code to 0")


def _window(header: Any) -> tuple[float | None, float | None]:
    """Return the values that are shown as black and as white; both are 0 where there are none.

    Those of values that are to be scaled are passed over.

    Raises
    ------
    nibabel.spatialimages.HeaderDataError
        Values could not be scaled.
    """
    is_scaled = header.get_slope_inter() not in {(None, None), (1.0, 0.0)}
    # `str` of a number in single precision has no more digits than that holds.
    low, high = (float(str(header[name])) for name in ("cal_min", "cal_max"))
    return (None, None) if is_scaled or low == high == 0 else (low, high)


def _orientation(nibabel: Any, header: Any) -> str | None:
    """Return the orientation of the affine, `None` where the file says that it has none."""
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        return None
    with load_library("numpy").errstate(invalid="ignore"):  # of NaN comes no code
        letters = nibabel.aff2axcodes(header.get_best_affine())
    return normalise_orientation("".join(letter or "" for letter in letters))


def read_original(path: str) -> Texts:
    """Return the header of a NIfTI file, as JSON."""
    header, _, _ = read_fields(path)
    return {"NIfTI": as_json({key: header[key] for key in header.keys()})}  # noqa: SIM118
