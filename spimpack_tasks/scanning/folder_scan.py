"""Scans a folder tree for images, and reads labels from their paths.

All problems are collected. An oddity that does not prevent packaging becomes a note on the image.
Headers are not read here, so a user with a wrong pattern does not wait for them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.acquisition.programs import FileFinder
from spimpack_tasks.errors import Place, Problem, Severity, count_of
from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.files.tsv import fits_cell
from spimpack_tasks.model.entities import ENTITIES, OTHER_SUFFIXES, PHOTO_SUFFIX, SUFFIX, stem
from spimpack_tasks.model.labels import differ_in_zeros
from spimpack_tasks.scanning.found import (
    UNFIT,
    DescribingFile,
    FoundImage,
    FoundPhoto,
    ScanResult,
    SkippedPath,
)
from spimpack_tasks.scanning.groups import join_groups
from spimpack_tasks.scanning.labels import Labels, as_label, suffix_of, tokens_of
from spimpack_tasks.scanning.options import COMMAND_LINE
from spimpack_tasks.scanning.patterns import (
    ENTITY_BY_NAME,
    PARTICIPANT_COLUMNS,
    surroundings,
    without_ending,
)
from spimpack_tasks.scanning.walk import EXCLUDED, Walk
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import examine_source, format_of_source
from spimpack_tasks.volumes.formats import FORMATS, PHOTO_FORMATS
from spimpack_tasks.volumes.merged.request import AXES

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report
    from spimpack_tasks.scanning.options import ScanRequest
    from spimpack_tasks.scanning.patterns import Pattern

_FILE_ENTITY = "acquisition"
"""The entity by which files of one folder are told apart, where levels name the folders only."""
MOST_FOLDERS = 5
"""Folders named in a message; the others are counted."""

REQUIRED = [entity.name for entity in ENTITIES if entity.required]


def _by(image: FoundImage) -> str:
    return f" by {image.pattern!r}" if image.pattern else ""


def _why_ignored(path: str, whole: str, kind: str) -> str:
    """Return why a file is not an image by its name; empty if it may be one."""
    if kind != PHOTO_SUFFIX and format_of_source(whole) is None:
        return "is of no known format"
    if not fits_cell(path):
        return "has a name that a table cannot hold: not UTF-8, or with a line end"
    if kind in OTHER_SUFFIXES:
        return f"is by its suffix {kind} an image of another kind than {SUFFIX}"
    return ""


class FolderScanner:
    """Makes the survey of one request."""

    def __init__(self, request: ScanRequest, report: Report) -> None:
        self.request = request
        self.report = report
        self.result = ScanResult()
        self.labels = Labels(report)
        self.parts = frozenset(n for t in request.templates.values() for n in t.names)
        """Names of captures that make labels."""
        self.matched: set[str] = set()
        """Texts of the patterns that found an image."""
        self.unclear: set[str] = set()
        """Texts of the patterns whose two readings were reported."""
        self.surroundings: dict[str, dict[str, str]] = {}
        """By label of a subject: words around it, each with the first folder of these words."""

    def run(self) -> ScanResult:
        """Scan the whole tree, and return the result; problems go to the report."""
        walk = Walk(self.request.root, self.request.excluded_by, self.request.fits_pattern)
        for found in sorted(walk, key=lambda found: natural(found.path)):
            if found.error:
                message, warning = f"cannot be read: {found.error}", Severity.WARNING
                where = self.request.place(found.path)
                self.report.add(Problem("scan.unreadable", where, "", message, "", warning))
            reason = found.ignored or self._take(found.path)
            if reason:
                self.result.found.append(SkippedPath(found.path, reason))
        self._take_descriptions()
        self._check_patterns()
        self._tell_files_apart()
        join_groups(self.result, self.request, self.report)
        self._check_names()
        self._check_participants()
        self._check_surroundings()
        self._check_zeros()
        return self.result

    def _take_descriptions(self) -> None:
        """Tell files that describe images from those that are of no use."""
        finder, root, programs = FileFinder(), self.request.root, {}
        for image in self.result.images:
            file = finder.find(os.path.join(root, image.path))
            if file is not None:
                programs[os.path.relpath(file.path, root)] = file.program.name
        self.result.found = [
            DescribingFile(one.path, programs[one.path])
            if isinstance(one, SkippedPath) and one.path in programs
            else one
            for one in self.result.found
        ]

    def _take(self, path: str) -> str:
        """Add an image to the survey, or return why a file is none."""
        name = path.rpartition("/")[2]
        whole = os.path.join(self.request.root, path)
        kind = suffix_of(name)
        refusal = _why_ignored(path, whole, kind)
        if refusal:
            return refusal
        texts, notes, pattern = self._read_path(path, is_photo=kind == PHOTO_SUFFIX)
        if texts is None:
            return UNFIT
        try:
            source = examine_source(whole, name, PHOTO_FORMATS if kind == PHOTO_SUFFIX else FORMATS)
        except SourceRefusedError as refused:
            return self.request.without_path(refused.message, path)
        if kind == PHOTO_SUFFIX:
            self.result.found.append(self._photo(path, texts, notes))
            return ""
        columns = PARTICIPANT_COLUMNS - self.parts
        about = {name: text for name, text in texts.items() if name in columns}
        request = self.request
        about = request.about_subjects(request.defaults) | about
        about |= request.about_subjects(request.settings)
        cells = self._entities(path, texts, notes) | request.about_images(request.settings)
        axis = next((axis for axis in AXES if texts.get(axis)), "")
        part = texts.get(axis, "")
        image = FoundImage(path, source, cells, notes, pattern, about, axis, part)
        self.result.found.append(image)
        return ""

    def _tell_files_apart(self) -> None:
        """Name files after themselves that lie in one folder of the lowest level."""
        of_levels = {pattern.text for pattern in self.request.patterns if pattern.is_of_levels}
        folders: dict[tuple[str, ...], list[FoundImage]] = {}
        for image in self.result.images:
            is_whole = image.pattern in of_levels and not image.axis
            if is_whole and not image.cells.get(_FILE_ENTITY):
                key = image.path.rpartition("/")[0], *map(str, sorted(image.cells.items()))
                folders.setdefault(key, []).append(image)
        for images in folders.values():
            for image in images if images[1:] else ():
                text = without_ending(image.path.rpartition("/")[2])
                label = self.labels.give(_FILE_ENTITY, text, self.request.place(image.path))
                image.cells[_FILE_ENTITY] = label
                image.notes.append(f"{_FILE_ENTITY} {label!r}, since its folder holds several")

    def _photo(self, path: str, texts: dict[str, str], notes: list[str]) -> FoundPhoto:
        """Return a photo with the labels that photos have."""
        given = self.request.about_images(self.request.settings)
        cells = self._entities(path, texts, notes) | given
        names = [entity.name for entity in ENTITIES if entity.of_photos]
        notes.insert(0, "as a photo of a sample")
        return FoundPhoto(path, {name: cells[name] for name in names if cells.get(name)}, notes)

    def _read_path(
        self, path: str, *, is_photo: bool
    ) -> tuple[dict[str, str] | None, list[str], str]:
        """Return the texts of entities, notes, and the pattern; `None` if no pattern fits.

        A photo that no pattern fits gets the labels that BIDS-like names in its path give.
        """
        if not self.request.patterns:
            return *tokens_of(path), ""
        for pattern in self.request.patterns:
            readings = pattern.readings(path)
            if readings:
                self.matched.add(pattern.text)
                self._note_surroundings(path, pattern, readings[0])
                if len(readings) > 1 and pattern.text not in self.unclear:
                    self.unclear.add(pattern.text)
                    self._report_two_readings(path, pattern, readings)
                several = self.request.patterns[1:]
                return readings[0], [f"by '{pattern.text}'"] if several else [], pattern.text
        return (*tokens_of(path), "") if is_photo else (None, [], "")

    def _note_surroundings(self, path: str, pattern: Pattern, texts: dict[str, str]) -> None:
        """Note in which folder or file the text of a subject was found."""
        shown, words = surroundings(pattern, path)
        if shown and "subject" not in self.request.templates:
            label = as_label("subject", texts["subject"])
            self.surroundings.setdefault(label, {}).setdefault(words, shown)

    def _check_surroundings(self) -> None:
        """Report once if folders of different names give the same subject."""
        doubtful = {label: names for label, names in self.surroundings.items() if len(names) > 1}
        for label, names in doubtful.items():
            shown = list(names.values())
            listed = ", ".join(map(repr, shown[:MOST_FOLDERS]))
            listed += f" and {len(shown) - MOST_FOLDERS:,} more" if shown[MOST_FOLDERS:] else ""
            others = len(doubtful) - 1
            more = f", and {count_of(others, 'other label')} likewise" if others else ""
            message = f"{listed} all give the subject {label!r}{more}"
            hint = "if they are several, tell them apart: --label subject='{cohort}{number:02}'"
            where, warning = self.request.place(shown[1]), Severity.WARNING
            self.report.add(Problem("scan.one-label", where, "subject", message, hint, warning))
            return

    def _check_zeros(self) -> None:
        """Labels that differ in leading zeros are seldom meant as two."""
        images = self.result.images
        names = {entity.name for entity in ENTITIES}
        found = ({n: c for n, c in i.cells.items() if n in names and c.isalnum()} for i in images)
        for name, first, number in differ_in_zeros([*map(stem, found)]):
            here, there = images[number], images[first]
            message = f"{here.path!r} gives {here.cells[name]!r}, and {there.path!r} "
            message += f"{there.cells[name]!r}: they differ in leading zeros only"
            hint = f"if they are one, write --label {name}='{{{name}:02}}'"
            where, warning = self.request.place(here.path), Severity.WARNING
            self.report.add(Problem("path.zeros", where, name, message, hint, warning))

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
        made = {name: t.fill(texts) for name, t in self.request.templates.items()}
        given = {name: text for name, text in texts.items() if name in ENTITY_BY_NAME}
        for entity, text in (given | {name: text for name, text in made.items() if text}).items():
            if entity not in self.request.settings:
                cells[entity] = self.labels.give(entity, text, self.request.place(path))
                if cells[entity] != text:
                    notes.append(f"{entity} {text!r} becomes {cells[entity]!r}")
        return cells

    def _check_patterns(self) -> None:
        """A pattern that finds no image is a mistake, and so is a folder without one."""
        paths = [image.path for image in self.result.images]
        paths += [skipped.path for skipped in self.result.skipped if skipped.reason == UNFIT]
        example = f"{paths[0]!r} is an image here" if paths else ""
        may_miss = self.request.may_miss if self.matched else frozenset()
        self.result.unused_patterns = sorted(may_miss - self.matched)
        for pattern in self.request.patterns if paths else ():
            if pattern.text not in self.matched and pattern.text not in may_miss:
                what = "fits no image that an earlier pattern leaves"
                is_later = self.matched and not pattern.is_of_levels
                message = f"{pattern.text!r} {what if is_later else 'fits no image'}"
                option = "--level" if pattern.is_of_levels else "--pattern"
                problem = Problem("scan.no-match", COMMAND_LINE, option, message, example)
                self.report.add(problem)
        if not paths:
            others = count_of(len(self.result.skipped), "other path")
            endings = (ending for form in FORMATS for ending in form.endings)
            hint = f"known endings are {', '.join(endings)}"
            message = f"no image is below it; {others} found"
            excluded = [s.reason for s in self.result.skipped if s.reason.startswith(EXCLUDED)]
            if excluded:
                glob = excluded[0].removeprefix(EXCLUDED)
                number = count_of(len(excluded), "path")
                message = f"no image is left below it: --exclude {glob} leaves out {number}"
                hint = "exclude less"
            place = Place(self.request.shown_root)
            self.report.add(Problem("scan.no-image", place, "", message, hint))

    def _check_participants(self) -> None:
        """A subject has one sex, one genotype and so on; report each that has two."""
        first: dict[tuple[str, str], FoundImage] = {}
        told = set()
        for image in self.result.images:
            for column, text in image.participant.items():
                key = image.cells.get("subject", ""), column
                other = first.setdefault(key, image)
                if other.participant[column] != text and key not in told:
                    told.add(key)
                    message = f"gives sub-{key[0]} {text!r}, but {other.path!r} gives "
                    message += repr(other.participant[column])
                    hint = "rename one of them, or leave the capture out"
                    where = self.request.place(image.path)
                    self.report.add(Problem("scan.participant", where, column, message, hint))

    def _check_names(self) -> None:
        """Report each name in the dataset that two images would share."""
        named: dict[str, list[FoundImage]] = {}
        for image in self.result.images:
            cells = self.request.defaults | image.cells
            if all(cells.get(name) for name in REQUIRED):
                named.setdefault(stem(cells), []).append(image)
        for name, (first, *others) in named.items():
            if others:
                more = f"; so do {len(others) - 1:,} more" if others[1:] else ""
                message = f"makes {name}{_by(others[0])}, as {first.path!r} does{_by(first)}{more}"
                hint = "capture what tells them apart in --pattern, or leave some out"
                where = self.request.place(others[0].path)
                self.report.add(Problem("path.duplicate", where, "", message, hint))
