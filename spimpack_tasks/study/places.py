"""Refuses a study whose places collide: with sources of the user's, or with one another."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import Problem
from spimpack_tasks.manifest.products import EXTENSION, PRODUCTS, STAGES_KEY
from spimpack_tasks.manifest.schema_check import dotted
from spimpack_tasks.study.reads import ancestors, find_makers, list_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.files.yaml_marks import Path
    from spimpack_tasks.study.study import Study, StudyItem

MARK = "made"
"""Folder of notes in a work_dir, by which it is known to be a study's."""
_OURS = re.compile(
    rf"{MARK}|tiles|{'|'.join(PRODUCTS.values())}|study-log\.jsonl|ro-crate-metadata\.json"
    r"|validation-.*\.json|\..*"
)
"""Names in a work_dir that a study gives. Hidden files are of the system, such as .DS_Store."""
_PLACE_KEYS = {"package": "output_dir", "align": "results_root", "report": "page"}
"""Keys that name where something is made, by the stage; others have `image`."""
_WORK_DIR = "work_dir"
_ENDINGS = {"stream": (EXTENSION, ".ome.tif")}
"""Ends of the names of images that are not OME-Zarr alone; settings of a stream name its format."""


def note_path(study: Study, item: StudyItem, extension: str) -> str:
    """Return the absolute path of a note on a product."""
    return os.path.join(study.work_dir, MARK, item.stage, f"{item.name}.{extension}")


class _Made(NamedTuple):
    """A place that the study writes to."""

    path: str
    """Absolute, links resolved."""
    told: str
    """In words, with its verb: `stitch a makes …`."""
    key: Path
    stage: str


def place_problems(study: Study) -> Iterator[Problem]:
    """Yield what is wrong with the places of products, dataset, derivatives, page and work_dir."""
    made = [*_list_made(study)]
    yield from _ending_problems(study)
    yield from _order_problems(study)
    yield from _source_problems(study, made)
    yield from _nested_problems(study, made)
    yield from _work_dir_problems(study)


def _list_made(study: Study) -> Iterator[_Made]:
    work_dir = study.work_dir
    yield _Made(os.path.realpath(work_dir), f"work_dir {work_dir}", (_WORK_DIR,), _WORK_DIR)
    for item in study.items:
        if item.stage not in {*PRODUCTS, *_PLACE_KEYS}:
            continue
        place, key = study.product(item), (*_path_of(item), _PLACE_KEYS.get(item.stage, "image"))
        yield _Made(os.path.realpath(place), f"{item} at {place}", key, item.stage)
        own = study.values(item).get(_WORK_DIR) if item.stage == "stitch" else ""
        if own:
            place, key = study.place(str(own)), (*_path_of(item), _WORK_DIR)
            yield _Made(os.path.realpath(place), f"work_dir {place} of {item}", key, _WORK_DIR)


def _path_of(item: StudyItem) -> Path:
    return (STAGES_KEY, item.stage, item.name) if item.name else (STAGES_KEY, item.stage)


def _problem(study: Study, code: str, path: Path, message: str, hint: str) -> Problem:
    return Problem(code, study.document.key_place(path), dotted(path), message, hint)


def _ending_problems(study: Study) -> Iterator[Problem]:
    """Yield images that are named as if they were of another format."""
    for stage in PRODUCTS:
        for item in study.items_of(stage):
            image = str(study.values(item).get("image") or "")
            endings = _ENDINGS.get(stage, (EXTENSION,))
            if image and not image.endswith(endings):
                message = f"{image} is no name of what {stage} makes"
                hint = f"let it end in {' or '.join(endings)}"
                yield _problem(study, "study.ending", (*_path_of(item), "image"), message, hint)


def _order_problems(study: Study) -> Iterator[Problem]:
    """Yield products that are made of something that comes after them."""
    before: dict[StudyItem, list[StudyItem]] = {}
    for item in (each for stage in PRODUCTS for each in study.items_of(stage)):
        for key, path in list_sources(study, item):
            makers = find_makers(study, path, item)
            before.setdefault(item, []).extend(makers)
            late = [each for each in makers if each.stage not in PRODUCTS]
            if late:
                message = f"{path} is made by {late[0]}, which comes after {item}"
                hint = "name a product or a file of yours, or make it in another study"
                yield _problem(study, "study.order", (*_path_of(item), key), message, hint)
    for item in before:
        if _leads_to(before, item):
            message, hint = f"{item} is made of itself, through others", "take one of them out"
            yield _problem(study, "study.order", _path_of(item), message, hint)


def _leads_to(before: dict[StudyItem, list[StudyItem]], item: StudyItem) -> bool:
    """Tell whether an item is among those that come before it."""
    seen: set[StudyItem] = set()
    left = list(before[item])
    while left:
        each = left.pop()
        if each not in seen:
            seen.add(each)
            left += before.get(each, ())
    return item in seen


def _source_problems(study: Study, made: list[_Made]) -> Iterator[Problem]:
    """Yield places that lie in a source of the user's."""
    sources = {
        os.path.realpath(path): f"{key} of {item}"
        for stage in PRODUCTS
        for item in study.items_of(stage)
        for key, path in list_sources(study, item)
        if not find_makers(study, path, item)
    }
    refused: set[str] = set()
    for each in made:
        around = [*ancestors(each.path)]
        found = next((path for path in around if path in sources), "")
        # Of a work_dir that is refused, its products need not be told.
        if found and refused.isdisjoint(around):
            refused.add(each.path)
            message = f"{each.told} lies in {found}, which is {sources[found]} and is only read"
            hint = "choose a place outside of it"
            yield _problem(study, "study.source", each.key, message, hint)


def _nested_problems(study: Study, made: list[_Made]) -> Iterator[Problem]:
    """Yield places of which one is another, or lies in another."""
    places: dict[str, _Made] = {}
    for each in made:
        first = places.setdefault(each.path, each)
        if first is not each and {first.stage, each.stage} != {_WORK_DIR}:
            message = f"{each.told} is the place of {first.told} as well"
            yield _problem(study, "study.twice", each.key, message, "choose another place")
    for each in made:
        around = [places[path] for path in ancestors(os.path.dirname(each.path)) if path in places]
        outer = next((other for other in around if not _may_hold(other, each)), None)
        if outer is not None:
            message = f"{each.told} lies in {outer.told}"
            hint = "choose a place outside of it"
            yield _problem(study, "study.within", each.key, message, hint)


def _may_hold(outer: _Made, inner: _Made) -> bool:
    """Tell whether a place may lie in another: derivatives do in the dataset, all in a work_dir."""
    return outer.stage == _WORK_DIR or (outer.stage == "package" and inner.stage == "align")


def _work_dir_problems(study: Study) -> Iterator[Problem]:
    """Yield a work_dir with files of the user's, in which no study has made anything yet.

    The folder of the study itself may be one: what is made there has names of its own.
    """
    folder = study.work_dir
    if folder == study.folder:
        return
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        message, hint = f"{folder}: {error.strerror}", "choose another folder"
        yield _problem(study, "study.work-dir", (_WORK_DIR,), message, hint)
        return
    foreign = [name for name in names if not _OURS.fullmatch(name)]
    if foreign and MARK not in names:
        message = f"{folder} holds {foreign[0]}, which no study has made"
        hint = "name a folder that is empty or not there"
        yield _problem(study, "study.work-dir", (_WORK_DIR,), message, hint)
