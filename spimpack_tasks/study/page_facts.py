"""One line on each item of a study for its page: sizes, counts, verdicts, from the records."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError, count_of, counts_in_words, size_in_words
from spimpack_tasks.manifest.products import PRODUCTS
from spimpack_tasks.publishing.known import find_publications
from spimpack_tasks.state.snapshot import read_snapshot
from spimpack_tasks.state.store import Store
from spimpack_tasks.validation.report import read_report
from spimpack_tasks.volumes.formats import OME_ZARR
from spimpack_tasks.volumes.read_header import read_header

if TYPE_CHECKING:
    from spimpack_tasks.study.study import Study, StudyItem


def describe_item(study: Study, item: StudyItem) -> str:
    """Return a line on an item, empty where no record tells more than that it is there."""
    if item.stage in PRODUCTS:
        return _describe_image(study.product(item))
    if item.stage == "package":
        return _describe_dataset(study.product(item))
    if item.stage == "validate":
        return _describe_validation(study.report_on(item))
    return _describe_publication(study, item) if item.stage == "publish" else ""


def _describe_image(path: str) -> str:
    try:
        header = read_header(path, OME_ZARR)
    except SpimpackError as error:
        return str(error)
    shape = " x ".join(f"{size:,}" for size in header.shapes[0])
    sizes = [f"{size:.4g}" for size in header.pixel_size_um if size is not None]
    voxels = f"{shape} voxels along {', '.join(header.axes)}"
    return f"{voxels}; {' x '.join(sizes)} µm along x, y, z" if sizes else voxels


def _describe_dataset(path: str) -> str:
    snapshot = read_snapshot(Store(path))
    if snapshot is None:
        return ""
    return count_of(sum(snapshot.groups.values()), "image")


def _describe_validation(path: str) -> str:
    report = read_report(path)
    if report is None:
        return ""
    verdict = report.verdict
    word = "valid BIDS" if verdict.is_valid(strict=False) else "not valid BIDS"
    return f"{word}: {counts_in_words(finding.severity for finding in verdict.findings)}"


def _describe_publication(study: Study, item: StudyItem) -> str:
    url = str(study.values(item)["url"]).rstrip("/")
    for each in find_publications(Store(study.dataset_of(item))):
        if str(each.location) == url:
            told = f"{count_of(each.objects, 'object')} of {size_in_words(each.bytes)}"
            return f"{told}, at {each.address}" if each.address else told
    return ""


def committed_records(dataset: str) -> list[str]:
    """Return the paths of the records of what was published of a dataset."""
    folder = os.path.join(Store(dataset).root, "publications")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name, "committed.json") for name in names]
