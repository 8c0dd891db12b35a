"""The task that writes the page of an image, and its target: a page of the source as it is."""

from __future__ import annotations

import logging

import luigi

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.luigi_setup import AbsolutePath, disk_trouble_told, make_log_readable
from spimpack_tasks.qc.making import is_right, make_page, parse_codes

logger = logging.getLogger(__name__)


class RightPage(luigi.Target):
    """A page that was made from its source as it is now, with the same options."""

    def __init__(self, source: str, path: str, orientations: str) -> None:
        self.source = source
        self.path = path
        self.orientations = orientations

    def exists(self) -> bool:
        """Compare what the page says of its making with size and time of the source."""
        try:
            return is_right(self.source, self.path, parse_codes(self.orientations))
        except (SpimpackError, OSError):
            return False


class WriteQcReport(luigi.Task):
    """Write one HTML page that shows an image in each orientation."""

    source: luigi.Parameter[str] = AbsolutePath(description="The image; it is only read.")
    page: luigi.Parameter[str] = AbsolutePath(
        description="File for the page; only an earlier page is replaced."
    )
    orientations: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Codes to show side by side, such as RPI,LPS."
    )

    # What is wrong now is wrong a minute later.
    retry_count = 1

    def output(self) -> luigi.Target:
        return RightPage(self.source, self.page, self.orientations)

    def run(self) -> None:
        make_log_readable()
        with disk_trouble_told():
            volume = make_page(self.source, self.page, parse_codes(self.orientations))
        logger.info("%s", "\n".join([*volume.lines(), f"wrote {self.page}"]))
