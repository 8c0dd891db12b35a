"""How far a run has come that brings bytes to a service, for those who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.model.meter import Amount, Meter
from spimpack_tasks.state.work_notes import heard_notes

if TYPE_CHECKING:
    from spimpack_tasks.publishing.publication import Publication

_TASKS = frozenset({"SendImages", "SendTexts", "BringUnit"})
"""Names of the tasks whose workers bring bytes."""


class BytesBrought:
    """The bytes that all workers of a run have brought.

    Parameters
    ----------
    publication
        The local records.
    total
        Bytes to bring, as the look at the service has found it.
    """

    def __init__(self, publication: Publication, total: int) -> None:
        self._publication, self._total = publication, total
        self._meter = Meter()

    def tell(self, *, is_going_on: bool = True) -> tuple[float, str]:
        """Return the share from 0 to 1, and bytes, rate, time left and an output as a line."""
        notes = heard_notes(self._publication.store) if is_going_on else ()
        running = [note for note in notes if note.task in _TASKS]
        done = self._publication.read_progress() + sum(note.done for note in running)
        amount = Amount(min(done, self._total), self._total)
        names = [note.path.rpartition("/")[2] for note in running if note.path]
        return amount.share, "  ".join([self._meter.text(amount), *names[:1]])
