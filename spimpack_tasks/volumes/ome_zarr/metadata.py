"""The metadata of an OME-Zarr: what a reader must know of axes, levels, channels and orientation.

Facts: OME-Zarr (NGFF) 0.4 and 0.5, Zarr v2 and v3, and RFC-4 for the orientation of axes. Where the
orientation is known it is written in both ways that readers look for: as RFC-4 has it, and as
`xyz_orientation`. Unknown values are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.axes import of_axes
from spimpack_tasks.volumes.ome_zarr.header_extras import PROVENANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import LevelGrid
    from spimpack_tasks.volumes.spec import VolumeSpec

_KINDS = {"t": "time", "c": "channel"}
"""Types of axes in OME-Zarr, except axes of space."""

ORIGINAL = "original"
"""Key below that of the texts of the source's own metadata."""

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
"""Names in RFC-4 of the direction in which an index increases."""


def spacings_zyx(spec: VolumeSpec, levels: Sequence[LevelGrid]) -> list[tuple[float, ...]]:
    """Return the distance of voxels of each level, 1 where it is not known.

    Each voxel of a level is made of a whole number of voxels of the first, so its size is that many
    times theirs, without regard to odd rests at the far edge.
    """
    first = levels[0].shape[2:]
    known = [step if step is not None else 1.0 for step in spec.spacing_um_zyx]
    spacings = []
    for level in levels:
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


def multiscales(spec: VolumeSpec, levels: Sequence[LevelGrid]) -> list[dict[str, Any]]:
    """Return the multiscales of the attributes."""
    known = dict(zip("zyx", spec.spacing_um_zyx, strict=True))
    axes: list[dict[str, Any]] = []
    for name in spec.axes:
        axis: dict[str, Any] = {"name": name, "type": _KINDS.get(name, "space")}
        if known.get(name) is not None:
            axis["unit"] = "micrometer"
        elif name == "t" and spec.time_step_s is not None:
            axis["unit"] = "second"
        if name in known and spec.orientation_xyz:
            letter = spec.orientation_xyz["xyz".index(name)]
            axis["orientation"] = {"type": "anatomical", "value": _TOWARDS[letter]}
        axes.append(axis)
    steps = [spec.time_step_s or 1.0 if name == "t" else 1.0 for name in spec.axes[:-3]]
    datasets = []
    for number, lines in enumerate(spec.level_transforms or _lines_of_sizes(spec, levels)):
        spacing, shift = zip(*lines, strict=True)
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": [*steps, *spacing]}]
        transforms.append({"type": "translation", "translation": [*[0.0] * len(steps), *shift]})
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    return [{"name": spec.name, "axes": axes, "datasets": datasets}]


def _lines_of_sizes(
    spec: VolumeSpec, levels: Sequence[LevelGrid]
) -> list[list[tuple[float, float]]]:
    """Return scale and translation along z, y and x of each level."""
    spacings = spacings_zyx(spec, levels)
    return [
        [
            (step, origin + (step - first) / 2)
            for origin, step, first in zip(spec.origin_um_zyx, spacing, spacings[0], strict=True)
        ]
        for spacing in spacings
    ]


def largest_value(dtype: Any) -> float:
    """Return the largest value of whole numbers of a type, 1 for other numbers."""
    import numpy as np

    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


def omero(spec: VolumeSpec) -> dict[str, Any]:
    """Return how the channels are shown."""
    largest = largest_value(spec.dtype)
    channels = []
    for channel in spec.channels:
        low, high = channel.limits or (0.0, largest)
        start, end = channel.window or (0.0, largest)
        window = {"min": low, "max": high, "start": start, "end": end}
        shown = {"label": channel.label, "color": channel.colour, "active": channel.is_active}
        channels.append({**shown, "window": window})
    return {"channels": channels}


def _other_attributes(spec: VolumeSpec) -> dict[str, Any]:
    """Return the attributes that OME-Zarr does not know of."""
    original = {ORIGINAL: dict(spec.original)} if spec.original else {}
    told = dict(spec.provenance) | original
    attributes: dict[str, Any] = {PROVENANCE: told} if told else {}
    if spec.orientation_xyz:
        attributes["xyz_orientation"] = spec.orientation_xyz
    return attributes


def _about(spec: VolumeSpec, version: dict[str, str]) -> dict[str, Any]:
    """Return how channels are shown, or the properties of the labels of a label image."""
    if spec.image_label is None:
        return {"omero": version | omero(spec)}
    told = {key: value for key, value in spec.image_label.items() if key != "version"}
    return {"image-label": version | told | {"source": {"image": "../../"}}}


def group_v3(spec: VolumeSpec, levels: Sequence[LevelGrid]) -> dict[str, Any]:
    """Return zarr.json of the image, OME-Zarr 0.5."""
    ome = {"version": "0.5", "multiscales": multiscales(spec, levels)} | _about(spec, {})
    attributes = {"ome": ome} | _other_attributes(spec)
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def attributes_v2(spec: VolumeSpec, levels: Sequence[LevelGrid]) -> dict[str, Any]:
    """Return .zattrs of the image, OME-Zarr 0.4."""
    versioned = [{"version": "0.4"} | multiscale for multiscale in multiscales(spec, levels)]
    about = _about(spec, {"version": "0.4"})
    return {"multiscales": versioned} | about | _other_attributes(spec)


def array_v2(level: LevelGrid, dtype: Any, codec: Codec, axes: str) -> dict[str, Any]:
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


def array_v3(level: LevelGrid, dtype: Any, codec: Codec, axes: str) -> dict[str, Any]:
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
