"""Encodes planes as TIFF or JPEG 2000; the format of a file follows from its ending."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.arrays.grid import Voxels

_MOST_TRIES = 8
"""Times that the quality is raised by a decibel before a plane is encoded without loss."""


@dataclass(frozen=True, slots=True)
class PlaneSettings:
    """How planes are encoded."""

    level: int = 3
    """Effort of deflate in TIFF, 1 to 9."""
    psnr_db: float = 0.0
    """Least ratio of peak signal to noise in JPEG 2000, by the largest value of the data type;
    0 is without loss."""
    spacing_um_xy: tuple[float | None, float | None] = (None, None)
    """Distance of pixels, which TIFF notes."""


@dataclass(frozen=True, slots=True)
class PlaneForm:
    """One format of files that hold a plane."""

    name: str
    dtypes: tuple[str, ...]
    """Data types that it can hold, as numpy names them."""
    encode: Callable[[Voxels, PlaneSettings], bytes]
    """Returns the file of a plane along rows and columns."""


@dataclass(frozen=True, slots=True)
class PlanesRequest:
    """How the planes of an image are written."""

    settings: PlaneSettings = field(default_factory=PlaneSettings)
    rotate_90: int = 0
    """Quarter turns of each plane, as `numpy.rot90` turns; before `flip_ud`."""
    flip_ud: bool = False
    """Whether the rows of each plane are reversed after the turn."""
    start: int = 0
    """First plane along z."""
    stop: int | None = None
    """End of the planes; `None` for all."""

    def turned(self, plane: Voxels) -> Voxels:
        """Return a plane turned and reversed."""
        numpy = load_library("numpy")
        turned = numpy.rot90(plane, self.rotate_90)
        whole: Voxels = numpy.ascontiguousarray(turned[::-1] if self.flip_ud else turned)
        return whole


def measure_psnr(plane: Voxels, other: Voxels) -> float:
    """Return the ratio of peak signal to noise in decibels, infinite where planes are equal.

    The peak is the largest value of the data type.
    """
    numpy = load_library("numpy")
    error = float(numpy.mean((plane.astype(float) - other.astype(float)) ** 2))
    peak = int(numpy.iinfo(plane.dtype).max)
    return math.inf if not error else 10 * math.log10(peak**2 / error)


def _encode_tiff(plane: Voxels, settings: PlaneSettings) -> bytes:
    stream = io.BytesIO()
    x, y = settings.spacing_um_xy
    resolution = {}
    if x and y:
        resolution = {"resolution": (1e4 / x, 1e4 / y), "resolutionunit": "CENTIMETER"}
    load_library("tifffile").imwrite(
        stream,
        plane,
        photometric="minisblack",
        compression="zlib",
        compressionargs={"level": settings.level},
        predictor=plane.dtype.kind in "ui",
        metadata=None,
        software=False,
        **resolution,
    )
    return stream.getvalue()


def _encode_jpeg_2000(plane: Voxels, settings: PlaneSettings) -> bytes:
    """Return a plane of at least the quality that is asked for, which the encoder only aims at."""
    codecs = load_library("imagecodecs", "convert")
    for more in range(_MOST_TRIES if settings.psnr_db else 0):
        level = settings.psnr_db + more
        data: bytes = codecs.jpeg2k_encode(plane, level=level, codecformat="jp2")
        if measure_psnr(plane, codecs.jpeg2k_decode(data)) >= settings.psnr_db:
            return data
    whole: bytes = codecs.jpeg2k_encode(plane, level=0, reversible=True, codecformat="jp2")
    return whole


_TIFF = PlaneForm(
    "TIFF",
    (*("uint8", "uint16", "uint32", "int8", "int16", "int32"), *("float32", "float64")),
    _encode_tiff,
)
PLANE_FORMS = MappingProxyType(
    {
        ".tif": _TIFF,
        ".tiff": _TIFF,
        ".jp2": PlaneForm("JPEG 2000", ("uint8", "uint16"), _encode_jpeg_2000),
    }
)
"""Formats of planes that are written, by the ending of their names."""
