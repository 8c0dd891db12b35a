"""The metadata of an OME-Zarr: what a reader must know of axes, levels, channels and orientation.

Facts: OME-Zarr (NGFF) 0.4 and 0.5, Zarr v2 and v3, and RFC-4 for the orientation of axes. Where the
orientation is known it is written in both ways that readers look for: as RFC-4 has it, and as
`xyz_orientation`. What is not known is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.axes import ALL_AXES, of_axes
from spimpack_tasks.model.displays import Display

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import Level

_KINDS = {"t": "time", "c": "channel"}
"""What OME-Zarr calls axes but those of space."""

COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")
"""Of channels whose colour is not known, one after the other."""

PROVENANCE = "spimpack_tasks"
"""Key of the attributes under which it stands what an image was made from."""

METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup")
"""Names of the files of an OME-Zarr that hold no voxels."""

_TOWARDS = {
    "R": "left-to-right",
    "L": "right-to-left",
    "A": "posterior-to-anterior",
    "P": "anterior-to-posterior",
    "S": "inferior-to-superior",
    "I": "superior-to-inferior",
}
"""What RFC-4 calls the direction in which an index increases."""


@dataclass(frozen=True, slots=True)
class Channel:
    """How a channel is shown."""

    label: str
    colour: str
    """Six hexadecimal digits."""
    window: tuple[float, float] | None
    """The values shown as black and as full colour, `None` until they are found out."""
    limits: tuple[float, float] | None = None
    """The values between which the window can be moved, `None` for all of the data type."""
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Image:
    """What is known of an image besides its voxels."""

    name: str
    levels: tuple[Level, ...]
    dtype: Any
    """Data type of numpy; its byte order is that of the chunks."""
    spacing_um_zyx: tuple[float | None, float | None, float | None]
    """Distance of voxels of the first level; `None` where it is not known."""
    channels: tuple[Channel, ...]
    origin_um_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the first voxel of the first level lies."""
    axes: str = ALL_AXES
    """Those that it has, see `axes`."""
    orientation_xyz: str | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    """What the image was made from, and how."""
    level_lines: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Scale and translation along z, y and x of each level, where they do not follow from sizes."""
    image_label: Mapping[str, Any] | None = None
    """Of a label image what is told of its labels."""

    def spacings_zyx(self) -> list[tuple[float, ...]]:
        """Return the distance of voxels of each level, 1 where it is not known.

        Each voxel of a level is made of a whole number of voxels of the first, so its size is that
        many times theirs, whatever is left over at the far edge.
        """
        first = self.levels[0].shape[2:]
        known = [step if step is not None else 1.0 for step in self.spacing_um_zyx]
        spacings = []
        for level in self.levels:
            steps = (_step(n, m) for n, m in zip(first, level.shape[2:], strict=True))
            spacings.append(tuple(u * step for u, step in zip(known, steps, strict=True)))
        return spacings


def _step(size: int, smaller: int) -> int:
    """Return how many voxels of an axis were joined to one, a power of two, odd rests dropped."""
    step = 1
    while size > smaller:
        size //= 2
        step *= 2
    return step


def multiscales(image: Image) -> list[dict[str, Any]]:
    """Return the multiscales of the attributes."""
    known = dict(zip("zyx", image.spacing_um_zyx, strict=True))
    axes: list[dict[str, Any]] = []
    for name in image.axes:
        axis: dict[str, Any] = {"name": name, "type": _KINDS.get(name, "space")}
        if known.get(name) is not None:
            axis["unit"] = "micrometer"
        if name in known and image.orientation_xyz:
            letter = image.orientation_xyz["xyz".index(name)]
            axis["orientation"] = {"type": "anatomical", "value": _TOWARDS[letter]}
        axes.append(axis)
    others = len(image.axes) - 3
    datasets = []
    for number, lines in enumerate(image.level_lines or _lines_of_sizes(image)):
        spacing, shift = zip(*lines, strict=True)
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": [*[1.0] * others, *spacing]}]
        transforms.append({"type": "translation", "translation": [*[0.0] * others, *shift]})
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    return [{"name": image.name, "axes": axes, "datasets": datasets}]


def _lines_of_sizes(image: Image) -> list[list[tuple[float, float]]]:
    """Return scale and translation along z, y and x of each level."""
    spacings = image.spacings_zyx()
    return [
        [
            (step, origin + (step - first) / 2)
            for origin, step, first in zip(image.origin_um_zyx, spacing, spacings[0], strict=True)
        ]
        for spacing in spacings
    ]


def largest_value(dtype: Any) -> float:
    """Return the largest value of whole numbers of a type, 1 for other numbers."""
    import numpy as np

    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


def compose_channels(
    count: int, names: Sequence[str], displays: Sequence[Display]
) -> tuple[Channel, ...]:
    """Return how channels are shown: as the source has it, in colours of ours where it has none.

    Parameters
    ----------
    count
        Number of channels.
    names
        Their names; those that are missing are empty.
    displays
        One for each channel, or nothing.
    """
    channels = []
    for number in range(count):
        label = names[number] if number < len(names) else ""
        shown = displays[number] if displays else Display()
        colour = shown.colour or COLOURS[number % len(COLOURS)]
        channels.append(Channel(label, colour, shown.window, shown.limits, shown.is_active))
    return tuple(channels)


def omero(image: Image) -> dict[str, Any]:
    """Return how the channels are shown."""
    largest = largest_value(image.dtype)
    channels = []
    for channel in image.channels:
        low, high = channel.limits or (0.0, largest)
        start, end = channel.window or (0.0, largest)
        window = {"min": low, "max": high, "start": start, "end": end}
        shown = {"label": channel.label, "color": channel.colour, "active": channel.is_active}
        channels.append({**shown, "window": window})
    return {"channels": channels}


def _other_attributes(image: Image) -> dict[str, Any]:
    """Return the attributes that OME-Zarr does not know of."""
    attributes: dict[str, Any] = {PROVENANCE: dict(image.provenance)} if image.provenance else {}
    if image.orientation_xyz:
        attributes["xyz_orientation"] = image.orientation_xyz
    return attributes


def _about(image: Image, version: dict[str, str]) -> dict[str, Any]:
    """Return how channels are shown, or of a label image what is told of its labels."""
    if image.image_label is None:
        return {"omero": version | omero(image)}
    told = {key: value for key, value in image.image_label.items() if key != "version"}
    return {"image-label": version | told | {"source": {"image": "../../"}}}


def group_v3(image: Image) -> dict[str, Any]:
    """Return zarr.json of the image, OME-Zarr 0.5."""
    ome = {"version": "0.5", "multiscales": multiscales(image)} | _about(image, {})
    attributes = {"ome": ome} | _other_attributes(image)
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def attributes_v2(image: Image) -> dict[str, Any]:
    """Return .zattrs of the image, OME-Zarr 0.4."""
    versioned = [{"version": "0.4"} | multiscale for multiscale in multiscales(image)]
    about = _about(image, {"version": "0.4"})
    return {"multiscales": versioned} | about | _other_attributes(image)


def array_v2(level: Level, dtype: Any, codec: Codec, axes: str) -> dict[str, Any]:
    """Return .zarray of one level: each chunk a file in folders."""
    return {
        "zarr_format": 2,
        "shape": list(of_axes(axes, level.shape)),
        "chunks": list(of_axes(axes, level.chunk)),
        "dtype": dtype.str,
        "compressor": codec.v2(),
        "filters": None,
        "fill_value": _zero(dtype),
        "order": "C",
        "dimension_separator": "/",
    }


def _zero(dtype: Any) -> float:
    """Return what stands for the voxels of a chunk that is not there."""
    return 0.0 if dtype.kind == "f" else 0


def array_v3(level: Level, dtype: Any, codec: Codec, axes: str) -> dict[str, Any]:
    """Return zarr.json of one level: chunks in shards."""
    endian = {"endian": "big" if dtype.byteorder == ">" else "little"}
    bytes_codec: dict[str, Any] = {"name": "bytes"}
    if dtype.itemsize > 1:
        bytes_codec["configuration"] = endian
    sharding = {
        "chunk_shape": list(of_axes(axes, level.chunk)),
        "codecs": [bytes_codec, *codec.v3()],
        "index_codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "crc32c"},
        ],
        "index_location": "end",
    }
    shard = [n * size for n, size in zip(level.shard, level.chunk, strict=True)]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(of_axes(axes, level.shape)),
        "data_type": dtype.name,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(of_axes(axes, shard))},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _zero(dtype),
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": list(axes),
        "attributes": {},
    }
