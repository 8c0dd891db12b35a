"""Where the lists of checksums are, and whether there are any; a run asks before all else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spimpack_tasks.state.store import Store

FILE_LIST = "SHA256SUMS"
TREE_LIST = "SHA256SUMS.trees"


def has_lists(store: Store) -> bool:
    """Tell whether lists of checksums are kept: from then on every run brings them up to date."""
    return os.path.exists(store.path(FILE_LIST))
