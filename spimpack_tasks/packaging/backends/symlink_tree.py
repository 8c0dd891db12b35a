"""A real directory of links, one for each file, for OME-Zarr; a plain link for files.

DANDI passes over a link to a directory without a word, but follows links to files.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.files.trees import remake_tree, same_tree
from spimpack_tasks.packaging.backends.symlink import SymlinkAssets

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output


class SymlinkTreeAssets(SymlinkAssets):
    """Make a directory of links for an OME-Zarr, and a link for any other image."""

    name = "symlink-tree"

    @classmethod
    def make(cls, output: Output, path: str) -> None:
        """Make the link, or the directory of links."""
        if not os.path.isdir(output.source):
            super().make(output, path)
            return
        StoreFiles(output.source).check()
        link = _Linker(output)
        remake_tree(output.source, path, lambda file, at: os.symlink(link.text(file), at))

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether each file of the source has its link."""
        if not os.path.isdir(output.source):
            return super().matches(output, path)
        link = _Linker(output)
        return same_tree(
            output.source,
            path,
            lambda file, at: os.path.islink(at) and os.readlink(at) == link.text(file),
        )


class _Linker:
    """Knows the text of the link to each file of a source."""

    def __init__(self, output: Output) -> None:
        self.source = output.source
        self.target = output.target
        self.is_relative = not os.path.isabs(output.target)

    def text(self, file: str) -> str:
        """Return the text of the link to one file, seen from where its copy lies."""
        inner = os.path.relpath(file, self.source)
        # The link lies inside the remade directory, one level deeper for each folder.
        up = "../" * (inner.count("/") + 1) if self.is_relative else ""
        return f"{up}{self.target}/{inner}"
