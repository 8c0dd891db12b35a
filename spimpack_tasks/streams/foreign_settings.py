"""Settings of other packages as ours: plans of useq-schema, and settings of ome-writers.

Neither package is imported: their public attributes are read. Of a plan its events count, so all
kinds of plans are understood: grids, wells, stacks, plans within positions.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from itertools import pairwise, product
from math import isclose
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import InputError, Place, Problem, Report
from spimpack_tasks.streams.settings import AcquisitionSettings
from spimpack_tasks.streams.values import Channel, Dimension, Plate, Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WELL = re.compile(r"([A-Z]+)([0-9]+)(?:_(\w+))?")
_LETTERS = {"t": "t", "p": "p", "g": "p", "c": "c", "z": "z"}
"""Our axis for each of a plan; a grid is a row of positions."""
_CODECS: dict[str, dict[str | None, str]] = {
    "ome-zarr": {None: "none", "none": "none", "blosc-zstd": "blosc", "zstd": "blosc"}
    | {"blosc-lz4": "lz4"},
    "ome-tiff": {None: "none", "none": "none"},
}
"""Our codecs for those of ome-writers. Chunks of `zstd` become chunks of Blosc with zstd in it."""
_PLAN, _SETTINGS = "MDASequence", "ome_writers.AcquisitionSettings"


def settings_of(
    given: Any,
    *,
    frame_yx: tuple[int, int] | None = None,
    pixel_size_um: float | None = None,
    **more: Any,
) -> AcquisitionSettings:
    """Return settings for what another package describes.

    Parameters
    ----------
    given
        A `useq.MDASequence`, an `ome_writers.AcquisitionSettings`, or settings of ours.
    frame_yx
        Pixels of a frame along y and x, which a plan does not have.
    pixel_size_um
        Size of a pixel, which a plan does not have either.
    more
        Settings of ours, such as `root_path`; they win.

    Raises
    ------
    InputError
        It cannot be written as an image, for example because a plan is jagged.
    """
    if isinstance(given, AcquisitionSettings):
        own = {each.name: getattr(given, each.name) for each in fields(given)}
        return AcquisitionSettings(**(own | more))
    if hasattr(given, "dimensions") and hasattr(given, "root_path"):
        return AcquisitionSettings(**(_of_ome_writers(given) | more))
    if hasattr(given, "axis_order") and hasattr(given, "stage_positions"):
        found = _of_plan(given, frame_yx, pixel_size_um)
        return AcquisitionSettings(**({"root_path": ""} | found | more))
    name = type(given).__name__
    raise _refusal(name, f"{name} is not known", "give a MDASequence, or AcquisitionSettings")


def _refusal(file: str, message: str, hint: str = "") -> InputError:
    report = Report()
    report.add(Problem("stream.foreign", Place(file), "", message, hint))
    return InputError(report)


def _of_ome_writers(given: Any) -> dict[str, Any]:
    name = getattr(given.format, "name", given.format)
    if name not in _CODECS:
        hint = "choose ome-zarr or ome-tiff"
        raise _refusal(_SETTINGS, f"the format {name!r} is not written", hint)
    codecs = _CODECS[name]
    if given.compression not in codecs:
        hint = f"one of: {', '.join(codec for codec in codecs if codec)}"
        raise _refusal(_SETTINGS, f"{given.compression!r} is not a codec of {name}", hint)
    order = given.storage_order
    found = {
        "root_path": given.root_path,
        "dimensions": [
            _dimension(each, has_chunks=name != "ome-tiff") for each in given.dimensions
        ],
        "dtype": given.dtype,
        "format": name,
        "compression": codecs[given.compression],
        "storage_order": order if isinstance(order, str) else tuple(order),
        "overwrite": given.overwrite,
    }
    plate = given.plate
    if plate is not None:
        names = tuple(plate.row_names), tuple(plate.column_names)
        found["plate"] = Plate(*names, plate.name or "")
    if name == "ome-tiff":
        found["tiff_files"] = _tiff_files(given.format)
    return found


def _tiff_files(given: Any) -> str:
    if getattr(given, "multi_file_metadata", "") == "companion-file":
        return "companion"
    return "single" if getattr(given, "prefer_single_file", "") == "always" else "position"


def _dimension(given: Any, *, has_chunks: bool) -> Dimension:
    kind = given.type if given.type in ("time", "channel", "space", "position") else ""
    classes: dict[str, Any] = {"channel": Channel, "position": Position}
    coords: Iterable[Any] = given.coords or ()
    if kind in classes:
        coords = [_value(classes[kind], each) for each in coords]
    return Dimension(
        name=given.name,
        count=given.count,
        type=kind,
        coords=tuple(coords),
        chunk_size=getattr(given, "chunk_size", None) if has_chunks else None,
        shard_size_chunks=getattr(given, "shard_size_chunks", None) if has_chunks else None,
        unit=(given.unit or "") if kind in ("space", "time") else "",
        scale=given.scale if kind in ("space", "time") else None,
        translation=given.translation or 0.0,
    )


def _value(wanted: Any, given: Any) -> Any:
    """Return a channel or position with the attributes of another one, as far as they are given."""
    told = {each.name: getattr(given, each.name, None) for each in fields(wanted)}
    if "color" in told and told["color"] is not None:
        told["color"] = _hexadecimal(told["color"])
    return wanted(**{key: value for key, value in told.items() if value is not None})


def _hexadecimal(colour: Any) -> str:
    """Return a colour of any kind in six digits, nothing where that is not known."""
    if hasattr(colour, "hex"):
        colour = colour.hex
    text = str(colour).lstrip("#")
    return text[:6] if re.fullmatch("[0-9A-Fa-f]{6}([0-9A-Fa-f]{2})?", text) else ""


def _of_plan(
    plan: Any, frame_yx: tuple[int, int] | None, pixel_size_um: float | None
) -> dict[str, Any]:
    if frame_yx is None:
        hint = "give frame_yx=(height, width)"
        raise _refusal(_PLAN, "a plan does not have the number of pixels of a frame", hint)
    events = [each for each in plan if _takes_image(each)]
    if not events:
        raise _refusal(_PLAN, "the plan has no frames")
    order = [_letter(axis) for axis in plan.axis_order]
    places = [{_letter(axis): at for axis, at in each.index.items()} for each in events]
    axes = [axis for axis in order if any(axis in place for place in places)]
    _check_loops(axes, places)
    _check_neighbours(axes)
    dims: dict[str, Dimension] = {}
    for axis in axes:
        letter = _LETTERS[axis]
        if letter not in dims:
            dims[letter] = _plan_dimension(letter, axes, places, events)
    y, x = frame_yx
    sides = [Dimension("y", y, scale=pixel_size_um), Dimension("x", x, scale=pixel_size_um)]
    found: dict[str, Any] = {"dimensions": [*dims.values(), *sides]}
    plate = getattr(plan.stage_positions, "plate", None)
    if plate is not None:
        found["plate"] = Plate.of_shape(plate.rows, plate.columns, str(plate.name or ""))
    return found


def _letter(axis: Any) -> str:
    return str(getattr(axis, "value", axis))


def _takes_image(event: Any) -> bool:
    """Tell whether an event gives a frame; others focus, for example."""
    action = getattr(event, "action", None)
    return getattr(action, "type", "acquire_image") == "acquire_image"


def _check_loops(axes: Sequence[str], places: Sequence[dict[str, int]]) -> None:
    """Refuse a plan that is not a nest of loops.

    Raises
    ------
    InputError
        Frames are left out, or come in another order.
    """
    counts = [max(place.get(axis, 0) for place in places) + 1 for axis in axes]
    found = [tuple(place.get(axis, -1) for axis in axes) for place in places]
    wanted = [*product(*map(range, counts))]
    if found == wanted:
        return
    lacking = sorted({*wanted} - {*found})
    if not lacking:
        hint = "order its axes so that each is run through within the one before"
        raise _refusal(_PLAN, "the frames of the plan do not come in the order of its axes", hint)
    at = ", ".join(f"{axis}={step}" for axis, step in zip(axes, lacking[0], strict=True))
    more = f", nor at {len(lacking) - 1:,} other places" if len(lacking) > 1 else ""
    message = f"the plan is jagged: it has no frame at {at}{more}"
    hint = "acquire each step of each axis, or write settings and skip() those frames"
    raise _refusal(_PLAN, message, hint)


def _check_neighbours(axes: Sequence[str]) -> None:
    if "p" in axes and "g" in axes and abs(axes.index("p") - axes.index("g")) > 1:
        message = "positions and their grid are not run through one behind the other"
        raise _refusal(_PLAN, message, f"order the axes such as tpgcz, not {''.join(axes)}")


def _plan_dimension(
    letter: str, axes: Sequence[str], places: Sequence[dict[str, int]], events: Sequence[Any]
) -> Dimension:
    """Return the dimension of an axis of ours."""
    mine = [axis for axis in axes if _LETTERS[axis] == letter]
    others = [axis for axis in axes if axis not in mine]
    first = [
        (place, event)
        for place, event in zip(places, events, strict=True)
        if not any(place[axis] for axis in others)
    ]
    along = [event for _, event in first]
    if letter == "p":
        return Dimension("p", coords=_positions(first))
    if letter == "c":
        return Dimension("c", coords=_channels(along))
    values = [each.min_start_time if letter == "t" else each.z_pos for each in along]
    step = _step_of(values)
    unit = "second" if letter == "t" else "micrometer"
    return Dimension(letter, len(along), unit=unit, scale=abs(step) if step else None)


def _step_of(values: Sequence[float | None]) -> float | None:
    """Return the distance of values that have even distances, `None` if they have not."""
    known = [value for value in values if value is not None]
    steps = [later - earlier for earlier, later in pairwise(known)]
    if len(known) < len(values) or not steps:
        return None
    return steps[0] if all(isclose(each, steps[0], abs_tol=1e-9) for each in steps) else None


def _channels(events: Sequence[Any]) -> tuple[Channel, ...]:
    names = [str(event.channel.config) if event.channel else "" for event in events]
    if len({*names}) < len(names):
        names = [f"{event.channel.group} {name}" for event, name in zip(events, names, strict=True)]
    return tuple(map(Channel, names))


def _positions(first: Sequence[tuple[dict[str, int], Any]]) -> tuple[Position, ...]:
    """Return the positions of the first events at them, with the place of their first plane."""
    found: list[Position] = []
    for place, event in first:
        well = _WELL.fullmatch(event.pos_name or "")
        name = event.pos_name or str(place.get("p", place.get("g", 0)))
        if "p" in place and "g" in place:
            name = f"{name}_g{place['g']}"
        if name in [each.name for each in found]:
            name = f"{name}_{len(found)}"
        stage = (event.x_pos, event.y_pos, event.z_pos)
        row, column = (well[1], well[2]) if well else ("", "")
        x, y, z = (None if each is None else float(each) for each in stage)
        found.append(Position(name, row, column, x_coord=x, y_coord=y, z_coord=z))
    return tuple(found)


def dims_from_useq(  # noqa: PLR0913 - the parameters of ome-writers
    plan: Any,
    image_width: int,
    image_height: int,
    *,
    pixel_size_um: float | None = None,
    chunk_shapes: Mapping[str, int] | None = None,
    shard_shapes: Mapping[str, int] | None = None,
) -> list[Dimension]:
    """Return the dimensions of a plan of useq-schema.

    Parameters
    ----------
    plan
        The `useq.MDASequence`.
    image_width, image_height
        Pixels of a frame along x and y.
    pixel_size_um
        Size of a pixel.
    chunk_shapes
        Voxels along a chunk, by axis.
    shard_shapes
        Chunks along a shard, by axis.

    Raises
    ------
    InputError
        The plan cannot be written as an image, for example because it is jagged.
    """
    chunks, shards = chunk_shapes or {}, shard_shapes or {}
    found = _of_plan(plan, (image_height, image_width), pixel_size_um)["dimensions"]
    return [
        replace(each, chunk_size=chunks.get(each.name), shard_size_chunks=shards.get(each.name))
        for each in found
    ]


def event_metadata(event: Any) -> dict[str, Any]:
    """Return metadata of a frame for an event of a plan of useq-schema.

    Returns
    -------
    `delta_t` and `exposure_time` in seconds, and `position_x`, `position_y` and `position_z` in
    micrometres, as far as they are planned.
    """
    exposure = getattr(event, "exposure", None)
    told = {
        "delta_t": getattr(event, "min_start_time", None),
        "exposure_time": None if exposure is None else exposure / 1000,
        "position_x": getattr(event, "x_pos", None),
        "position_y": getattr(event, "y_pos", None),
        "position_z": getattr(event, "z_pos", None),
    }
    return {key: float(value) for key, value in told.items() if value is not None}
