"""Composes the sidecar of an image: from its row first, then the manifest, then its header.

A number that contradicts the header is an error, since one of the two is wrong, and nobody would
notice later. A user who knows better names the key in the column `override_header`; the sidecar
then records the header's value under `OverriddenHeaderValues`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from os.path import basename
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.errors import Problem, suggestion
from spimpack_tasks.manifest.absent_values import settle_value
from spimpack_tasks.manifest.coerce import ValueRefusedError, plain_number
from spimpack_tasks.manifest.near_keys import near_key, near_key_problems
from spimpack_tasks.manifest.records import (
    CANONICAL,
    OWN_COLUMN,
    RESERVED,
    known_columns,
)
from spimpack_tasks.manifest.rows import CellReader, sidecar_value
from spimpack_tasks.manifest.schema_check import shown_value
from spimpack_tasks.model.channels import are_in_another_order
from spimpack_tasks.model.entities import MISSING
from spimpack_tasks.model.header_values import (
    COMPARED,
    OVERRIDDEN,
    convert_length,
    differ,
    sizes_differ,
)
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.model.plan import Origin
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from spimpack_tasks.errors import Report
    from spimpack_tasks.files.yaml_marks import Document
    from spimpack_tasks.manifest.acquisition import ToldBeside
    from spimpack_tasks.manifest.headers import HeaderFacts, Headers
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.volumes.examine import Source


class Sidecar(NamedTuple):
    """The keys of a sidecar, sorted, and where those come from that the row does not give."""

    values: dict[str, Any]
    origins: dict[str, str]


@dataclass(slots=True)
class _Keys:
    """A sidecar in the making."""

    values: dict[str, Any]
    refused: set[str]
    """Keys whose value has a reported error."""
    origins: dict[str, str] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        return key in self.values or key in self.refused

    def fill(self, key: str, value: Any, origin: Origin) -> None:
        if not self.has(key):
            self.values[key] = value
            self.origins[key] = str(origin)


def read_defaults(document: Document, report: Report) -> dict[str, Any]:
    """Return the manifest's `sidecar_defaults` as JSON values; problems go to `report`."""
    data = document.data if isinstance(document.data, dict) else {}
    given = data.get("sidecar_defaults")
    if not isinstance(given, dict):  # the schema reports any other value
        return {}
    values: dict[str, Any] = {}
    for key, raw in given.items():
        path = ("sidecar_defaults", key)
        shown = f"sidecar_defaults.{key}"
        is_column = CANONICAL.get(key, key) in known_columns()
        if key in RESERVED or is_column:
            hint = RESERVED.get(key, "each row gives it, as a column")
            place, message = document.key_place(path), "cannot be given here"
            report.add(Problem("column.reserved", place, shown, message, hint))
            continue
        report.extend(near_key_problems(key, document.key_place(path)))
        try:
            settled = settle_value(raw, document.place(path), shown, report)
            value = sidecar_value(key, settled, document.written(path))
        except ValueRefusedError as error:
            hint = error.hint or near_key(key)
            report.add(Problem(error.code, document.place(path), shown, error.message, hint))
        else:
            if value is not None:
                values[key] = value
    return values


class SidecarReader(CellReader):
    """Makes the sidecars of one manifest."""

    def __init__(
        self,
        defaults: dict[str, Any],
        required_keys: Iterable[str],
        headers: Headers,
        report: Report,
        *,
        is_raw: bool,
    ) -> None:
        super().__init__(report)
        self.defaults = defaults
        self.required_keys = [key for key in required_keys if key not in OWN_COLUMN]
        self.headers = headers
        self.is_raw = is_raw
        self._origins: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self._known: dict[Hashable, tuple[Sidecar, object]] = {}
        """Sidecars by what they are made from. Facts are kept, since their `id` is in the key."""

    def read(
        self,
        record: Record,
        source: Source | None,
        facts: HeaderFacts,
        beside: ToldBeside | None = None,
    ) -> Sidecar:
        """Return the sidecar of a row; a wrong value is `None` in it.

        Rows of a table with equal cells and equal headers share one, unless it has a problem.
        """
        cells = record.cells_without(_OF_NO_SIDECAR)
        told = id(facts), id(beside) if beside else 0
        key = None if cells is None else (cells, told, source and source.format.name)
        if key in self._known:
            return self._known[key][0]
        before = len(self.report.problems)
        sidecar = self._compose(record, source, facts, beside)
        if key is not None and len(self.report.problems) == before and len(self._known) < _MOST:
            self._known[key] = sidecar, (facts, beside)
        return sidecar

    def _compose(
        self,
        record: Record,
        source: Source | None,
        facts: HeaderFacts,
        beside: ToldBeside | None,
    ) -> Sidecar:
        keys = _Keys(*self.sidecar_columns(record, _KNOWN_COLUMNS))
        if record.cell("metadata") is not None:
            message = f"must be a mapping, not {shown_value(record.cell('metadata'))}"
            self.add(record, "metadata", "value.type", message)
        for key, value in self.defaults.items():
            keys.fill(key, value, Origin.DEFAULTS)
        orientation = self._orientation(record)
        stains = self._staining(record)
        overridden = self._overridden(record)
        if source is not None:
            self._look_for_faults(record, keys, facts, source)
            self._compare(record, keys, facts, overridden, beside)
            self._compare_channels(record, facts, stains, orientation)
            _fill_from_header(keys, facts, beside)
            for code, text in facts.remarks:
                self.warn(record, "spim_path", code, text, _HINTS_OF_REMARKS[code])
            for doubt in beside.doubts if beside else ():
                self.warn(record, "spim_path", "acquisition.doubt", doubt, _BESIDE_HINT)
            self._check_pixel_size(record, keys, facts, source)
        self._check_required(record, keys.values.keys() | keys.refused)
        values = keys.values | dict.fromkeys(keys.refused)
        values |= {"OrientationStringXYZ": orientation, "SampleStaining": stains}
        return Sidecar(dict(sorted(values.items())), self._share(keys.origins))

    def _share(self, origins: dict[str, str]) -> dict[str, str]:
        """Return the origins of the values of a sidecar, sorted; equal ones are one object."""
        told = tuple(sorted(origins.items()))
        known = self._origins.get(told)
        if known is None:
            known = self._origins[told] = dict(told)
        return known

    def _needs_header(self, keys: _Keys) -> bool:
        return self.is_raw and not keys.has("PixelSize")

    def _look_for_faults(
        self, record: Record, keys: _Keys, facts: HeaderFacts, source: Source
    ) -> None:
        key = "spim_path"
        if facts.failure and facts.problem in CHOICES:
            self.add(record, CHOICES[facts.problem], facts.problem, facts.failure)
            return
        if facts.failure and source.format.needs_header:
            self.add(record, key, "source.content", facts.failure)
            return
        if self._needs_header(keys):
            return
        if facts.doubts and not keys.has("PixelSize"):
            message = f"does not tell the size of its voxels: {'; '.join(facts.doubts)}"
            self.warn(record, key, "source.voxel-size", message, "give PixelSize and its units")
        if not facts.failure:
            return
        message = f"the header was not compared with the table: {facts.failure}"
        if not facts.missing_library:
            self.warn(record, key, "source.header", message)
        elif (record.where_missing(), facts.failure) not in self.reported:
            self.reported.add((record.where_missing(), facts.failure))
            self.warn(record, key, "source.header", message)

    def _check_pixel_size(
        self, record: Record, keys: _Keys, facts: HeaderFacts, source: Source
    ) -> None:
        """Say where the pixel size is missing; BIDS demands it of raw images."""
        if not self._needs_header(keys) or facts.problem in CHOICES:
            return
        if facts.failure and source.format.needs_header:
            keys.refused |= {"PixelSize", "PixelSizeUnits"} - keys.values.keys()
            return  # the source is refused, and a size would not help
        keys.refused |= {"PixelSize", "PixelSizeUnits"} - keys.values.keys()
        hint = "give PixelSize and PixelSizeUnits in columns, such as 1.8;1.8;4 and um"
        if facts.failure:
            message = f"is not given, and cannot be read: {facts.failure}"
        else:
            known = zip("xyz", facts.pixel_size_um, strict=False)
            reported = " and ".join(axis for axis, size in known if size is not None)
            only = f", which tells {reported} only" if reported else ""
            message = f"is neither given nor in the header of {source.path!r}{only}"
            if facts.doubts:
                message += f", because of {'; '.join(facts.doubts)}"
        self.add(record, "PixelSize", "sidecar.no-pixel-size", message, hint)

    def _compare(
        self,
        record: Record,
        keys: _Keys,
        facts: HeaderFacts,
        overridden: list[str],
        beside: ToldBeside | None,
    ) -> None:
        """Hold the numbers that the user gives against the header."""
        found = dict(_contradictions(keys.values, facts))
        for key in found.keys() & set(overridden):
            keys.values.setdefault(OVERRIDDEN, {})[key] = found[key]
            if key == "PixelSize":
                keys.values[OVERRIDDEN]["PixelSizeUnits"] = "um"
        for key in COMPARED:
            if key in found and key not in overridden:
                unit = f" {keys.values['PixelSizeUnits']}" if key == "PixelSize" else ""
                reported = json.dumps(found[key]) + (" um" if key == "PixelSize" else "")
                says = basename(beside.path) if beside and key in beside.keys else "the image"
                message = f"is {json.dumps(keys.values[key])}{unit}, but {says} says {reported}"
                hint = f"correct it, or write {key} into a column override_header to insist"
                place = key if record.has(key) else "spim_path"
                self.report.add(
                    Problem("sidecar.contradiction", record.where(place), key, message, hint)
                )

    def _compare_channels(
        self, record: Record, facts: HeaderFacts, stains: list[str], orientation: str
    ) -> None:
        count = facts.channel_count
        if stains and count not in {None, len(stains)}:
            message = f"names {len(stains)} of the image's {count} channels"
            if len(stains) > (count or 0):
                message = f"names {len(stains)} channels, but the image has {count}"
            hint = "name every channel, in order, with semicolons between them"
            self.warn(record, "sample_staining", "sidecar.channels", message, hint)
        elif are_in_another_order(stains, facts.channel_names):
            message = f"is {'; '.join(stains)}, but the image says {'; '.join(facts.channel_names)}"
            hint = "name the channels in the order of the image"
            self.warn(record, "sample_staining", "sidecar.channel-order", message, hint)
        if orientation and facts.orientation_xyz not in {None, orientation}:
            message = f"is {orientation}, but the image says {facts.orientation_xyz}"
            hint = "the table's is written; look at the image if you are not sure"
            self.warn(record, "orientation_string_xyz", "sidecar.orientation", message, hint)

    def _overridden(self, record: Record) -> list[str]:
        key = "override_header"
        if not record.has(key):
            return []
        names = [name for name in self.names(record, key) or [] if name not in {"", MISSING}]
        for name in names:
            if name not in COMPARED:
                hint = suggestion(name, COMPARED) or f"one of: {', '.join(COMPARED)}"
                message = f"{shown_value(name)} is not compared with the header"
                self.add(record, key, "value.choice", message, hint)
        return names

    def _check_required(self, record: Record, given: set[str]) -> None:
        """Report missing keys that the manifest or another key requires, each at its place."""
        dependent = load_schema("sidecar")["dependentRequired"]
        for key in given & dependent.keys():
            for other in dependent[key]:
                if other not in given:
                    message, hint = f"is missing beside {key}", "BIDS wants both"
                    self.add_once(record, other, "sidecar.incomplete", message, hint)
                    given = given | {other}
        for key in self.required_keys:
            if key not in given:
                hint = f"RequiredMicroscopyFields asks for it; give it in a column {key}"
                hint += "" if key[:1].isupper() else ", listed under sidecar_columns"
                self.add_once(record, key, "sidecar.required", "is missing or empty", hint)

    def _orientation(self, record: Record) -> str:
        key = "orientation_string_xyz"
        hint = "write one letter each of L/R, A/P and S/I, such as RPI; spimpack qc shows which"
        if self.is_empty(record, key, hint):
            return ""
        text = self.text(record, key)
        code = normalise_orientation(text)
        if code is None and text:
            message = f"{shown_value(text)} is not an orientation"
            self.add(record, key, "value.orientation", message, hint)
        return code or ""

    def _staining(self, record: Record) -> list[str]:
        key = "sample_staining"
        names = self.names(record, key) if record.has(key) else None
        if names is None:
            return []
        if not any(names):
            self.add(record, key, "value.empty", "is empty", "name the stain of each channel")
            return []
        if "" in names:
            hint = "name every channel, in order, with one semicolon between two"
            message = f"{shown_value(record.cell(key))} leaves a channel out"
            self.add(record, key, "value.staining", message, hint)
            return []
        return names


def _contradictions(
    values: dict[str, Any], facts: HeaderFacts
) -> Iterable[tuple[str, float | str | list[float | None]]]:
    """Yield the keys whose value differs from the header's, with the latter."""
    size, unit = values.get("PixelSize"), values.get("PixelSizeUnits")
    if size and unit and sizes_differ(size, unit, facts.pixel_size_um):
        yield "PixelSize", [n if n is None else plain_number(n) for n in facts.pixel_size_um]
    for key in COMPARED[1:]:
        reported = facts.instrument.get(key)
        if key in values and isinstance(reported, float | int) and differ(values[key], reported):
            yield key, plain_number(reported)


def _fill_from_header(keys: _Keys, facts: HeaderFacts, beside: ToldBeside | None) -> None:
    def origin(key: str) -> Origin:
        return Origin.ACQUISITION if beside and key in beside.keys else Origin.HEADER

    known = [size for size in facts.pixel_size_um if size is not None]
    is_whole = bool(known) and len(known) == len(facts.pixel_size_um)
    if is_whole and not keys.has("PixelSize") and "PixelSizeUnits" not in keys.refused:
        unit = keys.values.get("PixelSizeUnits", "um")
        size = [plain_number(convert_length(each, "um", unit)) for each in known]
        keys.fill("PixelSizeUnits", unit, origin("PixelSize"))
        keys.fill("PixelSize", size, origin("PixelSize"))
    for key, value in facts.instrument.items():
        keys.fill(key, _plain_value(value), origin(key))
    if beside and beside.settings:
        keys.fill("OtherAcquisitionParameters", beside.settings, Origin.ACQUISITION)


def _plain_value(value: str | float | list[float]) -> str | float | list[float]:
    if isinstance(value, list):
        return [plain_number(each) for each in value]
    return value if isinstance(value, str) else plain_number(value)


_KNOWN_COLUMNS = frozenset(known_columns())
CHOICES = {"source.scene": "scene", "source.axes": "axes"}
"""Columns that choose what a file leaves open, by the code of the problem that it does."""
_BESIDE_HINT = (
    "these values of the file are left out: look whether it belongs to this image, or give the "
    "right values as columns"
)
_HINTS_OF_REMARKS = {
    "source.other-axes": "leave the column axes empty, unless the file is wrong",
    "source.frames-lost": "record again, if each frame has to lie where it is expected",
    "source.gap": "look for the file that is missing, or write merge_gaps=accept",
}
_OF_NO_SIDECAR = _KNOWN_COLUMNS - {
    *("metadata", "orientation_string_xyz", "sample_staining", "override_header"),
}
"""Columns that a sidecar does not depend on."""
_MOST = 4096
"""Sidecars that are kept for rows to come: where most differ, keeping more is of no use."""
