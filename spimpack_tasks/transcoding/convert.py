"""Which formats can become an OME-Zarr, and what makes it of each.

A converter is one function, `convert(job, advance)`, in a module of its own; `CONVERTERS` names it.
It makes the image at the path of its job, whole or not yet to be opened: what can be opened is
complete. It goes on where an earlier attempt was cut off, and opens nothing of the user's for
writing.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.transcoding.multiscale import PROVENANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.transcoding.request import Job

CONVERTERS = {
    "Imaris": "spimpack_tasks.transcoding.imaris:convert",
}
"""Name of a format in `readers.formats` to `module:function`."""


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
    module, _, function = CONVERTERS[source_format].partition(":")
    convert: Convert = getattr(import_module(module), function)
    return convert


def is_made_from(path: str, made_from: str) -> bool:
    """Tell whether there is an OME-Zarr at `path` that was made here from just that."""
    for name, keys in (("zarr.json", ("attributes", PROVENANCE)), (".zattrs", (PROVENANCE,))):
        try:
            with open(f"{path}/{name}", encoding="utf-8") as file:
                data = json.load(file)
        except (OSError, ValueError):
            continue
        for key in keys:
            data = data.get(key, {})
        return bool(data.get("made_from") == made_from)
    return False
