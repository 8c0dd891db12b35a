"""Chooses what of a study is made now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import UsageError, suggestion
from spimpack_tasks.manifest.products import STAGES

if TYPE_CHECKING:
    from spimpack_tasks.study.study import Study, StudyItem


def choose_items(study: Study, only: str = "", until: str = "") -> list[StudyItem]:
    """Return the items that are wanted, in order.

    Parameters
    ----------
    study
        The study.
    only
        Names of stages, separated by commas; what they are made of is made as well where it is not
        there.
    until
        Name of the last stage that is wanted.

    Raises
    ------
    UsageError
        The study has no such stage.
    """
    present = [stage for stage in STAGES if study.items_of(stage)]
    names = [name.strip() for name in only.split(",") if name.strip()]
    for name in [*names, *([until] if until else [])]:
        if name not in present:
            hint = suggestion(name, present) or f"it has {', '.join(present)}"
            raise UsageError(f"the study has no stage {name!r}; {hint}", _EXAMPLE)
    wanted = names or present
    if until:
        wanted = [stage for stage in wanted if STAGES.index(stage) <= STAGES.index(until)]
        if not wanted:
            raise UsageError(f"nothing is both in {only} and before {until}", _EXAMPLE)
    return [item for stage in STAGES if stage in wanted for item in study.items_of(stage)]


_EXAMPLE = "spimpack run study.yml --until package"
