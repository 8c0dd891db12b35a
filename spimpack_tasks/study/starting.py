"""Refuses at the start of a run what would be refused at its end, hours later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.study.checking import require_manifest
from spimpack_tasks.study.page_file import require_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.study.study import Study, StudyItem


def require_start(study: Study, items: Sequence[StudyItem]) -> None:
    """Refuse before anything is made what would be refused at the end: the manifest, the page.

    Raises
    ------
    InputError
        The manifest has errors besides products that are not made yet.
    PageTakenError
        Something else lies where the page or the provenance is to be written.
    """
    stages = {item.stage for item in items}
    if "package" in stages:
        require_manifest(study)
    if "report" in stages:
        require_place(study)
