"""What a check of a machine answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spimpack_tasks.errors import printable


class State(StrEnum):
    """How much an answer weighs."""

    OK = "ok"
    NOTE = "note"
    """Something is not there that not everybody needs."""
    PROBLEM = "problem"
    """Something is broken that is needed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one check found."""

    state: State
    check: str
    """What was looked at."""
    message: str

    def __str__(self) -> str:
        """Render as one line."""
        return printable(f"{self.state:<8} {self.check}: {self.message}")

    def as_dict(self) -> dict[str, str]:
        """Return the answer as a JSON-ready mapping."""
        return {"state": str(self.state), "check": self.check, "message": self.message}


def ok(check: str, message: str) -> Answer:
    """Return an answer that all is well."""
    return Answer(State.OK, check, message)


def note(check: str, message: str) -> Answer:
    """Return an answer that something is missing that not everybody needs."""
    return Answer(State.NOTE, check, message)


def problem(check: str, message: str) -> Answer:
    """Return an answer that something is broken that is needed."""
    return Answer(State.PROBLEM, check, message)
