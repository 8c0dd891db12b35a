"""Draws a small picture of an image: its middle slices, turned as the row says."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError, message_of
from spimpack_tasks.files.atomic import write_new
from spimpack_tasks.packaging.previews import KEY
from spimpack_tasks.qc.pictures import encode_strip
from spimpack_tasks.qc.preview import compose_preview
from spimpack_tasks.qc.volume import read_volume
from spimpack_tasks.volumes.merged.form import find_format

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output


def make_preview(_image: str, output: Output, path: str) -> None:
    """Draw the picture of an image from its source.

    Raises
    ------
    OSError
        The voxels cannot be read.
    """
    try:
        volume = read_volume(
            output.source, form=find_format(output.format), selection=output.selection
        )
        picture = encode_strip(compose_preview(volume), output.target, {KEY: output.fingerprint})
    except SpimpackError as error:
        raise OSError(errno.EIO, message_of(error)) from error
    write_new(path, picture)
