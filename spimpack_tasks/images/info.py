"""The facts about an image, without its voxels: `probe_image`."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.volumes.examine import Source, examine_source
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.volume import check_axes, with_axes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.volumes.header import Header

ORDER = "tzcyx"
"""The axes of every image here, the slowest first."""
PAGE = "page"
"""Name of an axis in a header whose file does not say what its pages are."""


@dataclass(frozen=True, slots=True)
class ImageChannel:
    """One channel of an image."""

    name: str
    """Empty where the file has none."""
    colour: str
    """Six hexadecimal digits; empty where the file has none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A value that the file itself does not settle by one word, and where it comes from."""

    field: str
    value: str
    origin: str
    """`file`, `user` or `default`."""
    rule: str
    """The reason, in words."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image without its voxels. A value is `None` where the file does not give it."""

    path: str
    """Absolute."""
    format: str
    """Name of the format, such as `OME-TIFF`."""
    stored_axes: tuple[str, ...]
    """Names in the order of the file, the slowest first; `page` where the file does not say what
    its pages are."""
    stored_shape: tuple[int, ...]
    """Sizes along `stored_axes`."""
    shape: tuple[int, ...] | None
    """Sizes along t, z, c, y, x; `None` where it is not certain what an axis is."""
    level_shapes: tuple[tuple[int, ...], ...]
    """Of each resolution level, the full one first; nothing where `shape` is `None`."""
    dtype: str
    """As numpy names it."""
    spacing_um_zyx: tuple[float | None, float | None, float | None]
    """Distance of voxels in micrometres."""
    time_step_s: float | None
    """Seconds between two time points."""
    channels: tuple[ImageChannel, ...]
    """Names and colours, one of each channel."""
    left_out: tuple[str, ...]
    """Further contents of the file that are not this image, such as a second image."""
    files: tuple[str, ...]
    """Absolute paths of all files that make up the image."""
    acquired_at: str | None
    """ISO 8601."""
    orientation_xyz: str | None
    """Towards which side the index of x, y and z increases, such as `RPI`."""
    instrument: Mapping[str, str | float] = field(default_factory=lambda: MappingProxyType({}))
    """Sidecar keys of BIDS that the file has values for."""
    extras: tuple[str, ...] = ()
    """Further parts, such as labels."""
    doubts: tuple[str, ...] = ()
    """Impossible values in the file, which count as unknown."""
    decisions: tuple[Decision, ...] = ()
    """Values that the file does not give by itself, and where they come from."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all voxels of the full level."""
        return math.prod(self.stored_shape) * itemsize_of(self.dtype)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts under fixed keys, JSON-ready; an unknown value is `None`."""
        return {
            "path": self.path,
            "format": self.format,
            "stored_axes": list(self.stored_axes),
            "stored_shape": list(self.stored_shape),
            "shape_tzcyx": list(self.shape) if self.shape else None,
            "level_shapes_tzcyx": [list(shape) for shape in self.level_shapes],
            "dtype": self.dtype,
            "size_bytes": self.size_bytes,
            "spacing_um_zyx": list(self.spacing_um_zyx),
            "time_step_s": self.time_step_s,
            "channels": [
                {"name": each.name or None, "colour": each.colour or None} for each in self.channels
            ],
            "left_out": list(self.left_out),
            "files": list(self.files),
            "acquired_at": self.acquired_at,
            "orientation_xyz": self.orientation_xyz,
            "instrument": dict(self.instrument),
            "extras": list(self.extras),
            "doubts": list(self.doubts),
            "decisions": [
                {"field": d.field, "value": d.value, "origin": d.origin, "rule": d.rule}
                for d in self.decisions
            ],
        }


def itemsize_of(dtype: str) -> int:
    """Return the bytes of a voxel, by the name of its type."""
    bits = "".join(letter for letter in dtype if letter.isdigit())
    return int(bits) // 8 if bits else 1


def probe_image(path: str | os.PathLike[str] | Source, *, axes: str = "") -> ImageInfo:
    """Return what an image is; its voxels are not read, and nothing is written.

    Parameters
    ----------
    path
        A file or folder of any format that is read, or what `merge_files` returns.
    axes
        Names of the axes as they are stored, the slowest first, such as `"ZYX"`, where the file
        does not say it or is wrong. The decision is on record in `decisions`.

    Raises
    ------
    SourceRefusedError
        It is no image, it is damaged, or `axes` does not fit it.
    MissingExtraError
        A library that the format needs is not installed.
    """
    source, shown = find_source(path)
    header, names = read_header(source.path, source.format), axes.lower()
    if names:
        check_axes(source.path, header.shapes[0], names)
        header = with_axes(header, header.shapes, names)
    return describe(source, header, shown, names)


def find_source(path: str | os.PathLike[str] | Source) -> tuple[Source, str]:
    """Return the source at a path, or files that are merged, and its path as the user sees it.

    Raises
    ------
    SourceRefusedError
        It is no image.
    """
    if isinstance(path, Source):
        return path, path.path
    return examine_source(os.path.realpath(path), os.fspath(path)), os.path.abspath(path)


def describe(source: Source, header: Header, path: str, axes: str = "") -> ImageInfo:
    """Return the facts of a header.

    Parameters
    ----------
    source, header
        The image.
    path
        Where the user sees it, links not resolved.
    axes
        The names of the axes if the user has given them; the header has them too then.
    """
    unclear = any(axis not in ORDER for axis in header.axes if _size(header, axis) > 1)
    shapes = () if unclear else tuple(_ordered(header, shape) for shape in header.shapes)
    x, y, z = header.spacing_um_xyz
    by_user = [Decision("axes", axes.upper(), "user", "axes were given")] if axes else []
    return ImageInfo(
        path=path,
        format=source.format.name,
        stored_axes=header.axes,
        stored_shape=header.shapes[0],
        shape=shapes[0] if shapes else None,
        level_shapes=shapes,
        dtype=header.dtype,
        spacing_um_zyx=(z, y, x),
        time_step_s=header.time_step_s,
        channels=_channels(header),
        left_out=header.left_out,
        files=(path, *header.files_needed),
        acquired_at=header.acquired_at,
        orientation_xyz=header.orientation_xyz,
        instrument=header.instrument,
        extras=header.extras,
        doubts=(*header.doubts, *header.display_doubts),
        decisions=(*by_user, *_decisions(header)),
    )


def _size(header: Header, axis: str) -> int:
    return header.shapes[0][header.axes.index(axis)]


def _ordered(header: Header, shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = dict(zip(header.axes, shape, strict=True))
    return tuple(sizes.get(axis, 1) for axis in ORDER)


def _channels(header: Header) -> tuple[ImageChannel, ...]:
    names = header.channel_names or ("",) * header.channel_count
    colours = [each.colour for each in header.displays] or [""] * header.channel_count
    return tuple(map(ImageChannel, names, colours))


def _decisions(header: Header) -> list[Decision]:
    found = []
    if "c" in header.axes and header.axes.index("c") > header.axes.index("x"):
        count = str(header.channel_count)
        found.append(Decision("channels", count, "file", "the samples of a pixel are channels"))
    if header.metadata_file:
        name = os.path.basename(header.metadata_file)
        found.append(Decision("metadata", name, "file", "the file names the one that has it"))
    return [*found, *_merge_decisions(header.merged)]


def _merge_decisions(merged: Mapping[str, Any]) -> Iterator[Decision]:
    """Yield what was decided about files that are merged."""
    if not merged:
        return
    names = ", ".join(each["path"] for each in merged["files"])
    yield Decision("merge", merged["axis"], "user", f"in {merged['order']} order: {names}")
    for policy in ("shape", "dtype", "spacing", "channels"):
        if merged[policy] != "error":
            yield Decision(f"merge {policy}", merged[policy], "user", "differences are allowed")
    for each in merged["files"]:
        for axis, (before, after) in each.get("padded", {}).items():
            rule = f"zeros are added to {each['path']} along {axis}"
            yield Decision("padding", f"{before} to {after}", "user", rule)
