"""Use cases that combine stages, as far as Python users and the command line share them.

They import the rest of the program when there is something to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.packaging.outcome import Outcome
from spimpack_tasks.packaging.up_to_date import find_snapshot
from spimpack_tasks.state.checksum_lists import has_lists
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.packaging.changes import Change
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.packaging.outcome import RemainingWork
    from spimpack_tasks.packaging.prepared_run import PreparedRun
    from spimpack_tasks.validation.report import ValidationReport

_package_changes = Deferred("spimpack_tasks.package_run:package_changes")
_find_report = Deferred("spimpack_tasks.validation.validate:find_report")
_validate = Deferred("spimpack_tasks.validation.validate:validate")


def package(
    options: Options,
    workers: int = 1,
    *,
    on_begin: Callable[[RemainingWork], None] | None = None,
    check: Callable[[PreparedRun, list[Change]], None] | None = None,
) -> Outcome:
    """Run PackageDataset with the local scheduler.

    Parameters
    ----------
    options
        Options of the run: inputs, output directory, backend.
    workers
        Number of processes.
    on_begin
        Receives the work before it begins.
    check
        Receives all that the run would do before it begins, and raises an error to stop it.

    Raises
    ------
    InputError
        The inputs are refused, or something is in the way; nothing was written.
    """
    found = find_snapshot(options) if check is None else None
    if found is not None:
        resolved, snapshot = found
        if not resolved.checksum and not has_lists(Store(options.output_dir)):
            return Outcome.of_nothing(snapshot.groups)
    outcome: Outcome = _package_changes(options, workers, on_begin=on_begin, check=check)
    return outcome


def validate_packaged(options: Options) -> ValidationReport:
    """Return the report on a packaged dataset; an up-to-date report on file is used again.

    Raises
    ------
    SpimpackError
        The official validator did not come to a verdict.
    """
    report: ValidationReport = _find_report(options.output_dir) or _validate(options.output_dir)
    report.write(options.output_dir)
    return report
