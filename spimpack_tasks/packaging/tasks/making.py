"""The base of backends whose work is slow: it can be shared, watched, limited, and resumed."""

from __future__ import annotations

from typing import ClassVar

from luigi.configuration import get_config

from spimpack_tasks.luigi_setup import disk_trouble_told, progress_of
from spimpack_tasks.packaging.backends.base import Backend, missing
from spimpack_tasks.packaging.tasks.bug_guard import BugGuard
from spimpack_tasks.packaging.tasks.writing import LinkAssets, refuse_failures
from spimpack_tasks.state.resumable import ResumableMaker, make_and_publish

_MB = 10**6
"""Luigi's page shows progress as integers, here in MB."""


class MakeAssets(LinkAssets):
    """Get each image into the dataset by slow work. A slow backend is a subclass of this task.

    The work of its `resume` survives a kill of the process, and the next run resumes it.
    """

    definition: ClassVar[Backend] = Backend(name="", summary="", matches=missing, resume=missing)
    one_task_per_asset = True

    def process_resources(self) -> dict[str, int]:
        """Ask for one of the backend's name, where the configuration says how many there are.

        Luigi takes what is not configured for one, and would run a single task at a time.
        """
        name = self.choice.backend.name
        return {name: 1} if name in get_config().getintdict("resources") else {}

    def run(self) -> None:
        if not self.unit:
            return
        backend = self.choice.backend
        progress = progress_of(self)
        guard = BugGuard(self.backend, self.store)
        with disk_trouble_told(), self.worker() as worker:
            maker = ResumableMaker(
                guard(backend.matches),
                guard(backend.measure),
                guard(backend.resume or missing),
                lambda done, total: progress.reach(done // _MB, total // _MB, "MB"),
                worker,
                self.work,
                guard(backend.take_over) if backend.take_over else None,
            )
            failures = make_and_publish(
                self.store, self.plan_id, self.outputs(), maker, overwrite=self.overwrite
            )
        refuse_failures(failures)
