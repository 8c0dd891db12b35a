"""Numbers the clusters of a probe of several shanks one after the other.

The public converter puts the shanks of a probe behind one another: clusters count from 0 on each
shank, and so do times. Arrays of clusters have a row for each, over all shanks, so the row is
the number that identifies a cluster.
"""

from __future__ import annotations

import csv
import os
from typing import Any

from spimpack_tasks.errors import OutputError

_OF_SPIKES = ("spikes.times.npy", "spikes.clusters.npy", "spikes.amps.npy", "spikes.depths.npy")
_SHANK_OF_SPIKE, _SHANK_OF_UNIT = "spike_shank_indices.npy", "unit_shank_indices.npy"
_METRICS = "clusters.metrics.csv"
_ID = "cluster_id"
"""First column of the metrics."""


def has_several_shanks(folder: str) -> bool:
    """Tell whether a folder of the converter has clusters of more than one shank.

    Raises
    ------
    OutputError
        An array cannot be read.
    """
    path = os.path.join(folder, _SHANK_OF_UNIT)
    return os.path.isfile(path) and len(set(_read(path).tolist())) > 1


def renumber_clusters(folder: str) -> None:
    """Number the clusters in a folder by their rows over all shanks, and sort spikes by time.

    Raises
    ------
    OutputError
        Arrays are missing, or do not fit each other.
    """
    import numpy as np

    arrays = {name: _read(os.path.join(folder, name)) for name in (*_OF_SPIKES, _SHANK_OF_SPIKE)}
    units = np.bincount(_read(os.path.join(folder, _SHANK_OF_UNIT)))
    clusters, shanks = arrays[_OF_SPIKES[1]], arrays[_SHANK_OF_SPIKE]
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise OutputError(f"{folder}: has arrays of spikes of different lengths: {lengths}")
    if (shanks >= len(units)).any() or (clusters >= units[shanks]).any():
        raise OutputError(f"{folder}: has spikes of clusters that its shanks do not have")
    first = np.cumsum(units) - units
    arrays[_OF_SPIKES[1]] = (clusters + first[shanks]).astype(clusters.dtype)
    order = np.argsort(arrays[_OF_SPIKES[0]], kind="stable")
    for name, array in arrays.items():
        np.save(os.path.join(folder, name), array[order])
    _renumber_metrics(os.path.join(folder, _METRICS), int(units.sum()))


def _renumber_metrics(path: str, units: int) -> None:
    """Number the rows of metrics; their last column keeps the name that the sorting gave."""
    if not os.path.isfile(path):
        return
    with open(path, encoding="utf-8", newline="") as file:
        head, *rows = [*csv.reader(file)] or [[]]
    if not head or head[0] != _ID or len(rows) != units:
        raise OutputError(f"{path}: has no {_ID} and a row for each of {units} clusters")
    with open(path, "w", encoding="utf-8", newline="") as file:
        numbered = ([str(n), *row[1:]] for n, row in enumerate(rows))
        csv.writer(file, lineterminator="\n").writerows([head, *numbered])


def _read(path: str) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: is no array of the converter: {error}") from error
