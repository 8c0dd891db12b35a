"""Metadata of Micro-Manager: files `*_metadata.txt` beside OME-TIFF, and the head of NDTiff.

Facts: `MDUtils` of Micro-Manager for the names of values; the NDTiff specification, version 3, for
the head: at byte 20 the number 2355492 and the length of a JSON text, that begins at byte 28. A
file of metadata describes each plane, and may be long. Its summary comes first; the rest is not
read.
"""

from __future__ import annotations

import json
import os
import re
import struct
from typing import TYPE_CHECKING, Any

from spimpack_tasks.acquisition.facts import AcquisitionFacts, AcquisitionFileError, Value
from spimpack_tasks.acquisition.names import NDTIFF
from spimpack_tasks.acquisition.reading import Reader, decoded, first_of, read_beginning
from spimpack_tasks.model.quantities import iso_time

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDING = "_metadata.txt"
_PLAIN = "metadata.txt"
_BEGINNING = 2**20
"""Bytes that hold the summary; it has some thousand."""
_SUMMARY_MARK = 2_355_492
"""Of the specification, before the length of the summary."""
_SUMMARY = re.compile(r'"Summary"\s*:\s*')
_PIXEL_OF_PLANE = re.compile(r'"PixelSizeUm"\s*:\s*([0-9.eE+-]+)')
_ZONE = re.compile(r" ([+-][0-9]{2})([0-9]{2})\Z")


def find_file(path: str, names: Callable[[str], frozenset[str]]) -> str:
    """Return the file that tells about an image, empty where there is none."""
    folder, name = os.path.split(path)
    if NDTIFF in name and name.lower().endswith((".tif", ".tiff")):
        return path
    stem = re.sub(r"(\.ome)?\.tiff?\Z", "", name, flags=re.IGNORECASE)
    known = names(folder)
    if stem != name and f"{stem}{_ENDING}" in known:
        return os.path.join(folder, f"{stem}{_ENDING}")
    is_stack = "_mmstack" in name.lower() or name.lower().startswith("img_")
    return os.path.join(folder, _PLAIN) if is_stack and _PLAIN in known else ""


def read(path: str, image: str) -> AcquisitionFacts:
    """Return what a file tells.

    Raises
    ------
    AcquisitionFileError
        It is not such a file.
    """
    summary, beginning = _of_head(path) if path == image else _of_text(path)
    reader = Reader()
    size = first_of([summary], ["PixelSize_um", "PixelSizeUm"])
    of_plane = _PIXEL_OF_PLANE.search(beginning)
    pixel = reader.length_um("PixelSize_um", size)
    if pixel is None and of_plane:
        pixel = reader.length_um("PixelSizeUm", of_plane[1])
    step = reader.length_um("z-step_um", first_of([summary], ["z-step_um"]))
    version = first_of([summary], ["MicroManagerVersion"])
    sidecar: dict[str, Value] = {"SoftwareVersions": f"Micro-Manager {version}".strip()}
    started = first_of([summary], ["StartTime", "Time"])
    reader.set(
        ("interval in ms", _unless_zero(first_of([summary], ["Interval_ms"]))),
        ("order of axes", " ".join(_texts(summary.get("AxisOrder")))),
        ("comment", first_of([summary], ["Comment"])),
    )
    return AcquisitionFacts(
        spacing_um_xyz=(pixel, pixel, step),
        planes=None,
        acquired_at=iso_time(_ZONE.sub(r"\1:\2", started)),
        sidecar=sidecar,
        settings=tuple(reader.settings),
        doubts=tuple(reader.doubts),
    )


def _unless_zero(text: str) -> str:
    return "" if text.strip("0.") == "" else text


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _of_text(path: str) -> tuple[dict[str, Any], str]:
    text = decoded(read_beginning(path, _BEGINNING)[0])
    mark = _SUMMARY.search(text)
    if mark is None:
        raise AcquisitionFileError('has no "Summary"')
    return _object_at(text, mark.end()), text


def _of_head(path: str) -> tuple[dict[str, Any], str]:
    data, _ = read_beginning(path, _BEGINNING)
    order = "<" if data[:2] == b"II" else ">"
    mark, length = struct.unpack_from(f"{order}II", data, 20) if len(data) > 28 else (0, 0)
    if mark != _SUMMARY_MARK:
        raise AcquisitionFileError("has no summary of NDTiff at its beginning")
    return _object_at(decoded(data[28 : 28 + length]), 0), ""


def _object_at(text: str, start: int) -> dict[str, Any]:
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise AcquisitionFileError(f"has a summary that is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise AcquisitionFileError("has a summary that is no JSON object")
    return found
