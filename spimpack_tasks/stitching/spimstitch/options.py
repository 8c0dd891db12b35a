"""Options of stitching that the environment of spimstitch's scripts settles where a user does not.

One adapter for the command line and the tasks: what is given wins over the environment, and that
over the default values of options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.stitching.options import OPTIONS
from spimpack_tasks.stitching.spimstitch.environment import read_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.stitching.spimstitch.environment import SpimstitchEnv


def settle_options(given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of all options, and of `threads` where the environment tells it.

    Parameters
    ----------
    given
        What the user has chosen, by the names of options.
    environment
        The variables; empty where they shall not count.

    Raises
    ------
    EnvironmentRefusedError
        Variables are impossible.
    """
    told = _told(read_environment(environment))
    if given.get("align", "file") != "file":
        told.pop("align_file", None)
    defaults = {name: option.default for name, option in OPTIONS.items()}
    return defaults | told | dict(given)


def _told(found: SpimstitchEnv) -> dict[str, Any]:
    """Return what an environment tells, by the names of options.

    The scripts subtract BACKGROUND as dark counts, and take no darker pixel for fluorescence.
    """
    told = {
        "flat": found.flat,
        "dark": found.background,
        "background": found.background,
        "destripe": found.destripe,
        "align": "file" if found.align_file else None,
        "align_file": found.align_file,
        "align_reversed": found.reversed_axes,
        "threads": found.workers,
    }
    return {name: value for name, value in told.items() if value is not None}


_OF_TILES = ("X_STEP_SIZE", "Y_VOXEL_SIZE", "Z_OFFSET", "FLIP_Y_SWITCH")
_WITHOUT_EFFECT = {
    **dict.fromkeys(_OF_TILES, "counts for spimpack tiles; the file of tiles has the geometry"),
    "ALIGN_XZ": "tiles are aligned along all axes",
    "NGFF": "the volume is always an OME-Zarr",
    "PSNR": "is for spimpack convert --psnr",
    "SUBJECT": "a row has its subject by --cell subject=",
    "TEMPLATE": "spimpack package makes the sidecars",
    "JP2K_ROOT": "is for spimpack convert, which writes folders of planes",
    "DANDI_ROOT": "the scans table of the dataset is given by --rows",
    "DONT_CLEANUP_INTERMEDIATES": "nothing is deleted",
}


def explain_idle(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that is set, and has no effect on stitching."""
    return [
        f"{name}: {why}"
        for name, why in _WITHOUT_EFFECT.items()
        if environment.get(name, "").strip()
    ]
