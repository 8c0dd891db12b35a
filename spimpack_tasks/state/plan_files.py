"""The files of a saved plan: one for the dataset, and one for each bucket of assets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spimpack_tasks.model.plan import KINDS, Kind, Output, Step
from spimpack_tasks.model.selection import WHOLE, Selection
from spimpack_tasks.volumes.examine import format_of_source
from spimpack_tasks.volumes.formats import PHOTO_FORMATS, PLANE_FOLDER, format_of

_STEPS = {step.value: step for step in Step}

_NAMES = Output._fields[: Output._fields.index("format") + 1]
_OF_SOURCES = frozenset({Kind.IMAGE.value, Kind.COMPANION.value})
"""Kinds whose outputs carry the format of their source."""
_SOURCE = _NAMES.index("source") - 3
_TARGET = _NAMES.index("target") - 3
"""A saved plan does not say whether an image is converted. The request of one that is begins with a
brace, which no link of a plan does: it is absolute, or begins with a name or a dot."""
_FIELDS_BEFORE_FORMAT = _NAMES.index("format") - 3
"""Counted behind path, step and kind."""


@dataclass(frozen=True, slots=True)
class PlanPart:
    """One file of a saved plan."""

    backend: str
    parts: tuple[str, ...]
    """The names of all parts of the plan; nothing in plans of early versions."""
    outputs: tuple[Output, ...]


def part_of(data: dict[str, Any]) -> PlanPart:
    """Return the part that a file holds."""
    outputs = tuple(_output_of(*values) for values in data["outputs"])
    return PlanPart(data["backend"], tuple(data.get("parts", ())), outputs)


def _output_of(path: str, step: str, kind: str, *rest: Any) -> Output:
    count = len(rest) - 1 if isinstance(rest[-1], int) else len(rest)
    return Output(  # type: ignore[misc]  # the saved fields end before the last
        path,
        _STEPS[step],
        KINDS[kind],
        *_with_format(kind, [*rest[: min(count, _FIELDS_BEFORE_FORMAT + 1)]]),
        selection=Selection(*rest[count - 1]) if count > _FIELDS_BEFORE_FORMAT + 1 else WHOLE,
        is_converted=kind == Kind.IMAGE and rest[_TARGET].startswith("{"),
        part_count=rest[-1] if count < len(rest) else 0,
    )


def _with_format(kind: str, rest: list[Any]) -> list[Any]:
    """Return the last fields of an output as it was planned.

    The format of most sources is not written, since their names tell it. So a plan is the same file
    that earlier versions wrote.
    """
    is_short = kind in _OF_SOURCES and len(rest) == _FIELDS_BEFORE_FORMAT
    return [*rest, _format_told(rest[_SOURCE])] if is_short else rest


def _format_told(source: str) -> str:
    """Return the name of the format that a source has by its own name, or by what lies in it.

    A folder that is gone counts as one of planes: nothing can be read in it anyway.
    """
    found = format_of_source(source) or format_of(source, PHOTO_FORMATS)
    return (found or PLANE_FOLDER).name


def values_of(output: Output) -> list[Any]:
    """Return an output as a saved plan holds it; its format only where the source has it not.

    The choice in the source follows its format, if there is one. The number of parts comes last, if
    there are any.
    """
    values: list[Any] = [*output[: len(_NAMES) - 1]]
    form = output.format
    if output.selection != WHOLE:
        values += [form, output.selection.parts]
    elif form and form != _format_told(output.source):
        values.append(form)
    return [*values, output.part_count] if output.part_count else values
