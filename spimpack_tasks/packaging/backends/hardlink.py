"""A hard link for each file: a second name for the same data, on the same disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.files.filesystems import NO_LINKS
from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.files.trees import remake_tree, same_tree
from spimpack_tasks.packaging.backends.base import Backend

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output


def _make(output: Output, path: str) -> None:
    """Make the hard link, or the directory of hard links."""
    if os.path.isdir(output.source):
        StoreFiles(output.source).check()
        remake_tree(output.source, path, _link)
    else:
        _link(output.source, path)


def _matches(output: Output, path: str) -> bool:
    """Tell whether `path` is another name of the source's data."""
    if os.path.isdir(output.source):
        return same_tree(output.source, path, _is_same)
    return _is_same(output.source, path)


def _link(source: str, path: str) -> None:
    # A file inside a store may be a link itself; its data get the second name, not the link.
    os.link(os.path.realpath(source), path)


def _is_same(source: str, path: str) -> bool:
    return not os.path.islink(path) and os.path.samefile(source, path)


HARDLINK = Backend(
    name="hardlink",
    task="HardlinkAssets",
    summary="second names of the same data",
    make=_make,
    matches=_matches,
    same_disk=True,
    impossible_on=NO_LINKS,
)
