"""Finds the BIDS dataset that contains a path."""

from __future__ import annotations

import os


def dataset_above(path: str) -> str:
    """Return the nearest folder above an absolute path that holds a dataset, empty if none does."""
    folder = os.path.dirname(path)
    while not os.path.exists(os.path.join(folder, "dataset_description.json")):
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
    return folder
