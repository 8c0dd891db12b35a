"""The base of backends whose work is slow: it can be shared, watched, limited, and resumed.

An image that is divided has a task for each part, which the task of its unit requires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import luigi
from luigi.configuration import get_config

from spimpack_tasks.luigi_setup import progress_of, reporting_disk_errors
from spimpack_tasks.model.plan import Step
from spimpack_tasks.packaging.backends.base import Backend, missing
from spimpack_tasks.packaging.tasks.bug_guard import BugGuard
from spimpack_tasks.packaging.tasks.planning import BuildPaths
from spimpack_tasks.packaging.tasks.writing import AssetTask, LinkAssets, refuse_failures
from spimpack_tasks.state.resumable import (
    PartMaker,
    ResumableMaker,
    make_and_publish,
    make_part,
)
from spimpack_tasks.state.staging import has_part
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.state.work_notes import Worker

_MB = 10**6
"""Luigi's page shows progress as integers, here in MB."""


class SlowTask(AssetTask):
    """A task whose work takes long: a scheduler can limit how many run at a time."""

    one_task_per_asset = True

    def process_resources(self) -> dict[str, int]:
        """Ask for one of the backend's name, where the configuration says how many there are.

        Luigi takes what is not configured for one, and would run a single task at a time.
        """
        name = self.choice.backend.name
        return {name: 1} if name in get_config().getintdict("resources") else {}

    def maker(self, worker: Worker) -> ResumableMaker:
        """Return the functions of the backend, whose bugs are told as they should be."""
        backend, division = self.choice.backend, self.choice.backend.division
        progress = progress_of(self)
        guard = BugGuard(self.backend, self.store)
        return ResumableMaker(
            guard(backend.matches),
            guard(backend.measure),
            guard(backend.resume or missing),
            lambda done, total: progress.reach(done // _MB, total // _MB, "MB"),
            worker,
            self.work,
            guard(backend.take_over) if backend.take_over else None,
            PartMaker(guard(division.make), guard(division.can_take_over)) if division else None,
        )


class ConvertPart(SlowTask):
    """Make one part of a large image, which is divided so that workers can share it.

    The task without a part stands for all parts of its image, and that without a unit for all.
    """

    step = Step.ASSETS
    part: luigi.IntParameter = luigi.IntParameter(
        default=-1, description="Number of the part, from 0 on; all of them if not given."
    )

    def requires(self) -> list[luigi.Task]:
        if refusal := self.refusal():
            return refusal
        return [self.clone(BuildPaths)] if self.part >= 0 else list(self.units())

    def units(self) -> Iterator[luigi.Task]:
        """Yield a task for each part of each image that is divided."""
        for output in self.outputs():
            for number in range(output.part_count):
                yield self.clone(unit=output.asset, part=number)

    def outputs(self) -> list[Output]:
        """Return the images that are divided, and have this part."""
        return [output for output in super().outputs() if output.part_count > max(self.part, 0)]

    def output(self) -> luigi.Target:
        whole = super().output()
        return MadeByStep(lambda: self._is_noted() or whole.exists())

    def _is_noted(self) -> bool:
        """Tell whether there are images, and all of the part is noted."""
        images = self.planned_outputs() or []
        return bool(images) and all(
            has_part(self.store, image, number)
            for image in images
            for number in (range(image.part_count) if self.part < 0 else (self.part,))
        )

    def image_count(self) -> int:
        """Return 0: images are counted where they are made whole."""
        return 0

    def run(self) -> None:
        if self.part < 0:
            return
        with reporting_disk_errors(), self.worker() as worker:
            maker = self.maker(worker)
            failures = [
                failure
                for output in self.outputs()
                for failure in make_part(
                    self.store,
                    self.plan_id,
                    (output, self.part),
                    maker,
                    overwrite=self.overwrite,
                )
            ]
        refuse_failures(failures)


class MakeAssets(SlowTask, LinkAssets):
    """Get each image into the dataset by slow work. A slow backend is a subclass of this task.

    The work of its `resume` survives a kill of the process, and the next run resumes it.
    """

    definition: ClassVar[Backend] = Backend(name="", summary="", matches=missing, resume=missing)

    def requires(self) -> list[luigi.Task]:
        return [*super().requires(), *self.parts()]

    def parts(self) -> Iterator[luigi.Task]:
        """Yield the task of each part of the images that are divided."""
        if self.unit and self.choice.backend.division and not self.refusal():
            parts = self.clone(ConvertPart)
            yield from parts.units()

    def run(self) -> None:
        if not self.unit:
            return
        with reporting_disk_errors(), self.worker() as worker:
            failures = make_and_publish(
                self.store,
                self.plan_id,
                self.outputs(),
                self.maker(worker),
                overwrite=self.overwrite,
            )
        refuse_failures(failures)
