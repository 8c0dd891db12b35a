"""When the items of a study were made, and by which libraries; no decision depends on it.

A file of the same name that is not ours is left as it is: then nothing is noted.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.regular import open_regular_text
from spimpack_tasks.study.libraries import find_libraries
from spimpack_tasks.study.study import StudyItem

if TYPE_CHECKING:
    from spimpack_tasks.study.study import Study

_FILE = "study-log.jsonl"
BEGAN, ENDED = "began", "ended"
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def note(study: Study, item: StudyItem, event: str, time_s: float) -> None:
    """Note that an item was started or ended; if the disk does not take it, the run goes on."""
    told: dict[str, Any] = {"stage": item.stage, "item": item.name, "event": event, "time": time_s}
    if event == ENDED:
        told["libraries"] = find_libraries(item.stage)
    line = f"{json.dumps(told)}\n".encode()
    with suppress(OSError):
        os.makedirs(study.work_dir, exist_ok=True)
        path = os.path.join(study.work_dir, _FILE)
        if not os.path.lexists(path) or _is_ours(path):
            # One write of a line that is appended: a reader sees whole lines, also of two workers.
            descriptor = os.open(path, _APPEND, 0o666)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)


def _is_ours(path: str) -> bool:
    """Tell whether a file is a log of a study, or an empty one, and no link."""
    if os.path.islink(path):
        return False
    with open_regular_text(path) as file:
        first = file.readline()
    return not first or _read_event(first) is not None


def read_durations(study: Study) -> dict[StudyItem, float]:
    """Return the seconds from when an item was last started until it was there."""
    began: dict[StudyItem, float] = {}
    took: dict[StudyItem, float] = {}
    for item, event, time_s in read_events(study):
        if event == BEGAN:
            # The task of a stage runs between two beginnings of its item.
            began.setdefault(item, time_s)
        else:
            took[item] = time_s - began.pop(item, time_s)
    return took


def read_events(study: Study) -> list[tuple[StudyItem, str, float]]:
    """Return item, event and time of each line, in their order."""
    return [event for line in _read_lines(study) if (event := _read_event(line)) is not None]


def read_libraries(study: Study) -> dict[StudyItem, dict[str, str]]:
    """Return the libraries, with their versions, that each item was made by at last."""
    found = {}
    for line in _read_lines(study):
        event = _read_event(line)
        libraries = json.loads(line).get("libraries") if event and event[1] == ENDED else None
        if event and isinstance(libraries, dict):
            found[event[0]] = {str(name): str(version) for name, version in libraries.items()}
    return found


def _read_lines(study: Study) -> list[str]:
    try:
        with open_regular_text(os.path.join(study.work_dir, _FILE), errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _read_event(line: str) -> tuple[StudyItem, str, float] | None:
    """Return item, event and time of a line, `None` of one that is none of a log."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        told = json.loads(line)
        item = StudyItem(str(told["stage"]), str(told["item"]))
        return item, str(told["event"]), float(told["time"])
    return None
