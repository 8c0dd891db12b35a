"""A real directory of links, one for each file, for OME-Zarr; a plain link for files.

DANDI passes over a link to a directory without a word, but follows links to files.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.files.trees import remake_tree, same_tree
from spimpack_tasks.packaging.backends.symlink import SYMLINK, is_link, make_link

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output


def _make(output: Output, path: str) -> None:
    if not os.path.isdir(output.source):
        make_link(output, path)
        return
    StoreFiles(output.source).check()
    remake_tree(output.source, path, lambda file, at: os.symlink(_text(output, file), at))


def _matches(output: Output, path: str) -> bool:
    if not os.path.isdir(output.source):
        return is_link(output, path)
    return same_tree(
        output.source,
        path,
        lambda file, at: os.path.islink(at) and os.readlink(at) == _text(output, file),
    )


def _text(output: Output, file: str) -> str:
    """Return the text of the link to one file of a source, seen from where its copy lies."""
    inner = os.path.relpath(file, output.source)
    # The link lies inside the remade directory, one level deeper for each folder.
    up = "" if os.path.isabs(output.target) else "../" * (inner.count("/") + 1)
    return f"{up}{output.target}/{inner}"


SYMLINK_TREE = replace(
    SYMLINK,
    name="symlink-tree",
    task="SymlinkTreeAssets",
    summary="links, and folders of links for OME-Zarr",
    make=_make,
    matches=_matches,
)
