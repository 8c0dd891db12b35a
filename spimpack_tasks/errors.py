"""Problems, reports, errors and their exit codes.

A mistake of the user's is a `Problem`: a value with a stable code, a place and a hint. A `Report`
collects problems. A run that cannot continue raises one of the few `SpimpackError` classes below,
once and with the whole report. Each class knows its exit code. Bugs are not dressed up: they stay
ordinary exceptions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """Exit codes of `spimpack`, and of `luigi` unless the user configures others."""

    OK = 0
    """Every row of the table is in the output."""
    BAD_INPUT = 2
    """The command line, the manifest, a table or a source is wrong; nothing was written."""
    CONFLICT = 3
    """A foreign file occupies the path of an output; nothing was written."""
    FAILED = 4
    """Some outputs could not be written (full disk, unreadable source); the others are in place."""
    INTERNAL = 5
    """A bug in this program."""
    NOT_RUN = 6
    """The scheduler did not let the work run: not reachable, already running, lost a worker."""
    SUPERSEDED = 7
    """Another run with other inputs took over the output directory."""
    INVALID = 8
    """The dataset was written, but is not valid BIDS."""


class Severity(StrEnum):
    """Severity of a problem: an error stops a run, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Place(NamedTuple):
    """A place in an input file; line and column count from 1, and 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Render as `file:line:column`, without the parts that are unknown."""
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, its place, and a hint that names the remedy."""

    code: str
    place: Place
    key: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """Render as `file:line:column: key: message; hint [code]`."""
        hint = f"; {self.hint}" if self.hint else ""
        warning = "warning: " if self.severity is Severity.WARNING else ""
        key = f"{self.key}: " if self.key else ""
        return printable(f"{self.place}: {warning}{key}{self.message}{hint} [{self.code}]")

    def as_dict(self) -> dict[str, str | int]:
        """Return the problem as one flat, JSON-ready mapping."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "key": self.key,
            "message": self.message,
            "hint": self.hint,
        }


@dataclass(slots=True)
class Report:
    """All problems found so far; checks append to it and never stop at the first."""

    problems: list[Problem] = field(default_factory=list)
    made_ns: int = field(default_factory=time.time_ns)

    def add(self, problem: Problem) -> None:
        """Append one problem."""
        self.problems.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Append several problems."""
        self.problems.extend(problems)

    @property
    def errors(self) -> list[Problem]:
        """The problems that stop a run."""
        return [p for p in self.problems if p.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that do not stop a run, unless `--strict`."""
        return [p for p in self.problems if p.severity is Severity.WARNING]

    @property
    def identity(self) -> str:
        """Name of this one report; a scheduler that remembers earlier ones must not mix them up."""
        return f"{self.made_ns:x}"

    def sorted(self) -> list[Problem]:
        """Return the problems by file, line and column."""
        return sorted(self.problems, key=lambda p: (p.place, p.key, p.code, p.message))

    def lines(self) -> list[str]:
        """Return the page a user reads: one line a problem, then the count."""
        count = count_of(len(self.errors), "error")
        if self.warnings:
            count += f", {count_of(len(self.warnings), 'warning')}"
        return [*(str(p) for p in self.sorted()), count]


def printable(text: str) -> str:
    """Return a text whose control and invisible characters are written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def closest(name: str, known: Iterable[object], cutoff: float = 0.7) -> str:
    """Return the known name that is closest to `name`, ignoring case; empty if none is close."""
    lower = {str(candidate).lower(): str(candidate) for candidate in known}
    near = get_close_matches(name.lower(), lower, n=1, cutoff=cutoff)
    return lower[near[0]] if near else ""


def suggestion(name: str, known: Iterable[object]) -> str:
    """Return `did you mean …?` for a likely typing error, or nothing."""
    near = closest(name, known)
    return f"did you mean {near!r}?" if near else ""


def size_in_words(size: int) -> str:
    """Return a number of bytes in powers of 1,000."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5 or unit == "TB":
            break
    return f"{amount:,.1f} {unit}" if amount < 99.95 else f"{amount:,.0f} {unit}"


def count_of(number: int, noun: str) -> str:
    """Return `1 row`, `2 rows`: a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class SpimpackError(Exception):
    """Base of everything raised for a reason that the user can act upon."""

    exit_code = ExitCode.FAILED


class InputError(SpimpackError):
    """The inputs are wrong; carries the whole report."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, report: Report) -> None:
        super().__init__("\n".join(report.lines()))
        self.report = report


class ConflictError(InputError):
    """The output directory holds something of the user's where an output belongs."""

    exit_code = ExitCode.CONFLICT


class OutputError(SpimpackError):
    """Some outputs could not be written; the message names each with its reason."""


class SupersededError(SpimpackError):
    """Another run made its own plan the current one of this output directory."""

    exit_code = ExitCode.SUPERSEDED


class InvalidDatasetError(SpimpackError):
    """The dataset exists, but is not valid BIDS; the message lists the findings."""

    exit_code = ExitCode.INVALID


class MissingExtraError(SpimpackError):
    """An optional library or tool is not installed."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} is not installed; install it with: pip install 'spimpack_tasks[{extra}]'"
        )
