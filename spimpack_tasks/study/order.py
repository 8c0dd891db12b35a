"""The order of a study: what each item is made of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Report
from spimpack_tasks.manifest.load import load_inputs
from spimpack_tasks.manifest.merges import split_paths
from spimpack_tasks.manifest.products import PRODUCTS
from spimpack_tasks.manifest.rows import source_path
from spimpack_tasks.study.reads import find_makers, list_sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.manifest.load import Inputs
    from spimpack_tasks.study.study import Study, StudyItem


def items_before(study: Study, item: StudyItem) -> list[StudyItem]:
    """Return the items that an item is made of, directly: they have to be there first.

    For the dataset the manifest and its tables are read.
    """
    if item.stage in PRODUCTS:
        return _makers_of_sources(study, item)
    if item.stage == "package":
        return _named_products(study, item)
    if item.stage == "align":
        return _makers_of_sources(study, item)
    if item.stage == "report":
        return [each for each in study.items if each.stage != "report"]
    package = study.items_of("package")
    if item.stage == "validate":
        made = study.product(item)
        makers = [*package, *study.items_of("align")]
        return [each for each in makers if study.product(each) == made]
    dataset = study.dataset_of(item)
    checks = [each for each in study.items_of("validate") if study.product(each) == dataset]
    return [*[each for each in package if study.product(each) == dataset], *checks]


def with_needed(study: Study, items: Sequence[StudyItem]) -> list[StudyItem]:
    """Return items and all that they are made of, each once, what comes first in front."""
    found: dict[StudyItem, None] = {}

    def add(item: StudyItem) -> None:
        if item not in found:
            for each in items_before(study, item):
                add(each)
            found[item] = None

    for item in items:
        add(item)
    return list(found)


def _products(study: Study) -> list[StudyItem]:
    return [each for stage in PRODUCTS for each in study.items_of(stage)]


def _named_products(study: Study, item: StudyItem) -> list[StudyItem]:
    """Return the products that rows name; all of them where the rows cannot be read."""
    manifest = study.values(item)["manifest"]
    report = Report()
    path = study.path if isinstance(manifest, dict) else study.place(manifest)
    inputs = load_inputs(path, report)
    products = _products(study)
    if inputs.lost_rows or not any(part.records for part in inputs.parts):
        return products
    named = {place for part in inputs.parts for place in _places(part)}
    return [each for each in products if study.product(each) in named]


def _places(part: Inputs) -> Iterator[str]:
    """Yield the absolute paths that the rows of a manifest name."""
    for record in part.records:
        for text in split_paths(record.cell("spim_path")):
            if isinstance(text, str) and text:
                yield part.products.get(text) or os.path.normpath(source_path(part.folder, text))


def _makers_of_sources(study: Study, item: StudyItem) -> list[StudyItem]:
    """Return what makes the files that an item reads, such as the alignment of another channel."""
    paths = [path for _, path in list_sources(study, item)]
    found = [maker for path in paths for maker in find_makers(study, path, item)]
    return list(dict.fromkeys(found))
