"""A copy of each image: the dataset stands on its own.

Where the disk can share data between files (btrfs, XFS), a copy takes neither time nor space.
Elsewhere data are copied inside the kernel; memory does not grow with the size of the image. A copy
that is cut short goes on where it was.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.files.copying import copy_file, copy_tree, is_copy
from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.files.trees import same_tree
from spimpack_tasks.packaging.tasks.making import MakeAssets

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.model.plan import Output


class CopyAssets(MakeAssets):
    """Copy each image."""

    name = "copy"

    @classmethod
    def measure(cls, output: Output) -> int:
        """Return the number of bytes of the source, all of whose files must be there."""
        if os.path.isdir(output.source):
            StoreFiles(output.source).check()
        return super().measure(output)

    @classmethod
    def resume(cls, output: Output, path: str, advance: Callable[[int], None]) -> None:
        """Copy the source, with its modification times, or go on with a copy of it."""
        copy = copy_tree if os.path.isdir(output.source) else copy_file
        copy(output.source, path, advance)

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether `path` is of the source's size and time, file by file."""
        if os.path.isdir(output.source):
            return same_tree(output.source, path, is_copy)
        return is_copy(output.source, path)
