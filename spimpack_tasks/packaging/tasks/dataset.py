"""The tasks that concern the dataset as a whole."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from spimpack_tasks.errors import OutputError, count_of
from spimpack_tasks.luigi_setup import reporting_disk_errors
from spimpack_tasks.model.plan import STEPS, Step, is_wanted
from spimpack_tasks.packaging.options import flag_help
from spimpack_tasks.packaging.tasks.planning import BuildPaths, DatasetTask, OpenFlag
from spimpack_tasks.packaging.tasks.writing import TASKS, AssetTask
from spimpack_tasks.packaging.up_to_date import take_snapshot
from spimpack_tasks.state.checksum_lists import has_lists
from spimpack_tasks.state.checksums import record_checksums, write_lists
from spimpack_tasks.state.publish import prune
from spimpack_tasks.state.receipts import PlannedPaths, receipt_names
from spimpack_tasks.state.staging import remove_unfinished
from spimpack_tasks.state.sweep import is_whole
from spimpack_tasks.targets import ChecksumLists, ChecksumsRecorded, NothingStale, WholeDataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    import luigi

    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.state.look import Look

logger = logging.getLogger(__name__)


class PruneStale(DatasetTask):
    """Remove what earlier runs wrote and the plan no longer has."""

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or [self.clone(BuildPaths), *self.steps()]

    def steps(self) -> Iterator[luigi.Task]:
        """Yield the tasks that write, each unit on its own."""
        for spec in STEPS:
            if is_wanted(spec, self, self.choice.backend):
                task = self.clone(TASKS[spec.step])
                yield from task.units() if isinstance(task, AssetTask) else [task]

    def output(self) -> luigi.Target:
        return NothingStale(self.store, self.plan_id, self.stale)

    def stale(self) -> Iterator[str]:
        """Yield the paths on record that the plan does not have."""
        planned = PlannedPaths(self.prepared.plan())
        for name in receipt_names(self.store):
            yield from planned.stale(self.store, name)

    def run(self) -> None:
        with reporting_disk_errors():
            self.work.removed, left = prune(self.store, self.prepared.plan())
            remove_unfinished(self.store, self.plan_id)
        for path in left:
            message = "%s is no longer in the tables, but was changed: it is left, and is yours now"
            logger.warning(message, path)
        self.has_looked = True  # at all that is on record, when it was pruned


class RecordChecksums(AssetTask):
    """Read each image and record its checksum; what is on record is not read again."""

    step = Step.ASSETS
    one_task_per_asset = True

    def requires(self) -> list[luigi.Task]:
        return [*super().requires(), *self.task_of_images()]

    def output(self) -> luigi.Target:
        return ChecksumsRecorded(self.store, self.plan_id, self.outputs)

    def run(self) -> None:
        if not self.unit:
            return
        with reporting_disk_errors(), self.worker() as worker:
            failures = record_checksums(self.store, self.plan_id, self.outputs(), worker)
            self.work.bytes = worker.done
        if failures:
            raise OutputError("\n".join(f"{f.path}: {f.reason}" for f in failures))


class ChecksumTask(DatasetTask):
    """A task that has checksums made if asked to."""

    checksum: luigi.Parameter[bool | None] = OpenFlag(
        default=None, description=flag_help("checksum")
    )

    def last_writers(self) -> list[luigi.Task]:
        """Return all that must have been done before checksums are listed."""
        prune_stale = self.clone(PruneStale)
        records = self.clone(RecordChecksums).units() if self.checksum else ()
        return [*prune_stale.steps(), prune_stale, *records]

    def checksum_targets(self) -> list[luigi.Target]:
        """Return what is wanted of checksums; lists that are there are kept up to date."""
        targets: list[luigi.Target] = []
        if self.checksum:
            targets.append(ChecksumsRecorded(self.store, self.plan_id, self._images))
        if self.checksum or has_lists(self.store):
            targets.append(ChecksumLists(self.store, self.plan_id))
        return targets

    def whole_plan(self) -> Plan:
        """Return the plan; it must have been saved."""
        return self.prepared.plan()

    def _images(self) -> list[Output]:
        return [output for output in self.whole_plan().outputs if output.step is Step.ASSETS]


class WriteChecksumLists(ChecksumTask):
    """List the checksums on record for `sha256sum -c`; without `checksum`, no image is read."""

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or self.last_writers()

    def output(self) -> list[luigi.Target]:
        # Not the lists alone: they may be right now, and no longer when an image has been read.
        return self.checksum_targets() or [ChecksumLists(self.store, self.plan_id)]

    def run(self) -> None:
        with reporting_disk_errors():
            write_lists(self.store, self.plan_id)


class PackageDataset(ChecksumTask):
    """Package the images of a manifest into a BIDS dataset."""

    def requires(self) -> list[luigi.Task]:
        lists = [self.clone(WriteChecksumLists)] if self.checksum_targets() else []
        return self.refusal() or [*self.last_writers(), *lists]

    def output(self) -> list[luigi.Target]:
        whole = WholeDataset(
            self.store, self.plan_id, self.is_whole, self.take_snapshot, lambda: self.was_right("")
        )
        return [whole, *self.checksum_targets()]

    def is_whole(self, look: Look) -> bool:
        """Compare the dataset with the plan."""
        return is_whole(self.store, self.whole_plan(), self.matches_plan, look)

    def take_snapshot(self, look: Look) -> None:
        """Note that the dataset was found right, so that the next run need not compare it."""
        take_snapshot(self.prepared, look)

    def run(self) -> None:
        # Files that were right when this run began may be those of a run that it has overtaken.
        self.has_looked = self.complete()
        for task in () if self.has_looked else self.last_writers():
            if not task.complete():
                task.run()
        plan = self.whole_plan()
        logger.info("%s in %s", count_of(plan.asset_count, "image"), self.output_dir)
