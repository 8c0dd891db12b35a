"""The paths that the items of a study read and write, by the keys that name them."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from spimpack_tasks.manifest.products import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.study.study import Study, StudyItem

_READS = {
    "stitch": ("tiles", "recording", "align_file", "flat"),
    "stream": ("settings", "frames"),
    "convert": ("source",),
    "align": ("data_root", "image"),
}
"""Keys that name what an item reads, by its stage."""
_NO_FILES = {"flat": ("none", "estimate")}
"""Values that name no file, by their key."""
_KEPT = 4
"""Studies whose places are kept: those of one run, and perhaps of the one before."""


def list_sources(study: Study, item: StudyItem) -> Iterator[tuple[str, str]]:
    """Yield the key and the absolute path of each file or folder that an item reads."""
    values = study.values(item)
    for key in _READS.get(item.stage, ()):
        given = values.get(key)
        for text in given if isinstance(given, list) else [given]:
            if text and text not in _NO_FILES.get(key, ()):
                yield key, study.place(str(text))


def list_results(study: Study, item: StudyItem) -> Iterator[str]:
    """Yield the absolute paths of what an item writes; of stitching its working folder as well."""
    if item.stage not in {*PRODUCTS, "package", "align"}:
        return
    product = study.product(item)
    yield product
    if item.stage == "stitch":
        values = study.values(item)
        yield study.place(str(values.get("work_dir") or f"{product}.work"))
        if "recording" in values:
            yield tiles_file(study, item)


def tiles_file(study: Study, item: StudyItem) -> str:
    """Return the absolute path of the file of the tiles that are found in a recording."""
    return os.path.join(study.work_dir, "tiles", f"{item.name}.json")


def find_makers(study: Study, path: str, reader: StudyItem) -> list[StudyItem]:
    """Return the items that make a path, or what it lies in; the one that reads it is none."""
    makers = _index(study)
    found = next((makers[each] for each in ancestors(path) if each in makers), ())
    return [item for item in found if item != reader]


@lru_cache(_KEPT)
def _index(study: Study) -> Mapping[str, tuple[StudyItem, ...]]:
    """Return the items that write a path, by the path: several may share a working folder."""
    makers: dict[str, tuple[StudyItem, ...]] = {}
    for item in study.items:
        for path in list_results(study, item):
            makers[path] = (*makers.get(path, ()), item)
    return makers


def ancestors(path: str) -> Iterator[str]:
    """Yield a path, and the folders that it lies in, up to the root."""
    yield path
    while path != (path := os.path.dirname(path)):
        yield path
