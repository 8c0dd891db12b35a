"""The base of tasks that change something at a service. Each run has tasks of its own (`run_id`).

The service can change without any file here changing, so every run looks there once. A central
scheduler does not repeat tasks that were done; the identity makes it run the new ones.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import luigi

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import CheckedTask, at_end_of_run
from spimpack_tasks.luigi_setup import progress_of, reporting_disk_errors
from spimpack_tasks.state.processes import identify_process
from spimpack_tasks.state.work_notes import Worker

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

    from spimpack_tasks.publishing.objects import Item
    from spimpack_tasks.publishing.publication import Publication

_MB = 10**6
"""Luigi's page shows progress as integers, here in MB."""


class RunTarget(Protocol):
    """A dataset, and where it goes."""

    def publication(self) -> Publication:
        """Return the local records."""

    def items(self) -> list[Item]:
        """Return the outputs that go there."""


class StepRecord(luigi.Target):
    """The record that a run has made of one of its steps."""

    def __init__(self, task: StepTask, name: str) -> None:
        self.task = task
        self.name = name

    def exists(self) -> bool:
        """Tell whether the record is of this run."""
        return self.task.has_record(self.name)


class StepTask(CheckedTask):
    """A step of a run."""

    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identifies this run among others; chosen if not given."
    )

    # The client has tried again already.
    retry_count = 1

    @classmethod
    def choose_run(cls, values: dict[str, Any], identity: str) -> None:
        """Work out the identity of the run where it is not given."""
        if not values["run_id"]:
            values["run_id"] = f"{identity[:16]}-{identify_process()}"
            at_end_of_run(lambda: cls(**values).verdict())

    def target(self) -> RunTarget:
        """Return the dataset, and where it goes."""
        raise NotImplementedError

    def has_record(self, name: str) -> bool:
        """Tell whether a step of this run is done."""
        try:
            record = self.target().publication().read(name)
        except (SpimpackError, OSError):
            return False
        return record.get("run_id") == self.run_id

    def work(self) -> None:
        """Do the step."""
        raise NotImplementedError

    def run(self) -> None:
        # The service has been looked at since the task was scheduled.
        if not self.complete():
            with self.noting_failure():
                self.work()

    def bring(
        self,
        identity: str,
        unit: str,
        log: logging.Logger,
        send: Callable[[Callable[[tuple[str, int]], None]], None],
    ) -> None:
        """Bring the bytes of a unit, and show the progress.

        Parameters
        ----------
        identity
            Of what is brought.
        unit
            Name of the unit.
        log
            Receives a line once a minute.
        send
            Brings them; takes a function that receives the name of an output with its bytes when
            it begins, and an empty name with the bytes that have arrived since.
        """
        publication = self.target().publication()
        progress = progress_of(self)
        name = type(self).__name__
        with Worker(publication.store, identity, name, unit, log.info) as worker:

            def hear(message: tuple[str, int]) -> None:
                path, count = message
                if path:
                    worker.begin_image(path, count)
                else:
                    worker.advance(count)
                    progress.reach(worker.done // _MB, worker.done // _MB, "MB")

            send(hear)
            publication.add_progress(worker.done)

    @contextmanager
    def noting_failure(self) -> Iterator[None]:
        """Note the exit code of an error, which the end of the run asks for."""
        try:
            with reporting_disk_errors():
                yield
        except SpimpackError as error:
            with suppress(SpimpackError, OSError):
                publication = self.target().publication()
                publication.create()
                record = {"run_id": self.run_id, "code": int(error.exit_code)}
                publication.write("failed", record)
            raise

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the run asks for, `None` if it is open."""
        if self.complete():
            return ExitCode.OK
        try:
            failed = self.target().publication().read("failed")
            if failed.get("run_id") == self.run_id:
                return ExitCode(failed["code"])
            self.target().items()
        except SpimpackError as error:
            return error.exit_code
        except OSError:
            return ExitCode.FAILED
        return None
