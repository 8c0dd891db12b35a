"""Tells whether the files of images are those that were packaged, by what a look at them has shown.

Names, sizes and times of all files are known when they are looked at for a publication, so nothing
more is asked of the disk than the bytes of a few metadata. Of images that are links nothing is
recorded; but a chunk without a byte is damaged anywhere.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of
from spimpack_tasks.files.annex import is_annexed
from spimpack_tasks.files.evidence import evidence_of
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.stamps import ZARR_METADATA
from spimpack_tasks.publishing.objects import Rank, UnpackagedError
from spimpack_tasks.state.content import content_of, shares_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.publishing.objects import Item, LocalObject
    from spimpack_tasks.state.receipts import Receipt

_MOST_NAMES = 20
"""Images that a message names."""


def require_whole(
    root: str, items: Iterable[Item], locals_: Mapping[str, list[LocalObject]]
) -> None:
    """Refuse images whose files are not those that were packaged.

    Parameters
    ----------
    root
        Of the dataset.
    items
        The outputs.
    locals_
        Their objects, by output.

    Raises
    ------
    UnpackagedError
        There are some; the message names them.
    OSError
        Metadata cannot be read.
    """
    found = [(i.name, what) for i in items if (what := damage_of(root, i, locals_[i.name]))]
    if not found:
        return
    lines = [f"{count_of(len(found), 'image')} not as packaged, so nothing was published"]
    lines += [f"{name}: {what}" for name, what in found[:_MOST_NAMES]]
    if len(found) > _MOST_NAMES:
        lines.append(f"and {len(found) - _MOST_NAMES:,} more")
    raise UnpackagedError("\n".join(lines))


def damage_of(root: str, item: Item, locals_: list[LocalObject]) -> str:
    """Return the difference of an image from what was packaged, with a remedy; empty for none.

    Raises
    ------
    OSError
        Metadata cannot be read.
    """
    path = f"{root}/{item.name}"
    what = item.is_store and (
        _empty_chunk(item, locals_) or _difference(path, item.receipt, locals_)
    )
    if not what:
        return ""
    is_link = os.path.islink(path) or os.path.islink(locals_[0].path)
    remedy = "delete the image in the dataset, and package it again"
    return f"{what}; {'restore its source' if is_link else remedy}"


def _empty_chunk(item: Item, locals_: Iterable[LocalObject]) -> str:
    cut = len(item.name) + 1
    empty = [e.name[cut:] for e in locals_ if not e.size and e.rank is Rank.DATA]
    return f"{empty[0]} has no byte" if empty else ""


def _difference(path: str, receipt: Receipt | None, locals_: list[LocalObject]) -> str:
    """Return the difference of an image from its record, empty for none that is known."""
    if receipt is None or not receipt.is_data or not receipt.content or not locals_:
        return ""
    if any(local.found for local in locals_):
        return ""  # it lies in an object store
    if os.path.islink(locals_[0].path) and not is_annexed(locals_[0].path):
        return ""  # a folder of links, of whose targets nothing is recorded
    cut = len(path) + 1
    if _content_in(locals_, cut) != receipt.content and content_of(path) != receipt.content:
        return "names or sizes of its files, or its metadata, have changed"
    if (
        receipt.times
        and _times_in(locals_, cut) != receipt.times
        and evidence_of(path) == receipt.evidence
        and not shares_files(path, receipt.source)
    ):
        return "files of it were written since"
    return ""


def _content_in(locals_: Iterable[LocalObject], cut: int) -> str:
    """Return the digest of `state.content.content_of`, from sizes that are known."""
    digest = blake2b(digest_size=16)
    for local in locals_:
        inner, data = local.path[cut:], b""
        if inner.rpartition("/")[2] in ZARR_METADATA:
            with open_regular(local.path) as file:
                data = blake2b(file.read(), digest_size=16).digest()
        digest.update(os.fsencode(f"{inner}\0{local.size}\0") + data)
    return digest.hexdigest()


def _times_in(locals_: Iterable[LocalObject], cut: int) -> str:
    """Return the digest of `state.content.times_of`, from times that are known."""
    digest = blake2b(digest_size=16)
    for local in locals_:
        digest.update(os.fsencode(f"{local.path[cut:]}\0{local.mtime_ns}\0"))
    return digest.hexdigest()
