"""Notes on the products of a study: which images it has made, and of what.

A study replaces what it has made before, and nothing else: another image of this program at the
same path may be the only one. A recording is never made again, so a stream whose frames or settings
have changed is refused. A conversion is known by files and choices as the study names them, so that
a study whose folder was moved converts nothing again.

    <work_dir>/made/<stage>/<name>.json
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import write_at
from spimpack_tasks.files.digests import digest_values
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.study.contents import clear_damaged, find_lost, has_noted_files, note_files
from spimpack_tasks.study.places import note_path

if TYPE_CHECKING:
    from spimpack_tasks.study.study import Study, StudyItem

_STREAM = "stream"


class ProductTakenError(SpimpackError):
    """There is an image at the place of a product that the study must not replace."""

    exit_code = ExitCode.CONFLICT


def require_own(study: Study, item: StudyItem) -> None:
    """Refuse to replace an image that this study has not made, or to pass off a stream as another.

    Raises
    ------
    ProductTakenError
        There is one.
    """
    product, note = study.product(item), _read(study, item)
    if not os.path.lexists(product):
        return
    if note.get("image") != _relative(study, product):
        message = (
            f"{product} is there already, and was not made by this study; choose another image, or "
            "move it away"
        )
        raise ProductTakenError(message)
    if item.stage == _STREAM:
        _require_same_frames(study, item, note)


def _require_same_frames(study: Study, item: StudyItem, note: dict[str, Any]) -> None:
    another = "give the stream another name, or move the image away"
    product = study.product(item)
    if note.get("settings") != _identify_settings(study, item):
        message = f"{product} was recorded with other settings or from other frames; {another}"
        raise ProductTakenError(message)
    found = _identify_frames(study, item)
    if note.get("frames", found) != found:
        message = (
            f"{product} was recorded from frames whose names, sizes or times have changed; "
            f"{another}. If they are the same frames, take the line frames out of "
            f"{_path(study, item)}"
        )
        raise ProductTakenError(message)


def claim(study: Study, item: StudyItem) -> None:
    """Note that a product is made by this study, before it is there.

    One that has lost a file is taken away.

    Raises
    ------
    ProductTakenError
        As of `require_own`.
    OSError
        The disk does not take the note.
    """
    require_own(study, item)
    require_whole(study, item)
    clear_damaged(study, item)
    if not os.path.lexists(study.product(item)):
        _write(study, item, _compose(study, item))


def note_made(study: Study, item: StudyItem, made_of: str) -> None:
    """Note of what a product was made, when it is whole, and which files it has.

    Parameters
    ----------
    study, item
        The product.
    made_of
        Identity of its files and choices, empty where its image has one that suffices.

    Raises
    ------
    OSError
        The disk does not take the notes.
    """
    note = _read(study, item)
    if item.stage == _STREAM and "frames" not in note:
        note = _compose(study, item) | {"frames": _identify_frames(study, item)}
        _write(study, item, note)
    if made_of and note.get("made_of") != made_of:
        _write(study, item, _compose(study, item) | {"made_of": made_of})
    if not has_noted_files(study, item):
        note_files(study, item)


def is_noted(study: Study, item: StudyItem, made_of: str) -> bool:
    """Tell whether the notes on a finished product are there, and of the present files."""
    note = _read(study, item)
    has_frames = item.stage != _STREAM or "frames" in note
    is_same = note.get("made_of", "") == made_of
    return has_frames and is_same and has_noted_files(study, item)


def has_own(study: Study, item: StudyItem) -> bool:
    """Tell whether an image that this study has made is at the place of a product."""
    product = study.product(item)
    is_there = os.path.lexists(product) and not os.path.islink(product)
    return is_there and _read(study, item).get("image") == _relative(study, product)


def require_whole(study: Study, item: StudyItem) -> None:
    """Refuse a stream that has lost a file: a recording is never made again by itself.

    Raises
    ------
    ProductTakenError
        It has.
    """
    lost = find_lost(study, item) if item.stage == _STREAM else ""
    if lost:
        message = f"{lost} is missing or has another size; bring it back, or move the image away"
        raise ProductTakenError(f"{message} to write it again from its frames")


def _compose(study: Study, item: StudyItem) -> dict[str, str]:
    told = {"image": _relative(study, study.product(item))}
    if item.stage == _STREAM:
        told["settings"] = _identify_settings(study, item)
    return told


def _relative(study: Study, product: str) -> str:
    """Return a path that stays the same when the folder of the study is moved."""
    return os.path.relpath(product, study.folder)


def _identify_settings(study: Study, item: StudyItem) -> str:
    values = study.values(item)
    try:
        with open(study.place(str(values["settings"])), "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        text = ""
    return digest_values(text, values["frames"])


def _identify_frames(study: Study, item: StudyItem) -> str:
    """Return a digest of names, sizes and times of the files of frames; of a function its name."""
    frames = str(study.values(item)["frames"])
    place = study.place(frames)
    if os.path.isdir(place):
        names = sorted(os.listdir(place))
        return digest_values([(name, stamp_text(f"{place}/{name}")) for name in names])
    return digest_values(frames, stamp_text(place) if os.path.exists(place) else "")


def _path(study: Study, item: StudyItem) -> str:
    return note_path(study, item, "json")


def _read(study: Study, item: StudyItem) -> dict[str, Any]:
    found: dict[str, Any] = read_json(_path(study, item), dict, {})
    return found


def _write(study: Study, item: StudyItem, note: dict[str, str]) -> None:
    path = _path(study, item)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_at(path, f"{json.dumps(note, indent=2, sort_keys=True)}\n".encode())
