"""Result of a validation: its findings, and whether the dataset is valid."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Severity, count_of, printable
from spimpack_tasks.version import PROJECT_URL

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE_WIDTH = 200
"""Characters of a finding in the terminal."""
GROUP_WIDTH = 100
"""Characters of a line that stands for several findings."""


_OF_MISSING_KEYS = ("_KEY_REQUIRED", "_KEY_RECOMMENDED")
"""Ends of codes for keys that are not there; the messages explain the key only."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of the validator, or of a check of our own."""

    code: str
    """The validator's, or one of our own, which begins with `SPIMPACK_`."""
    sub_code: str
    """Key or column that a general code is about; else empty."""
    severity: Severity
    location: str
    """Relative to the dataset, a directory with a trailing `/`; empty for the dataset itself."""
    message: str
    """As the validator words it, over several lines."""
    line: int = 0
    """Counts from 1; 0 means the file as a whole."""

    def __str__(self) -> str:
        """Render as `location:line: message [code sub_code]`, on one line."""
        place = ":".join(filter(None, [self.location or "dataset", str(self.line or "")]))
        is_missing = self.sub_code and self.code.endswith(_OF_MISSING_KEYS)
        message = f"{self.sub_code} is missing. {self.message}" if is_missing else self.message
        summary = textwrap.shorten(message, MESSAGE_WIDTH, placeholder=" ...")
        code = " ".join(filter(None, [self.code, self.sub_code]))
        return printable(": ".join(filter(None, [place, summary])) + f" [{code}]")

    @property
    def rank(self) -> tuple[bool, str, int, str, str, str]:
        """Sort key of findings: errors first, then by place."""
        is_warning = self.severity is Severity.WARNING
        return is_warning, self.location, self.line, self.code, self.sub_code, self.message


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """All findings, and the version of the validator."""

    findings: tuple[Finding, ...]
    validator_version: str
    schema_version: str

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make the dataset invalid."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that leave the dataset valid."""
        return tuple(f for f in self.findings if f.severity is Severity.WARNING)

    def is_valid(self, *, strict: bool = False) -> bool:
        """Tell whether there is no error; with `strict`, a warning is one as well."""
        return not (self.findings if strict else self.errors)

    def counts(self) -> list[tuple[str, Severity, int]]:
        """Return each code with its severity and number, errors first, then by code."""
        # "error" sorts before "warning".
        counted = sorted(Counter((f.severity, f.code) for f in self.findings).items())
        return [(code, severity, number) for (severity, code), number in counted]

    def lines(self, *, max_errors: int = 20) -> list[str]:
        """Return the counts, then up to `max_errors` errors."""
        errors = self.errors
        validator = f"bids-validator {self.validator_version} (BIDS schema {self.schema_version})"
        counts = f"{count_of(len(errors), 'error')}, {count_of(len(self.warnings), 'warning')}"
        left_out = len(errors) - max_errors
        more = [f"... and {count_of(left_out, 'more error')}"] if left_out > 0 else []
        return [f"{validator}: {counts}", *(str(e) for e in errors[:max_errors]), *more]

    def page(self, *, max_errors: int = 12, max_groups: int = 8) -> list[str]:
        """Return the page a user reads: the counts, the errors of each kind, the warnings."""
        errors = list(self._error_lines(max_errors))
        counts = count_of(len(self.warnings), "warning")
        if self.errors:
            counts = f"not valid BIDS: {count_of(len(self.errors), 'error')}, {counts}"
        else:
            counts = f"valid BIDS, {counts}"
        validator = f"bids-validator {self.validator_version}, BIDS schema {self.schema_version}"
        warnings = list(self._warning_lines(max_groups))
        help_page = [f"how to reach zero warnings: {PROJECT_URL}, page 'Reach zero warnings'"]
        return [f"{counts} ({validator})", *errors, *warnings, *(help_page if warnings else [])]

    def _error_lines(self, most: int) -> Iterator[str]:
        """Yield a line for each code, sub-code and message, with the first place and the number."""
        kinds: dict[tuple[str, str, str], list[Finding]] = {}
        for error in self.errors:
            kinds.setdefault((error.code, error.sub_code, error.message), []).append(error)
        for first, *others in list(kinds.values())[:most]:
            yield str(first) + (f" and {len(others):,} more like it" if others else "")
        if len(kinds) > most:
            yield f"... and {count_of(len(kinds) - most, 'more kind')} of errors"

    def _warning_lines(self, most: int) -> Iterator[str]:
        """Yield a line for each code, with its number and the first message."""
        groups: dict[str, list[Finding]] = {}
        for finding in self.warnings:
            groups.setdefault(finding.code, []).append(finding)
        for code, findings in sorted(groups.items())[:most]:
            first = findings[0]
            what = first.sub_code if len(findings) == 1 else _list_parts(findings)
            message = what or textwrap.shorten(first.message, GROUP_WIDTH, placeholder=" ...")
            yield printable(f"warning: {len(findings):,} x {code}: {message}")
        if len(groups) > most:
            yield f"... and warnings of {count_of(len(groups) - most, 'more code')}"


def _list_parts(findings: list[Finding]) -> str:
    """Return the keys or columns that findings of one code are about."""
    parts = sorted({finding.sub_code for finding in findings} - {""})
    return textwrap.shorten(", ".join(parts), GROUP_WIDTH, placeholder=" ...")
