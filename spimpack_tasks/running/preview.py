"""Preview of a run: the changes that it would make, or the reasons for a refusal."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import InputError, Report, SpimpackError
from spimpack_tasks.packaging.changes import Change, Verdict, count_changes, count_verdicts
from spimpack_tasks.packaging.expected_work import expect_work
from spimpack_tasks.packaging.prepare import look
from spimpack_tasks.state.run_progress import NO_WORK
from spimpack_tasks.validation.bids_validator import find_validator

if TYPE_CHECKING:
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.state.run_progress import Work

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class RunPreview:
    """Changes that a run would make, and its problems."""

    report: Report
    """Reasons for a refusal, or warnings."""
    changes: tuple[Change, ...]
    may_run: bool
    work: Work = NO_WORK
    """The images that a run would make, and their bytes."""

    def counts(self) -> dict[str, int]:
        """Return the number of images by verdict, and of other files that would be removed."""
        return count_verdicts(self.changes)

    def shown(self) -> list[Change]:
        """Return the changes, without unchanged images and files."""
        return [change for change in self.changes if change.verdict is not Verdict.UNCHANGED]


def preview_run(options: Options) -> RunPreview:
    """Return the changes that a run would make; nothing is written."""
    # Prepared runs are remembered for a whole process, and tabs are threads of one.
    with _lock:
        try:
            prepared, changes, refusal = look(options)
        except InputError as error:
            return RunPreview(error.report, (), may_run=False)
    report = refusal.report if refusal else prepared.report
    work = expect_work(prepared, count_changes(changes).to_do)
    return RunPreview(report, tuple(changes), may_run=refusal is None, work=work)


def why_no_validator() -> str:
    """Return why the official validator cannot be run, empty if it can."""
    try:
        find_validator()
    except SpimpackError as error:
        return str(error)
    return ""
