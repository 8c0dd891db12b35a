"""Finds what is in the way of a plan on the disk, and whose it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem
from spimpack_tasks.files.annex import content_command
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.state.sweep import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.state.sweep import Inspection, Sweep


def find_conflicts(options: Options, sweep: Sweep, sources: set[str]) -> Iterator[Problem]:
    """Yield what is in the way of the outputs of a plan, each once.

    Parameters
    ----------
    options
        Of the run.
    sweep
        How the outputs of the plan stand.
    sources
        The paths of all sources.
    """
    found = (_conflict(options, inspection, sources) for inspection in sweep.conflicts)
    # One folder that cannot be entered is in the way of all that belongs there.
    yield from dict.fromkeys(problem for problem in found if problem)


def _conflict(options: Options, inspection: Inspection, sources: set[str]) -> Problem | None:
    path = os.path.join(options.output_dir, inspection.output.path)
    place = Place(shown(path))
    real = os.path.realpath(path)
    holds_source = not os.path.islink(path) and any(
        source == real or source.startswith(real + "/") for source in sources
    )
    if holds_source:
        return None  # the source has a problem of its own
    if inspection.status is Status.BLOCKED:
        message = "is a link or a file, and a folder of the dataset belongs at its place"
        folder = Place(shown(_blocked_folder(options.output_dir, inspection.output.path)))
        return Problem("conflict.folder", folder, "", message, "make it a real folder")
    if options.overwrite:
        return None
    if inspection.output.kind is not Kind.LINK and (command := content_command(path)):
        message = "is a link of git-annex, and its content is not here"
        return Problem("conflict.altered", place, "", message, f"get it with: {command}")
    if inspection.status is Status.ALTERED:
        message = "was changed since it was written"
        hint = "move the change into the inputs, or use --overwrite to lose it"
        return Problem("conflict.altered", place, "", message, hint)
    message = "is in the way of an output, and was not written by this program"
    hint = "move it away, choose another --output-dir, or use --overwrite to replace it"
    return Problem("conflict.foreign", place, "", message, hint)


def _blocked_folder(root: str, path: str) -> str:
    """Return the first of the folders that lead to `path` that cannot be entered."""
    folder = root
    for part in path.split("/")[:-1]:
        folder = os.path.join(folder, part)
        if os.path.islink(folder) or not os.path.isdir(folder):
            break
    return folder
