"""Fills cells of the scans table from the headers of images. Nothing is invented."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from os.path import basename
from typing import TYPE_CHECKING

from spimpack_tasks.errors import MissingExtraError, Problem, Severity, count_of, message_of
from spimpack_tasks.files.tsv import fits_cell
from spimpack_tasks.manifest.acquisition import AcquisitionReader
from spimpack_tasks.manifest.headers import facts_of
from spimpack_tasks.manifest.rows import AXES_COLUMN, SCENE_COLUMN
from spimpack_tasks.model.selection import Selection
from spimpack_tasks.scanning.found import DescribingFile, SkippedPath
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.volumes.axis_names import CODE as AXES_CODE
from spimpack_tasks.volumes.axis_names import describe_unclear
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.scenes import CODE as SCENE_CODE

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report
    from spimpack_tasks.manifest.acquisition import ToldBeside
    from spimpack_tasks.scanning.found import FoundImage, ScanResult
    from spimpack_tasks.scanning.options import ScanRequest
    from spimpack_tasks.volumes.header import Header

_COLUMN_OF_CODE = {SCENE_CODE: SCENE_COLUMN, AXES_CODE: AXES_COLUMN}
"""Columns for choices that images leave open, by the code of the problem."""
PIXEL_COLUMNS = ("PixelSize", "PixelSizeUnits")


def fill_from_headers(result: ScanResult, request: ScanRequest, report: Report) -> None:
    """Fill the cells of each image from its header, unless the user has set them.

    An unreadable header becomes a note on its image. A missing library is also a warning, given
    once.
    """
    ours = set(request.settings)
    if ours & set(PIXEL_COLUMNS):
        ours.update(PIXEL_COLUMNS)  # a size means nothing without its own unit
    reported: set[str] = set()
    acquisition = AcquisitionReader()
    describing: set[str] = set()
    for image in result.images:
        try:
            axes = image.cells.get(AXES_COLUMN, "").lower()
            selection = Selection(image.cells.get(SCENE_COLUMN, ""), axes)
            header = read_header(image.source.path, image.source.format, selection)
        except (SourceRefusedError, MissingExtraError) as error:
            reason = request.without_path(message_of(error), image.path)
            image.notes.append(f"its header was not read: {reason}")
            result.unread_headers += 1
            column = _COLUMN_OF_CODE.get(getattr(error, "code", ""), "")
            if column and not image.cells.get(column):
                _leave_open(result, column)
            if isinstance(error, MissingExtraError) and reason not in reported:
                reported.add(reason)
                where, warning = request.place(image.path), Severity.WARNING
                report.add(Problem("scan.extra", where, "", reason, "", warning))
        else:
            beside = acquisition.join(os.path.join(request.root, image.path), facts_of(header))
            cells = _note_facts(image, header, beside)
            image.cells.update((column, cells[column]) for column in cells.keys() - ours)
            if _is_open(header) and not image.cells.get(AXES_COLUMN):
                _leave_open(result, AXES_COLUMN)
            describing.update(os.path.relpath(path, request.root) for path in header.files_needed)
        defaults = request.about_images(request.defaults)
        lacking = [name for name in defaults if not image.cells.get(name)]
        image.cells.update((name, defaults[name]) for name in lacking)
    result.found = [
        DescribingFile(one.path) if isinstance(one, SkippedPath) and one.path in describing else one
        for one in result.found
    ]


def _note_facts(image: FoundImage, header: Header, beside: ToldBeside | None) -> dict[str, str]:
    """Return the cells that follow from a header, and note what else it has."""
    cells = header_cells(header)
    if beside is not None:
        cells |= _cells_beside(beside, cells)
        image.notes.append("; ".join([f"with {basename(beside.path)}", *beside.doubts]))
        if beside.pages_are_planes and header.axes == ("page", "y", "x"):
            cells[AXES_COLUMN] = "ZYX"
            image.notes.append(f"its pages are planes, as {basename(beside.path)} has as many")
    image.notes.extend(f"its voxel size is unknown: {doubt}" for doubt in header.doubts)
    image.notes.extend(f"it holds more: {other}" for other in header.left_out)
    if header.other_files and not image.members:
        files = count_of(len(header.other_files), "other file")
        image.notes.append(f"its image lies in {files} as well; keep one row of them")
    if header.metadata_file:
        image.notes.append(f"its metadata are in {basename(header.metadata_file)}")
    return cells


def _is_open(header: Header) -> bool:
    return bool(describe_unclear(header.axes, header.shapes[0]))


def _leave_open(result: ScanResult, column: str) -> None:
    """Count an image whose row needs a choice in a column."""
    result.open_choices[column] = result.open_choices.get(column, 0) + 1


def header_cells(header: Header) -> dict[str, str]:
    """Return the cells that follow from a header, empty where it does not say."""
    size = _pixel_size(header.pixel_size_um)
    return {
        "sample_staining": _staining(header.channel_names),
        "orientation_string_xyz": header.orientation_xyz or "",
        "PixelSize": size,
        "PixelSizeUnits": "um" if size else "",
        "acq_time": _acquisition_time(header.acquired_at or ""),
    }


def _cells_beside(beside: ToldBeside, cells: dict[str, str]) -> dict[str, str]:
    """Return the cells that follow from a file beside an image, and that the image leaves open."""
    size = _pixel_size(beside.facts.pixel_size_um)
    found = {
        "PixelSize": size,
        "PixelSizeUnits": "um" if size else "",
        "acq_time": _acquisition_time(beside.acquired_at or ""),
    }
    return {name: text for name, text in found.items() if text and not cells[name]}


def _pixel_size(sizes: tuple[float | None, ...]) -> str:
    """Return the spacing along each axis; nothing unless that of all is known."""
    known = [decimal_text(size) for size in sizes if size is not None]
    return ";".join(known) if len(known) == len(sizes) else ""


def decimal_text(number: float) -> str:
    """Return the shortest decimal text, without exponent, that is this number when it is read."""
    return f"{Decimal(repr(number)).normalize():f}"


def _staining(names: tuple[str, ...]) -> str:
    """Return the names of the channels; empty unless each has one that fits into a list."""
    text = ";".join(names)
    can_be_read_back = [name.strip() for name in re.split("[;,]", text)] == list(names)
    return text if all(names) and can_be_read_back and fits_cell(text) else ""


def _acquisition_time(text: str) -> str:
    form = load_schema("scans")["properties"]["acq_time"]["pattern"]
    return text if re.fullmatch(form, text) else ""
