"""The task that finds the tiles of a recording."""

from __future__ import annotations

import logging
import math
from typing import Any

import luigi

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, reporting_disk_errors
from spimpack_tasks.targets import MadeByStep

_tile_choices = Deferred("spimpack_tasks.stitching.discovery.found:TileChoices")
_has_found = Deferred("spimpack_tasks.stitching.discovery.found_file:has_found")
_write_found = Deferred("spimpack_tasks.stitching.discovery.found_file:write_found")
logger = logging.getLogger(__name__)


class DiscoverTiles(IdentifiedTask):
    """Find the tiles of a recording, and write them to a file for the steps behind."""

    recording: luigi.Parameter[str] = AbsolutePath(
        description="Folder or file of the microscope; it is only read."
    )
    tiles: luigi.Parameter[str] = AbsolutePath(
        description="File of tiles to write; one that was edited is not replaced."
    )
    layout: luigi.Parameter[str] = luigi.Parameter(
        default="", description="How tiles lie on the disk; found out if not given."
    )
    channel: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Which channel, by its folder, name or number."
    )
    pitch_um: luigi.FloatParameter = luigi.FloatParameter(
        default=0.0, description="Distance of pixels in the sample; of the files if 0."
    )
    step_um: luigi.FloatParameter = luigi.FloatParameter(
        default=0.0, description="Distance of frames; of the files if 0."
    )
    angle_deg: luigi.Parameter[str] = luigi.Parameter(
        default="by layout",
        description="Angle between light sheet and x axis, none for planes across z, or by layout.",
    )
    rotate_90: luigi.IntParameter = luigi.IntParameter(
        default=-1, description="Quarter turns of each frame, anticlockwise; by layout if -1."
    )
    flip_ud: luigi.Parameter[str] = luigi.Parameter(
        default="",
        description="yes or no: rows are reversed after the turn; by layout if not given.",
    )
    reversed_axes: luigi.Parameter[str] = luigi.Parameter(
        default="by layout",
        description="Axes along which places fall while pixels or frames rise, or by layout.",
    )
    z_pitch_um: luigi.FloatParameter = luigi.FloatParameter(
        default=0.0, description="Distance of layers of tiles; of the files if 0."
    )
    sizes_may_differ: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Take tiles of different sizes."
    )
    # No task can see that a tile was added.
    identity = "run_id"
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identifies this run among others; chosen if not given."
    )

    def output(self) -> luigi.Target:
        return MadeByStep(lambda: bool(_has_found(self.recording, self._choices, self.tiles)))

    def run(self) -> None:
        with reporting_disk_errors():
            count = _write_found(self.recording, self._choices, self.tiles)
        logger.info("%s: %s tiles", self.recording, count)

    @property
    def _choices(self) -> Any:
        by_layout = "by layout"
        angle: Any = self.angle_deg
        if angle != by_layout:
            angle = None if angle == "none" else _number(angle)
        return _tile_choices(
            layout=self.layout,
            channel=self.channel,
            pitch_um=self.pitch_um or None,
            step_um=self.step_um or None,
            angle_deg=angle,
            rotate_90=None if self.rotate_90 < 0 else self.rotate_90,
            flip_ud=None if not self.flip_ud else self.flip_ud == "yes",
            reversed_axes=None if self.reversed_axes == by_layout else self.reversed_axes,
            z_pitch_um=self.z_pitch_um or None,
            sizes_may_differ=self.sizes_may_differ,
        )

    def verdict(self) -> ExitCode | None:
        """Return the exit code that recording and file ask for, `None` if it is open."""
        try:
            return ExitCode.OK if _has_found(self.recording, self._choices, self.tiles) else None
        except SpimpackError as error:
            return error.exit_code
        except OSError:
            return ExitCode.FAILED


class AngleRefusedError(SpimpackError):
    """The angle is no number between 0 and 180."""

    exit_code = ExitCode.BAD_INPUT


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 180:
        message = f"angle_deg is {text!r}; give a number between 0 and 180, none, or by layout"
        raise AngleRefusedError(message)
    return number
