"""Looks whether the disk has room for what a run makes, before it begins."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, size_in_words
from spimpack_tasks.files.filesystems import nearest_directory
from spimpack_tasks.state.receipts import read_all_receipts

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Dataset
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.state.store import Store


def find_missing_space(
    dataset: Dataset, plan_id: str, store: Store, choice: Choice
) -> Problem | None:
    """Return what is wrong where the disk is too small for the images that are to be made.

    An image that was made of a source already is not made again, or replaces the earlier one.
    """
    if not choice.backend.makes:
        return None
    if store.current_plan_id() == plan_id:
        return None  # it was started, and its unfinished part takes disk space
    folder = nearest_directory(store.output_dir)
    if folder is None:
        return None
    free = shutil.disk_usage(folder).free
    needs = {asset.source: choice.least_size(asset) for asset in dataset.assets}
    if sum(needs.values()) <= free:
        return None
    receipts = read_all_receipts(store).values()
    made = {receipt.source for part in receipts for receipt in part.values() if receipt.is_data}
    needed = sum(size for source, size in needs.items() if source not in made)
    if needed <= free:
        return None
    message = f"the images take {size_in_words(needed)} at the least, and the disk has "
    message += size_in_words(free)
    hint = "free some, or choose another one"
    return Problem("output.room", Place("command line"), "--output-dir", message, hint)
