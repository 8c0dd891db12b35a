"""Luigi targets that tell whether a thing is right, not just there."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import luigi

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.state.checksums import lacks_checksum, lists_are_right
from spimpack_tasks.state.look import Look
from spimpack_tasks.state.snapshot import read_snapshot
from spimpack_tasks.state.staging import idle_unfinished
from spimpack_tasks.state.sweep import are_right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.state.sweep import Matches


class StateFile(luigi.LocalTarget):
    """A file of the state directory, there or not."""

    def __init__(self, store: Store, *parts: str) -> None:
        super().__init__(store.path(*parts))


class MadeByStep(luigi.Target):
    """The output of a step, as its inputs and choices want it."""

    def __init__(self, is_there: Callable[[], bool]) -> None:
        self._is_there = is_there

    def exists(self) -> bool:
        """Compare the output with what it is to be made from."""
        try:
            return self._is_there()
        except (SpimpackError, OSError):
            return False


class CurrentPlan(luigi.Target):
    """A saved plan that is the current one of its output directory."""

    def __init__(self, store: Store, plan_id: str) -> None:
        self.store = store
        self.plan_id = plan_id
        self.path = store.path("plan", plan_id)

    def exists(self) -> bool:
        """Tell whether the plan is saved and current."""
        return self.store.current_plan_id() == self.plan_id and self.store.has_plan(self.plan_id)


class OutputsOnDisk(luigi.Target):
    """Outputs of a plan, each as planned and on record, whether the plan is saved yet or not."""

    def __init__(
        self,
        store: Store,
        outputs: Callable[[], Iterable[Output] | None],
        matches: Matches,
        was_right: Callable[[], bool],
    ) -> None:
        self.store = store
        self.outputs = outputs
        """Returns `None` where there is no plan."""
        self.matches = matches
        self.was_right = was_right
        """Tells whether they were right a moment ago, and need not be looked at."""

    def exists(self) -> bool:
        """Compare the outputs with the disk."""
        if self.was_right():
            return True
        outputs = self.outputs()
        return outputs is not None and are_right(self.store, outputs, self.matches)


class WholeDataset(CurrentPlan):
    """All outputs of the current plan, and no stale ones."""

    def __init__(
        self,
        store: Store,
        plan_id: str,
        is_whole: Callable[[Look], bool],
        found_right: Callable[[Look], None],
        was_right: Callable[[], bool],
    ) -> None:
        super().__init__(store, plan_id)
        self.is_whole = is_whole
        """Compares the dataset with the plan by a look at it."""
        self.found_right = found_right
        """Called with the look at the dataset by which it was compared with the plan."""
        self.was_right = was_right
        """Tells whether it was right a moment ago, and need not be looked at."""

    def exists(self) -> bool:
        """Compare the whole dataset with its snapshot, or else with the plan."""
        if not super().exists():
            return False
        if self.was_right():
            return True
        last = read_snapshot(self.store)
        if last is not None and last.plan_id == self.plan_id and last.is_whole(self.store):
            return True
        look = Look(self.store.output_dir)
        if not self.is_whole(look):
            return False
        self.found_right(look)
        return True


class NothingStale(CurrentPlan):
    """A dataset without stale outputs: it holds nothing of ours that the current plan lacks.

    An unfinished image counts as stale, unless a process is working on it.
    """

    def __init__(self, store: Store, plan_id: str, stale: Callable[[], Iterable[str]]) -> None:
        super().__init__(store, plan_id)
        self.stale = stale

    def exists(self) -> bool:
        """Look for stale receipts and unfinished images."""
        if not super().exists():
            return False
        return not any(True for _ in chain(idle_unfinished(self.store), self.stale()))


class ChecksumsRecorded(CurrentPlan):
    """Images of the current plan, each with an up-to-date checksum."""

    def __init__(self, store: Store, plan_id: str, outputs: Callable[[], Iterable[Output]]) -> None:
        super().__init__(store, plan_id)
        self.outputs = outputs

    def exists(self) -> bool:
        """Compare the checksums on record with the receipts."""
        return super().exists() and not lacks_checksum(self.store, self.outputs())


class ChecksumLists(CurrentPlan):
    """Lists of checksums that match the records."""

    def exists(self) -> bool:
        """Compare the lists with freshly composed ones."""
        return super().exists() and lists_are_right(self.store)
