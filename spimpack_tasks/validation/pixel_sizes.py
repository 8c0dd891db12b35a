"""Compares the pixel size in sidecars with the headers of the images."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import MissingExtraError, Severity, count_of
from spimpack_tasks.model.header_values import LENGTH_UNITS, OVERRIDDEN, convert_length, differ
from spimpack_tasks.validation.inventory import EntryKind, stem_of_image
from spimpack_tasks.validation.result import Finding
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.formats import format_of
from spimpack_tasks.volumes.read_header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spimpack_tasks.validation.dataset_files import DatasetFiles
    from spimpack_tasks.volumes.header import Header

_WITH_CONTENT = frozenset({EntryKind.FILE, EntryKind.STORE})


def check_pixel_sizes(files: DatasetFiles) -> Iterator[Finding]:
    """PixelSize in the sidecar of an image is what the header of the image says."""
    unread: Counter[str] = Counter()
    for image in files.images:
        form = format_of(image.name)
        if form is None or image.kind not in _WITH_CONTENT:
            continue
        sidecar = f"{stem_of_image(image.path)}.json"
        stated = stated_size_um(files.read_json(sidecar).values)
        if not stated:
            continue
        path = files.path(image.path)
        try:
            header = read_header(path, form)
        except MissingExtraError as error:
            unread[str(error)] += 1
        except SourceRefusedError as error:
            reason = error.message.removeprefix(repr(path)).strip()
            message = f"The pixel size was not compared with that of the image, which {reason}."
            yield _warning("SPIMPACK_HEADER_UNREADABLE", image.path, message)
        else:
            yield from _compare(stated, header, sidecar)
            yield from _look_for_set(header, image.path)
    for reason, number in unread.items():
        message = f"The pixel sizes of {count_of(number, 'image')} were not compared: {reason}"
        yield _warning("SPIMPACK_LIBRARY_MISSING", "", message)


def stated_size_um(sidecar: Mapping[str, Any]) -> Sequence[float]:
    """Return PixelSize along x, y and z in micrometres.

    Nothing where it is missing, is no list of numbers (which the official validator says), or is
    named as known to differ from the image.
    """
    size, unit = sidecar.get("PixelSize"), sidecar.get("PixelSizeUnits")
    known = sidecar.get(OVERRIDDEN)
    if isinstance(known, dict | list) and "PixelSize" in known:
        return ()
    if not isinstance(size, list) or not isinstance(unit, str) or unit not in LENGTH_UNITS:
        return ()
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in size):
        return ()
    return [convert_length(number, unit, "um") for number in size]


def _compare(stated: Sequence[float], header: Header, sidecar: str) -> Iterator[Finding]:
    wrong = [
        f"{ours:g} um along {axis}, but the image says {theirs:g} um"
        for axis, ours, theirs in zip("xyz", stated, header.spacing_um_xyz, strict=False)
        if theirs is not None and differ(ours, theirs)
    ]
    if wrong:
        remedy = f"correct it, or name PixelSize in {OVERRIDDEN}"
        message = f"PixelSize is {'; '.join(wrong)}; {remedy}."
        yield Finding("SPIMPACK_PIXEL_SIZE", "PixelSize", Severity.ERROR, sidecar, message)


def _look_for_set(header: Header, path: str) -> Iterator[Finding]:
    if header.files_needed:
        named = ", ".join(map(os.path.basename, header.files_needed[:3]))
        files = count_of(len(header.files_needed), "other file")
        message = f"The image needs {files} beside it ({named}), which BIDS has no place for."
        yield _warning("SPIMPACK_SET_INCOMPLETE", path, f"{message} Convert it to one file.")


def _warning(code: str, location: str, message: str) -> Finding:
    return Finding(code, "", Severity.WARNING, location, message)
