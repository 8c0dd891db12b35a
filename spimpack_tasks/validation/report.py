"""Report of a validation as a JSON file: the findings, the validator and the mode.

It is written to the state directory of the dataset, or to a path that the user gives; a dataset
without a state directory gets no file of ours. It holds no time, so equal datasets have equal
reports.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from spimpack_tasks.errors import ExitCode, Severity, SpimpackError
from spimpack_tasks.files.atomic import write_at
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.state.store import Store
from spimpack_tasks.validation.bids_validator import PROGRAM
from spimpack_tasks.validation.inventory import check_directory
from spimpack_tasks.validation.result import Finding, ValidationResult
from spimpack_tasks.version import __version__

REPORT = "validation.json"
_ABOUT = "validation of a BIDS dataset"
_FIELDS = tuple(field.name for field in fields(Finding))
_values = attrgetter(*_FIELDS)


class ReportRefusedError(SpimpackError):
    """The report cannot be written to a path; the message names the reason and a remedy."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """Result of a validation, and the fingerprint of the dataset's state."""

    fingerprint: str
    """Of the dataset, the mode and the validator (see `validation.validate`)."""
    full: bool
    """Whether the validator saw the dataset itself, and not its mirror (`shadow` in the file)."""
    verdict: ValidationResult

    def text(self) -> str:
        """Return the report as JSON, with one finding a line."""
        verdict = self.verdict
        data = {
            "about": _ABOUT,
            "spimpack_tasks": __version__,
            "validator": {
                "name": PROGRAM,
                "version": verdict.validator_version,
                "schema": verdict.schema_version,
            },
            "mode": "full" if self.full else "shadow",
            "fingerprint": self.fingerprint,
            "errors": len(verdict.errors),
            "warnings": len(verdict.warnings),
            "codes": [
                {"code": code, "severity": severity, "count": count}
                for code, severity, count in verdict.counts()
            ],
        }
        head = json.dumps(data, indent=2, ensure_ascii=False).removesuffix("\n}")
        # json.dumps with an indent is slow, and asdict is: a second for 1,000 images.
        values = (dict(zip(_FIELDS, _values(finding), strict=True)) for finding in verdict.findings)
        findings = ",\n    ".join(json.dumps(value, ensure_ascii=False) for value in values)
        return f'{head},\n  "findings": [\n    {findings}\n  ]\n}}\n'

    def lines(self, dataset: str, kept: str) -> list[str]:
        """Return the page a user reads of `dataset`, with where the report is `kept`, if it is."""
        first, *rest = self.verdict.page()
        where = f"the whole report: {kept}" if kept else "for all of it: --format json"
        return [f"{dataset}: {first}", *rest, *([where] if rest else [])]

    def write(self, dataset: str, path: str = "") -> None:
        """Write the report to `path`, or to the state directory of the dataset; see `place_for`.

        An equal report that exists already is not touched.

        Raises
        ------
        OSError
            It cannot be written.
        """
        # A file name that is not UTF-8 is written as the escapes that JSON has for it.
        data = self.text().encode("utf-8", "backslashreplace")
        if _read(place_for(dataset, path)) == data:
            return
        if path:
            write_at(path, data)
            return
        store = Store(dataset)
        store.create()
        with store.scratch_folder("validation") as place:
            place.write(REPORT, data)


def place_for(dataset: str, path: str = "") -> str:
    """Return the path of the report of a dataset: `path`, or one in its state directory.

    Parameters
    ----------
    dataset
        Absolute path of the dataset.
    path
        Absolute path that the user gave, empty for none.

    Returns
    -------
    str
        Empty where there is no state directory, and no path is given.
    """
    store = Store(dataset)
    return path or (store.path(REPORT) if os.path.isdir(store.root) else "")


def check_place(dataset: str, path: str) -> None:
    """Refuse a place at which there cannot be a report, or at which it would do harm.

    Raises
    ------
    NoDatasetError
        There is no dataset.
    ReportRefusedError
        There is none, it would be a part of the dataset, or replace something else than a report.
    """
    check_directory(dataset)
    if not path:
        if not place_for(dataset):
            name = os.path.basename(Store(dataset).root)
            message = f"{dataset} has no {name} for the report; give a file for it with --report"
            raise ReportRefusedError(message)
        return
    inner = os.path.relpath(os.path.realpath(path), os.path.realpath(dataset))
    if not inner.startswith("."):
        message = f"{path} would be a part of the dataset; choose another place for the report"
        raise ReportRefusedError(message)
    if os.path.lexists(path) and read_report(path) is None:
        message = f"{path} is there already, and is no report; choose another place for the report"
        raise ReportRefusedError(message)


def read_report(path: str) -> ValidationReport | None:
    """Return the report at a path, `None` where there is none that this version understands."""
    try:
        data: dict[str, Any] = json.loads(_read(path))
        if data["about"] != _ABOUT:
            return None
        validator = data["validator"]
        findings = tuple(
            Finding(**{**finding, "severity": Severity(finding["severity"])})
            for finding in data["findings"]
        )
        verdict = ValidationResult(findings, validator["version"], validator["schema"])
        return ValidationReport(data["fingerprint"], data["mode"] == "full", verdict)
    except (ValueError, KeyError, TypeError):
        return None


def _read(path: str) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError:
        return b""
