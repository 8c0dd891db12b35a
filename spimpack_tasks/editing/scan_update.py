"""Adds the images that have come since to the tables of a manifest; their rows stay as they are."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.editing.editor import open_manifest
from spimpack_tasks.editing.merged_rows import (
    add_to_rows,
    real_paths_of_cells,
    real_paths_of_row,
)
from spimpack_tasks.errors import InputError, Place, Problem, Report, UsageError, count_of
from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.files.text import is_spreadsheet
from spimpack_tasks.files.tsv_edit import cells_by_column
from spimpack_tasks.manifest.load import load_inputs
from spimpack_tasks.manifest.merges import AXIS_COLUMN, PREFIX
from spimpack_tasks.manifest.records import CANONICAL
from spimpack_tasks.model.entities import ENTITIES, stem
from spimpack_tasks.scanning.found import UNFIT
from spimpack_tasks.scanning.headers import fill_from_headers
from spimpack_tasks.scanning.new_inputs import scan
from spimpack_tasks.scanning.tables import PHOTOS, cell_of_source, list_findings, participants_of
from spimpack_tasks.volumes.merged.sources import members_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.scanning.found import FoundImage, ScanResult
    from spimpack_tasks.scanning.options import ScanOptions, ScanRequest

_KEYS = {
    "patterns": "patterns",
    "levels": "levels",
    "labels": "labels",
    "exclude": "excludes",
    "set": "settings",
    "default": "defaults",
}
"""Options by their keys below `scan`."""
_SHOWN = 3
"""Rows without an image that are named."""


@dataclass(slots=True)
class ScanUpdate:
    """New images of an update, and its messages."""

    images: list[FoundImage] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """Each new image with its labels, and what is ignored."""
    lines: list[str] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def update_from_scan(
    manifest: str,
    asked: ScanOptions,
    roots: tuple[str, ...],
    *,
    writes: bool,
    verbose: bool = False,
) -> ScanUpdate:
    """Add rows for images that no row has, and their subjects to the participants table.

    Parameters
    ----------
    manifest
        Absolute path.
    asked
        Options of the command line, each of which takes the place of that of the manifest.
    roots
        Folders below which files may be written; none where there is no such limit.
    writes
        Whether the tables are written.
    verbose
        Whether the findings name each ignored path.

    Raises
    ------
    UsageError
        The manifest does not say what was scanned, and the options do not either.
    InputError
        The options are wrong, no image is found, images cannot be told apart, or the table cannot
        take rows.
    ConflictError
        A table was changed by someone else meanwhile; nothing was written.
    """
    editor = open_manifest(manifest, roots)
    update = add_scanned(editor, asked, verbose=verbose)
    saved = editor.save() if writes and editor.changes() else []
    update.lines[:0] = [f"wrote {shown(path)}" for path in sorted(saved)]
    return update


def add_scanned(editor: ManifestEditor, asked: ScanOptions, *, verbose: bool = False) -> ScanUpdate:
    """Add rows for images that no row has, and their subjects, to the open tables.

    The lines of the result say what was taken of which options first.

    Raises
    ------
    UsageError
        The manifest does not say what was scanned, and the options do not either.
    InputError
        The options are wrong, no image is found, images cannot be told apart, or the table cannot
        take rows. Nothing was edited then.
    """
    update = ScanUpdate()
    options = _join(editor, asked, update)
    tables = editor.scans_tables
    report = Report(_refused_tables(tables))
    if report.errors:
        raise InputError(report)
    request, result = scan(options, report)
    rows, known = _rows(editor), known_images(editor) | _known_elsewhere(editor)
    new = [image for image in result.images if not _real_paths(image) & known]
    report.extend(_same_names(rows, new, request))
    if report.errors:
        raise InputError(report)
    update.images, update.warnings = new, report.warnings
    others, found = _other_findings(result, request), result.images
    result.found = [*new, *result.skipped]
    update.findings += list_findings(request, result, verbose=verbose)
    fill_from_headers(result, request, report)
    changed = add_to_rows(editor, request, found, known)
    _add_rows(editor, request, new)
    subjects, left_out = _add_participants(editor, result)
    told = [*_describe(rows, new, subjects, editor.folder), *changed]
    update.lines += [*told, *left_out, *others]
    return update


def known_images(editor: ManifestEditor) -> set[str]:
    """Return the real paths of the images in the tables."""
    return {path for row in _rows(editor) for path in real_paths_of_cells(editor.folder, row)}


def _known_elsewhere(editor: ManifestEditor) -> set[str]:
    """Return the real paths of images that stand in the manifest, or in those that it includes."""
    known = set()
    for part in load_inputs(editor.manifest, Report()).parts:
        for record in part.records:
            cells = record.cell("spim_path"), record.cell(AXIS_COLUMN)
            known |= real_paths_of_row(part.folder, *cells)
    return known


def _rows(editor: ManifestEditor) -> list[dict[str, str]]:
    """Return the cells of all rows, of all tables."""
    tables = (editor.table(path).table for path in editor.scans_tables)
    return [row for table in tables for row in cells_by_column(table)]


def _join(editor: ManifestEditor, asked: ScanOptions, update: ScanUpdate) -> ScanOptions:
    """Return the options of the manifest with those of the command line in their places."""
    said: Any = editor.data.get("scan") or {}
    if not isinstance(said, dict) or not (asked.root or isinstance(said.get("folder"), str)):
        message = f"{shown(editor.manifest)} does not say which folder was scanned"
        raise UsageError(message, "spimpack init study --update --scan raw")
    values: dict[str, Any] = {}
    for key, name in _KEYS.items():
        given, kept = getattr(asked, name), said.get(key, ())
        if given and kept and list(given) != list(kept):
            update.lines.append(f"the command line takes the place of scan.{key} in the manifest")
        values[name] = given or tuple(str(each) for each in kept)
    folder = os.path.normpath(os.path.join(editor.folder, said.get("folder", "")))
    root = asked.root or os.path.relpath(folder)
    return replace(asked, root=root, directory=editor.folder, **values)


def _refused_tables(tables: list[str]) -> list[Problem]:
    """Return a problem for each table of another format: no row can be added to it, or compared."""
    message = "is no tab-separated table, so rows cannot be added without touching the others"
    hint = "save it as .tsv and name that under scans_tsv"
    refused = (path for path in tables if is_spreadsheet(path))
    return [Problem("scan.table", Place(shown(path)), "", message, hint) for path in refused]


def _real_paths(image: FoundImage) -> set[str]:
    """Return the real paths of all files of an image."""
    return {os.path.realpath(path) for path in members_of(image.source)}


def _is_gone(folder: str, row: dict[str, str]) -> bool:
    """Tell whether the image of a row, or one of its files, is not there."""
    paths = real_paths_of_cells(folder, row)
    return not paths or not all(map(os.path.exists, paths))


def _other_findings(result: ScanResult, request: ScanRequest) -> list[str]:
    """Return lines on photos, which are not added, and on images that no pattern takes."""
    photos = len(result.photos)
    unfit = [skipped.path for skipped in result.skipped if skipped.reason == UNFIT]
    lines = [f"{count_of(photos, 'photo')} found; add new ones to {PHOTOS} yourself"]
    listed = ", ".join(unfit[:_SHOWN]) + (" ..." if unfit[_SHOWN:] else "")
    more = [f"{count_of(len(unfit), 'image')} in {request.shown_root} left out, {UNFIT}: {listed}"]
    return [*(lines if photos else []), *(more if unfit else [])]


def _same_names(
    rows: list[dict[str, str]], new: list[FoundImage], request: ScanRequest
) -> Iterator[Problem]:
    """Yield each new image that would have the name of one in the table."""
    named = {stem(_labels(row)): row.get("spim_path", "") for row in rows}
    for image in new:
        name = stem(_labels(request.defaults | image.cells))
        if image.cells.get("subject") and name in named:
            message = f"makes {name}, which the table has for {named[name]!r}"
            hint = "if the image was moved, correct the path in its row; otherwise give one of "
            hint += "them another session, acquisition or run"
            yield Problem("path.duplicate", request.place(image.path), "", message, hint)


def _labels(cells: dict[str, str]) -> dict[str, str]:
    found = {CANONICAL[name]: text for name, text in cells.items() if name in CANONICAL and text}
    return {
        entity.name: found[entity.name].removeprefix(f"{entity.short}-")
        for entity in ENTITIES
        if entity.name in found
    }


def _add_rows(editor: ManifestEditor, request: ScanRequest, new: list[FoundImage]) -> None:
    if not new:
        return
    names = {CANONICAL.get(name, name): name for name in editor.scans.table.columns}
    whole = (
        {"spim_path": cell_of_source(request, image)}
        | {names.get(column, column): text for column, text in image.cells.items()}
        for image in new
    )
    # Labels make the name of an image. Any other column may have been taken out on purpose.
    wanted = {*editor.scans.table.columns, *CANONICAL, "spim_path"}
    rows = [
        {name: text for name, text in row.items() if name in wanted or name.startswith(PREFIX)}
        for row in whole
    ]
    editor.add_rows(rows)


def _add_participants(editor: ManifestEditor, result: ScanResult) -> tuple[list[str], list[str]]:
    """Add the subjects that the participants table has not.

    Their labels are returned, and lines on those that cannot be added.
    """
    path = editor.participants_table
    if is_spreadsheet(path):
        labels = sorted(participants_of(result).keys() - {""}, key=natural)
        listed = ", ".join(labels[:_SHOWN]) + (" ..." if labels[_SHOWN:] else "")
        return [], [f"add new subjects to {shown(path)} yourself: {listed}"] if labels else []
    table = editor.table(path, ["participant_id"])
    known = {row.get("participant_id", "") for row in cells_by_column(table.table)}
    known = {label.strip().removeprefix("sub-") for label in known}
    said = participants_of(result)
    new = sorted(said.keys() - known - {""}, key=natural)
    if new:
        table.add_rows([{"participant_id": f"sub-{label}", **said[label]} for label in new])
        editor.edit(path, table.text)
    return new, []


def _describe(
    rows: list[dict[str, str]], new: list[FoundImage], subjects: list[str], folder: str
) -> Iterator[str]:
    yield f"{count_of(len(new), 'new image')}, {len(rows):,} in the table before"
    if subjects:
        yield f"{count_of(len(subjects), 'new subject')}: {', '.join(subjects[:_SHOWN])}" + (
            f" and {len(subjects) - _SHOWN:,} more" if subjects[_SHOWN:] else ""
        )
    gone = [row["spim_path"] for row in rows if row.get("spim_path") and _is_gone(folder, row)]
    if gone:
        more = f" and {len(gone) - _SHOWN:,} more" if gone[_SHOWN:] else ""
        names = ", ".join(gone[:_SHOWN])
        yield f"{count_of(len(gone), 'row')} without an image, nothing removed: {names}{more}"
