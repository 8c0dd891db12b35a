"""When the items of a study were made, one line each; no decision depends on it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spimpack_tasks.files.regular import open_regular_text
from spimpack_tasks.study.study import StudyItem

if TYPE_CHECKING:
    from spimpack_tasks.study.study import Study

_FILE = "study-log.jsonl"
BEGAN, ENDED = "began", "ended"


def note(study: Study, item: StudyItem, event: str, time_s: float) -> None:
    """Note that an item was started or ended; if the disk does not take it, the run goes on."""
    line = json.dumps({"stage": item.stage, "item": item.name, "event": event, "time": time_s})
    with suppress(OSError):
        os.makedirs(study.work_dir, exist_ok=True)
        # One write of a line that is appended: a reader sees whole lines, also of two workers.
        with open(os.path.join(study.work_dir, _FILE), "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


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
    events = []
    try:
        with open_regular_text(os.path.join(study.work_dir, _FILE)) as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            item = StudyItem(str(told["stage"]), str(told["item"]))
            events.append((item, str(told["event"]), float(told["time"])))
    return events
