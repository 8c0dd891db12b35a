"""The tasks that read whole images: a checksum of each, and the lists that `sha256sum -c` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import OutputError
from spimpack_tasks.luigi_setup import disk_trouble_told
from spimpack_tasks.model.plan import Step
from spimpack_tasks.packaging.tasks.writing import AssetTask
from spimpack_tasks.state.checksums import record_checksums
from spimpack_tasks.targets import ChecksumsRecorded

if TYPE_CHECKING:
    import luigi


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
        with disk_trouble_told():
            failures = record_checksums(self.store, self.plan_id, self.outputs())
        if failures:
            raise OutputError("\n".join(f"{f.path}: {f.reason}" for f in failures))
