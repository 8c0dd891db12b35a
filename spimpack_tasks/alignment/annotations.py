"""Finds the annotation of a row of the table of probes, and reads the points of its track."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

from spimpack_tasks.alignment.brain import load_json
from spimpack_tasks.alignment.neuroglancer import AnnotationError, layer_points
from spimpack_tasks.errors import Place, Problem, Report

if TYPE_CHECKING:
    from spimpack_tasks.alignment.brain import Brain
    from spimpack_tasks.alignment.choices import Choices
    from spimpack_tasks.alignment.manifest import ProbeRow
    from spimpack_tasks.alignment.neuroglancer import TrackPoints


def find_annotations(data_root: str, probe_file: str) -> list[str]:
    """Return all files that may be the annotation of a row, in the order of their names."""
    root, name = glob.escape(data_root), glob.escape(probe_file)
    patterns = (f"{root}/*/{name}.json", f"{root}/{name}.json", f"{root}/*/{name}")
    found = {path for pattern in patterns for path in glob.glob(pattern) if os.path.isfile(path)}
    # A folder that is a link to another one has the same files.
    return [*{os.path.realpath(path): path for path in sorted(found, reverse=True)}.values()][::-1]


def read_track(choices: Choices, brain: Brain | None, row: ProbeRow) -> TrackPoints | Problem:
    """Return the points of a row, or why it has none.

    Parameters
    ----------
    choices
        Those of the user.
    brain
        Its image must hold the points; `None` where it is not known.
    row
        The row.
    """
    place = Place(choices.manifest, row.line)
    paths = find_annotations(choices.data_root, row.probe_file)
    if not paths:
        message = f"no file */{row.probe_file}.json is below {choices.data_root}"
        return Problem("alignment.row", place, "probe_file", message, "put it into a folder")
    if len(paths) > 1:
        message = f"{row.probe_file!r} is the name of {len(paths)} files: {', '.join(paths)}"
        hint = "keep one there, or give each a name of its own"
        return Problem("alignment.row", place, "probe_file", message, hint)
    report = Report()
    state = load_json(paths[0], report, "alignment.row")
    if report.problems:
        return report.problems[0]
    try:
        points = layer_points(state, row.track_id)
    except AnnotationError as error:
        return Problem("alignment.row", place, "probe_id", f"{paths[0]} {error}", error.hint)
    return _find_outside(points, brain, row, place) or points


def _find_outside(
    points: TrackPoints, brain: Brain | None, row: ProbeRow, place: Place
) -> Problem | None:
    """Return the problem of a track with points outside of the image."""
    size = brain.levels[0].size_xyz if brain else (0, 0, 0)
    for number, (z, y, x) in enumerate(points.index_zyx, 1):
        is_inside = all(-0.5 <= i <= n - 0.5 for i, n in zip((x, y, z), size, strict=True))
        if brain and not is_inside:
            message = f"point {number} of {row.track_id!r} at x {x:g}, y {y:g}, z {z:g} is "
            message += f"outside of the image of {' x '.join(map(str, size))} voxels"
            hint = "annotate the image of this asset, at its full resolution"
            return Problem("alignment.row", place, "probe_id", message, hint)
    return None
