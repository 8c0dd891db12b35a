"""One conversion by the parameters of a task: its source, its request, and whether it was done."""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.conversion.convert_file import (
    ConversionRefusedError,
    convert_anew,
    find_files,
    is_converted,
    refusal_of,
    require_target,
)
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.merged.sources import examine_merge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.volumes.examine import Source


def identify_image(values: Mapping[str, Any]) -> str:
    """Return what a conversion is known by: its sources as they are now, and its choices."""
    chosen = [(name, str(values[name])) for name in sorted(values) if name not in _OF_THE_RUN]
    stamps = [stamp_text(path) for path in values["sources"]]
    text = "\0".join([repr(chosen), *stamps])
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


_OF_THE_RUN = frozenset({"inputs_id", "threads"})
"""Parameters that make no difference to the image."""


def has_image(values: Mapping[str, Any]) -> bool:
    """Tell whether the image of a task's parameters is there, of its sources as they are now.

    Raises
    ------
    SpimpackError, OSError
        As of `convert_file.is_converted`.
    """
    return is_converted(_source_of(values), values["image"], _request_of(values))


def require_place(values: Mapping[str, Any]) -> None:
    """Refuse an image of a task's parameters that cannot be written to its place.

    Raises
    ------
    SpimpackError, OSError
        As of `convert_file.convert_anew`.
    """
    require_target(_source_of(values), values["image"], _request_of(values))


def list_files(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return absolute path and stamp of each file that a task's parameters make an image of.

    Raises
    ------
    SpimpackError, OSError
        As of `convert_file.is_converted`.
    """
    return find_files(_source_of(values), values["image"], _request_of(values))


def make_image(values: Mapping[str, Any], threads: int, advance: Callable[[int], None]) -> bool:
    """Make the image of a task's parameters, and tell whether anything was to be done.

    Raises
    ------
    SpimpackError, OSError
        As of `convert_file.convert_anew`.
    """
    source, request = _source_of(values), _request_of(values)
    return convert_anew(source, values["image"], request, threads, advance)


def _source_of(values: Mapping[str, Any]) -> str | Source:
    sources = list(values["sources"])
    if not values["merge"]:
        if len(sources) != 1:
            message = f"{len(sources)} files are given, and no axis along which they are merged"
            raise ConversionRefusedError(message, "give merge: T, C or Z, or one file")
        return str(sources[0])
    try:
        return examine_merge(sources, values["merge"], axes=values["source_axes"])
    except SourceRefusedError as refused:
        raise refusal_of(refused) from refused


def _request_of(values: Mapping[str, Any]) -> Request:
    orientation = normalise_orientation(values["orientation"]) if values["orientation"] else None
    if values["orientation"] and orientation is None:
        message = f"{values['orientation']!r} is not an orientation; write it like RPI"
        raise ConversionRefusedError(message)
    return Request(
        codec=values["codec"],
        ngff=values["ngff"],
        name=os.path.basename(values["image"]).partition(".ome.")[0],
        orientation_xyz=orientation,
        channel_names=tuple(values["channels"]),
        spacing_um_xyz=tuple(map(float, values["spacing_um_xyz"])),
        scene=values["scene"],
        reader=values["reader"],
        source_axes="" if values["merge"] else values["source_axes"].lower(),
    )
