"""Compares an output with its record by content, where its inode or time has changed.

Datasets are copied, moved to other disks, cloned and saved by DataLad. None of these changes the
content, but inodes, times and links change. So the content decides: for a directory its names,
sizes, links and metadata; for a copied image its bytes, compared with those of the source.
"""

from __future__ import annotations

import os
import stat
from filecmp import cmp
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.files.annex import annexed_size, is_annexed
from spimpack_tasks.files.evidence import evidence_of
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.stamps import ZARR_METADATA, stamp_text
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.model.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.state.receipts import Receipt


def evidence_beside(path: str, receipt: Receipt | None) -> str:
    """Return the evidence of a path; git-annex may have put a link to the content at its place."""
    there = evidence_of(path)
    if receipt and receipt.is_data and there.startswith("link ") and is_annexed(path):
        return evidence_of(os.path.realpath(path)) or there
    return there


def content_of(path: str) -> str:
    """Return a digest of the content of a directory, empty where `path` is none.

    It covers the name of each file, its size or the text of its link, and the bytes of Zarr
    metadata. Chunks are not read: there may be a million of them.

    Raises
    ------
    OSError
        A folder or metadata cannot be read.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        return ""
    digest = blake2b(digest_size=16)
    for line in _lines(path):
        digest.update(line)
    return digest.hexdigest()


def times_of(path: str) -> str:
    """Return a digest of the times of all files of a directory, empty where `path` is none.

    A file that is written in place has the size that it had, and another time.

    Raises
    ------
    OSError
        A folder cannot be read.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        return ""
    digest = blake2b(digest_size=16)
    for name in files_below(path, follow_links=False):
        digest.update(os.fsencode(f"{name}\0{_time_of(f'{path}/{name}')}\0"))
    return digest.hexdigest()


def _time_of(path: str) -> int:
    """Return the time of a file, or of the target of a git-annex link; 0 for other links."""
    if os.path.islink(path) and not (is_annexed(path) and os.path.exists(path)):
        return 0
    return os.stat(path).st_mtime_ns


def is_edited_in_place(path: str, receipt: Receipt) -> bool:
    """Tell whether files of a directory were written since, where it is the very one we made."""
    return (
        bool(receipt.times)
        and evidence_of(path) == receipt.evidence
        and times_of(path) != receipt.times
        and not shares_files(path, receipt.source)
    )


def shares_files(path: str, source: str) -> bool:
    """Tell whether a directory is made of hard links to its source: whose edit it is then."""
    name = next(files_below(path, follow_links=False), "")
    try:
        return bool(name) and os.path.samefile(f"{path}/{name}", f"{source}/{name}")
    except OSError:
        return False


def _lines(root: str) -> Iterator[bytes]:
    """Yield a line about each file, in the order of their paths."""
    for name in files_below(root, follow_links=False):
        yield _line(f"{root}/{name}", name)


def _line(path: str, name: str) -> bytes:
    status = os.lstat(path)
    size = str(status.st_size)
    if stat.S_ISLNK(status.st_mode):
        annexed = annexed_size(path)
        size = os.readlink(path) if annexed is None else str(annexed)
    data = b""
    if name.rpartition("/")[2] in ZARR_METADATA and os.path.isfile(path):
        with open_regular(path) as file:
            data = blake2b(file.read(), digest_size=16).digest()
    return os.fsencode(f"{name}\0{size}\0") + data


def holds_record(path: str, there: str, receipt: Receipt) -> bool:
    """Tell whether an image has the recorded content, ignoring its inode and time.

    Parameters
    ----------
    path
        Of the image.
    there
        Its present evidence, which differs from the receipt's.
    receipt
        The record.
    """
    if receipt.kind is not Kind.IMAGE or not receipt.is_data:
        return False
    word, first, *rest = there.split(" ")
    if not receipt.evidence.startswith(f"{word} "):
        return False
    if word == "directory":
        if receipt.content:
            return content_of(path) == receipt.content
        return receipt.evidence.endswith(f" {rest[0]}")  # early versions recorded no content
    size = receipt.evidence.split(" ")[1]
    is_copy = first == size == receipt.stamp.split(" ")[0]
    if not is_copy or stamp_text(receipt.source) != receipt.stamp:
        return False  # there is nothing to compare it with
    return cmp(path, receipt.source, shallow=False)
