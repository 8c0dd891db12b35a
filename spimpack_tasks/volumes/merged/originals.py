"""The metadata of files that are merged, as the files have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.volumes.formats import format_named
from spimpack_tasks.volumes.originals import Texts, read_original

if TYPE_CHECKING:
    from spimpack_tasks.volumes.merged.request import Merge


def of_merged(merge: Merge) -> Texts:
    """Return the texts of all files of a merge, each behind the name of its file."""
    members = zip(merge.names, merge.members, strict=True)
    return {
        f"{name}: {key}": text
        for name, (path, form) in members
        for key, text in read_original(path, format_named(form)).items()
    }
