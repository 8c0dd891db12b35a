"""Positions of the voxels of each level of an OME-Zarr, and the properties of a label image.

Facts: NGFF 0.4 and 0.5 (coordinateTransformations, image-label).
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.quantities import QuantityError, unit_in_um
from spimpack_tasks.volumes.ome_zarr.header import (
    MOST_LEVELS,
    find_attributes,
    find_axes,
    find_multiscale,
    open_directory,
)
from spimpack_tasks.volumes.ome_zarr.header_extras import find_transform

if TYPE_CHECKING:
    from collections.abc import Mapping

    AxisTransform = tuple[Fraction, Fraction]


NO_UNITS: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LevelTransforms:
    """How the indices of each level become places."""

    lines: tuple[Mapping[str, AxisTransform] | None, ...]
    """For each level, by the name of an axis, the scale and the translation, in micrometres where
    the axis has a unit; `None` where transformations are not sound."""
    image_label: dict[str, Any] | None
    """Colours and properties of labels, as they stand in the file."""
    units: Mapping[str, object] = field(default_factory=dict)
    """The unit of each axis that has one."""


def read_level_transforms(path: str, units: Mapping[str, object] = NO_UNITS) -> LevelTransforms:
    """Return the grid of an OME-Zarr directory.

    Parameters
    ----------
    path
        Of the directory.
    units
        Those of axes to which the file gives none: labels lie in the units of their image.

    Raises
    ------
    HeaderError
        It is damaged.
    """
    store = open_directory(path)
    attributes, _ = find_attributes(store)
    multiscale = find_multiscale(store, attributes)
    axes = find_axes(store, multiscale)
    known = {a["name"]: a.get("unit") or units.get(a["name"]) for a in axes}
    factors = [_factor(known[axis["name"]]) for axis in axes]
    lines: list[Mapping[str, AxisTransform] | None] = []
    for dataset in multiscale.get("datasets", [])[:MOST_LEVELS]:
        found = find_transform(multiscale, dataset, len(axes))
        if found is None or not all(found.scale):
            lines.append(None)
            continue
        numbers = zip(axes, factors, found.scale, found.translation, strict=True)
        lines.append({a["name"]: (_exact(s) * f, _exact(t) * f) for a, f, s, t in numbers})
    return LevelTransforms(tuple(lines), _image_label(attributes), known)


def refuse_label_image(path: str) -> None:
    """Refuse an OME-Zarr whose voxels are numbers of labels: no smaller level is their mean.

    Raises
    ------
    HeaderError
        It is one, or its metadata cannot be read.
    """
    store = open_directory(path)
    if find_attributes(store)[0].get("image-label") is not None:
        what = "is a label image, whose numbers have no mean, so smaller levels cannot be made"
        raise store.error(what, "give the image in whose folder 'labels' it lies")


def _factor(unit: object) -> Fraction:
    """Return micrometres of a unit; what is no known length is left as it is."""
    with suppress(QuantityError):
        factor = unit_in_um(unit) if isinstance(unit, str) else None
        if factor is not None:
            return Fraction(factor)
    return Fraction(1)


def _exact(number: float) -> Fraction:
    """Return the number that the shortest text of a float has."""
    return Fraction(repr(number))


def _image_label(attributes: dict[str, Any]) -> dict[str, Any] | None:
    told = attributes.get("image-label")
    try:
        json.dumps(told, allow_nan=False)
    except ValueError:  # no number that JSON has
        return None
    return dict(told) if isinstance(told, dict) else None
