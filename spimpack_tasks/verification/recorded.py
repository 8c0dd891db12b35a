"""Finds the state directory of a dataset that was packaged."""

from __future__ import annotations

import os

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.model.plan import STATE_DIRECTORY
from spimpack_tasks.state.store import Store

_DESCRIPTION = "dataset_description.json"


class NoDirectoryError(SpimpackError):
    """There is no directory at a path, or not that of a dataset."""

    exit_code = ExitCode.BAD_INPUT


def recorded_store(dataset: str) -> Store:
    """Return the state directory of a dataset that was packaged.

    Raises
    ------
    NoDirectoryError
        There is no directory.
    SpimpackError
        Nothing is on record.
    """
    store = Store(os.path.abspath(os.path.expanduser(dataset)))
    if not os.path.isdir(store.output_dir):
        what = "is not a directory" if os.path.lexists(store.output_dir) else "does not exist"
        message = f"{dataset} {what}; give the directory of the dataset"
        raise NoDirectoryError(message)
    if not store.current_plan_id() and not _is_dataset(store.output_dir):
        message = (
            f"{dataset} is no dataset that was packaged here (no {STATE_DIRECTORY}, and no "
            f"{_DESCRIPTION}); give the directory that spimpack package wrote"
        )
        raise NoDirectoryError(message)
    if not store.current_plan_id():
        message = (
            f"{dataset} holds no record of a run (no {STATE_DIRECTORY}), so there is nothing to "
            "compare it with; package it again, and what is right is kept"
        )
        raise SpimpackError(message)
    return store


def _is_dataset(folder: str) -> bool:
    """Tell whether a folder is a dataset of BIDS, or was one that we made."""
    return any(os.path.lexists(f"{folder}/{name}") for name in (_DESCRIPTION, STATE_DIRECTORY))
