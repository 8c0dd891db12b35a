"""What a run would do, or why it would refuse to, before it is started."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import InputError, Report, SpimpackError
from spimpack_tasks.packaging.changes import (
    Change,
    Verdict,
    count_verdicts,
    images_to_do,
    preview_changes,
)
from spimpack_tasks.validation.bids_validator import find_validator

if TYPE_CHECKING:
    from spimpack_tasks.packaging.options import Options

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class RunPreview:
    """What a run would do."""

    report: Report
    """Why it would refuse to, or warnings."""
    changes: tuple[Change, ...]
    may_run: bool

    def counts(self) -> dict[str, int]:
        """Return how many images, and files that would be removed, there are of each verdict."""
        return count_verdicts(list(self.changes))

    def shown(self) -> list[Change]:
        """Return what would not stay as it is."""
        return [change for change in self.changes if change.verdict is not Verdict.UNCHANGED]

    def images(self) -> frozenset[str]:
        """Return the images that a run would work at."""
        return images_to_do(self.changes)


def preview_run(options: Options) -> RunPreview:
    """Look what a run would do; nothing is written."""
    # Drafts are remembered for a whole process, and tabs are threads of one.
    with _lock:
        try:
            prepared, changes, refusal = preview_changes(options)
        except InputError as error:
            return RunPreview(error.report, (), may_run=False)
    report = refusal.report if refusal else prepared.report
    return RunPreview(report, tuple(changes), may_run=refusal is None)


def why_no_validator() -> str:
    """Return why the official validator cannot be asked, empty where it can."""
    try:
        find_validator()
    except SpimpackError as error:
        return str(error)
    return ""
