"""Problems, reports, errors and their exit codes.

A mistake of the user's is a `Problem`: a value with a stable code, a place and a hint. A `Report`
collects problems. A run that cannot continue raises one of the few `SpimpackError` classes below,
once and with the whole report. Each class knows its exit code. Bugs are not dressed up: they stay
ordinary exceptions.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field, replace
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
    """Severity of a problem: an error stops a run, a warning does not.

    A note concerns one program that reads datasets. It is composed only for those who ask for it.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Place(NamedTuple):
    """A place in an input file; line and column count from 1, and 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Render as `file:line:column`, without the parts that are unknown."""
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])

    def line_in_words(self) -> str:
        """Return `file line 7`, to be named in the message of a problem elsewhere."""
        return f"{self.file} line {self.line}" if self.line else str(self)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, its place, and a hint that names the remedy."""

    code: str
    """A stable name of the kind of mistake, such as `file.missing`."""
    place: Place
    """File, line and column; a number of 0 is unknown."""
    key: str
    """The key or column that is wrong; empty if it is none of them."""
    message: str
    """The mistake, with the value."""
    hint: str = ""
    """The remedy: another value, or something to do."""
    severity: Severity = Severity.ERROR
    """`error` or `warning`."""

    def __str__(self) -> str:
        """Render as `file:line:column: key: message; hint [code]`."""
        hint = f"; {self.hint}" if self.hint else ""
        severity = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        key = f"{self.key}: " if self.key else ""
        return printable(f"{self.place}: {severity}{key}{self.message}{hint} [{self.code}]")

    @property
    def kind(self) -> tuple[Severity, str, str, str]:
        """Severity, file, code and key, which problems that are shown together share."""
        return self.severity, self.place.file, self.code, self.key

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

    def groups(self) -> list[list[Problem]]:
        """Return the problems with equal ones together; errors come first."""
        problems = sorted(self.sorted(), key=lambda p: _ORDER[p.severity])  # stable
        groups: dict[tuple[object, ...], list[Problem]] = {}
        for problem in problems:
            groups.setdefault((problem.kind, problem.message, problem.hint), []).append(problem)
        return list(groups.values())

    def lines(self, *, verbose: bool = False) -> list[str]:
        """Return the page that a user reads: errors, warnings and notes, then their numbers.

        Parameters
        ----------
        verbose
            Whether each problem has a line of its own. If not, equal ones are one line with their
            places, and of many that differ the first are shown.
        """
        problems = sorted(self.sorted(), key=lambda p: _ORDER[p.severity])  # stable
        shown = [str(p) for p in problems] if verbose else _grouped(problems)
        return [*shown, counts_in_words(p.severity for p in problems)]


def counts_in_words(severities: Iterable[Severity]) -> str:
    """Return the number of errors, and those of warnings and notes if there are any."""
    counts = Counter(severities)
    return ", ".join(
        count_of(counts[severity], severity)
        for severity in Severity
        if counts[severity] or severity is Severity.ERROR
    )


_ORDER = {severity: number for number, severity in enumerate(Severity)}
_MOST_ALIKE = 3
"""Lines for problems of one kind that differ: enough to see what is wrong with them."""
_MOST_RANGES = 6
"""Ranges of lines named behind a problem: they fit on one line of a terminal."""


def _grouped(problems: list[Problem]) -> list[str]:
    """Return lines in which equal problems are one, and many of a kind are cut."""
    kinds: dict[tuple[object, ...], dict[tuple[str, str], list[Problem]]] = {}
    for problem in problems:
        texts = kinds.setdefault(problem.kind, {})
        texts.setdefault((problem.message, problem.hint), []).append(problem)
    lines = []
    for texts in kinds.values():
        groups = list(texts.values())
        lines += [line_of(equal) for equal in groups[:_MOST_ALIKE]]
        rest = [problem for equal in groups[_MOST_ALIKE:] for problem in equal]
        if len(groups) == _MOST_ALIKE + 1 and len(rest) == 1:  # as short as a line about it
            lines.append(str(rest[0]))
        elif rest:
            lines.append(_line_about(rest))
    return lines


def line_of(equal: list[Problem]) -> str:
    """Return one line for problems of the same text, with the lines of their places."""
    if len(equal) == 1:
        return str(equal[0])
    where = _lines_in_words(equal)
    return f"{equal[0]} ({len(equal):,} times{f': {where}' if where else ''})"


def _line_about(rest: list[Problem]) -> str:
    """Return one line for problems of one kind that are not shown."""
    where = _lines_in_words(rest)
    more = f"{len(rest):,} more like this{f' in {where}' if where else ''}"
    place = Place(rest[0].place.file)
    return str(replace(rest[0], place=place, message=more, hint="--verbose shows each"))


def _lines_in_words(problems: list[Problem]) -> str:
    """Return the lines of problems of one file, such as `lines 2, 5-6`; empty if it is one."""
    numbers = sorted({problem.place.line for problem in problems} - {0})
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    parts = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges]
    if len(parts) > _MOST_RANGES:
        parts[_MOST_RANGES - 1 :] = ["…", parts[-1]]
    return f"lines {', '.join(parts)}" if len(numbers) > 1 else ""


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


_CHOICE = re.compile(
    r"\b(merge_|)(shape|dtype|spacing|channels|order|gaps|axes|scene|reader)=(\w+)"
)


def in_flags(hint: str, axes: str = "--axes") -> str:
    """Return a remedy with options of a command line for choices, as tables have them.

    Parameters
    ----------
    hint
        The remedy.
    axes
        The option that says what the axes of a source are.
    """
    return _CHOICE.sub(
        lambda m: f"{axes if m[2] == 'axes' else '--' + (m[1] + m[2]).replace('_', '-')} {m[3]}",
        hint,
    )


def in_arguments(hint: str, axes: str = "axes") -> str:
    """Return a remedy with arguments of functions; `axes` is the name of that for axes."""
    return _CHOICE.sub(lambda m: f'{axes if m[2] == "axes" else m[2]}="{m[3]}"', hint)


def joined(message: str, hint: str) -> str:
    """Return a message with a remedy behind it, if there is one."""
    return f"{message}; {hint}" if hint else message


class HintedError(SpimpackError):
    """An error with a remedy, which names choices of the user's as a table has them.

    As a text it has the words of Python.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        """Return message and remedy for the author of a script."""
        return joined(self.message, in_arguments(self.hint))

    @property
    def told(self) -> str:
        """Message and remedy for the user of a table."""
        return joined(self.message, self.hint)


def message_of(error: Exception) -> str:
    """Return the message of an error, with its remedy for the user of a table."""
    return error.told if isinstance(error, HintedError) else str(error)


class InputError(SpimpackError):
    """The inputs are wrong; carries the whole report."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, report: Report) -> None:
        super().__init__("\n".join(report.lines()))
        self.report = report


class ConflictError(InputError):
    """The output directory holds something of the user's where an output belongs."""

    exit_code = ExitCode.CONFLICT


class UsageError(SpimpackError):
    """The command line is incomplete; the message ends with one that is not."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, message: str, example: str) -> None:
        super().__init__(f"{message}, such as: {example}")


class OccupiedError(SpimpackError):
    """A directory holds other things than those that are to be made there."""

    exit_code = ExitCode.BAD_INPUT


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
