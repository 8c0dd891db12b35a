"""Reads states of Neuroglancer: sources of images, and points of annotation layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DEFAULT_ORDER = ("z", "y", "x", "t")
"""Order of the numbers of a point where a layer does not say it."""

_PLACES = {"point": ("point",), "line": ("pointA", "pointB")}
"""Keys of the places of an annotation by its type; other types make no track."""
_UM_PER_UNIT = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "nm": 1e-3}


class AnnotationError(SpimpackError):
    """A layer has no points that make a track."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, message: str, hint: str = "correct probe_id, or annotate the track") -> None:
        super().__init__(message)
        self.hint = hint
        """The remedy."""


@dataclass(frozen=True, slots=True)
class TrackPoints:
    """Points of a layer in the order of the file, as continuous indices of voxels."""

    index_zyx: tuple[tuple[float, float, float], ...]
    step_um_zyx: tuple[float, ...] = ()
    """Sizes of the voxels that the layer counts; empty where it does not say them."""


def image_sources(state: Any) -> list[str]:
    """Return the addresses of all image layers, the first layer first, without their prefixes.

    A source is a text, an object with `url`, or a list of both.
    """
    return [
        _plain(url)
        for layer in _layers(state)
        if layer.get("type") == "image"
        for url in _urls(layer.get("source"))
    ]


def _layers(state: Any) -> Iterator[dict[str, Any]]:
    layers = state.get("layers") if isinstance(state, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict):
            yield layer


def _urls(source: Any) -> Iterator[str]:
    for each in source if isinstance(source, list) else [source]:
        url = each.get("url") if isinstance(each, dict) else each
        if isinstance(url, str) and url:
            yield url


def _plain(url: str) -> str:
    """Return an address without the name of its format before or behind it."""
    return url.removeprefix("zarr://").partition("|")[0].rstrip("/")


def layer_points(state: Any, name: str) -> TrackPoints:
    """Return the points of the layer `name`; a line counts as its two ends.

    Numbers are put into order by the names of dimensions, which each layer has of its own.

    Raises
    ------
    AnnotationError
        There is no such layer, or there are two, or it has fewer than two different points, or
        something else than points and lines.
    """
    named = [
        (str(layer.get("name")), layer)
        for layer in _layers(state)
        if layer.get("type") == "annotation"
    ]
    layers, count = dict(named), sum(each == name for each, _ in named)
    if count > 1:
        message = f"has {count} annotation layers {name!r}"
        raise AnnotationError(message, "give each layer a name of its own, and save the state")
    if name not in layers:
        near = suggestion(name, layers)
        known = ", ".join(map(repr, sorted(layers))) or "none"
        message = f"has no annotation layer {name!r}; {near or f'its layers are: {known}'}"
        raise AnnotationError(message)
    layer = layers[name]
    order = _dimensions(layer) or _DEFAULT_ORDER
    missing = [axis for axis in "zyx" if axis not in order]
    if missing:
        message = f"has a layer {name!r} without a dimension {missing[0]!r}: {', '.join(order)}"
        raise AnnotationError(message)
    found: list[tuple[float, float, float]] = []
    for point in _points(layer, name):
        if len(point) < max(order.index(axis) for axis in "zyx") + 1:
            raise AnnotationError(f"has a point in layer {name!r} with {len(point)} numbers")
        z, y, x = (point[order.index(axis)] for axis in "zyx")
        if not found or found[-1] != (z, y, x):
            found.append((z, y, x))
    if len(set(found)) < 2:
        message = f"has {len(set(found))} points in layer {name!r}; a track needs two"
        raise AnnotationError(message)
    scales = _scales_um(layer)
    has_steps = {*"zyx"} <= set(scales)
    return TrackPoints(tuple(found), tuple(scales[a] for a in "zyx") if has_steps else ())


def _scales_um(layer: dict[str, Any]) -> dict[str, float]:
    """Return the steps in which a layer counts, by its dimensions, where it has units."""
    scales = {}
    for axis, value in _output_dimensions(layer).items():
        number, unit = value if isinstance(value, list) and len(value) == 2 else (0, "")
        if isinstance(number, int | float) and number > 0 and unit in _UM_PER_UNIT:
            scales[axis] = number * _UM_PER_UNIT[unit]
    return scales


def _dimensions(layer: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_output_dimensions(layer))


def _output_dimensions(layer: dict[str, Any]) -> dict[str, Any]:
    source = layer.get("source")
    for each in source if isinstance(source, list) else [source]:
        transform = each.get("transform") if isinstance(each, dict) else None
        known = transform.get("outputDimensions") if isinstance(transform, dict) else None
        if isinstance(known, dict) and known:
            return known
    return {}


def _points(layer: dict[str, Any], name: str) -> Iterator[Sequence[float]]:
    annotations = layer.get("annotations")
    for number, each in enumerate(annotations if isinstance(annotations, list) else (), 1):
        kind = str(each.get("type", "point")) if isinstance(each, dict) else type(each).__name__
        if kind not in _PLACES:
            message = f"has a {kind} (annotation {number}) in layer {name!r}"
            raise AnnotationError(message, "annotate a track by points or lines alone")
        for key in _PLACES[kind]:
            point: Any = each.get(key)
            if not _is_point(point):
                raise AnnotationError(f"has a {key} in layer {name!r} that is no place: {point!r}")
            yield [float(number) for number in point]


def _is_point(point: Any) -> bool:
    return isinstance(point, list) and all(
        isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in point
    )
