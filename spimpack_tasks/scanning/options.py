"""Options of a scan, parsed and checked before the tree is walked."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, closest, printable
from spimpack_tasks.files.tsv import fits_cell
from spimpack_tasks.manifest.merges import AXIS_COLUMN, PREFIX
from spimpack_tasks.model.labels import probable_label
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.scanning.labels import as_label, wanted_form
from spimpack_tasks.scanning.levels import read_levels
from spimpack_tasks.scanning.patterns import (
    ENTITY_BY_NAME,
    PARTICIPANT_COLUMNS,
    PatternError,
    read_glob,
    read_pattern,
)
from spimpack_tasks.scanning.templates import read_template
from spimpack_tasks.scanning.walk import special_folder
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.volumes.merged.request import POLICIES

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.scanning.patterns import Pattern
    from spimpack_tasks.scanning.templates import Template

COMMAND_LINE = Place("command line")


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """Options of a scan, as given on the command line."""

    root: str
    """The folder to look through."""
    directory: str
    """Directory for manifest and tables."""
    patterns: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    """Each `ENTITY=LABEL`, or `AXIS=LABEL` at the end."""
    excludes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    """Each `COLUMN=VALUE`."""
    labels: tuple[str, ...] = ()
    """Each `ENTITY=TEMPLATE`."""
    defaults: tuple[str, ...] = ()
    """Each `COLUMN=VALUE`, for rows of which neither path nor header gives one."""
    name: str = ""
    """Name of the dataset."""
    license: str = ""
    may_miss: tuple[str, ...] = ()
    """Patterns of a layout: they need find nothing where another pattern does."""

    def command(self) -> str:
        """Return the command that asks for this, in one line."""
        words = ["spimpack", "init", self.directory, "--scan", self.root]
        options = {
            "--pattern": self.patterns,
            "--level": self.levels,
            "--label": self.labels,
            "--exclude": self.excludes,
            "--set": self.settings,
            "--default": self.defaults,
            "--name": [self.name] if self.name else [],
            "--license": [self.license] if self.license else [],
        }
        for option, values in options.items():
            words += (word for value in values for word in (option, value))
        return printable(shlex.join(words))


@dataclass(slots=True)
class ScanRequest:
    """Parsed options of a scan."""

    root: str
    """Absolute."""
    shown_root: str
    """As messages name it."""
    directory: str
    """Absolute."""
    patterns: list[Pattern] = field(default_factory=list)
    templates: dict[str, Template] = field(default_factory=dict)
    """By the entity that they make the label of."""
    globs: list[tuple[str, re.Pattern[str]]] = field(default_factory=list)
    """Texts and regular expressions of excluded paths."""
    settings: dict[str, str] = field(default_factory=dict)
    """Values by canonical column name, for all rows."""
    defaults: dict[str, str] = field(default_factory=dict)
    """The same, for rows that have none."""
    may_miss: frozenset[str] = frozenset()
    """Texts of patterns that need find nothing where another pattern does."""

    def about_subjects(self, values: dict[str, str]) -> dict[str, str]:
        """Return those of the values that are facts about subjects."""
        return {name: text for name, text in values.items() if name in PARTICIPANT_COLUMNS}

    def about_images(self, values: dict[str, str]) -> dict[str, str]:
        """Return those of the values that are facts about images, merged or not."""
        return {
            name: text
            for name, text in values.items()
            if name not in PARTICIPANT_COLUMNS and not name.startswith(PREFIX)
        }

    def place(self, path: str) -> Place:
        """Return a path below the scanned folder as a place of problems."""
        return Place(os.path.join(self.shown_root, path))

    def without_path(self, message: str, path: str) -> str:
        """Return a message about a source without its path, for display beside that path."""
        return message.removeprefix(f"{os.path.join(self.root, path)!r} ")

    def fits_pattern(self, path: str) -> bool:
        """Tell whether a path fits one of the patterns."""
        return any(pattern.readings(path) for pattern in self.patterns)

    def excluded_by(self, path: str) -> str:
        """Return the glob that leaves a path out; one without a slash is for any name on it."""
        name = path.rpartition("/")[2]
        for text, expression in self.globs:
            if expression.fullmatch(path if "/" in text.rstrip("/") else name):
                return text
        return ""


def check_options(options: ScanOptions, report: Report) -> ScanRequest:
    """Return the parsed options; problems go to the report."""
    request = ScanRequest(
        root=os.path.abspath(options.root),
        shown_root=options.root,
        directory=os.path.abspath(options.directory),
        may_miss=frozenset(options.may_miss),
    )
    report.extend(_place_problems(request))
    for text in options.labels:
        try:
            template = read_template(text)
        except PatternError as error:
            report.add(_pattern_problem("--label", text, error))
        else:
            request.templates[template.entity] = template
    _take_patterns(options, request, report)
    for text in options.excludes:
        try:
            request.globs.append((text, read_glob(text)))
        except PatternError as error:
            report.add(_pattern_problem("--exclude", text, error))
    report.extend(_template_problems(request))
    for text in options.settings:
        report.extend(_take_setting("--set", text, request.settings, request))
    for text in options.defaults:
        report.extend(_take_setting("--default", text, request.defaults, request))
    return request


def _take_patterns(options: ScanOptions, request: ScanRequest, report: Report) -> None:
    further = {name for template in request.templates.values() for name in template.names}
    for text in options.patterns:
        try:
            request.patterns.append(read_pattern(text, frozenset(further)))
        except PatternError as error:
            report.add(_pattern_problem("--pattern", text, error))
    try:
        of_levels = read_levels(options.levels)
        request.patterns += of_levels
        request.may_miss |= {pattern.text for pattern in of_levels[1:]}
    except PatternError as error:
        report.add(_pattern_problem("--level", " ".join(options.levels), error))


def _template_problems(request: ScanRequest) -> Iterator[Problem]:
    """Yield the templates that a pattern has no captures for."""
    for template in request.templates.values():
        texts = [pattern.text for pattern in request.patterns]
        known = [pattern.entities for pattern in request.patterns]
        if not request.patterns:
            texts, known = ["names like those of BIDS"], [frozenset(ENTITY_BY_NAME)]
        for text, names in zip(texts, known, strict=True):
            for name in sorted(template.names - names):
                what = repr(text) if request.patterns else text
                message = f"{template.text!r} uses {name!r}, which is no capture of {what}"
                hint = f"put {{{name}}} into each --pattern"
                yield Problem("scan.pattern", COMMAND_LINE, "--label", message, hint)


def _pattern_problem(key: str, text: str, error: PatternError) -> Problem:
    message = f"{text!r} {error.message}"
    return Problem("scan.pattern", COMMAND_LINE, key, message, error.hint)


def _place_problems(request: ScanRequest) -> Iterator[Problem]:
    try:
        special = special_folder(iter(os.listdir(request.shown_root)))
    except OSError as error:
        special = f"cannot be read: {error.strerror}"
    if special:
        message, hint = f"{request.shown_root!r} {special}", "give the folder that holds the images"
        yield Problem("scan.root", COMMAND_LINE, "--scan", message, hint)
    root, directory = os.path.realpath(request.root), os.path.realpath(request.directory)
    if not special and os.path.commonpath([root, directory]) == root:
        message = f"{request.directory!r} lies in the scanned folder, which is only looked at"
        hint = "write elsewhere: spimpack init DIR --scan ..."
        yield Problem("scan.inside", COMMAND_LINE, "DIR", message, hint)


def _take_setting(
    option: str, text: str, values: dict[str, str], request: ScanRequest
) -> Iterator[Problem]:
    """Add `COLUMN=VALUE` to the values of an option, or yield its problems."""
    column, equals, value = (part.strip() for part in text.partition("="))
    entity = ENTITY_BY_NAME.get(column)
    name = entity.name if entity is not None else column
    reason, hint = _setting_refusal(option, name, value if equals else "", request)
    if reason:
        yield Problem("scan.setting", COMMAND_LINE, option, f"{text!r} {reason}", hint)
    elif entity is not None and as_label(name, value) != value:
        code, wanted = wanted_form(name)
        label = probable_label(entity.form, value)
        hint = f"write {label!r}" if label else f"write {wanted}"
        message = f"{value!r} has other characters than {wanted}"
        yield Problem(code, COMMAND_LINE, f"{option} {column}", message, hint)
    else:
        values[name] = value


def _setting_refusal(option: str, column: str, value: str, request: ScanRequest) -> tuple[str, str]:
    """Return why a column cannot be set, and a hint; two empty texts if it can."""
    schemas = map(load_schema, ("scans", "sidecar", "participants"))
    known = [name for schema in schemas for name in schema["properties"]]
    begun = [name for name in known if len(column) > 3 and name.startswith(f"{column}_")]
    near = "" if column in known else closest(column, known, 0.8) or "".join(begun[:1])
    choices = POLICIES.get(column.removeprefix(PREFIX), ()) if column.startswith(PREFIX) else ()
    is_fixed = option == "--set"
    has_twice = column in (request.settings if is_fixed else request.defaults)
    is_orientation = column == "orientation_string_xyz"
    pattern = next((p.text for p in request.patterns if column in p.entities), "")
    template = request.templates[column].text if column in request.templates else ""
    reasons = (
        (not column or not value, "is not COLUMN=VALUE", "write it like sample=brain"),
        (column == "spim_path", "cannot be set", "it is the path of each image"),
        (column == AXIS_COLUMN, "cannot be set", "capture {T}, {C} or {Z} in a --pattern"),
        (choices and value not in choices, "is no choice", f"write {' or '.join(choices)}"),
        (not fits_cell(column + value), "cannot stand in a table", "leave out line ends"),
        (has_twice, "sets a column once more", "keep one"),
        (
            not is_fixed and column in request.settings,
            "is for a column that --set gives a value in all rows",
            "keep one",
        ),
        (
            is_orientation and normalise_orientation(value) is None,
            "is not an orientation",
            "write one letter each of L/R, A/P and S/I, such as RPI; spimpack qc shows which",
        ),
        (near, "names no known column", f"did you mean {near!r}?"),
        (is_fixed and template, f"sets what --label {template!r} makes", "leave one of them out"),
        (
            is_fixed and pattern,
            f"sets what the pattern {pattern!r} captures",
            "leave one of them out, or use --default for paths that do not say it",
        ),
    )
    return next(((reason, hint) for applies, reason, hint in reasons if applies), ("", ""))
