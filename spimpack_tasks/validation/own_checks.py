"""Checks that the official validator does not make.

A check is a function that takes the files of a dataset and yields findings; `CHECKS` lists them. An
error breaks a rule of BIDS, or makes the dataset state something false; all else is a warning.
docs/reference/validation.md explains each code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import Severity
from spimpack_tasks.files.stamps import ZARR_METADATA
from spimpack_tasks.validation.dataset_files import DatasetFiles
from spimpack_tasks.validation.inventory import EntryKind
from spimpack_tasks.validation.pixel_sizes import check_pixel_sizes
from spimpack_tasks.validation.result import Finding
from spimpack_tasks.volumes.formats import format_of

if TYPE_CHECKING:
    from spimpack_tasks.validation.inventory import Entry

Check = Callable[[DatasetFiles], Iterator[Finding]]

SAMPLES = "samples.tsv"
DESCRIPTION = "dataset_description.json"


class Sample(NamedTuple):
    """A row of samples.tsv."""

    sample: str
    subject: str
    derived_from: str
    line: int


def check_samples_there(files: DatasetFiles) -> Iterator[Finding]:
    """BIDS demands samples.tsv of a raw dataset with microscopy images."""
    if files.images and not files.is_derivative and SAMPLES not in files.kinds:
        message = "A raw dataset with microscopy images needs samples.tsv; there is none."
        yield _error("SPIMPACK_SAMPLES_MISSING", SAMPLES, message)


def check_samples_listed(files: DatasetFiles) -> Iterator[Finding]:
    """samples.tsv lists each sample of each subject that is in file names."""
    rows = _read_samples(files)
    if files.is_derivative or rows is None:
        return
    listed = {(row.sample, row.subject) for row in rows}
    for (sample, subject), image in _named_samples(files).items():
        if (sample, subject) not in listed:
            message = f"{sample} of {subject} is not in samples.tsv; add a row for it."
            yield _error("SPIMPACK_SAMPLE_UNLISTED", image.path, message)


def check_samples_used(files: DatasetFiles) -> Iterator[Finding]:
    """A row of samples.tsv is of a sample that has an image, or that another is derived from."""
    rows = _read_samples(files) or []
    named, origins = _named_samples(files), {row.derived_from for row in rows}
    for row in rows:
        if (row.sample, row.subject) not in named and row.sample not in origins:
            message = f"There is no image of {row.sample} of {row.subject}; check the row."
            yield _warning("SPIMPACK_SAMPLE_UNUSED", SAMPLES, message, row.line)


def check_samples_derived(files: DatasetFiles) -> Iterator[Finding]:
    """`derived_from` names a sample that samples.tsv lists."""
    rows = _read_samples(files) or []
    known = {row.sample for row in rows} | {"", "n/a"}
    for row in rows:
        if row.derived_from not in known:
            message = f"{row.sample} is derived from {row.derived_from}, which is not listed."
            yield _warning("SPIMPACK_DERIVED_FROM_UNKNOWN", SAMPLES, message, row.line)


def check_generated_by(files: DatasetFiles) -> Iterator[Finding]:
    """BIDS demands that a derivative dataset says what made it."""
    if files.is_derivative and not files.description.get("GeneratedBy"):
        message = "A derivative dataset needs GeneratedBy: name the program that made it."
        yield _error("SPIMPACK_GENERATED_BY_MISSING", DESCRIPTION, message)


def check_letter_case(files: DatasetFiles) -> Iterator[Finding]:
    """No two names in a folder differ in letter case only: not every disk can hold both."""
    seen: dict[tuple[str, str], str] = {}
    for entry in files.entries:
        folder, _, name = entry.path.rpartition("/")
        first = seen.setdefault((folder, name.casefold()), entry.path)
        if first != entry.path:
            message = f"The name differs from {first} in letter case only; choose another."
            yield _error("SPIMPACK_CASE_COLLISION", entry.path, message)


def check_links(files: DatasetFiles) -> Iterator[Finding]:
    """No image is a link that leads nowhere, not even a hidden one or one inside an OME-Zarr."""
    for entry in files.entries:
        if entry.kind in {EntryKind.BROKEN, EntryKind.CYCLE} and format_of(entry.name):
            message = f"The image is a link to {entry.link}, which leads nowhere; mend the link."
            yield _error("SPIMPACK_LINK_BROKEN", entry.path, message)
        elif entry.kind is EntryKind.STORE and _has_broken_metadata(files.path(entry.path)):
            message = "The metadata of the OME-Zarr are links that lead nowhere; mend the links."
            yield _error("SPIMPACK_LINK_BROKEN", f"{entry.path}/", message)


def check_json_keys(files: DatasetFiles) -> Iterator[Finding]:
    """No key stands twice in a JSON object, where one program takes the first, one the last."""
    for entry in files.entries:
        if entry.kind is EntryKind.FILE and entry.path.endswith(".json"):
            for key in files.read_json(entry.path).repeated:
                message = f"{key} stands more than once in one object; keep one."
                yield _warning("SPIMPACK_JSON_DUPLICATE_KEY", entry.path, message, key=key)


CHECKS: tuple[Check, ...] = (
    check_samples_there,
    check_samples_listed,
    check_samples_used,
    check_samples_derived,
    check_generated_by,
    check_letter_case,
    check_links,
    check_json_keys,
    check_pixel_sizes,
)


def _read_samples(files: DatasetFiles) -> list[Sample] | None:
    """Return the rows of samples.tsv, `None` where there is no such table."""
    table = files.read_table(SAMPLES)
    if table is None or not {"sample_id", "participant_id"} <= set(table.columns):
        return None
    rows = ((dict(zip(table.columns, row.cells, strict=True)), row.line) for row in table.rows)
    return [
        Sample(cells["sample_id"], cells["participant_id"], cells.get("derived_from", ""), line)
        for cells, line in rows
    ]


def _named_samples(files: DatasetFiles) -> dict[tuple[str, str], Entry]:
    """Return the first image of each sample and subject, both with their prefix."""
    named: dict[tuple[str, str], Entry] = {}
    for image in files.images:
        parts = image.name.split("_")
        sample = next((part for part in parts if part.startswith("sample-")), "")
        if sample and parts[0].startswith("sub-"):
            named.setdefault((sample, parts[0]), image)
    return named


def _has_broken_metadata(store: str) -> bool:
    paths = (os.path.join(store, name) for name in ZARR_METADATA)
    return any(os.path.islink(path) and not os.path.exists(path) for path in paths)


def _error(code: str, location: str, message: str) -> Finding:
    return Finding(code, "", Severity.ERROR, location, message)


def _warning(code: str, location: str, message: str, line: int = 0, key: str = "") -> Finding:
    return Finding(code, key, Severity.WARNING, location, message, line)
