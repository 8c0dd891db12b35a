"""Writes the rows of the images of a stream into the scans table of a manifest.

A row is found again by its entities and its source. It is written once and belongs to the user from
then on. The table is held by the lock that the web pages take as well, so that several streams can
end at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import InputError, Problem, Report, SpimpackError
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.files.text import is_spreadsheet
from spimpack_tasks.manifest.load import SCANS_KEYS, load_inputs, table_paths
from spimpack_tasks.manifest.rows import SCENE_COLUMN, source_path
from spimpack_tasks.manifest.table_rows import add_table_rows, edit_table, path_cell
from spimpack_tasks.model.entities import ENTITIES, stem
from spimpack_tasks.streams.frame_log import parse_frames, read_frame_lines
from spimpack_tasks.streams.tiff_names import name_files
from spimpack_tasks.streams.zarr_groups import image_folders

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.manifest.load import Inputs
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.streams.bids import BidsPlace
    from spimpack_tasks.streams.settings import AcquisitionSettings

_MENDED = ("column.missing", "table.empty", "file.missing")
"""Codes of problems that a new row ends: it brings the columns, and the table."""


class _Row(NamedTuple):
    entities: Mapping[str, str]
    path: str
    """Absolute path of the source."""
    scene: str
    cells: Mapping[str, str]


def check_rows(settings: AcquisitionSettings) -> None:
    """Refuse a stream whose images could not enter the dataset.

    Raises
    ------
    InputError
        There is no manifest, its inputs are wrong, or another image has the entities already.
    """
    if settings.bids is not None:
        _new_rows(settings, settings.bids, {})


def write_rows(settings: AcquisitionSettings, frames: str) -> None:
    """Write the rows that are not there, in one step.

    Parameters
    ----------
    settings
        The settings.
    frames
        Path of the metadata of frames, perhaps without a file.

    Raises
    ------
    InputError
        Another image has entities of this one.
    SpimpackError, OSError
        The table cannot be written.
    """
    place = settings.bids
    if place is None:
        return
    found = _exposure(frames)
    table = _table_of(_load(place))
    edit_table(table, lambda text: add_table_rows(table, text, _new_rows(settings, place, found)))


def _exposure(frames: str) -> dict[str, str]:
    """Return the exposure time in seconds where all frames that tell one have the same."""
    lines = parse_frames(line for _, line in read_frame_lines(frames))
    told = [line["metadata"].get("exposure_time") for line in lines]
    known = [each for each in told if each is not None]
    if not known or isinstance(known[0], bool) or not isinstance(known[0], int | float):
        return {}
    return {"ExposureTime": repr(known[0])} if all(each == known[0] for each in known) else {}


def _load(place: BidsPlace) -> Inputs:
    report = Report()
    inputs = load_inputs(place.manifest, report)
    if not os.path.exists(place.manifest):
        folder = os.path.dirname(place.manifest)
        first = report.problems[0]
        hint = f"make one with: spimpack init {folder}"
        report = Report()
        report.add(Problem(first.code, first.place, "bids.manifest", first.message, hint))
    is_there = isinstance(inputs.document.data, dict)
    if any(not is_there or _stops(problem, inputs) for problem in report.errors):
        raise InputError(report)
    return inputs


def _stops(problem: Problem, inputs: Inputs) -> bool:
    """Tell whether a problem keeps rows from being compared or written; others can wait."""
    if problem.code in _MENDED:
        return False
    is_of_rows = problem.key.startswith((*SCANS_KEYS, "datasets", "include"))
    return problem.place.file != inputs.document.file or is_of_rows


def _table_of(inputs: Inputs) -> str:
    """Return the path of the table that gets rows; it may be a new one.

    Raises
    ------
    SpimpackError
        It is a workbook; or no table is read, because the manifest includes others.
    """
    data = inputs.document.data
    paths = [path for _, path in table_paths(data, inputs.folder, SCANS_KEYS, "scans.tsv")]
    if not paths:
        message = f"{inputs.document.file} includes other manifests and names no table, so a row "
        raise SpimpackError(message + "would not be read; add scans_tsv: scans.tsv")
    path = paths[0]
    if is_spreadsheet(path) and not path.lower().endswith(".csv"):
        message = f"{shown(path)} is a workbook, to which no row is added; save it as .tsv or .csv"
        raise SpimpackError(message)
    return path


def _new_rows(
    settings: AcquisitionSettings, place: BidsPlace, found: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return the cells of the rows that are not in the table yet."""
    inputs = _load(place)
    table = _table_of(inputs)
    there = {_stem_of(record): record for record in inputs.records}
    report = Report()
    new = []
    for row in _rows(settings, place, found):
        record = there.get(stem(dict(row.entities)))
        if record is None:
            new.append(_cells(row, inputs.folder))
        elif not _is_of(record, row, inputs.folder):
            message = f"{stem(dict(row.entities))} is another image already"
            hint = "give the stream other entities, or remove that row"
            report.add(Problem("stream.bids", record.where("spim_path"), "", message, hint))
    if report.errors:
        raise InputError(report)
    if new and not os.path.isdir(os.path.dirname(table)):
        message = f"there is no folder for the table {shown(table)}"
        raise SpimpackError(message)
    return new


def _rows(
    settings: AcquisitionSettings, place: BidsPlace, found: Mapping[str, str]
) -> Iterator[_Row]:
    has_positions = settings.along("p") is not None
    root = os.path.abspath(settings.root_path)
    common = {**found, **place.cells(settings.channels)}
    for number, position in enumerate(settings.positions):
        path, scene = _source(settings, number, root)
        entities = place.entities(number, position, has_positions=has_positions)
        yield _Row(entities, path, scene, common)


def _source(settings: AcquisitionSettings, number: int, root: str) -> tuple[str, str]:
    """Return path and scene of an image of a stream."""
    if settings.format == "ome-tiff":
        names = name_files(settings)
        if names.is_folder:
            return f"{root}/{names.files[names.file_of[number]]}", ""
        return root, str(number) if len(names.file_of) > 1 else ""
    return root, image_folders(settings)[number]


def _cells(row: _Row, folder: str) -> dict[str, str]:
    scene = {SCENE_COLUMN: row.scene} if row.scene else {}
    return {"spim_path": path_cell(row.path, folder), **row.entities, **scene, **row.cells}


def _stem_of(record: Record) -> str:
    labels = {}
    for entity in ENTITIES:
        text = record.cell(entity.name)
        if isinstance(text, str) and text.strip() not in ("", "n/a"):
            labels[entity.name] = text.strip().removeprefix(f"{entity.short}-")
    return stem(labels)


def _is_of(record: Record, row: _Row, folder: str) -> bool:
    """Tell whether a row names the image of another one."""
    text = record.cell("spim_path")
    path = os.path.normpath(source_path(folder, text)) if isinstance(text, str) else ""
    scene = record.cell(SCENE_COLUMN) or ""
    return path == row.path and str(scene).strip() in ("n/a", row.scene)
