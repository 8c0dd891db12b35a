"""One publication or ingest by Luigi's local scheduler, without the tasks of other stages."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import build_alone
from spimpack_tasks.publishing.publish import give_back_lease
from spimpack_tasks.publishing.tasks.dataset import PublishDataset
from spimpack_tasks.publishing.tasks.ingest import IngestDataset

if TYPE_CHECKING:
    from spimpack_tasks.publishing.portals.dandi_target import DandiTarget
    from spimpack_tasks.publishing.target import Target


def run_publication(target: Target, run_id: str, workers: int) -> ExitCode:
    """Run PublishDataset in this process, and return its exit code."""
    task = PublishDataset(
        dataset=target.dataset,
        url=target.url,
        endpoint_url=target.endpoint_url,
        profile=target.profile,
        include=",".join(target.include),
        with_sources=target.sources,
        no_include=target.no_include,
        replace_dataset=target.replace_dataset,
        limit_rate=target.limit_rate,
        run_id=run_id,
    )
    build_alone(task, workers)
    code = task.verdict()
    if code is not ExitCode.OK:
        with suppress(SpimpackError, OSError):  # the lease ends by itself as well
            give_back_lease(target, run_id)
    return ExitCode.FAILED if code is None else code


def run_ingest(target: DandiTarget, ingest_id: str, run_id: str, workers: int) -> ExitCode:
    """Run IngestDataset in this process, and return its exit code."""
    task = IngestDataset(
        dataset=target.dataset,
        dandiset=target.address,
        instance=target.instance,
        records=target.records_dir,
        prune=target.prune,
        ingest_id=ingest_id,
        run_id=run_id,
    )
    build_alone(task, workers)
    code = task.verdict()
    return ExitCode.FAILED if code is None else code
