"""A run that may have something to do: reads the inputs, looks for changes, and has them made."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.plan import Step
from spimpack_tasks.packaging.changes import (
    Verdict,
    count_changes,
    find_changes,
    find_differences,
)
from spimpack_tasks.packaging.expected_work import expect_work
from spimpack_tasks.packaging.outcome import Outcome, RemainingWork
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.state.checksums import lacks_checksum
from spimpack_tasks.state.garbage import collecting_rarely
from spimpack_tasks.state.runs import begin_run, run_path
from spimpack_tasks.state.session import SESSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spimpack_tasks.packaging.changes import Change
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.packaging.prepared_run import PreparedRun

_run_tasks = Deferred("spimpack_tasks.local_run:run_tasks")
"""It imports Luigi, which is not needed where the inputs are refused."""


@collecting_rarely()
@SESSION.alone()
def package_changes(
    options: Options,
    workers: int,
    *,
    on_begin: Callable[[RemainingWork], None] | None,
    check: Callable[[PreparedRun, list[Change]], None] | None,
) -> Outcome:
    """Package as `pipelines.package` does, without looking whether nothing has changed at all."""
    prepared = _require_prepared(options)
    changes: Iterable[Change]
    if check is None:
        changes = find_differences(prepared)
    else:
        check(prepared, changes := find_changes(prepared))
    options = prepared.resolve(options)
    _show_messages()
    unread = _unread(prepared) if options.checksum else set()
    begin_run(options.output_dir)
    before = _look_before(prepared, changes, unread, on_begin)
    # Of a hundred thousand images the changes are large: they must not outlive this.
    del changes
    code = _run_tasks(options, prepared.plan_id, workers)
    done, failed = before.counts, set[str]()
    if code is not ExitCode.OK:
        code = ExitCode.FAILED if code is None else code
        left = count_changes(find_differences(prepared))
        failed = left.to_do
        # An image that could not be made counts as failed, and not as new or changed as well.
        done = {name: max(n - left.verdicts.get(name, 0), 0) for name, n in done.items()}
    still_unread = _unread(prepared) if options.checksum else set()
    failed |= still_unread
    counts = done | {"checksums made": len(unread - still_unread), "failed": len(failed)}
    return replace(before, exit_code=code, counts=counts)


def _require_prepared(options: Options) -> PreparedRun:
    """Return the checked run, after deleting a damaged saved plan of it.

    Raises
    ------
    InputError
        The inputs are refused, or something is in the way.
    """
    prepared = prepare_run(options)
    prepared.store.forget_damaged_plan(prepared.plan_id)
    refusal = prepared.refusal()
    if refusal is not None:
        raise refusal
    return prepared


def _look_before(
    prepared: PreparedRun,
    changes: Iterable[Change],
    unread: set[str],
    on_begin: Callable[[RemainingWork], None] | None,
) -> Outcome:
    """Return the outcome of a successful run, after passing its work to `on_begin`."""
    found = count_changes(changes)
    if on_begin is not None:
        store = prepared.store
        work = expect_work(prepared, found.to_do, unread)
        on_begin(RemainingWork(store, run_path(store), prepared.plan_id, work))
    images = (output for output in prepared.plan().outputs if output.step is Step.ASSETS)
    datasets = Counter(output.dataset_id for output in images)
    counts = found.verdicts
    counts[Verdict.UNCHANGED] += datasets.total() - found.images
    return Outcome(
        ExitCode.OK,
        counts,
        dict(sorted(datasets.items())),
        found.files,
    )


def _unread(prepared: PreparedRun) -> set[str]:
    """Return the images without an up-to-date checksum."""
    images = (output for output in prepared.plan().outputs if output.step is Step.ASSETS)
    return {output.asset for output in lacks_checksum(prepared.store, images)}


class _ErrorStream(logging.Handler):
    """Writes to the error stream as it is then: notebooks and tests put others in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message as a line."""
        sys.stderr.write(f"{self.format(record)}\n")


def _show_messages() -> None:
    """Show our tasks' messages as plain lines."""
    ours = logging.getLogger("spimpack_tasks")
    if not ours.handlers:
        ours.addHandler(_ErrorStream())
