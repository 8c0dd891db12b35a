"""Amount and result of a run, as its user reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, count_of
from spimpack_tasks.packaging.changes import Verdict

if TYPE_CHECKING:
    from spimpack_tasks.state.run_progress import Work
    from spimpack_tasks.state.store import Store


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a run."""

    exit_code: ExitCode
    """That of `spimpack package`."""
    counts: dict[str, int]
    """Number of assets by verdict, and by `failed`."""
    datasets: dict[str, int]
    """Number of images by dataset_id."""
    other_files: int = 0
    """Number of files of the dataset as a whole that were not right."""

    @classmethod
    def of_nothing(cls, datasets: dict[str, int]) -> Outcome:
        """Return the outcome of a run that found nothing to do."""
        counts = {str(Verdict.UNCHANGED): sum(datasets.values())}
        return cls(ExitCode.OK, counts, dict(sorted(datasets.items())))

    def lines(self, output_dir: str) -> list[str]:
        """Return the summary a user reads."""
        done = ", ".join(f"{number:,} {what}" for what, number in self.counts.items() if number)
        groups = [f"{name}: {count_of(n, 'image')}" for name, n in self.datasets.items() if name]
        changed = set(self.counts) - {str(Verdict.UNCHANGED)}
        if self.exit_code is not ExitCode.OK:
            first = f"{output_dir} is not complete: {done or 'nothing was done'}"
        elif any(self.counts[what] for what in changed):
            first = f"Packaged {output_dir}: {self._achieved()}"
        elif self.other_files:
            others = count_of(self.other_files, "other file")
            first = f"Packaged {output_dir}: {self._achieved()}, {others}"
        else:
            first = f"Nothing to do: {done} in {output_dir}"
        return [first, *groups]

    def _achieved(self) -> str:
        """Return the counts of a run that succeeded, by what it has done."""
        counts = ((_DONE.get(what, what), number) for what, number in self.counts.items())
        return ", ".join(f"{number:,} {what}" for what, number in counts if number)


_DONE = {str(Verdict.MISSING): "restored", str(Verdict.CONFLICT): "replaced"}
"""Words for images that were wrong before a run that succeeds, by their verdict."""


@dataclass(frozen=True, slots=True)
class RemainingWork:
    """Work of a run, and where its progress is seen."""

    store: Store
    log: str
    """Path of the log of the run (see `state.runs`)."""
    plan_id: str
    work: Work
