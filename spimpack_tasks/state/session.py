"""The memory of a process between the tasks of its runs; forked workers inherit it.

Nothing that is written depends on it: losing it costs time, or lines in the log of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable


class Session:
    """The memory of a process; `SESSION` is the only one."""

    def __init__(self) -> None:
        self.drafts: dict[Hashable, Any] = {}
        """By the options of a run: what the inputs came to."""
        self.plan_ids: dict[Hashable, str] = {}
        """By the options of a run: the identity that was worked out last."""
        self.is_making_task = False
        """Whether Luigi is making a task, for which it asks for the identity a second time."""
        self.task_starts: dict[str, float] = {}
        """By the identity of a task: when this process began to work at it."""
        self.runs: dict[str, str] = {}
        """By output directory: the name of the run that this process has started."""

    def reset(self) -> None:
        """Forget everything, as a process of its own would."""
        for memory in (self.drafts, self.plan_ids, self.task_starts, self.runs):
            memory.clear()
        self.is_making_task = False


SESSION = Session()
