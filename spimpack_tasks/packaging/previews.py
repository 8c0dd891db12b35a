"""Draws a small picture of each image beside it: its middle slices, turned as the row says.

What a picture was made from is written into it, so it is known again when the state is lost.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.atomic import write_new
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.qc.pictures import encode_strip
from spimpack_tasks.qc.preview import compose_preview
from spimpack_tasks.qc.volume import read_volume
from spimpack_tasks.volumes.formats import format_named

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output

_BEGINNING = 4096
"""Bytes of a picture in which its origin stands."""
_KEY = "made_from"


def make_preview(_image: str, output: Output, path: str) -> None:
    """Draw the picture of an image from its source.

    Raises
    ------
    OSError
        The voxels cannot be read.
    """
    try:
        volume = read_volume(output.source, form=format_named(output.format))
        picture = encode_strip(compose_preview(volume), output.target, {_KEY: output.fingerprint})
    except SpimpackError as error:
        raise OSError(errno.EIO, str(error)) from error
    write_new(path, picture)


def is_preview(_image: str, output: Output, path: str) -> bool:
    """Tell whether a file is the picture that was drawn of an image as it is."""
    with open_regular(path) as file:
        beginning = file.read(_BEGINNING)
    return f"{_KEY}\0{output.fingerprint}".encode() in beginning
