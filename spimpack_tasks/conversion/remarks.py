"""Remarks on a source that is converted by itself, besides errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.conversion.convert_file import examine_chosen
from spimpack_tasks.conversion.size_beside import find_size_beside
from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.manifest.beside import told_beside
from spimpack_tasks.model.channels import are_in_another_order
from spimpack_tasks.volumes.formats import ZIPPED
from spimpack_tasks.volumes.merged.sources import written_paths
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.source_errors import UNCONVERTIBLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.volumes.conversion import Request
    from spimpack_tasks.volumes.examine import Source
    from spimpack_tasks.volumes.header import Header

_TIFFS = (".ome.tif", ".ome.btf")


def read_remarks(
    source: str | Source, target: str, request: Request, *, can_give_size: bool = True
) -> list[str]:
    """Return remarks on a source that is converted, besides errors.

    Parameters
    ----------
    source
        Absolute path, or files that are to be merged.
    target
        Absolute path.
    request
        How it is converted; a size that is given ends doubts about it.
    can_give_size
        Whether the user can give the size of the voxels; if not, an unknown one stays so unsaid.
    """
    try:
        found = examine_chosen(source, request.selection)
        header = read_header(found.path, found.format, found.selection)
    except (SpimpackError, *UNCONVERTIBLE):
        return []  # told when it is converted
    left_out = header.left_out if found.format is not ZIPPED else ()
    if target.endswith(_TIFFS):
        left_out = (*header.left_out, *header.extras)
    shown = source if isinstance(source, str) else _shown(found)
    remarks = [f"{shown} holds more than is converted: {each}" for each in left_out]
    remarks += [f"{shown} does not tell how it is shown: {each}" for each in header.display_doubts]
    if header.is_size_known and not request.spacing_um_xyz:
        remarks += [f"{shown}: {text}" for text in header.doubts]
    remarks += [f"{shown}: {text}" for _, text in header.remarks]
    beside = told_beside(source, header) if isinstance(source, str) else None
    remarks += [f"{shown}: {text}" for text in (beside.doubts if beside else ())]
    remarks += _contradictions(header, request)
    size, name = find_size_beside(request, source, header)
    if size:
        shown_size = " x ".join(f"{each:g}" for each in size if each is not None)
        remarks.append(f"{shown} has no size of its own: {name} tells {shown_size} um (x, y, z)")
    elif can_give_size and not request.spacing_um_xyz and not header.is_size_known:
        doubts = f": {'; '.join(header.doubts)}" if header.doubts else ""
        remedy = "" if found.format is ZIPPED else "; give it with --pixel-size"
        remarks.append(
            f"{shown} does not tell the size of its voxels, which stays unknown{doubts}{remedy}"
        )
    return remarks


def _shown(source: Source) -> str:
    paths = written_paths(source)
    return f"{paths[0]} (merged with {count_of(len(paths) - 1, 'other file')})"


def _contradictions(header: Header, request: Request) -> Iterator[str]:
    """Yield where what the user gives is not what the source says; the user is believed."""
    count, given = header.channel_count, len(request.channel_names)
    if given and count not in {None, given}:
        yield f"--stains names {count_of(given, 'channel')}, but the image has {count}"
    if are_in_another_order(request.channel_names, header.channel_names):
        given_names, told = "; ".join(request.channel_names), "; ".join(header.channel_names)
        yield f"--stains is {given_names}, but the image says {told}"
    if request.orientation_xyz and header.orientation_xyz not in {None, request.orientation_xyz}:
        told = header.orientation_xyz
        yield f"--orientation is {request.orientation_xyz}, but the image says {told}"
