"""Runs the official BIDS validator on a dataset and returns its findings.

The validator is `bids-validator-deno`, a program with its own BIDS schema inside; it needs neither
the network nor a home directory. `validation.own_checks` adds rules that it lacks. None of its own
findings is silenced.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import MissingExtraError, Severity, SpimpackError
from spimpack_tasks.validation.result import Finding, ValidationResult

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "bids-validator-deno"
# Without `--max-rows -1` only the first 1000 rows of a table are checked, and a longer
# participants.tsv is reported not to match the subjects.
OPTIONS = ("--format", "json", "--max-rows", "-1")
EXIT_CODES = (0, 16)
"""Exit codes of the validator after a whole check: 0 without errors, 16 with some."""
STDERR_LINES = 8
"""Last lines of the validator's errors; they name the cause."""


class ValidatorFailedError(SpimpackError):
    """The BIDS validator failed; the message has its command and last output."""


def run_bids_validator(dataset: Path) -> ValidationResult:
    """Return the result of the official BIDS validator for a dataset.

    Raises
    ------
    MissingExtraError
        The validator is not installed.
    ValidatorFailedError
        It could not be run, crashed, or printed something other than its JSON.
    """
    program = find_validator()
    # An absolute path cannot be taken for an option.
    check = [program, str(dataset.absolute()), *OPTIONS]
    output = _run(check, EXIT_CODES)
    try:
        findings, schema_version = _parse_answer(json.loads(output.stdout))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValidatorFailedError(_explain(check, output, "did not answer in its JSON")) from error
    return ValidationResult(findings, validator_version(program), schema_version)


def find_validator() -> str:
    """Return the path of the validator.

    That of this Python's environment is preferred, which need not be on the `PATH`.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    beside = os.path.dirname(sys.executable) if sys.executable else ""
    found = (beside and shutil.which(PROGRAM, path=beside)) or shutil.which(PROGRAM)
    if not found:
        raise MissingExtraError(PROGRAM, "bids")
    return found


@cache
def validator_version(program: str) -> str:
    """Return the version that the validator at a path reports.

    Raises
    ------
    ValidatorFailedError
        It could not be run.
    """
    words = _run([program, "--version"], (0,)).stdout.decode(errors="replace").split()
    return words[-1] if words else "of unknown version"


def _run(command: list[str], exit_codes: tuple[int, ...]) -> subprocess.CompletedProcess[bytes]:
    # BIDS_SCHEMA would replace the schema inside the validator, and colours would mar its words.
    # Installed below a git checkout, it would say the checkout's commit for its own version.
    environment = {k: v for k, v in os.environ.items() if k != "BIDS_SCHEMA"}
    environment |= {"NO_COLOR": "1", "GIT_DIR": os.devnull}
    environment.setdefault("PATH", os.defpath)
    if not any(name in environment for name in ("DENO_DIR", "XDG_CACHE_HOME", "HOME")):
        # Deno will not start without a place for its cache, but needs none that can be used.
        environment["DENO_DIR"] = os.path.join(os.devnull, "deno")
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
    """Return the findings and the schema's version; severity `ignore` is left out."""
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
