"""The parameters that all tasks of an alignment share."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import luigi
from luigi.configuration import get_config

from spimpack_tasks.alignment.choices import default_text, describe
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, MissingExtraError, SpimpackError
from spimpack_tasks.luigi_run import REFUSED, IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, reporting_disk_errors
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Mapping

_hold_step = Deferred("spimpack_tasks.alignment.recording:hold_step")
_chain = Deferred("spimpack_tasks.alignment.chain:checked_chain")
_remove_stale = Deferred("spimpack_tasks.alignment.stale:remove_stale")
_load_sitk = Deferred("spimpack_tasks.alignment.transforms:load_sitk")


class AlignmentTask(IdentifiedTask):
    """One step of the alignment of a brain."""

    data_root: luigi.Parameter[str] = AbsolutePath(description="Folder of all inputs.")
    results_root: luigi.Parameter[str] = AbsolutePath(
        description="Folder for the results, which is made."
    )
    neuroglancer: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("neuroglancer"), description=describe("neuroglancer")
    )
    manifest: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("manifest"), description=describe("manifest")
    )
    image: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("image"), description=describe("image")
    )
    desired_voxel_size_um: luigi.FloatParameter = luigi.FloatParameter(
        default=25.0, description=describe("desired_voxel_size_um")
    )
    output_voxel_size_um: luigi.FloatParameter = luigi.FloatParameter(
        default=0.0, description=describe("output_voxel_size_um")
    )
    frame: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("frame"), description=describe("frame")
    )
    image_to_template_dir: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("image_to_template_dir"), description=describe("image_to_template_dir")
    )
    template_to_ccf_dir: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("template_to_ccf_dir"), description=describe("template_to_ccf_dir")
    )
    ccf_template: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("ccf_template"), description=describe("ccf_template")
    )
    ccf_labels: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("ccf_labels"), description=describe("ccf_labels")
    )
    label_ids: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("label_ids"), description=describe("label_ids")
    )
    atlas: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("atlas"), description=describe("atlas")
    )
    structures: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("structures"), description=describe("structures")
    )
    bregma_um: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("bregma_um"), description=describe("bregma_um")
    )
    registrar: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("registrar"), description=describe("registrar")
    )
    template: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("template"), description=describe("template")
    )
    registration_um: luigi.FloatParameter = luigi.FloatParameter(
        default=100.0, description=describe("registration_um")
    )
    ephys_python: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("ephys_python"), description=describe("ephys_python")
    )
    datapackage_schema: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("datapackage_schema"), description=describe("datapackage_schema")
    )
    allow_partial: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Leave out rows without a track, and name them."
    )
    skip_ephys: luigi.BoolParameter = luigi.BoolParameter(
        default=False,
        description="Extract no recordings, also with ephys_python.",
    )
    renumber_clusters: luigi.BoolParameter = luigi.BoolParameter(
        default=False,
        description="Number the clusters of a probe over all its shanks, and sort spikes by time.",
    )
    qc: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Bring channels into the space of the CCF as well."
    )
    inputs_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of inputs and choices; worked out if not given."
    )

    memory_mb = 250
    """Memory that a step takes; those with a volume of the atlas or of the image take more."""

    @classmethod
    def identify(cls, values: dict[str, Any], _given: Mapping[str, Any]) -> str:
        """Return the identity of inputs and choices."""
        return str(_chain(values).package_id)

    def import_libraries(self) -> None:
        """Import SimpleITK, where it is installed; a step says that it is missing."""
        with suppress(MissingExtraError):
            _load_sitk()

    def process_resources(self) -> dict[str, int]:
        """Ask for memory in MB, where the configuration knows it.

        Luigi takes what is not configured for one, and would run a single task at a time.
        """
        known = get_config().getintdict("resources")
        asked = {"memory_mb": self.memory_mb} if "memory_mb" in known else {}
        return super().process_resources() | asked

    @cached_property
    def chain(self) -> Any:
        """The steps of this task's choices."""
        return _chain(self.param_kwargs)

    @property
    def is_refused(self) -> bool:
        """Whether inputs are wrong that concern more than one row."""
        return bool(self.inputs_id == REFUSED)

    def step(self, task: type[AlignmentTask], **more: Any) -> AlignmentTask:
        """Return the task of another step of the same brain."""
        shared = {name: self.param_kwargs[name] for name, _ in AlignmentTask.get_params()}
        return task(**shared, **more)

    def made(self, step: str, identity: str, *arguments: str) -> luigi.Target:
        """Return the target of a step, whose identity a method of the chain tells."""

        def is_there() -> bool:
            wanted = getattr(self.chain, identity)
            return bool(self.chain.is_made(step, wanted(*arguments) if arguments else wanted))

        return MadeByStep(is_there)

    def make(self, function: Deferred, *arguments: str) -> None:
        """Make the output, unless another process has made it meanwhile.

        Parameters
        ----------
        function
            Takes the chain.
        *arguments
            Its further arguments.
        """
        shared = {name for name, _ in AlignmentTask.get_params()}
        own = [str(value) for name, value in self.param_kwargs.items() if name not in shared]
        self.remove_stale()
        with reporting_disk_errors(), _hold_step(self.chain, ".".join([self.task_family, *own])):
            if not self.complete():
                function(self.chain, *arguments)

    def remove_stale(self) -> None:
        """Remove a list of results that is no longer true, before results change."""
        with reporting_disk_errors():
            _remove_stale(self.chain)

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the output asks for, `None` if it is open."""
        try:
            self.chain.require_inputs()
            if self.chain.gaps and not self.allow_partial:
                return ExitCode.BAD_INPUT
        except SpimpackError as error:
            return error.exit_code
        return super().verdict()
