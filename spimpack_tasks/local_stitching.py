"""One task of stitching by Luigi's local scheduler, without the tasks of other stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.luigi_run import build_alone
from spimpack_tasks.stitching.tasks.deconvolve import DeconvolveVolume
from spimpack_tasks.stitching.tasks.deskew import DeskewTile
from spimpack_tasks.stitching.tasks.volume import AlignTiles, StitchChannel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.luigi_run import CheckedTask

_TASKS: dict[str, type[CheckedTask]] = {
    "volume": StitchChannel,
    "align": AlignTiles,
    "deskew": DeskewTile,
    "deconvolve": DeconvolveVolume,
}
"""By the action of `spimpack stitch`."""


def run_stitching(action: str, parameters: Mapping[str, Any], workers: int) -> ExitCode:
    """Run the task of an action in this process, and return its exit code."""
    task = _TASKS[action](**parameters)
    build_alone(task, workers)
    code = task.verdict()
    return ExitCode.FAILED if code is None else code
