"""The facts of an image as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import in_flags
from spimpack_tasks.files.limits import as_size
from spimpack_tasks.images.info import find_unused
from spimpack_tasks.volumes.axis_names import HINT as AXES_HINT
from spimpack_tasks.volumes.ome_zarr.header_extras import STITCHING_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.images.info import ImageInfo

_WIDTH = 12
"""Characters of a name with the blanks behind it."""
_MOST = 16
"""Channels, files or doubts that are listed; the others are counted."""


def describe_lines(info: ImageInfo, original: Mapping[str, str]) -> list[str]:
    """Return the facts, a line or a few each; what the file does not say is said to be unknown.

    Parameters
    ----------
    info
        The facts.
    original
        `info.original`, which reads the file at each call.
    """
    lines = [info.path]
    for name, texts in _facts(info, original):
        for number, text in enumerate(texts):
            lines.append(f"  {name if number == 0 else '':<{_WIDTH}}{text}")
    return lines


def _facts(info: ImageInfo, original: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    yield "format", [info.format]
    yield "voxels", [f"{_sizes(info)}, {info.dtype}, {as_size(info.size_bytes)}"]
    if info.unclear:
        yield "unclear", [f"{info.unclear}; {in_flags(AXES_HINT)}"]
    yield "voxel size", [_spacing(info)]
    if info.shape and info.shape[0] > 1:
        step = info.time_step_s
        yield "time step", [f"{step:g} s" if step else "unknown"]
    yield "channels", _channels(info)
    if len(info.level_shapes) > 1:
        yield "levels", [" x ".join(map(str, shape[-1:0:-1])) for shape in _spatial(info)]
    for name, texts in (
        ("scenes", list(info.scenes)),
        ("metadata", [f"{key}: {len(text):,} characters" for key, text in original.items()]),
        ("not used", list(find_unused(original))),
        ("other files", list(info.files[1:])),
        ("left out", list(info.left_out)),
        ("also", list(info.extras)),
        ("acquired", [info.acquired_at] if info.acquired_at else []),
        ("orientation", [info.orientation_xyz] if info.orientation_xyz else []),
        ("microscope", [f"{k}: {v}" for k, v in info.instrument.items() if k != STITCHING_KEY]),
        ("stitched", [str(info.instrument[k]) for k in (STITCHING_KEY,) if k in info.instrument]),
        ("doubtful", list(info.doubts)),
        ("decided", [f"{d.field} {d.value}: {d.rule}" for d in info.decisions]),
    ):
        if texts:
            yield name, _bounded(texts)


def _sizes(info: ImageInfo) -> str:
    sizes = zip(info.stored_axes, info.stored_shape, strict=True)
    return " x ".join(f"{n:,} {axis}" for axis, n in sizes if n > 1 or axis in "zyx")


def _spacing(info: ImageInfo) -> str:
    texts = [
        f"{axis} {'unknown' if size is None else f'{size:g} um'}"
        for axis, size in zip("xyz", info.spacing_um_zyx[::-1], strict=True)
    ]
    return ", ".join(texts)


def _channels(info: ImageInfo) -> list[str]:
    if not any(channel.name or channel.colour for channel in info.channels):
        count = len(info.channels)
        return [f"{count}, without names"] if count > 1 else ["1, without a name"]
    texts = [
        f"{number} {channel.name or 'without a name'}"
        + (f" #{channel.colour}" if channel.colour else "")
        for number, channel in enumerate(info.channels, 1)
    ]
    return _bounded(texts)


def _spatial(info: ImageInfo) -> list[tuple[int, ...]]:
    """Return sizes of levels along z, y, x, behind one that is left out."""
    return [(0, shape[1], shape[3], shape[4]) for shape in info.level_shapes]


def _bounded(texts: list[str]) -> list[str]:
    more = len(texts) - _MOST
    return [*texts[:_MOST], f"and {more:,} more"] if more > 1 else texts
