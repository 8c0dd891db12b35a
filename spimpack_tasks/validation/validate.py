"""Validates a dataset: the official validator, then what it cannot see.

A report belongs to a dataset as long as the fingerprint is that of the dataset: every path with
its kind, its link, and the size and time of what is behind it. Of an OME-Zarr the folder and its
metadata count, not the chunks; the state directory does not count. Our version, the validator's
and the mode are in the fingerprint too, so another program looks again.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.validation.bids_validator import find_validator, validator_version
from spimpack_tasks.validation.dataset_files import DatasetFiles
from spimpack_tasks.validation.inventory import take_inventory
from spimpack_tasks.validation.own_checks import CHECKS
from spimpack_tasks.validation.report import ValidationReport, place_for, read_report
from spimpack_tasks.validation.validator_runs import check_officially
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.validation.inventory import Entry
    from spimpack_tasks.validation.result import Finding, ValidationResult

# What the official validator says of the same place, if it sees it.
_SAME = {
    "SPIMPACK_CASE_COLLISION": {"CASE_COLLISION"},
    "SPIMPACK_LINK_BROKEN": {"SYMLINK_BROKEN", "SYMLINK_CYCLE"},
}


class DatasetChangedError(SpimpackError):
    """Something changed the dataset while it was looked at."""


def validate(dataset: str, *, full: bool = False) -> ValidationReport:
    """Return what is to be said of a dataset; nothing is written.

    Parameters
    ----------
    dataset
        Absolute path; it may be any dataset, also one that was not made by this program.
    full
        Let the official validator see the dataset itself and not its shadow, which takes time and
        memory for every chunk.

    Raises
    ------
    NoDatasetError
        There is no such directory.
    MissingExtraError
        The official validator is not installed.
    ValidatorFailedError
        It did not come to a verdict.
    DatasetChangedError
        The dataset did not keep still.
    """
    fingerprint, entries = _look(dataset, full=full)
    official = check_officially(dataset, entries, full=full)
    files = DatasetFiles(dataset, entries)
    own = (finding for check in CHECKS for finding in check(files))
    findings = sorted((*official.findings, *_not_said(own, official)), key=lambda f: f.rank)
    if _look(dataset, full=full)[0] != fingerprint:
        message = f"{dataset} was changed while it was validated; validate it again"
        raise DatasetChangedError(message)
    return ValidationReport(fingerprint, full, replace(official, findings=tuple(findings)))


def take_fingerprint(dataset: str, *, full: bool = False) -> str:
    """Return what a report on the dataset must have, to be about the dataset as it is now.

    Raises
    ------
    NoDatasetError
        There is no such directory.
    MissingExtraError
        The official validator is not installed.
    ValidatorFailedError
        It does not tell its version.
    """
    return _look(dataset, full=full)[0]


def find_report(dataset: str, *, full: bool = False, path: str = "") -> ValidationReport | None:
    """Return the report on the dataset as it is now, `None` where it has to be validated.

    Raises
    ------
    NoDatasetError, MissingExtraError, ValidatorFailedError
        As `take_fingerprint`.
    """
    report = read_report(place_for(dataset, path))
    if report is None or report.fingerprint != take_fingerprint(dataset, full=full):
        return None
    return report


def _look(dataset: str, *, full: bool) -> tuple[str, tuple[Entry, ...]]:
    version = validator_version(find_validator())
    entries = take_inventory(dataset)
    digest = sha256(f"{__version__}\0{version}\0{full}".encode())
    for entry in entries:
        line = f"{entry.path}\0{entry.kind}\0{entry.link}\0{entry.stamp}"
        digest.update(f"\n{line}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest(), entries


def _not_said(own: Iterator[Finding], official: ValidationResult) -> Iterator[Finding]:
    """Yield our own findings but those that the official validator has at the same place."""
    said = {(finding.location.removesuffix("/"), finding.code) for finding in official.findings}
    for finding in own:
        place = finding.location.removesuffix("/")
        if not any((place, code) in said for code in _SAME.get(finding.code, ())):
            yield finding
