"""Validates a dataset: runs the official validator, then our own checks.

A report is up to date as long as it has the fingerprint of the dataset. The fingerprint covers
every path with its kind, its link, and size and time of the link's target; of an OME-Zarr the
folder and its metadata, not the chunks; not the state directory. It also covers our version, the
validator's and the mode, so another version validates again.
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

# Codes of the official validator for the same fault at the same place, if it sees the fault.
_SAME = {
    "SPIMPACK_CASE_COLLISION": {"CASE_COLLISION"},
    "SPIMPACK_LINK_BROKEN": {"SYMLINK_BROKEN", "SYMLINK_CYCLE"},
}


class DatasetChangedError(SpimpackError):
    """The dataset changed during the validation."""


def validate(dataset: str, *, full: bool = False) -> ValidationReport:
    """Return the report on a dataset; nothing is written.

    Parameters
    ----------
    dataset
        Absolute path of any dataset, also one that another program made.
    full
        Whether the official validator sees the dataset itself and not its mirror, which takes time
        and memory for every chunk.

    Raises
    ------
    NoDatasetError
        There is no such directory.
    MissingExtraError
        The official validator is not installed.
    ValidatorFailedError
        The official validator failed.
    DatasetChangedError
        The dataset changed during the validation.
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
    """Return the fingerprint that an up-to-date report on the dataset must have.

    Raises
    ------
    NoDatasetError
        There is no such directory.
    MissingExtraError
        The official validator is not installed.
    ValidatorFailedError
        It does not report its version.
    """
    return _look(dataset, full=full)[0]


def find_report(dataset: str, *, full: bool = False, path: str = "") -> ValidationReport | None:
    """Return the up-to-date report on the dataset, `None` if it has to be validated.

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
