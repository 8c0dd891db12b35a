"""The tasks that write: one for each step, and for each unit of assets."""

from __future__ import annotations

import logging
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import luigi

from spimpack_tasks.errors import OutputError
from spimpack_tasks.luigi_setup import progress_of, reporting_disk_errors
from spimpack_tasks.model.buckets import bucket_of, buckets_of_unit, light_unit_of, unit_of
from spimpack_tasks.model.plan import DATASET_PART, Kind, Step
from spimpack_tasks.packaging.backends.base import Backend, missing
from spimpack_tasks.packaging.backends.classes import record_of
from spimpack_tasks.packaging.backends.registry import name_of
from spimpack_tasks.packaging.backends.symlink import make_link
from spimpack_tasks.packaging.companions import make_output, matches_output
from spimpack_tasks.packaging.tasks.bug_guard import BugGuard, count_bugs
from spimpack_tasks.packaging.tasks.class_methods import ClassMethods
from spimpack_tasks.packaging.tasks.planning import BuildPaths, DatasetTask
from spimpack_tasks.state.publish import ImageMaker, publish
from spimpack_tasks.state.work_notes import Worker
from spimpack_tasks.targets import OutputsOnDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.progress import Progress
    from spimpack_tasks.state.publish import Failure
    from spimpack_tasks.state.runs import TaskWork


_luigi_log = logging.getLogger("luigi-interface")
"""Shown by the command `luigi`; `spimpack package` has a line of its own."""


class WriteOutputs(DatasetTask):
    """Bring one step's outputs about; what is right already is not touched."""

    step: ClassVar[Step]

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or [self.clone(BuildPaths)]

    def output(self) -> luigi.Target:
        return OutputsOnDisk(
            self.store,
            self.planned_outputs,
            self.matches_plan,
            lambda: self.was_right(*self.part_names()),
        )

    def part_names(self) -> list[str]:
        """Return the names of the files of receipts that its outputs belong to."""
        return [self.step.value]

    def planned_outputs(self) -> list[Output] | None:
        """Return the outputs that this task brings about, `None` while there is no such plan."""
        prepared = self.prepared
        return self.outputs() if prepared.is_planned and prepared.plan_id == self.plan_id else None

    def outputs(self) -> list[Output]:
        """Return the outputs that this task brings about; there must be a plan."""
        return [output for output in self.prepared.part(DATASET_PART) if output.step is self.step]

    def run(self) -> None:
        outputs = self.outputs()
        guard = BugGuard(self.backend, self.store)
        choice = self.choice
        make = guard(partial(make_output, choice.backend, self.output_dir))
        counted = _count_images(make, progress_of(self), len(outputs), self.work)
        maker = ImageMaker(
            guard(partial(matches_output, choice, self.output_dir)),
            counted,
            makes_links=choice.backend.make is make_link,
        )
        with reporting_disk_errors():
            failures = publish(self.store, self.plan_id, outputs, maker, overwrite=self.overwrite)
        refuse_failures(failures)
        # Each output was looked at, or put in its place and recorded, a moment ago.
        self.has_looked = True


class WriteDescription(WriteOutputs):
    """Write dataset_description.json."""

    step = Step.DESCRIPTION


class WriteParticipants(WriteOutputs):
    """Write participants.tsv and participants.json, if there is a table of participants."""

    step = Step.PARTICIPANTS


class WriteSamples(WriteOutputs):
    """Write samples.tsv and samples.json."""

    step = Step.SAMPLES


class WriteScans(WriteOutputs):
    """Write a scans.tsv for each subject and session of which there is something to say."""

    step = Step.SCANS


class WriteReadme(WriteOutputs):
    """Write README.md and CHANGES, if the user has none."""

    step = Step.README


class WriteBidsIgnore(WriteOutputs):
    """Write our block of .bidsignore, if there is something that BIDS cannot hold."""

    step = Step.BIDSIGNORE


class AssetTask(WriteOutputs):
    """A step with an output for each asset, divided into units.

    A unit is one asset, by its key, or a share of the assets, by a hex digit, or three where the
    work is slow. The task without a unit is the whole step, and only requires its units.
    """

    unit: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Asset or share of assets to work on; all of them if not given."
    )

    one_task_per_asset: ClassVar[bool] = False
    """Whether the work is slow: then an asset is alone in its task until there are too many."""

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or ([self.clone(BuildPaths)] if self.unit else list(self.units()))

    @classmethod
    def unit_of(cls, key: str, keys: list[str]) -> str:
        """Return the unit that an asset belongs to, given the keys of all."""
        return unit_of(key, len(keys), is_slow=cls.one_task_per_asset)

    def units(self) -> Iterator[luigi.Task]:
        """Yield a task for each unit."""
        for unit in self.prepared.units(is_slow=self.one_task_per_asset):
            yield self.clone(unit=unit)

    def part_names(self) -> list[str]:
        """Return the names of the files of receipts; an empty one for all of them."""
        buckets = buckets_of_unit(self.unit) if self.unit else ()
        return [f"{self.step.value}-{bucket}" for bucket in buckets] or [""]

    def outputs(self) -> list[Output]:
        unit = self.unit
        if not unit:
            return [o for o in self.prepared.plan().outputs if o.step is self.step]
        parts = map(self.prepared.part, buckets_of_unit(unit))
        ours = [output for part in parts for output in part if output.step is self.step]
        if len(unit) <= 2:
            return ours
        return [o for o in ours if unit in {o.asset, bucket_of(o.asset, 3)}]

    def task_of_images(self) -> Iterator[luigi.Task]:
        """Yield the task of the backend for the same unit, or for one around it."""
        if self.unit and not self.refusal():
            task = self.task_of_backend()
            if len(self.unit) > 3:
                unit = task.unit_of(self.unit, self.prepared.keys)
            else:
                # A slow share; a backend has it as well, or a light one around it.
                unit = self.unit if task.one_task_per_asset else light_unit_of(self.unit)
            yield self.clone(task, unit=unit)

    def task_of_backend(self) -> type[LinkAssets]:
        """Return the task of the chosen backend."""
        return LinkAssets.by_backend[self.choice.backend.name]

    def worker(self) -> Worker:
        """Return a worker that notes what this task makes."""
        return Worker(
            self.store,
            self.plan_id,
            self.task_family,
            self.unit,
            lambda line: _luigi_log.info("%s", line),
        )

    def image_count(self) -> int:
        """Return how many images the task is about; the whole step works at none itself."""
        return len(self.outputs()) if self.unit else 0

    def run(self) -> None:
        if self.unit:
            super().run()


class WriteSidecars(AssetTask):
    """Write the JSON sidecar of each image."""

    step = Step.SIDECARS


class LinkAssets(ClassMethods, AssetTask):
    """Get each image into the dataset. A task of a backend is a subclass that names its record."""

    step = Step.ASSETS
    definition: ClassVar[Backend] = Backend(name="", summary="", matches=missing, make=missing)
    by_backend: ClassVar[dict[str, type[LinkAssets]]] = {}
    """The tasks that were defined so far, by the names of their backends."""

    def __init_subclass__(cls) -> None:
        """Note whose task a class is; the tasks of this program are defined first."""
        super().__init_subclass__()
        LinkAssets.by_backend.setdefault(record_of(cls).name, cls)

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Let a backend that is run by its own name be the backend of the run."""
        name = record_of(cls).name
        if name and name_of(kwargs.get("backend", "")) != name:
            kwargs = {**kwargs, "backend": name}
        return super().get_param_values(params, args, kwargs)

    def units(self) -> Iterator[luigi.Task]:
        """Yield a task of the chosen backend for each unit."""
        task = self.task_of_backend()
        if type(self) is task:
            yield from super().units()
        else:
            yield from self.clone(task).units()


class LinkSources(AssetTask):
    """Link the original of each converted image below `sourcedata/`."""

    step = Step.SOURCES


class WriteCompanions(AssetTask):
    """Make the files that the backend makes beside each image, such as a checksum."""

    step = Step.COMPANIONS
    one_task_per_asset = True

    def requires(self) -> list[luigi.Task]:
        return [*super().requires(), *self.task_of_images()]


class WritePreviews(AssetTask):
    """Draw a small picture of each image beside it."""

    step = Step.PREVIEWS
    one_task_per_asset = True


TASKS: dict[Step, type[WriteOutputs]] = {
    task.step: task
    for task in (
        *(WriteDescription, WriteParticipants, WriteSamples, WriteScans, WriteReadme),
        *(WriteBidsIgnore, WriteSidecars, LinkAssets, LinkSources, WriteCompanions, WritePreviews),
    )
}
"""The task of each step; for images it stands for that of the backend."""


def refuse_failures(failures: list[Failure]) -> None:
    """Say which outputs could not be written, and why.

    Raises
    ------
    OutputError
        There are any.
    """
    if failures:
        raise OutputError("\n".join(count_bugs((f.path, f.reason) for f in failures)))


def _count_images(
    make: Callable[[Output, str], None], progress: Progress, total: int, work: TaskWork
) -> Callable[[Output, str], None]:
    """Return `make`, with the images that it has made told as progress."""
    numbers = count()

    def make_and_count(output: Output, path: str) -> None:
        progress.reach(next(numbers), total, "images made")
        make(output, path)
        work.made += output.kind is Kind.IMAGE

    return make_and_count
