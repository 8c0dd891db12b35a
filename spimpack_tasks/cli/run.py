"""`spimpack run`: a whole study, the same as `luigi --module spimpack_tasks ProcessStudy`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import positive
from spimpack_tasks.cli.progress_line import ProgressLine
from spimpack_tasks.cli.study_plan import add_stages, lines_of
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, count_of
from spimpack_tasks.model.meter import Amount, Meter
from spimpack_tasks.study.choosing import choose_items
from spimpack_tasks.study.log import BEGAN, read_events
from spimpack_tasks.study.reading import read_study

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.study.study import Study, StudyItem

_run_study = Deferred("spimpack_tasks.local_study:run_study")
_require_start = Deferred("spimpack_tasks.study.starting:require_start")
_plan_study = Deferred("spimpack_tasks.study.planning:plan_study")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", metavar="STUDY", help="the study, a YAML file")
    add_stages(parser)
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="number of processes (default: 1)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the study, and say what was made and what was not."""
    study = read_study(os.path.abspath(os.path.expanduser(arguments.study)))
    items = choose_items(study, ",".join(arguments.only), arguments.until)
    _require_start(study, items)
    planned = _plan_study(study, items)
    # With what they are made of, where that is not there.
    items = [each.item for each in planned]
    before = {each.item for each in planned if each.state == "done"}
    wanted = [item for item in items if item not in before]
    code: int = ExitCode.OK
    if wanted:
        with ProgressLine(_StudyLine(study, wanted).tell):
            code = _run_study(study.path, arguments.workers, arguments.only, arguments.until)
    for line in _lines(study, items, before):
        print(line)
    return code


class _StudyLine:
    """Tells which items are under way, by the log of the study."""

    def __init__(self, study: Study, wanted: list[StudyItem]) -> None:
        self._study, self._wanted = study, wanted
        self._began = time.time()
        self._meter = Meter()

    def tell(self) -> tuple[float, str]:
        """Return the share of items that are done, and what is made now."""
        going: dict[StudyItem, None] = {}
        done: set[StudyItem] = set()
        for item, event, when in read_events(self._study):
            if when >= self._began:
                going.pop(item, None)
                if event == BEGAN:
                    going[item] = None
                else:
                    done.add(item)
        share = len(done) / max(len(self._wanted), 1)
        now = ", ".join(map(str, going)) or "looking"
        counted = f"{len(done):,} of {count_of(len(self._wanted), 'item')}"
        return share, f"{counted}  {now}  {self._meter.text(Amount())}"


def _lines(study: Study, items: list[StudyItem], before: set[StudyItem]) -> Iterator[str]:
    """Yield what became of each item."""
    for each in _plan_study(study, items):
        told = _WORDS.get(each.state, "unchanged" if each.item in before else "made")
        is_told = each.state == "to do"
        yield from lines_of(study, each._replace(reason="") if is_told else each, told)


_WORDS = {"to do": "not made", "refused": "refused", "waits": "waits"}
"""What became of an item that is not there, by its state."""
