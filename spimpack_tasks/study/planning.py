"""Tells what of a study is there, what a run would make, and why."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import InputError, Report, SpimpackError, count_of
from spimpack_tasks.manifest.products import PRODUCTS
from spimpack_tasks.packaging.changes import count_verdicts, find_changes
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.study.checking import check_manifest, package_options
from spimpack_tasks.study.contents import find_lost
from spimpack_tasks.study.order import items_before
from spimpack_tasks.study.tasks.study import MakeItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.study.study import Study, StudyItem


class ItemState(StrEnum):
    """Whether an item is there."""

    DONE = "done"
    TO_DO = "to do"
    WAITS = "waits"
    REFUSED = "refused"


class PlannedItem(NamedTuple):
    """An item, and what a run would do about it."""

    item: StudyItem
    state: ItemState
    reason: str = ""


def plan_study(study: Study, items: Sequence[StudyItem]) -> list[PlannedItem]:
    """Return the state of each item, in the order of the study, and why it is to be made.

    Items that are not wanted, but that a wanted one needs, are among them where they are not there.
    """
    planned: dict[StudyItem, PlannedItem] = {}
    for item in items:
        _plan(study, item, planned)
    wanted = frozenset(items)
    found = [planned[item] for item in study.items if item in planned]
    return [each for each in found if each.item in wanted or each.state is not ItemState.DONE]


def _plan(study: Study, item: StudyItem, planned: dict[StudyItem, PlannedItem]) -> None:
    """Add an item, and all that it is made of, to those that are planned."""
    if item in planned:
        return
    needed = items_before(study, item)
    for each in needed:
        _plan(study, each, planned)
    before = [each for each in needed if planned[each].state is not ItemState.DONE]
    refused = check_manifest(study) if before and item.stage == "package" else Report()
    if refused.errors:
        planned[item] = PlannedItem(item, ItemState.REFUSED, _first_of(refused))
    elif before:
        more = f" and {len(before) - 1:,} more" if len(before) > 1 else ""
        planned[item] = PlannedItem(item, ItemState.WAITS, f"comes after {before[0]}{more}")
    else:
        planned[item] = _plan_item(study, item)


def _first_of(report: Report) -> str:
    """Return the number of errors, and the first of them."""
    errors = Report(report.errors).sorted()
    return f"{count_of(len(errors), 'error')}; the first: {errors[0]}"


def _plan_item(study: Study, item: StudyItem) -> PlannedItem:
    task = MakeItem(study=study.path, study_id=study.digest, stage=item.stage, item=item.name)
    try:
        if task.is_made():
            return PlannedItem(item, ItemState.DONE)
        return PlannedItem(item, ItemState.TO_DO, _reason(study, item))
    except InputError as error:
        return PlannedItem(item, ItemState.REFUSED, _first_of(error.report))
    except (SpimpackError, OSError) as error:
        return PlannedItem(item, ItemState.REFUSED, str(error))


def _reason(study: Study, item: StudyItem) -> str:
    if item.stage in PRODUCTS:
        path = study.product(item)
        missing = f"{os.path.relpath(path, study.folder)} is not there"
        if not os.path.lexists(path):
            return missing
        lost = find_lost(study, item)
        changed = "its inputs or choices have changed"
        return f"{os.path.relpath(lost, study.folder)} is lost" if lost else changed
    if item.stage == "package":
        return _package_reason(study, item)
    return _REASONS[item.stage]


def _package_reason(study: Study, item: StudyItem) -> str:
    """Return the number of outputs that a run would write, by the reason.

    Raises
    ------
    InputError
        The manifest is refused.
    """
    prepared = prepare_run(package_options(study, item))
    refusal = prepared.refusal()
    if refusal is not None:
        raise refusal
    counts = count_verdicts(find_changes(prepared))
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)


_REASONS = {
    "align": "its inputs or choices have changed, or it was not made yet",
    "validate": "was not validated as it is now, or has errors",
    "publish": "was not published as it is now",
    "report": "is not of the present state",
}
"""Why an item is to be made, by its stage."""
