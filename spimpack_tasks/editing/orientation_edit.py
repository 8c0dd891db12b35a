"""Reads the initial orientation and stains from the row of an image, and composes new cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.manifest.rows import split_names
from spimpack_tasks.model.orientation import CANONICAL, normalise_orientation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.volumes.header import Header

ORIENTATION, STAINS = "orientation_string_xyz", "sample_staining"


class StainRefusedError(SpimpackError):
    """A stain cannot be written into a row; the message names it."""


def first_code(cells: Mapping[str, str], header: Header) -> str:
    """Return the code of a row, or that of the header, or the simplest one."""
    own = normalise_orientation(cells.get(ORIENTATION, ""))
    return own or header.orientation_xyz or CANONICAL


def first_stains(cells: Mapping[str, str], header: Header) -> list[str]:
    """Return a stain for each channel: those of a row, then the names that the header has."""
    own = [name for name in split_names(cells.get(STAINS, "")) if name]
    names = [*header.channel_names, *[""] * header.channel_count][: header.channel_count]
    return [*own, *names[len(own) :]]


def cells_for(code: str, stains: Sequence[str]) -> dict[str, str]:
    """Return the cells for the orientation and stains that the user confirms.

    If all stains are empty, their cell stays unchanged.

    Raises
    ------
    StainRefusedError
        A stain contains a separator, or a stain before the last one is empty.
    """
    names = [name.strip() for name in stains]
    while names and not names[-1]:
        names.pop()
    for number, name in enumerate(names, start=1):
        if not name:
            message = f"channel {number} has no stain; give it one, such as unknown"
            raise StainRefusedError(message)
        if len(split_names(name)) > 1:
            message = f"{name!r} is more than one stain; give each channel one"
            raise StainRefusedError(message)
    return {ORIENTATION: code, **({STAINS: ";".join(names)} if names else {})}
