"""The task that writes the frames of a source into an image, and its target: the finished image."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Any

import luigi

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, progress_of, reporting_disk_errors

# Luigi imports the tasks of this program at once; most flows write no frames.
_check_rows = Deferred("spimpack_tasks.streams.bids_rows:check_rows")
_is_finished = Deferred("spimpack_tasks.streams.finished:is_finished")
_end_rule = Deferred("spimpack_tasks.streams.frame_source:EndRule")
_read_settings = Deferred("spimpack_tasks.streams.reading:read_settings")
_open_source = Deferred("spimpack_tasks.streams.sources:open_source")
_write_frames = Deferred("spimpack_tasks.streams.write_frames:write_frames")
logger = logging.getLogger(__name__)


class PathOrFunction(luigi.Parameter):
    """A path, made absolute if something is there, or the name of a function."""

    def normalize(self, x: str) -> str:
        """Return the path as an absolute one, and a name as it is."""
        return os.path.abspath(x) if os.path.exists(x) else x


class FinishedImage(luigi.Target):
    """The image of a stream, when all its frames are in it."""

    def __init__(self, task: WriteFrames) -> None:
        self.task = task

    def exists(self) -> bool:
        """Tell whether the image is at its path and its stream has ended."""
        try:
            return bool(_is_finished(self.task.read_settings()))
        except (SpimpackError, OSError):
            return False


class WriteFrames(IdentifiedTask):
    """Write frames into an image while they are acquired; a later run takes up a killed one."""

    settings: luigi.Parameter[str] = AbsolutePath(
        description="File with the settings of the stream, in YAML or JSON."
    )
    frames: luigi.Parameter[str] = PathOrFunction(
        description="Folder of planes that may still grow, file of planes (.npy, or raw), or "
        "module:function; it is only read."
    )
    until_file: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Name of the file that appears in the folder after the last plane."
    )
    quiet_s: luigi.Parameter[float] = luigi.FloatParameter(
        default=0.0, description="Seconds without a new plane after which the source has ended."
    )
    settle_s: luigi.Parameter[float] = luigi.FloatParameter(
        default=0.5, description="Seconds for which a file stays as it is before it is read."
    )
    root_path: luigi.Parameter[str] = AbsolutePath(
        default="", description="Path of the image, in place of the one in the settings."
    )
    identity = "run_id"
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identifies this run among others; chosen if not given."
    )

    def output(self) -> luigi.Target:
        return FinishedImage(self)

    def read_settings(self) -> Any:
        """Return the settings of the stream.

        Raises
        ------
        InputError, OSError
            As of `reading.read_settings`.
        """
        settings = _read_settings(self.settings)
        return replace(settings, root_path=self.root_path) if self.root_path else settings

    def run(self) -> None:
        progress = progress_of(self)
        rule = _end_rule(self.until_file, self.quiet_s, self.settle_s)
        with reporting_disk_errors():
            settings = self.read_settings()
            result = _write_frames(
                settings,
                self.frames,
                rule,
                lambda done, total: progress.count(done, total, "frames"),
            )
        logger.info("%s", "\n".join(result.lines()))

    def verdict(self) -> ExitCode | None:
        """Return the exit code that settings, source and image ask for, `None` if it is open."""
        if self.complete():
            return ExitCode.OK
        try:
            settings = self.read_settings()
            _open_source(self.frames, settings, _end_rule(self.until_file, self.quiet_s))
            _check_rows(settings)
        except SpimpackError as error:
            return error.exit_code
        except OSError:
            return ExitCode.FAILED
        return None
