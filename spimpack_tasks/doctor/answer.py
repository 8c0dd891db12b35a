"""Answers of the checks of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spimpack_tasks.errors import printable


class State(StrEnum):
    """Severity of an answer."""

    OK = "ok"
    NOTE = "note"
    """Something is not there that not everybody needs."""
    PROBLEM = "problem"
    """Something is broken that is needed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of one check."""

    state: State
    check: str
    """Name of the check."""
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
