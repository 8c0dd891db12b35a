"""Run the official BIDS validator on a dataset and say what it found.

The validator is `bids-validator-deno`, a program with its own BIDS schema inside; it needs neither
the network nor a home directory. This module neither adds rules of its own nor silences any.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import MissingExtraError, Severity, SpimpackError, count_of

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "bids-validator-deno"
# Without `--max-rows -1` only the first 1000 rows of a table are checked, and a longer
# participants.tsv is reported not to match the subjects.
OPTIONS = ("--format", "json", "--max-rows", "-1")
EXIT_CODES = (0, 16)
"""What the validator exits with after a whole check: 0 without errors, 16 with some."""
MESSAGE_WIDTH = 200
STDERR_LINES = 8


class ValidatorFailedError(SpimpackError):
    """The BIDS validator did not come to a verdict; the message has its command and last words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the validator found."""

    code: str
    sub_code: str
    """Which key or column a general code means; empty where the code says all."""
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
        summary = textwrap.shorten(self.message, MESSAGE_WIDTH, placeholder=" ...")
        code = " ".join(filter(None, [self.code, self.sub_code]))
        return ": ".join(filter(None, [place, summary])) + f" [{code}]"


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that the validator found, and which validator said so."""

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

    def lines(self, *, max_errors: int = 20) -> list[str]:
        """Return the page a user reads: the counts, then up to `max_errors` errors."""
        errors = self.errors
        validator = f"bids-validator {self.validator_version} (BIDS schema {self.schema_version})"
        counts = f"{count_of(len(errors), 'error')}, {count_of(len(self.warnings), 'warning')}"
        left_out = len(errors) - max_errors
        more = [f"... and {count_of(left_out, 'more error')}"] if left_out > 0 else []
        return [f"{validator}: {counts}", *(str(e) for e in errors[:max_errors]), *more]


def run_bids_validator(dataset: Path) -> Verdict:
    """Return what the official BIDS validator says of the dataset at `dataset`.

    Raises
    ------
    MissingExtraError
        The validator is not installed.
    ValidatorFailedError
        It could not be run, crashed, or answered something else than its JSON.
    """
    program = _find_program()
    # An absolute path cannot be taken for an option.
    check = [program, str(dataset.absolute()), *OPTIONS]
    output = _run(check, EXIT_CODES)
    try:
        findings, schema_version = _parse_answer(json.loads(output.stdout))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValidatorFailedError(_explain(check, output, "did not answer in its JSON")) from error
    version = _run([program, "--version"], (0,)).stdout.decode(errors="replace").split()
    return Verdict(findings, version[-1] if version else "of unknown version", schema_version)


def _find_program() -> str:
    """Prefer the validator of this Python's environment, which need not be on the `PATH`."""
    beside = os.path.dirname(sys.executable) if sys.executable else ""
    found = (beside and shutil.which(PROGRAM, path=beside)) or shutil.which(PROGRAM)
    if not found:
        raise MissingExtraError(PROGRAM, "bids")
    return found


def _run(command: list[str], exit_codes: tuple[int, ...]) -> subprocess.CompletedProcess[bytes]:
    # BIDS_SCHEMA would replace the schema inside the validator, and colours would mar its words.
    # Installed below a git checkout, it would say the checkout's commit for its own version.
    environment = {k: v for k, v in os.environ.items() if k != "BIDS_SCHEMA"}
    environment |= {"NO_COLOR": "1", "GIT_DIR": os.devnull}
    try:
        output = subprocess.run(  # noqa: S603 - no shell, and the program is the one looked up
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=environment,
        )
    except OSError as error:
        message = f"the BIDS validator cannot be run: {' '.join(command)}: {error.strerror}"
        raise ValidatorFailedError(message) from error
    if output.returncode not in exit_codes:
        what = f"failed with exit code {output.returncode}"
        raise ValidatorFailedError(_explain(command, output, what))
    return output


def _explain(command: list[str], output: subprocess.CompletedProcess[bytes], what: str) -> str:
    stderr = output.stderr.decode(errors="replace").strip().splitlines()[-STDERR_LINES:]
    return "\n".join([f"the BIDS validator {what}: {' '.join(command)}", *stderr])


def _parse_answer(answer: dict[str, Any]) -> tuple[tuple[Finding, ...], str]:
    """Return the findings and the schema's version; what has severity `ignore` is no finding."""
    issues = answer["issues"]
    explanations = issues["codeMessages"]
    findings = tuple(
        Finding(
            code=issue["code"],
            sub_code=issue.get("subCode", ""),
            severity=Severity(issue["severity"]),
            location=issue.get("location", "").removeprefix("/"),
            message=issue.get("issueMessage") or explanations.get(issue["code"], ""),
            line=int(issue.get("line") or 0),
        )
        for issue in issues["issues"]
        if issue["severity"] != "ignore"
    )
    return findings, answer["summary"]["schemaVersion"]
