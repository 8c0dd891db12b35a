"""The place of a stream in a BIDS dataset: a manifest, entities, and columns of its scans table."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import InputError, Place, Problem, Report
from spimpack_tasks.manifest.coerce import ValueRefusedError, coerce_text
from spimpack_tasks.manifest.records import CANONICAL
from spimpack_tasks.manifest.rows import SCENE_COLUMN, is_label
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.streams.plain_values import make_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.streams.values import Channel, Position

_LONG = {entity.short: entity.name for entity in ENTITIES}
_FORMS = {entity.name: entity.form for entity in ENTITIES}
_OWN = ("spim_path", SCENE_COLUMN)
_NAMES = tuple(entity.name for entity in ENTITIES if not entity.derivative)
STAINS, EXCITATION, ORIENTATION = (
    "sample_staining",
    "ExcitationWavelengths",
    "orientation_string_xyz",
)


@dataclass(frozen=True, slots=True)
class BidsPlace:
    """Entities of the images of a stream, and the manifest whose scans table gets their rows."""

    manifest: str
    """Absolute path."""
    subject: str
    sample: str
    session: str = ""
    acquisition: str = ""
    stain: str = ""
    run: str = ""
    chunk: str = ""
    orientation_string_xyz: str = ""
    """Required, unless the table has it for other reasons in `columns`."""
    positions: str = "chunk"
    """The entity that tells positions apart: their numbers from 1 for `chunk` and `run`, their
    names for others."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Further cells of the row, such as `NumericalAperture`."""

    def __post_init__(self) -> None:
        """Make the path absolute, and columns texts; others than these are left to the rules."""
        make_plain(self)
        manifest: Any = self.manifest
        columns: Any = self.columns
        if manifest and isinstance(manifest, str):
            path = os.path.abspath(os.path.expanduser(manifest))
            object.__setattr__(self, "manifest", path)
        if isinstance(columns, Mapping):
            texts = {key: _as_cell(value) for key, value in columns.items()}
            object.__setattr__(self, "columns", texts)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> BidsPlace:
        """Return the place that a mapping names, whose entities may have their short names.

        Raises
        ------
        InputError
            It has other keys, or lacks one.
        """
        long = {_LONG.get(key, key): value for key, value in given.items()}
        if "orientation" in long:
            long["orientation_string_xyz"] = long.pop("orientation")
        known = [each.name for each in fields(cls)]
        report = Report()
        for key in [key for key in long if key not in known]:
            what = f"{key!r} is not a key of bids"
            report.add(_problem(key, what, f"one of: {', '.join(known)}"))
        for key in ("manifest", "subject", "sample"):
            if not long.get(key):
                report.add(_problem(key, "is missing", "give it"))
        if report.errors:
            raise InputError(report)
        return cls(**long)

    def entities(self, number: int, position: Position, *, has_positions: bool) -> dict[str, str]:
        """Return the labels of the image of a position, by entity."""
        found = {name: getattr(self, name) for name in _NAMES}
        for name, short in ((entity.name, entity.short) for entity in ENTITIES):
            if found.get(name):
                found[name] = found[name].removeprefix(f"{short}-")
        if has_positions:
            is_index = _FORMS[self.positions] == "index"
            first = int(self.chunk or 1) if self.positions == "chunk" else 1
            label = str(number + first) if is_index else position.name
            found[self.positions] = label
        return {name: label for name, label in found.items() if label}

    def cells(self, channels: tuple[Channel, ...]) -> dict[str, str]:
        """Return the cells of a row that do not depend on the position."""
        cells = {ORIENTATION: self.orientation_string_xyz}
        if channels:
            cells[STAINS] = ";".join(channel.name for channel in channels)
        waves = [channel.excitation_wavelength_nm for channel in channels]
        if waves and None not in waves:
            cells[EXCITATION] = ";".join(f"{wave:g}" for wave in waves)
        return {key: text for key, text in {**cells, **self.columns}.items() if text}


def find_faults(
    place: BidsPlace, positions: tuple[Position, ...], channels: tuple[Channel, ...], *, many: bool
) -> Iterator[tuple[str, str, str]]:
    """Yield key, message and hint of what is wrong with a place."""
    if place.positions not in _NAMES:
        yield "positions", f"{place.positions!r} is not an entity", f"one of: {', '.join(_NAMES)}"
        return
    seen: set[str] = set()
    wrong: set[str] = set()
    for number, position in enumerate(positions):
        labels = place.entities(number, position, has_positions=many)
        for name, label in labels.items():
            if name not in wrong and not is_label(_FORMS[name], label):
                wrong.add(name)
                what = "digits" if _FORMS[name] == "index" else "letters and digits"
                key = "positions" if many and name == place.positions else name
                yield key, f"{name} {label!r} has other characters than {what}", ""
        if many and labels.get(place.positions, "") in seen:
            hint = "let chunk or run number them, or give each position its own name"
            yield "positions", f"several positions have the label {position.name!r}", hint
            return
        seen.add(labels.get(place.positions, ""))
    yield from _cell_faults(place, channels)


def _cell_faults(place: BidsPlace, channels: tuple[Channel, ...]) -> Iterator[tuple[str, str, str]]:
    for key, text in place.columns.items():
        if fault := _column_fault(key, text):
            yield f"columns.{key}", *fault
    cells = place.cells(channels)
    code = cells.get(ORIENTATION)
    if not code:
        hint = "give three letters, such as RPI: towards which side x, y and z increase"
        yield ORIENTATION, "is missing; nobody can guess it later", hint
    elif normalise_orientation(str(code)) is None:
        key = f"columns.{ORIENTATION}" if ORIENTATION in place.columns else ORIENTATION
        hint = "give one letter each of L/R, A/P and S/I, such as RPI"
        yield key, f"{code!r} is not an orientation", hint
    if not cells.get(STAINS):
        yield "columns", f"lacks {STAINS}, which channels without names do not give", "add it"
    if STAINS not in place.columns:
        for channel in channels:
            if re.search("[;,\t\n]", channel.name):
                what = f"the name {channel.name!r} of a channel cannot stand in a list of stains"
                yield "columns", what, f"give {STAINS}, with semicolons between the names"


def _column_fault(key: Any, text: Any) -> tuple[str, str] | None:
    """Return message and hint of what is wrong with a further cell, in the words of tables."""
    if not isinstance(key, str) or not key.strip() or re.search("[\t\r\n]", key):
        return f"{key!r} is not the name of a column", "give a text of one line"
    name = CANONICAL.get(key, key)
    if name in _FORMS or name in _OWN:
        return "is a column that the stream writes itself", "give it as a key of bids"
    if not isinstance(text, str):
        return f"{text!r:.80} cannot stand in a cell", "give a text, a number, or a list of these"
    if re.search("[\t\r\n]", text):
        return f"{text!r} has more than one line, or tabs", "give a text of one line"
    try:
        coerce_text(key, text)
    except ValueRefusedError as error:
        return error.message, error.hint
    return None


def _problem(key: str, message: str, hint: str) -> Problem:
    return Problem("stream.bids", Place("AcquisitionSettings"), f"bids.{key}", message, hint)


def _as_cell(value: Any) -> Any:
    """Return the text of a cell, and what has none, such as a mapping, as it is."""
    if hasattr(value, "dtype"):  # a number or an array of numpy, in as few digits as tell it
        digits = str(value)
        value = [*value] if value.ndim else value.item()
        if isinstance(value, float) and isfinite(value):
            return digits
    if isinstance(value, list | tuple):
        items = [_as_cell(each) for each in value if not isinstance(each, list | tuple)]
        is_list = len(items) == len(value) and all(isinstance(each, str) for each in items)
        is_clear = is_list and not any(re.search("[;,]", each) for each in items)
        return ";".join(items) if is_clear else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if isfinite(value) else value
    return str(value) if isinstance(value, str | int) else value
