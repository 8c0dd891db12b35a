"""Finds the versions of this program that converted the images which stay as they are.

A newer version does not convert an image again unless it would make another one of the same inputs.
So its sidecar goes on naming the version that made the voxels: if that had a fault, its images can
be found.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.model.plan import Step
from spimpack_tasks.packaging.image_outputs import fingerprint_image
from spimpack_tasks.packaging.paths import PathBuilder
from spimpack_tasks.state.receipts import read_receipts, receipt_names
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Dataset
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.state.receipts import Receipt
    from spimpack_tasks.state.store import Store


def find_kept_versions(dataset: Dataset, choice: Choice, store: Store) -> dict[str, str]:
    """Return the version that converted each image which a run would keep.

    Parameters
    ----------
    dataset
        The images and tables to be packaged.
    choice
        The backend with its settings.
    store
        The state of the dataset on the disk.

    Returns
    -------
    dict
        Versions by the keys of assets. Images of this version are left out, and so are those of
        which no version is on record.
    """
    older = dict(_records_of_others(store)) if choice.backend.makes else {}
    if not older:
        return {}
    kept: dict[str, str] = {}
    paths = PathBuilder(store).build(dataset.assets)
    for asset in dataset.assets:
        receipt = older.get(paths[asset.key])
        if receipt is None or not choice.describe_conversion(asset):
            continue
        # An image that is gone is converted again, by this version.
        is_there = os.path.lexists(os.path.join(store.output_dir, paths[asset.key]))
        made_from = fingerprint_image(asset, choice.backend, choice.recipe(asset, None))
        if is_there and made_from == receipt.fingerprint:
            kept[asset.key] = receipt.version
    return kept


def _records_of_others(store: Store) -> Iterator[tuple[str, Receipt]]:
    """Yield path and receipt of each image that another version has made."""
    for name in receipt_names(store):
        if name.startswith(Step.ASSETS):
            for path, receipt in read_receipts(store, name).items():
                if receipt.version not in {"", __version__}:
                    yield path, receipt
