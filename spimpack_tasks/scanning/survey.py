"""The survey of a folder tree: which images are in it, and what their paths say of them.

Everything that is wrong is collected. What does not keep an image from being packaged is a note on
it and not a mistake. Headers are not read here: whoever gets a pattern wrong need not wait for
them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, Severity, count_of
from spimpack_tasks.files.tsv import fits_cell
from spimpack_tasks.model.entities import ENTITIES, stem
from spimpack_tasks.readers.formats import (
    FORMATS,
    SourceRefusedError,
    examine_source,
    format_of_source,
)
from spimpack_tasks.scanning.labels import Labels, tokens_of
from spimpack_tasks.scanning.options import COMMAND_LINE
from spimpack_tasks.scanning.walk import Walk, natural

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report
    from spimpack_tasks.readers.formats import Source
    from spimpack_tasks.scanning.options import Request
    from spimpack_tasks.scanning.patterns import Pattern

UNFIT = "fits no pattern"
"""What is said of an image where there are patterns for others only."""

REQUIRED = [entity.name for entity in ENTITIES if entity.required]


@dataclass(frozen=True, slots=True)
class Passed:
    """A file that is no image of the dataset, or a folder that was not entered."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image to list: its path below the scanned folder, and what is known of it so far."""

    path: str
    source: Source
    cells: dict[str, str]
    """By column of the scans table."""
    notes: list[str] = field(default_factory=list)
    """What its user should know."""


@dataclass(slots=True)
class Survey:
    """All that was found, in natural order."""

    found: list[Image | Passed] = field(default_factory=list)
    unread_headers: int = 0
    """Number of images whose header could not be read."""

    @property
    def images(self) -> list[Image]:
        """What the scans table lists."""
        return [one for one in self.found if isinstance(one, Image)]

    @property
    def passed(self) -> list[Passed]:
        """Everything else."""
        return [one for one in self.found if isinstance(one, Passed)]


class Surveyor:
    """Makes the survey of one request."""

    def __init__(self, request: Request, report: Report) -> None:
        self.request = request
        self.report = report
        self.survey = Survey()
        self.labels = Labels(report)
        self.matched: set[str] = set()
        """Texts of the patterns that found an image."""
        self.unclear: set[str] = set()
        """Texts of the patterns of which two readings were told."""

    def run(self) -> Survey:
        """Look at everything, and return the survey; what is wrong goes to the report."""
        walk = Walk(self.request.root, self.request.excluded_by, self.request.fits_pattern)
        for found in sorted(walk, key=lambda found: natural(found.path)):
            if found.error:
                message, warning = f"cannot be read: {found.error}", Severity.WARNING
                where = self.request.place(found.path)
                self.report.add(Problem("scan.unreadable", where, "", message, "", warning))
            reason = found.ignored or self._take(found.path)
            if reason:
                self.survey.found.append(Passed(found.path, reason))
        self._check_patterns()
        self._check_names()
        return self.survey

    def _take(self, path: str) -> str:
        """Add an image to the survey, or return why a file is none."""
        name = path.rpartition("/")[2]
        whole = os.path.join(self.request.root, path)
        if format_of_source(whole) is None:
            return "is of no known format"
        if not fits_cell(path):
            return "has a name that a table cannot hold: not UTF-8, or with a line end"
        texts, notes = self._read_path(path)
        if texts is None:
            return UNFIT
        try:
            source = examine_source(whole, name)
        except SourceRefusedError as refused:
            return self.request.without_path(refused.message, path)
        image = Image(path, source, self._entities(path, texts, notes), notes)
        image.cells.update(self.request.settings)
        self.survey.found.append(image)
        return ""

    def _read_path(self, path: str) -> tuple[dict[str, str] | None, list[str]]:
        """Return the texts of entities and notes; `None` where no pattern fits."""
        if not self.request.patterns:
            return tokens_of(path)
        for pattern in self.request.patterns:
            readings = pattern.readings(path)
            if readings:
                self.matched.add(pattern.text)
                if len(readings) > 1 and pattern.text not in self.unclear:
                    self.unclear.add(pattern.text)
                    self._report_two_readings(path, pattern, readings)
                return readings[0], []
        return None, []

    def _report_two_readings(
        self, path: str, pattern: Pattern, readings: list[dict[str, str]]
    ) -> None:
        first, other = readings
        entity = next(name for name in first if first[name] != other[name])
        message = f"{pattern.text!r} fits with {first[entity]!r} or {other[entity]!r}"
        hint = "put more of the path into the pattern"
        self.report.add(Problem("scan.ambiguous", self.request.place(path), entity, message, hint))

    def _entities(self, path: str, texts: dict[str, str], notes: list[str]) -> dict[str, str]:
        cells = {}
        for entity, text in texts.items():
            if entity not in self.request.settings:
                cells[entity] = self.labels.give(entity, text, self.request.place(path))
                if cells[entity] != text:
                    notes.append(f"{entity} {text!r} becomes {cells[entity]!r}")
        return cells

    def _check_patterns(self) -> None:
        """A pattern that finds no image is a mistake, and so is a folder without one."""
        paths = [image.path for image in self.survey.images]
        paths += [passed.path for passed in self.survey.passed if passed.reason == UNFIT]
        example = f"{paths[0]!r} is an image here" if paths else ""
        for pattern in self.request.patterns if paths else ():
            if pattern.text not in self.matched:
                what = "fits no image that an earlier pattern leaves"
                message = f"{pattern.text!r} {what if self.matched else 'fits no image'}"
                problem = Problem("scan.no-match", COMMAND_LINE, "--pattern", message, example)
                self.report.add(problem)
        if not paths:
            others = count_of(len(self.survey.passed), "other path")
            endings = (ending for form in FORMATS for ending in form.endings)
            hint = f"known endings are {', '.join(endings)}"
            message = f"no image is below it; {others} found"
            place = Place(self.request.shown_root)
            self.report.add(Problem("scan.no-image", place, "", message, hint))

    def _check_names(self) -> None:
        """Two images cannot have one name in the dataset; told once for each name."""
        paths: dict[str, list[str]] = {}
        for image in self.survey.images:
            if all(image.cells.get(name) for name in REQUIRED):
                paths.setdefault(stem(image.cells), []).append(image.path)
        for name, (first, *others) in paths.items():
            if others:
                more = f"; so do {len(others) - 1:,} more" if others[1:] else ""
                message = f"makes {name}, as {first!r} does{more}"
                hint = "capture what tells them apart in --pattern, or leave some out"
                where = self.request.place(others[0])
                self.report.add(Problem("path.duplicate", where, "", message, hint))
