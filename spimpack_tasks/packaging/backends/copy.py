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
from spimpack_tasks.packaging.backends.base import Backend, size_of_source

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.packaging.backends.base import Advance


def measure_copy(output: Output) -> int:
    """Return the number of bytes of the source, all of whose files must be there."""
    if os.path.isdir(output.source):
        StoreFiles(output.source).check()
    return size_of_source(output)


def resume_copy(output: Output, path: str, advance: Advance) -> None:
    """Copy the source, with its modification times, or resume a copy of it."""
    copy = copy_tree if os.path.isdir(output.source) else copy_file
    copy(output.source, path, advance)


def is_copy_of_source(output: Output, path: str) -> bool:
    """Tell whether a path is of the source's size and time, file by file."""
    if os.path.isdir(output.source):
        return same_tree(output.source, path, is_copy)
    return is_copy(output.source, path)


COPY = Backend(
    name="copy",
    task="CopyAssets",
    summary="copies of the images",
    measure=measure_copy,
    resume=resume_copy,
    matches=is_copy_of_source,
)
