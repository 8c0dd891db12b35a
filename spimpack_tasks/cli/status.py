"""`spimpack status`: the state of a dataset in three lines; writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format, add_inputs, options_of
from spimpack_tasks.errors import ExitCode, count_of
from spimpack_tasks.packaging.activity import find_activity
from spimpack_tasks.packaging.changes import NOT_WRITTEN, OTHERS_REMOVED, Verdict, count_verdicts
from spimpack_tasks.packaging.prepare import look
from spimpack_tasks.publishing.known import find_publications

if TYPE_CHECKING:
    import argparse


_FILES_SHOWN = 5
"""Files of the dataset as a whole that are named; status is short."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser, output=True)
    add_format(parser, "one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Count the changes, and print the numbers."""
    prepared, changes, refusal = look(options_of(arguments, writes=False))
    counts = count_verdicts(changes)
    del counts[str(Verdict.REMOVED)], counts[OTHERS_REMOVED]
    stale = sum(change.verdict is Verdict.REMOVED for change in changes)
    others = (c for c in changes if not c.source and c.verdict not in NOT_WRITTEN)
    files = {change.path: str(change.verdict) for change in others}
    current = prepared.store.current_plan_id()
    is_busy = prepared.store.is_busy()
    activity = find_activity(prepared, changes)
    publications = find_publications(prepared.store)
    if arguments.format == "json":
        values = {
            "images": counts,
            "stale_files": stale,
            "other_files": files,
            "current_plan": current,
            "plan": prepared.plan_id,
            "run_going_on": is_busy,
            "publications": [each.as_dict() for each in publications],
            **activity.as_dict(),
        }
        print(json.dumps(values))
        return ExitCode.OK
    numbers = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)
    print(f"{count_of(sum(counts.values()), 'image')}: {numbers}; {count_of(stale, 'stale file')}")
    if files and current:
        shown = ", ".join(f"{path} {verdict}" for path, verdict in [*files.items()][:_FILES_SHOWN])
        more = len(files) - _FILES_SHOWN
        print(f"other files: {shown}{f' and {more:,} more' if more > 0 else ''}")
    if not current:
        print("current plan: none, nothing has been packaged here")
    elif current == prepared.plan_id:
        print(f"current plan: {current}, that of these inputs")
    else:
        print(f"current plan: {current}; these inputs make {prepared.plan_id}")
    for each in publications:
        state = "this state" if each.plan_id == current else "an earlier state"
        print(f"published: {each.location}, {count_of(each.objects, 'object')}, {state}")
    print("\n".join(activity.lines(is_busy=is_busy)))
    if refusal is not None:
        errors = count_of(len(refusal.report.errors), "conflict")
        print(f"a run would be refused: {errors}; spimpack plan names them")
    return ExitCode.OK
