"""Finds objects of others in place of ours, as far as it is cheap, before anything is sent.

An object of another size is in the way. One of the same size may have the same bytes, and is then
adopted: small files are compared here, and all others when it is their turn.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spimpack_tasks.publishing.reading import read_whole
from spimpack_tasks.remote.etags import ObjectDigest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.publishing.objects import LocalObject
    from spimpack_tasks.remote.object_store import ObjectStore

_SMALL_BYTES = 2**20
"""Largest file that is read."""
_MOST_BYTES = 64 * 2**20
"""Bytes of files that are read in all."""
_MOST_READ = 20
"""Objects that are read: one is enough to refuse a run."""
_MD5 = re.compile("[0-9a-f]{32}")


def find_occupied(
    store: ObjectStore, locals_: Iterable[LocalObject], listed: Mapping[str, tuple[int, str]]
) -> tuple[list[str], int]:
    """Return the names of objects of others with other bytes than ours, and how many were read.

    Parameters
    ----------
    store
        The objects below the location.
    locals_
        Objects of ours in whose place there is one of another.
    listed
        Size and entity tag of the objects that are there.

    Raises
    ------
    OutputError
        A file has changed since it was looked at.
    """
    occupied, read, left = [], 0, _MOST_BYTES
    for local in locals_:
        size, etag = listed[local.name]
        if size != local.size:
            occupied.append(local.name)
            continue
        left -= size
        is_small = size <= _SMALL_BYTES and left >= 0 and local.found is None
        if not is_small or not _MD5.fullmatch(etag.strip('"')) or read >= _MOST_READ:
            continue
        digest = ObjectDigest()
        data = read_whole(local, digest)
        if digest.etag == etag.strip('"'):
            continue
        # A service may give tags that look like an MD5 and are none.
        there, read = store.read(local.name), read + 1
        if there is not None and there[0] != data:
            occupied.append(local.name)
    return occupied, read
