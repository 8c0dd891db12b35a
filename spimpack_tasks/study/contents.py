"""Lists of the files of products, by which a lost or shortened one is noticed.

    <work_dir>/made/<stage>/<name>.files

Its first line is what the image was made from; then there is a line for each file, with its size
and its path as JSON. The list of an image that was replaced since does not count.

Sizes are compared, never bytes, so a look at a product costs a call of the system for each file.
Files that have come since are the user's, and metadata may be edited: both are no damage.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import discard, name_aside
from spimpack_tasks.files.locks import hold_folders
from spimpack_tasks.files.pages import write_page_at
from spimpack_tasks.files.regular import open_regular_text
from spimpack_tasks.study.places import note_path
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.study.study import Study, StudyItem

_METADATA = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})
"""Files of an OME-Zarr that programs and people edit."""


def note_files(study: Study, item: StudyItem) -> None:
    """Write the list of the files of a product that is whole.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    path = _path(study, item)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    product = study.product(item)
    write_page_at(path, chain([_identify(product)], _list_files(product)))


def has_noted_files(study: Study, item: StudyItem) -> bool:
    """Tell whether there is a list of the files of a product as it is now."""
    return _read_identity(study, item) == _identify(study.product(item))


def find_lost(study: Study, item: StudyItem) -> str:
    """Return the path of the first file that a product has lost, or that has another size.

    It is empty where all are there, where the product as a whole is not, and where there is no
    list.
    """
    product, known = study.product(item), _read_identity(study, item)
    if known is None or not os.path.lexists(product):
        return ""
    found = _identify(product)
    if found != known:
        return "" if json.loads(found) else f"{product}/zarr.json"
    return next((path for path, size in _read(study, item) if not _is_there(path, size)), "")


def clear_damaged(study: Study, item: StudyItem) -> None:
    """Take away a product of the study that has lost a file, so that it is made again.

    Raises
    ------
    OSError
        It cannot be deleted.
    """
    path, product = _path(study, item), study.product(item)
    if not os.path.isfile(path):
        return
    # Two workers may find it damaged, and one of them may have made it again by now.
    with hold_folders([os.path.dirname(path)]):
        if find_lost(study, item):
            aside = name_aside(product)
            with suppress(FileNotFoundError):
                os.rename(product, aside)
                discard(aside)
        if not os.path.lexists(product):
            with suppress(FileNotFoundError):
                os.unlink(path)


def _path(study: Study, item: StudyItem) -> str:
    return note_path(study, item, "files")


def _identify(product: str) -> str:
    return json.dumps(read_provenance(product).get("made_from", ""))


def _read_identity(study: Study, item: StudyItem) -> str | None:
    """Return the first line of a list, `None` if there is no list."""
    try:
        with open_regular_text(_path(study, item)) as file:
            return file.readline().rstrip()
    except OSError:
        return None


def _list_files(product: str) -> Iterator[str]:
    if not os.path.isdir(product):
        yield _line(os.lstat(product).st_size, "")
        return
    for folder, names, files in os.walk(product):
        names.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            yield _line(os.lstat(path).st_size, os.path.relpath(path, product))


def _line(size: int, name: str) -> str:
    # A name need not be UTF-8: JSON has escapes for it.
    return f"{size} {json.dumps(name)}"


def _read(study: Study, item: StudyItem) -> Iterator[tuple[str, int]]:
    """Yield absolute path and size of each file of the list, line by line."""
    product = study.product(item)
    try:
        with open_regular_text(_path(study, item)) as file:
            for line in islice(file, 1, None):
                size, _, name = line.partition(" ")
                with suppress(ValueError):
                    yield os.path.join(product, json.loads(name)).rstrip("/"), int(size)
    except OSError:
        return


def _is_there(path: str, size: int) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    is_edited = os.path.basename(path) in _METADATA
    return stat.S_ISREG(status.st_mode) and (status.st_size == size or is_edited)
