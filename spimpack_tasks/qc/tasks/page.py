"""The task that writes the page of an image, and its target: an up-to-date page.

A user removes the cause of a failure without any task noticing. So each run makes tasks with an
identity of their own (`run_id`). A central scheduler gives up failed tasks and does not repeat
recent ones; the identity makes it run the new task all the same.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import luigi

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.luigi_run import IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, reporting_disk_errors
from spimpack_tasks.state.processes import identify_process

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)
# Luigi imports the tasks of this program at once; most flows write no page.
_is_right = Deferred("spimpack_tasks.qc.page_file:is_right")
_make_page = Deferred("spimpack_tasks.qc.page_file:make_page")
_parse_codes = Deferred("spimpack_tasks.qc.page_file:parse_codes")


class RightPage(luigi.Target):
    """A page of its source's present state, with the same options."""

    def __init__(self, source: str, path: str, orientations: str) -> None:
        self.source = source
        self.path = path
        self.orientations = orientations

    def exists(self) -> bool:
        """Compare the page's record of its source with size and time of the source."""
        try:
            return bool(_is_right(self.source, self.path, _parse_codes(self.orientations)))
        except (SpimpackError, OSError):
            return False


class WriteQcReport(IdentifiedTask):
    """Write one HTML page that shows an image in each orientation."""

    source: luigi.Parameter[str] = AbsolutePath(description="The image; it is only read.")
    page: luigi.Parameter[str] = AbsolutePath(
        description="File for the page; only an earlier page is replaced."
    )
    orientations: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Codes to show side by side, such as RPI,LPS."
    )
    identity = "run_id"
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identifies this run among others; chosen if not given."
    )

    @classmethod
    def identify(cls, values: dict[str, Any], _given: Mapping[str, Any]) -> str:
        """Return the identity of this run on the present state of the image."""
        return f"{stamp_text(values['source'])}-{identify_process()}"

    def output(self) -> luigi.Target:
        return RightPage(self.source, self.page, self.orientations)

    def run(self) -> None:
        with reporting_disk_errors():
            volume = _make_page(self.source, self.page, _parse_codes(self.orientations))
        logger.info("%s", "\n".join([*volume.lines(), f"wrote {self.page}"]))
