"""Reads the files that are published, with their digests; a file must not change meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import OutputError
from spimpack_tasks.files.regular import open_descriptor
from spimpack_tasks.remote.etags import ObjectDigest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.publishing.objects import LocalObject
    from spimpack_tasks.publishing.publication import Found

_PIECE = 2**20
"""Bytes read at once: few system calls, little memory."""


class DamagedError(OutputError):
    """An object did not arrive as it was sent, or its file changed meanwhile."""


def digest_for(local: LocalObject, found: Found) -> ObjectDigest:
    """Return what is needed of a file's digests to compare it with an object of the same size.

    A file of another size is not read.

    Raises
    ------
    DamagedError
        It has changed since it was looked at.
    OSError
        It cannot be read.
    """
    digest = ObjectDigest(with_etag=not found.sha256)
    if local.size == found.size:
        for _ in read_pieces(local, digest):
            pass
    return digest


def is_equal(digest: ObjectDigest, found: Found) -> bool:
    """Tell whether an object has the bytes of a file, by what the inventory or its tag says."""
    if digest.size != found.size:
        return False
    if found.sha256:
        return digest.sha256 == found.sha256
    return digest.etag == found.etag


def read_whole(local: LocalObject, digest: ObjectDigest) -> bytes:
    """Return the bytes of a small file; errors as of `read_pieces`."""
    descriptor, status = open_descriptor(local.path)
    try:
        data = b"" if _is_changed(local, status) else os.read(descriptor, local.size + 1)
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    digest.update(data)
    _refuse_changed(local, status, digest.size)
    return data


def read_pieces(local: LocalObject, digest: ObjectDigest) -> Iterator[bytes]:
    """Yield the bytes of a file, and make sure that it did not change meanwhile.

    Raises
    ------
    DamagedError
        It has changed since it was looked at.
    OSError
        It cannot be read.
    """
    descriptor, status = open_descriptor(local.path)
    try:
        while not _is_changed(local, status) and (piece := os.read(descriptor, _PIECE)):
            digest.update(piece)
            yield piece
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    _refuse_changed(local, status, digest.size)


def _refuse_changed(local: LocalObject, status: os.stat_result, size: int) -> None:
    if _is_changed(local, status) or size != local.size:
        message = f"{local.path} has changed while it was published; run it again"
        raise DamagedError(message)


def _is_changed(local: LocalObject, status: os.stat_result) -> bool:
    return (status.st_size, status.st_mtime_ns, status.st_ino) != local.stamp
