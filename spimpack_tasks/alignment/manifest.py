"""Reads the table of probes, a CSV file: one row for each shank of a probe.

All cells are texts, so `000001` stays `000001` and an empty cell stays empty. Names of columns are
those of the public package, in its older and its newer form.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, Report, closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REQUIRED = {
    "mouseid": ("mouseid",),
    "sorted_recording": ("sorted_recording",),
    "probe_file": ("probe_file",),
    "probe_id": ("histology_track_id", "probe_id"),
    "probe_name": ("ephys_collection", "probe_name"),
}
"""Columns that must be there, each with the names that it may have."""
OPTIONAL = {
    "annotation_format": ("annotation_format",),
    "histology_shank": ("histology_shank", "probe_shank"),
    "ephys_shank": ("ephys_shank", "probe_shank"),
    "surface_finding": ("surface_finding",),
    "logical_probe": ("logical_probe",),
    "registration_asset": ("registration_asset",),
    "template_to_ccf_asset": ("template_to_ccf_asset",),
}
_KNOWN = {name for names in (*REQUIRED.values(), *OPTIONAL.values()) for name in names}
_NEAR = 0.85
"""Likeness of a mistyped name of a column: one or two letters; `probe_type` is not `probe_file`."""
_OF_THE_BRAIN = ("mouse_id", "registration_asset", "template_to_ccf_asset")
"""Fields that all rows must share."""
_SAFE_NAME = re.compile(r"[^/\\\0]+")


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One shank of a probe: its annotated track, and its recording."""

    line: int
    mouse_id: str
    sorted_recording: str
    probe_file: str
    track_id: str
    """Name of the layer that has the points."""
    collection: str
    """Name of the folder of its results."""
    annotation_format: str = "json"
    histology_shank: int | None = None
    """From 0 on; `None` where the probe has one."""
    ephys_shank: int | None = None
    surface_finding: str = ""
    logical_probe: str = ""
    registration_asset: str = ""
    """Folder of another registration than that of the image, below the data root."""
    template_to_ccf_asset: str = ""

    @property
    def recording_id(self) -> str:
        """Name of the recording, without what the sorting put behind it."""
        return self.sorted_recording.split("_sorted")[0]

    @property
    def key(self) -> str:
        """A name of the row that no other row has."""
        return f"{self.recording_id}.{self.collection}.{self.track_name}"

    @property
    def track_name(self) -> str:
        """The begin of the names of its files beside those of other tracks."""
        return f"{self.track_id}{self.shank_suffix}"

    @property
    def shank_suffix(self) -> str:
        """The end of file names of this shank, counted from 1."""
        return "" if self.histology_shank is None else f"_shank{self.histology_shank + 1}"


def parse_manifest(text: str, file: str, report: Report) -> tuple[ProbeRow, ...]:
    """Return the rows of a table of probes; problems go to `report`.

    Parameters
    ----------
    text
        The content.
    file
        The name that problems have.
    report
        Takes problems.
    """
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    numbered = [(lines.line_num, cells) for cells in lines if any(c.strip() for c in cells)]
    if not numbered:
        hint = f"begin with {','.join(REQUIRED)}"
        report.add(Problem("alignment.manifest", Place(file), "", "is empty", hint))
        return ()
    (_, header), *body = numbered
    columns = [name.strip() for name in header]
    found = list(_column_problems(columns, file))
    report.extend(found)
    if not body:
        hint = "add one row for each shank"
        report.add(Problem("alignment.manifest", Place(file), "", "has no row", hint))
    if found:
        return ()
    rows = []
    for line, cells in body:
        if len(cells) != len(columns):
            message = f"has {len(cells)} cells, the header has {len(columns)}"
            hint = "put one comma between two cells, also around empty ones"
            report.add(Problem("alignment.row", Place(file, line), "", message, hint))
            continue
        texts = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
        row = _build_row(texts, Place(file, line), report)
        if row is not None:
            rows.append(row)
    report.extend(_clashes(rows, file))
    return tuple(rows)


def _column_problems(columns: Sequence[str], file: str) -> Iterator[Problem]:
    place = Place(file, 1)
    mark = next((each for each in ";\t" if each in columns[0]), "")
    if len(columns) == 1 and mark:
        message = f"separates its cells by {'semicolons' if mark == ';' else 'tabs'}"
        yield Problem("alignment.manifest", place, "", message, "save it with commas")
        return
    for name, names in REQUIRED.items():
        if not set(names) & set(columns):
            near = closest(names[-1], set(columns) - _KNOWN)
            hint = f"{near!r} may be it" if near else f"add a column {names[0]!r}"
            yield Problem("alignment.manifest", place, name, "is missing", hint)
    yield from _near_columns(columns, place)
    for name in sorted({each for each in columns if columns.count(each) > 1}):
        yield Problem("alignment.manifest", place, name, "is the name of two columns", "keep one")


def _near_columns(columns: Sequence[str], place: Place) -> Iterator[Problem]:
    """Yield columns that nobody reads, and whose names are nearly those of columns that are."""
    lacking = {
        name for names in REQUIRED.values() if not set(names) & set(columns) for name in names
    }
    known = _KNOWN - lacking - set(columns)
    for name in columns:
        near = "" if name in _KNOWN else closest(name, known, _NEAR)
        if near:
            hint = f"write {near!r}, or another name if it is another column"
            yield Problem("alignment.manifest", place, name, "is no column that is read", hint)


def _pick(texts: Mapping[str, str], names: Sequence[str]) -> str:
    return texts.get(_column(texts, names), "")


def _build_row(texts: Mapping[str, str], place: Place, report: Report) -> ProbeRow | None:
    before = len(report.problems)
    values = {name: _pick(texts, names) for name, names in (REQUIRED | OPTIONAL).items()}
    for name in REQUIRED:
        if not values[name]:
            report.add(Problem("alignment.row", place, name, "is empty", "fill it in"))
        elif name != "probe_file" and (
            not _SAFE_NAME.fullmatch(values[name]) or values[name] in {".", ".."}
        ):
            message = f"{values[name]!r} is no name of a folder"
            report.add(Problem("alignment.row", place, name, message, "write one without /"))
    form = values["annotation_format"].lower() or "json"
    if form != "json":
        message = f"{form!r} is not read"
        hint = "save the annotation as JSON from Neuroglancer"
        report.add(Problem("alignment.row", place, "annotation_format", message, hint))
    # Both may be in one column, whose mistake is told once.
    columns = [_column(texts, OPTIONAL[name]) for name in ("histology_shank", "ephys_shank")]
    numbers = {name: _shank(texts, name, place, report) for name in dict.fromkeys(columns)}
    shanks = [numbers[name] for name in columns]
    if len(report.problems) > before:
        return None
    return ProbeRow(
        place.line,
        values["mouseid"],
        values["sorted_recording"],
        values["probe_file"],
        values["probe_id"],
        values["probe_name"],
        form,
        shanks[0],
        shanks[0] if shanks[1] is None else shanks[1],
        values["surface_finding"],
        values["logical_probe"] or values["probe_name"],
        values["registration_asset"],
        values["template_to_ccf_asset"],
    )


def _column(texts: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the first column that has a text in this row."""
    return next((name for name in names if texts.get(name)), names[0])


def _shank(texts: Mapping[str, str], column: str, place: Place, report: Report) -> int | None:
    """Return a number of a shank, which spreadsheets may have written as `1.0`."""
    text = texts.get(column, "")
    if not text:
        return None
    match = re.fullmatch(r"(\d+)(?:\.0*)?", text)
    if match is None:
        message, hint = f"{text!r} is no number of a shank", "count shanks from 0 on"
        report.add(Problem("alignment.row", place, column, message, hint))
        return None
    return int(match[1])


def _clashes(rows: Sequence[ProbeRow], file: str) -> Iterator[Problem]:
    """Yield rows that are of another mouse, or that would write the same files."""
    for row in rows:
        for field in _OF_THE_BRAIN:
            here, first = getattr(row, field), getattr(rows[0], field)
            if here != first:
                message = f"is {here!r}, but {first!r} in line {rows[0].line}"
                key = field.replace("mouse_id", "mouseid")
                hint = "give each mouse a file of its own" if key != field else "give one for all"
                yield Problem("alignment.manifest", Place(file, row.line), key, message, hint)
        if row.template_to_ccf_asset and not row.registration_asset:
            message, hint = "is given without registration_asset", "give both, or neither"
            place = Place(file, row.line)
            yield Problem("alignment.manifest", place, "template_to_ccf_asset", message, hint)
    keys: dict[tuple[object, ...], list[ProbeRow]] = defaultdict(list)
    for row in rows:
        collection = (row.recording_id, row.collection)
        keys["track", row.mouse_id, row.track_id, row.histology_shank].append(row)
        keys["histology_shank", *collection, row.histology_shank].append(row)
        keys["ephys_shank", *collection, row.ephys_shank].append(row)
        keys["probe_id", "outputs", row.track_name].append(row)
        keys["probe_name", row.key].append(row)
    told = set()
    for (name, *_), equal in keys.items():
        for row in equal[1:]:
            if row.line not in told:
                told.add(row.line)
                message = f"is the same {name} as in line {equal[0].line}"
                place = Place(file, row.line)
                hint = "give each shank its number, and each track its name"
                if name in REQUIRED:
                    text = row.track_name if name == "probe_id" else row.key
                    message = f"makes the same files {text!r} as line {equal[0].line}"
                    hint = "choose another probe_id or probe_name"
                yield Problem("alignment.manifest", place, str(name), message, hint)
