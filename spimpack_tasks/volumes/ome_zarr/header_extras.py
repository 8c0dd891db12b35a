"""Contents of an OME-Zarr besides the levels of its image: place, labels, provenance, other images.

A conversion to OME-Zarr keeps position and labels, and nothing else. It names the contents that it
leaves out. Facts: NGFF 0.4 and 0.5 (coordinateTransformations, labels).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.quantities import EXACT, QuantityError, parse_number, unit_in_um
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import UNKNOWN_SPACING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spimpack_tasks.volumes.header import Header, SpacingXYZ

    Json = dict[str, Any]

PROVENANCE = "spimpack_tasks"
"""Key of the attributes under which it stands what an image was made from."""
STITCHING_KEY = "StitchingParameters"
"""Key of the sidecar: how a stitched volume was made, as JSON."""
EARLIER = "earlier"
"""Key of the provenance of the OME-Zarr that an image was converted from, as JSON."""
MOST_LABELS = 256
"""Label images that are looked at; real stores have a few."""
_LARGEST = 1e300
"""Larger numbers are no coordinates."""
_LONGEST = 100
"""Characters of a name in a message."""


@dataclass(frozen=True, slots=True)
class Transform:
    """How indices along the axes of a level become places: times a scale, plus a translation."""

    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """Where an image lies, as far as that is known."""

    origin_um_xyz: SpacingXYZ = UNKNOWN_SPACING
    extras: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """The label images of an image."""

    places: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def find_transform(multiscale: Json, dataset: Json, count: int) -> Transform | None:
    """Return the transformations of a level and then of all, `None` where they are not sound."""
    scale, translation = [1.0] * count, [0.0] * count
    for owner in (dataset, multiscale):
        steps = owner.get("coordinateTransformations", [])
        for step in steps if isinstance(steps, list) else [None]:
            told: Json = step if isinstance(step, dict) else {}
            kind = str(told.get("type"))
            if kind == "identity":
                continue
            numbers = _numbers(told.get(kind), count)
            if kind not in {"scale", "translation"} or numbers is None:
                return None
            if kind == "scale":
                scale = [a * b for a, b in zip(scale, numbers, strict=True)]
                translation = [a * b for a, b in zip(translation, numbers, strict=True)]
            else:
                translation = [a + b for a, b in zip(translation, numbers, strict=True)]
    return Transform(tuple(scale), tuple(translation))


def _numbers(value: object, count: int) -> list[float] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    try:
        numbers = [float(parse_number(each)) for each in value]
    except QuantityError:
        return None
    return numbers if all(math.isfinite(n) and abs(n) < _LARGEST for n in numbers) else None


def find_position(axes: Sequence[Json], multiscale: Json, dataset: Json) -> Position:
    """Return where the first voxel of an image lies, if not at zero."""
    transform = find_transform(multiscale, dataset, len(axes))
    if transform is None:
        return Position(left_out=_strange_steps(multiscale, dataset))
    if not any(transform.translation):
        return Position()
    found: dict[str, float] = {}
    lost = []
    for axis, number in zip(axes, transform.translation, strict=True):
        place = _in_um(axis, number)
        if place is not None:
            found[axis["name"]] = place
        elif number:
            lost.append(f"a translation of {number:g} along {axis['name']}")
    told = ", ".join(f"{name} {found[name]:g} um" for name in "xyz" if found.get(name))
    extras = (f"a translation, {told}",) if told else ()
    return Position((found.get("x"), found.get("y"), found.get("z")), extras, tuple(lost))


def _strange_steps(multiscale: Json, dataset: Json) -> tuple[str, ...]:
    """Describe transformations that are not read; unsound scales are reported elsewhere."""
    steps = [
        step
        for owner in (dataset, multiscale)
        for step in _items(owner.get("coordinateTransformations"))
        if not isinstance(step, dict) or step.get("type") not in {"scale", "identity"}
    ]
    return ("coordinateTransformations other than numbers of scale and translation",) * bool(steps)


def _in_um(axis: Json, number: float) -> float | None:
    """Return a place along an axis of space in micrometres."""
    unit = axis.get("unit")
    if axis["name"] not in {"x", "y", "z"} or not isinstance(unit, str):
        return None
    try:
        factor = unit_in_um(unit)
    except QuantityError:
        return None
    return None if factor is None else float(EXACT.multiply(parse_number(number), factor))


def name_other_images(multiscales: object) -> tuple[str, ...]:
    """Return what a message calls the multiscales behind the first."""
    names = []
    for number, each in enumerate(_items(multiscales)[1:], start=2):
        name = each.get("name") if isinstance(each, dict) else None
        shown = f" {name[:_LONGEST]!r}" if isinstance(name, str) and name else ""
        names.append(f"image {number}{shown}")
    return tuple(names)


def sort_labels(folder: str, told: Json, read: Callable[[str], Header]) -> Labels:
    """Return which of the label images in a folder can be taken, and why others cannot.

    Parameters
    ----------
    folder
        Where they lie; it ends with `/`.
    told
        Attributes of the folder.
    read
        Returns the header of the image at a place that ends with `/`.
    """
    places, extras, left_out = [], [], []
    for name in _items(told.get("labels"))[:MOST_LABELS]:
        shown = f"labels {repr(name)[:_LONGEST]}"
        fault = _fault_of_label(folder, name, read)
        if fault:
            left_out.append(f"{shown}, {fault}")
        else:
            places.append(f"{folder}{name}")
            extras.append(shown)
    return Labels(tuple(dict.fromkeys(places)), tuple(extras), tuple(left_out))


def _fault_of_label(folder: str, name: object, read: Callable[[str], Header]) -> str:
    """Return why a label image cannot be taken, nothing if it can."""
    is_name = isinstance(name, str) and name.isprintable() and name not in {"", ".", ".."}
    if not is_name or "/" in str(name):
        return "which is no name of a folder"
    try:
        header = read(f"{folder}{name}/")
    except HeaderError as error:
        return f"which cannot be read: {error.message}"
    if re.fullmatch("u?int(8|16|32|64)", header.dtype) is None:
        return f"whose voxels have the type {header.dtype}"
    strange = [axis for axis in header.axes if axis not in set("tczyx")]
    return f"which have an axis {strange[0]!r}" if strange else ""


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def list_generations(told: Any) -> Iterator[dict[str, Any]]:
    """Yield the provenance of an image, then that of the OME-Zarr it was made from, and so on.

    Parameters
    ----------
    told
        The provenance as the attributes have it; what is none yields nothing.
    """
    while isinstance(told, dict):
        yield told
        told = _read_object(told.get(EARLIER))


def find_stitching(told: Any) -> dict[str, str]:
    """Return how the voxels of an image were stitched, by its key of the sidecar.

    Nothing is returned of an image that was not stitched, or whose parameters are no JSON object.
    """
    for generation in list_generations(told):
        text = generation.get("parameters")
        is_told = isinstance(text, str) and _read_object(text) is not None
        if is_told and "stitched_from" in generation:
            return {STITCHING_KEY: str(text)}
    return {}


def _read_object(text: Any) -> dict[str, Any] | None:
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
