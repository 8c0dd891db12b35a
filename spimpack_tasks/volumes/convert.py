"""Which formats can become an OME-Zarr, and what makes it of each.

A converter is one function, `convert(job, advance)`, in a module of its own; `CONVERTERS` names it.
It makes the image at the path of its job, whole or not yet to be opened: what can be opened is
complete. It goes on where an earlier attempt was cut off, and opens nothing of the user's for
writing.
"""

from __future__ import annotations

import json
import math
import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from spimpack_tasks.arrays.memory import keep_freed_memory
from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.files.limits import LARGEST_METADATA, allowed
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.ome_zarr.metadata import PROVENANCE
from spimpack_tasks.volumes.ome_zarr.unzip import is_unpacked, open_zip
from spimpack_tasks.volumes.volume import read_header

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.volumes.request import Job

ZIPPED = "zipped OME-Zarr"
_PLANES = "spimpack_tasks.volumes.ome_zarr.slabs:convert"
CONVERTERS = {
    "Imaris": "spimpack_tasks.volumes.imaris.chunks:convert",
    ZIPPED: "spimpack_tasks.volumes.ome_zarr.unzip:convert",
    "NIfTI": _PLANES,
    "OME-TIFF": _PLANES,
    "TIFF": _PLANES,
    "OME-Zarr": _PLANES,
    "folder of planes": _PLANES,
}
"""Name of a format in `volumes.formats` to `module:function`."""

_CODECS = {"Imaris": "gzip"}
"""What a format becomes quickest; blosc is quickest for what is compressed anew."""

LIBRARIES = ("deflate", "google_crc32c", "h5py", "imagecodecs", "numcodecs")
"""Modules of the extra `convert`."""


class Convert(Protocol):
    """Converts images of one format."""

    def __call__(self, job: Job, advance: Callable[[int], None]) -> None:
        """Convert one image.

        Parameters
        ----------
        job
            What to convert, and to what.
        advance
            Told the number of bytes of voxels after each piece that is there.

        Raises
        ------
        OSError
            The source cannot be read, is damaged, or the disk does not take the image.
        """


@cache
def load_converter(source_format: str) -> Convert:
    """Return what converts a format.

    Raises
    ------
    MissingExtraError
        A library is not installed.
    """
    for name in LIBRARIES:
        if find_spec(name) is None:
            raise MissingExtraError(name, "convert")
    keep_freed_memory()
    module, _, function = CONVERTERS[source_format].partition(":")
    convert: Convert = getattr(import_module(module), function)
    return convert


def read_provenance(path: str) -> dict[str, str]:
    """Return what is told of the making of an OME-Zarr; nothing of one that was not made here."""
    for name, keys in (("zarr.json", ("attributes", PROVENANCE)), (".zattrs", (PROVENANCE,))):
        try:
            with open_regular(f"{path}/{name}") as file:
                data = json.loads(file.read(allowed(LARGEST_METADATA)))
        except (OSError, ValueError, RecursionError):
            continue
        for key in keys:
            data = data.get(key) if isinstance(data, dict) else None
        return data if isinstance(data, dict) else {}
    return {}


def choose_codec_for(source_format: str) -> str:
    """Return the codec of a request that names none."""
    return _CODECS.get(source_format, "blosc")


def is_result(path: str, source: str, source_format: str, made_from: str) -> bool:
    """Tell whether what is at `path` is what converting a source makes.

    The files of a zipped OME-Zarr are unpacked as they are, so they are compared with the archive.
    """
    if source_format != ZIPPED:
        return not os.path.islink(path) and read_provenance(path).get("made_from") == made_from
    try:
        return is_unpacked(source, path)
    except (OSError, HeaderError):  # the source is gone, or damaged
        return False


def count_bytes(source: str, source_format: str) -> int:
    """Return the number of bytes that a converter tells of."""
    if source_format == ZIPPED:
        with open_zip(source) as archive:
            return archive.size
    header = read_header(source, source_format)
    shapes = header.shapes if source_format == "Imaris" else header.shapes[:1]
    return sum(map(math.prod, shapes)) * header.itemsize
