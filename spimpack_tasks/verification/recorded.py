"""Finds the state directory of a dataset that was packaged."""

from __future__ import annotations

import os

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.state.store import STATE_DIRECTORY, Store


def recorded_store(dataset: str) -> Store:
    """Return the state directory of a dataset that was packaged.

    Raises
    ------
    SpimpackError
        Nothing is on record.
    """
    store = Store(os.path.abspath(os.path.expanduser(dataset)))
    if not os.path.isdir(store.output_dir):
        message = f"{dataset} is not a directory; give the path of the dataset"
        raise SpimpackError(message)
    if not store.current_plan_id():
        message = (
            f"{dataset} holds no record of a run (no {STATE_DIRECTORY}), so there is nothing to "
            "compare it with; package it again, and what is right is kept"
        )
        raise SpimpackError(message)
    return store
