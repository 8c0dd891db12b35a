"""Demo images: a tissue block of soft blobs, written in each format that light-sheet work uses.

The files are real (any reader of the format opens them), small, and equal from call to call: no
random numbers, no timestamps. Nothing here reads images, and nothing is meant for large data: the
whole image is in memory.
"""

from __future__ import annotations

import importlib
import json
import math
import uuid
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from spimpack_tasks.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Voxels: TypeAlias = NDArray[np.uint16]

ShapeZYX: TypeAlias = tuple[int, int, int]

BACKGROUND = 100
"""Grey value outside the tissue, like the offset of a camera."""
TISSUE = 500
"""Grey value that the tissue adds."""
BLOB = 3000
"""Grey value that a stained cell adds at its centre."""
BLOBS = 24
"""Stained cells of a channel: enough to see the orientation."""
COLORS_RGB = ((0, 255, 0), (255, 0, 255), (0, 255, 255), (255, 255, 0))
RECORDED = "2024-01-01 00:00:00.000"
IMARIS_CHUNK_VOXELS = 2**19
"""1 MiB of 16-bit voxels."""
HISTOGRAM_BINS = 256
"""As many bins as Imaris writes."""
THUMBNAIL_PIXELS = 256
"""The side of the thumbnail that Imaris writes."""

BLOSC_V2 = {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 1, "blocksize": 0}
BLOSC_V3 = {
    "name": "blosc",
    "configuration": {
        "cname": "zstd",
        "clevel": 5,
        "shuffle": "shuffle",
        "typesize": 2,
        "blocksize": 0,
    },
}


@dataclass(frozen=True, slots=True)
class DemoImage:
    """Content of a demo image, independent of its format."""

    channels: tuple[str, ...]
    shape_zyx: ShapeZYX
    spacing_um_zyx: tuple[float, float, float]
    levels: int = 2
    """Resolution levels, the full one included; an OME-TIFF holds the full one only."""


class DemoLevel(NamedTuple):
    """One resolution level: voxels in order c, z, y, x, and the full-size extent of each."""

    voxels: Voxels
    factors_zyx: ShapeZYX


def compose_voxels(image: DemoImage) -> Voxels:
    """Return the full resolution in order c, z, y, x: blobs inside an ellipsoid with a gradient.

    The blobs sit at the points of a low-discrepancy sequence, different ones in each channel.
    """
    import numpy as np

    spacing = image.spacing_um_zyx
    extent_um = [n * step for n, step in zip(image.shape_zyx, spacing, strict=True)]
    z, y, x = np.ogrid[tuple(slice(n) for n in image.shape_zyx)]
    along = [(index + 0.5) / n for index, n in zip((z, y, x), image.shape_zyx, strict=True)]
    radius = sum(np.square((2 * a - 1) / 0.95) for a in along)
    tissue = (1 / (1 + np.exp(12 * (radius - 1)))).astype(np.float32)
    gradient = 0.5 + 0.5 * along[2]
    width_um = 0.06 * min(extent_um)
    channels = []
    for channel in range(len(image.channels)):
        blobs = np.zeros(image.shape_zyx, np.float32)
        for blob in range(channel * BLOBS, (channel + 1) * BLOBS):
            centre = [(0.5 + (blob + 1) * step) % 1 for step in (0.8191725, 0.6710436, 0.5497005)]
            profile = [
                np.exp(-np.square((a - c) * extent / width_um) / 2).astype(np.float32)
                for a, c, extent in zip(along, centre, extent_um, strict=True)
            ]
            np.maximum(blobs, profile[0] * profile[1] * profile[2], out=blobs)
        level = BACKGROUND + tissue * (TISSUE * gradient + BLOB * blobs)
        channels.append(level.astype(np.uint16))
    return np.stack(channels)


def compose_pyramid(image: DemoImage) -> list[DemoLevel]:
    """Return the image at all its resolutions, each the mean of the one before, rounded down.

    An axis is halved unless it is already short beside the other two; the last of an odd number
    is dropped. This is the pyramid of Imaris (`GetOptimalImagePyramid` of ImarisWriter).
    """
    pyramid = [DemoLevel(compose_voxels(image), (1, 1, 1))]
    while len(pyramid) < image.levels:
        voxels, factors = pyramid[-1]
        sizes = voxels.shape[1:]
        step = [2 if n > 1 and (10 * n) ** 2 > math.prod(sizes) // n else 1 for n in sizes]
        z, y, x = (n // s for n, s in zip(sizes, step, strict=True))
        whole = voxels[:, : z * step[0], : y * step[1], : x * step[2]]
        blocks = whole.reshape(len(voxels), z, step[0], y, step[1], x, step[2])
        mean = blocks.sum(axis=(2, 4, 6), dtype="uint32") // math.prod(step)
        halved = (factors[0] * step[0], factors[1] * step[1], factors[2] * step[2])
        pyramid.append(DemoLevel(mean.astype("uint16"), halved))
    return pyramid


def write_ome_zarr(path: Path, image: DemoImage, *, ngff: Literal["0.4", "0.5"]) -> None:
    """Write a directory of OME-Zarr 0.4 (Zarr v2) or 0.5 (Zarr v3), replacing one that exists.

    Raises
    ------
    MissingExtraError
        zarr is not installed.
    """
    zarr = _load_library("zarr")
    path.parent.mkdir(parents=True, exist_ok=True)
    _fill_store(zarr.storage.LocalStore(path), image, ngff=ngff, sharded=False)


def write_ozx(path: Path, image: DemoImage) -> None:
    """Write OME-Zarr 0.5 as one zip file, as NGFF RFC-9 recommends.

    That is: not compressed, ZIP64, one shard per channel and level, every `zarr.json` before all
    else and the root's first, and an archive comment that says so.

    Raises
    ------
    MissingExtraError
        zarr is not installed.
    """
    zarr = _load_library("zarr")
    entries: dict[str, Any] = {}
    _fill_store(zarr.storage.MemoryStore(entries), image, ngff="0.5", sharded=True)
    ome = {"version": "0.5", "zipFile": {"centralDirectory": {"jsonFirst": True}}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = json.dumps({"ome": ome}).encode()
        for name in sorted(entries, key=_ozx_order):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as file:
                file.write(entries[name].to_bytes())


def _ozx_order(name: str) -> tuple[bool, int, str]:
    """Sort metadata first, breadth-first, then the chunks."""
    is_chunk = name.rpartition("/")[2] != "zarr.json"
    return is_chunk, 0 if is_chunk else name.count("/"), name


def _fill_store(
    store: Any, image: DemoImage, *, ngff: Literal["0.4", "0.5"], sharded: bool
) -> None:
    zarr = _load_library("zarr")
    pyramid = compose_pyramid(image)
    multiscale = _compose_multiscale(image, pyramid)
    omero = {"channels": _compose_omero_channels(image)}
    options: dict[str, Any]
    if ngff == "0.4":
        attributes = {"multiscales": [{"version": ngff, **multiscale}], "omero": omero}
        root = zarr.create_group(store, zarr_format=2, attributes=attributes, overwrite=True)
        keys = {"name": "v2", "separator": "/"}
        options = {"compressors": BLOSC_V2, "chunk_key_encoding": keys}
    else:
        ome = {"version": ngff, "multiscales": [multiscale], "omero": omero}
        root = zarr.create_group(store, zarr_format=3, attributes={"ome": ome}, overwrite=True)
        options = {"compressors": BLOSC_V3, "dimension_names": ("c", "z", "y", "x")}
    for number, level in enumerate(pyramid):
        sizes = level.voxels.shape[1:]
        chunks = (1, *(min(n, most) for n, most in zip(sizes, (32, 64, 64), strict=True)))
        if sharded:
            covered = (-(-n // c) * c for n, c in zip(sizes, chunks[1:], strict=True))
            options["shards"] = (1, *covered)
        array = root.create_array(
            str(number), shape=level.voxels.shape, chunks=chunks, dtype="uint16", **options
        )
        array[:] = level.voxels


def _compose_multiscale(image: DemoImage, pyramid: list[DemoLevel]) -> dict[str, Any]:
    """Describe the levels: a voxel's place is its centre, and the first full voxel is at 0."""
    datasets = []
    for number, level in enumerate(pyramid):
        pairs = list(zip(image.spacing_um_zyx, level.factors_zyx, strict=True))
        scale = [1.0, *(step * factor for step, factor in pairs)]
        translation = [0.0, *(step * (factor - 1) / 2 for step, factor in pairs)]
        transformations = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": translation},
        ]
        datasets.append({"path": str(number), "coordinateTransformations": transformations})
    space = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    axes = [{"name": "c", "type": "channel"}, *space]
    return {"name": "image", "axes": axes, "datasets": datasets, "type": "mean"}


def _compose_omero_channels(image: DemoImage) -> list[dict[str, Any]]:
    window = {"min": 0, "max": 65535, "start": 0, "end": BACKGROUND + TISSUE + BLOB}
    return [
        {
            "label": name,
            "color": bytes(_color_of(c)).hex().upper(),
            "active": True,
            "window": window,
        }
        for c, name in enumerate(image.channels)
    ]


def write_ome_tiff(path: Path, image: DemoImage, *, bigtiff: bool = False) -> None:
    """Write an OME-TIFF of the full resolution, as classic TIFF or as BigTIFF.

    Raises
    ------
    MissingExtraError
        tifffile is not installed.
    """
    tifffile = _load_library("tifffile")
    metadata: dict[str, Any] = {
        "axes": "CZYX",
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, repr(image))),
        "Channel": {"Name": list(image.channels)},
    }
    for axis, step in zip("ZYX", image.spacing_um_zyx, strict=True):
        metadata[f"PhysicalSize{axis}"] = step
        metadata[f"PhysicalSize{axis}Unit"] = "µm"
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path,
        compose_voxels(image),
        bigtiff=bigtiff,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        metadata=metadata,
    )


def write_imaris(path: Path, image: DemoImage) -> None:
    """Write an Imaris 5.5 file, laid out as ImarisWriter does.

    Raises
    ------
    MissingExtraError
        h5py is not installed.
    """
    h5py = _load_library("h5py")
    path.parent.mkdir(parents=True, exist_ok=True)
    pyramid = compose_pyramid(image)
    with h5py.File(path, "w") as file:
        directories = {
            "ImarisDataSet": "ImarisDataSet",
            "ImarisVersion": "5.5.0",
            "DataSetInfoDirectoryName": "DataSetInfo",
            "ThumbnailDirectoryName": "Thumbnail",
            "DataSetDirectoryName": "DataSet",
        }
        _set_texts(file, directories)
        file.attrs.create("NumberOfDataSets", [1], dtype="uint32")
        for number, level in enumerate(pyramid):
            time_point = f"DataSet/ResolutionLevel {number}/TimePoint 0"
            for c, voxels in enumerate(level.voxels):
                _fill_imaris_channel(file.create_group(f"{time_point}/Channel {c}"), voxels)
        for section, texts in _compose_imaris_info(image, pyramid[0].voxels).items():
            _set_texts(file.create_group(f"DataSetInfo/{section}"), texts)
        thumbnail = _compose_thumbnail(pyramid[0].voxels)
        file.create_dataset("Thumbnail/Data", data=thumbnail, track_times=False)


def _fill_imaris_channel(group: Any, voxels: Voxels) -> None:
    """Write one channel of one level; `Data` is padded with zeros to whole chunks."""
    import numpy as np

    chunks = _choose_imaris_chunks(voxels.shape)
    padding = [(0, -n % c) for n, c in zip(voxels.shape, chunks, strict=True)]
    group.create_dataset(
        "Data",
        data=np.pad(voxels, padding),
        chunks=chunks,
        compression="gzip",
        compression_opts=2,
        track_times=False,
    )
    low, high = int(voxels.min()), int(voxels.max())
    counts, _ = np.histogram(voxels, HISTOGRAM_BINS, (low, high))
    group.create_dataset("Histogram", data=counts.astype("uint64"), track_times=False)
    texts = {f"ImageSize{a}": str(n) for a, n in zip("ZYX", voxels.shape, strict=True)}
    _set_texts(group, {**texts, "HistogramMin": f"{low:.3f}", "HistogramMax": f"{high:.3f}"})


def _choose_imaris_chunks(shape_zyx: tuple[int, ...]) -> ShapeZYX:
    """Return the chunk with the least padding: powers of two, y = x, exactly 1 MiB.

    Of equally good ones the first is taken, and that is the one nearest to a cube.
    """
    squares = [(IMARIS_CHUNK_VOXELS // side**2, side, side) for side in (64, 128, 32, 256)]

    def padded(chunk: ShapeZYX) -> int:
        return math.prod(-(-n // c) * c for n, c in zip(shape_zyx, chunk, strict=True))

    return min(squares, key=padded)


def _compose_imaris_info(image: DemoImage, voxels: Voxels) -> dict[str, dict[str, str]]:
    """Return the sections of `DataSetInfo`; axis 0 of the extents is x, and they are corners."""
    extents = {}
    for axis, (n, step) in enumerate(
        zip(image.shape_zyx[::-1], image.spacing_um_zyx[::-1], strict=True)
    ):
        extents["XYZ"[axis]] = str(n)
        extents[f"ExtMin{axis}"] = f"{0:.9f}"
        extents[f"ExtMax{axis}"] = f"{n * step:.9f}"
    sections = {
        "ImarisDataSet": {"Creator": "spimpack demo", "Version": "1.0", "NumberOfImages": "1"},
        "Image": {
            **extents,
            "Unit": "um",
            "RecordingDate": RECORDED,
            "Name": "(name not specified)",
            "Description": "(description not specified)",
            "ResampleDimensionX": "true",
            "ResampleDimensionY": "true",
            "ResampleDimensionZ": "true",
        },
        "TimeInfo": {"DatasetTimePoints": "1", "FileTimePoints": "1", "TimePoint1": RECORDED},
        "Log": {"Entries": "0"},
    }
    for c, name in enumerate(image.channels):
        sections[f"Channel {c}"] = {
            "Name": name,
            "Description": "(description not specified)",
            "Color": " ".join(f"{part / 255:.3f}" for part in _color_of(c)),
            "ColorMode": "BaseColor",
            "ColorOpacity": "1.000",
            "ColorRange": f"{0:.3f} {voxels[c].max():.3f}",
            "GammaCorrection": "1.000",
        }
    return sections


def _compose_thumbnail(voxels: Voxels) -> NDArray[np.uint8]:
    """Return the first channel seen along z, in grey, as rows of red, green, blue, alpha."""
    import numpy as np

    front = voxels[0].max(axis=0).astype(np.float64)
    step = -(-max(front.shape) // THUMBNAIL_PIXELS)
    grey = (255 * front / front.max()).astype(np.uint8)[::step, ::step]
    pixels = np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1)
    return pixels.reshape(len(grey), -1)


def _set_texts(group: Any, texts: Mapping[str, str]) -> None:
    """Set attributes as Imaris has them: one-dimensional arrays of one-byte C strings."""
    import numpy as np

    h5py = _load_library("h5py")
    kind = h5py.h5t.C_S1
    for name, text in texts.items():
        # An empty text is one zero byte, since HDF5 has no array of length 0 here.
        characters = np.frombuffer(text.encode() or b"\0", "S1")
        space = h5py.h5s.create_simple(characters.shape)
        h5py.h5a.create(group.id, name.encode(), kind, space).write(characters, mtype=kind)


def _color_of(channel: int) -> tuple[int, int, int]:
    return COLORS_RGB[channel % len(COLORS_RGB)]


def _load_library(name: str) -> Any:
    """Import an optional library, or say how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(name, "images") from error
