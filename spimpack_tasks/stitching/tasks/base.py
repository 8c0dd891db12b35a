"""The parameters that all tasks of a stitched volume share, and what they are known by."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

import luigi
from luigi.configuration import get_config

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import REFUSED, IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, progress_of
from spimpack_tasks.stitching.chain import Chain
from spimpack_tasks.stitching.choices import choices_of
from spimpack_tasks.stitching.identity import Pace, digest
from spimpack_tasks.stitching.options import (
    IMAGE_TEXT,
    OPTIONS,
    TILES_TEXT,
    default_number,
    default_text,
    describe,
)
from spimpack_tasks.stitching.spimstitch.environment import read_environment
from spimpack_tasks.stitching.spimstitch.options import settle_options

if TYPE_CHECKING:
    from collections.abc import Mapping

_check_target = Deferred("spimpack_tasks.stitching.working:check_target")
_make_part = Deferred("spimpack_tasks.stitching.steps:make_volume_part")
_choose_kernels = Deferred("spimpack_tasks.stitching.kernels:choose_kernels")
MEMORY_MB = 900
"""Memory of a task at frames of 2048 x 2048, asked for where Luigi knows how much there is."""
_MB = 10**6
"""Luigi's page shows progress as integers, here in MB."""


def pace_of(task: luigi.Task, threads: int) -> Pace:
    """Return threads of a task, and its progress on the scheduler's page."""
    progress, done = progress_of(task), 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        progress.count(done // _MB, None, "MB")

    return Pace(threads, advance)


def _settle(
    kind: type[StitchTask], values: dict[str, Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return values of options, of which the environment settles those that nobody has given.

    Raises
    ------
    EnvironmentRefusedError
        Its variables are impossible.
    """
    configured = get_config()
    given = {
        name: values[name]
        for name in (*OPTIONS, "threads")
        if name in kwargs or configured.has_option(kind.__name__, name)
    }
    settled = settle_options(given, os.environ)
    for name in (each for each, option in OPTIONS.items() if option.is_path):
        settled[name] = os.path.abspath(settled[name]) if settled[name] else ""
    return settled


def judge_target(image: str) -> ExitCode | None:
    """Return the exit code where something else is at the place of a volume, `None` if not."""
    try:
        _check_target(image, ())
    except SpimpackError as error:
        return error.exit_code
    return None


class StitchTask(IdentifiedTask):
    """One step from tiles to a volume."""

    tiles: luigi.Parameter[str] = AbsolutePath(description=f"The {TILES_TEXT}.")
    image: luigi.Parameter[str] = AbsolutePath(description=IMAGE_TEXT)
    work_dir: luigi.Parameter[str] = AbsolutePath(
        default=default_text("work_dir"), description=describe("work_dir")
    )
    align: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("align"), description=describe("align")
    )
    align_file: luigi.Parameter[str] = AbsolutePath(
        default=default_text("align_file"), description=describe("align_file")
    )
    align_signs: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("align_signs"), description=describe("align_signs")
    )
    align_reversed: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("align_reversed"), description=describe("align_reversed")
    )
    search_um: luigi.FloatParameter = luigi.FloatParameter(
        default=default_number("search_um"), description=describe("search_um")
    )
    destripe: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("destripe"), description=describe("destripe")
    )
    sigma_bright: luigi.FloatParameter = luigi.FloatParameter(
        default=default_number("sigma_bright"), description=describe("sigma_bright")
    )
    sigma_dark: luigi.FloatParameter = luigi.FloatParameter(
        default=default_number("sigma_dark"), description=describe("sigma_dark")
    )
    wavelet: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("wavelet"), description=describe("wavelet")
    )
    dark: luigi.FloatParameter = luigi.FloatParameter(
        default=default_number("dark"), description=describe("dark")
    )
    flat: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("flat"), description=describe("flat")
    )
    background: luigi.FloatParameter = luigi.FloatParameter(
        default=default_number("background"), description=describe("background")
    )
    magnification: luigi.FloatParameter = luigi.FloatParameter(
        default=default_number("magnification"), description=describe("magnification")
    )
    plane_centre: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("plane_centre"), description=describe("plane_centre")
    )
    fuse: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("fuse"), description=describe("fuse")
    )
    ngff: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("ngff"), description=describe("ngff")
    )
    codec: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("codec"), description=describe("codec")
    )
    image_name: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("image_name"), description=describe("image_name")
    )
    channel_name: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("channel_name"), description=describe("channel_name")
    )
    threads: luigi.IntParameter = luigi.IntParameter(
        default=0,
        significant=False,
        description="Threads of each worker; one for each processor if not given.",
    )
    spimstitch_env: luigi.BoolParameter = luigi.BoolParameter(
        default=False,
        significant=False,
        description="Take what is not given from the variables of spimstitch's scripts.",
    )
    inputs_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of tiles and choices; worked out if not given."
    )

    @classmethod
    def identify(cls, values: dict[str, Any], given: Mapping[str, Any]) -> str:
        """Return the identity of tiles and choices; the environment may settle these."""
        if values["spimstitch_env"]:
            values |= _settle(cls, values, given)
        return digest(Chain(choices_of(values)).volume_id, values["image"])

    @cached_property
    def chain(self) -> Chain:
        """The steps of this task's choices."""
        return Chain(choices_of(self.param_kwargs))

    @property
    def pace(self) -> Pace:
        """Threads of this task, and its progress on the scheduler's page."""
        return pace_of(self, self.threads or count_threads())

    def import_libraries(self) -> None:
        """Import the steps, and load the loops that numba has compiled, where it is installed."""
        _make_part.load()
        _choose_kernels().prepare()

    def process_resources(self) -> dict[str, int]:
        """Ask for what the configuration knows: `stitch`, and memory in MB.

        Luigi takes what is not configured for one, and would run a single task at a time.
        """
        known = get_config().getintdict("resources")
        wanted = {"stitch": 1, "memory_mb": MEMORY_MB}
        asked = {name: count for name, count in wanted.items() if name in known}
        return super().process_resources() | asked

    def require_inputs(self) -> None:
        """Refuse wrong inputs.

        Raises
        ------
        SpimpackError
            The file of tiles or a choice is wrong.
        """
        if self.spimstitch_env and self.inputs_id == REFUSED:
            read_environment(os.environ)
        _ = self.chain.volume_id

    def step(self, kind: type[StitchTask], **more: Any) -> StitchTask:
        """Return the task of another step of the same volume."""
        shared = {name: self.param_kwargs[name] for name, _ in StitchTask.get_params()}
        return kind(**shared, **more)

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the output asks for, `None` if it is open."""
        if self.inputs_id != REFUSED:
            return super().verdict()
        try:
            self.require_inputs()
        except SpimpackError as error:
            return error.exit_code
        return ExitCode.BAD_INPUT  # they are right by now
