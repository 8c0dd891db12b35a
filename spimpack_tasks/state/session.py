"""The memory of a process between the tasks of its runs; forked workers inherit it.

Nothing that is written depends on it: losing it costs time, or lines in the log of a run.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator


class Session:
    """The memory of a process; `SESSION` is the only one."""

    def __init__(self) -> None:
        self.drafts: dict[Hashable, Any] = {}
        """By the options of a run: what the inputs came to."""
        self.plan_ids: dict[Hashable, Any] = {}
        """By the options of a run: the resolved ones, and the identity that was worked out last."""
        self.is_making_task = False
        """Whether Luigi is making a task, for which it asks for the identity a second time."""
        self.task_starts: dict[str, float] = {}
        """By the identity of a task: when this process began to work at it."""
        self.runs: dict[str, str] = {}
        """By output directory: the name of the run that this process has started."""
        self.found_wrong: dict[tuple[str, str], frozenset[str]] = {}
        """By state directory and plan, what a run of ours found not to be right when it looked at
        all, before its first task began: names of files of receipts. An empty name among them says
        that the dataset as a whole may not be right."""
        self.kept: dict[tuple[str, str], int] = {}
        """By state directory and plan: the number of images that were right when a run of ours
        looked at all."""
        self.is_alone = False
        """Whether the process is in a call that packages, and does nothing else meanwhile."""

    def reset(self) -> None:
        """Forget everything, as a process of its own would."""
        for memory in (self.drafts, self.plan_ids, self.task_starts, self.runs, self.kept):
            memory.clear()
        self.found_wrong.clear()
        self.is_making_task = self.is_alone = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nothing else be done by this process until the context ends."""
        self.found_wrong.clear()
        self.is_alone = True
        try:
            yield
        finally:
            self.is_alone = False
            self.found_wrong.clear()


SESSION = Session()
