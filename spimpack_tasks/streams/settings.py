"""Settings of a stream of frames: frozen values that are validated when they are made.

A file in YAML or JSON and a call in Python pass the same JSON Schema and the same rules. The values
know nothing about files, formats or the order in which voxels are stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.bids import BidsPlace
from spimpack_tasks.streams.plain_values import as_data, as_items, as_whole, make_plain
from spimpack_tasks.streams.rules import TIFF_ENDINGS, check_settings, check_values
from spimpack_tasks.streams.values import Channel, Dimension, Plate, Position

if TYPE_CHECKING:
    from spimpack_tasks.files.yaml_marks import Document

MEMORY_BYTES = 256 * 2**20
"""Bytes of frames that wait in memory unless the user says otherwise: 30 frames of 2048 x 2048."""
_CODECS = {None: "none", "blosc-zstd": "blosc", "blosc-lz4": "lz4"}
"""Names of ome-writers for codecs of ours."""


@dataclass(frozen=True, slots=True)
class AcquisitionSettings:
    """The settings of a stream.

    Raises
    ------
    InputError
        Values are wrong; the error carries all problems.
    """

    root_path: str
    dimensions: tuple[Dimension, ...]
    """In the order of the acquisition, the slowest first; y and x are the last."""
    dtype: str = "uint16"
    format: str = "auto"
    """`ome-zarr` (0.5), `ome-zarr-0.4`, or `ome-tiff`; `auto` becomes `ome-tiff` for a path that
    ends like one, such as `.ome.tif`, and `ome-zarr` for others."""
    compression: str = "none"
    """`gzip`, `blosc` or `lz4` of an OME-Zarr, `zlib` or `zstd` of an OME-TIFF, or `none`.
    `blosc-zstd` and `blosc-lz4`, as ome-writers says, are `blosc` and `lz4`."""
    storage_order: str | tuple[str, ...] = "ome"
    """`ome`, `acquisition`, or names of dimensions without positions."""
    plate: Plate | None = None
    overwrite: bool = False
    pyramid: bool = True
    memory_bytes: int = MEMORY_BYTES
    when_behind: str = "block"
    """`block` or `raise`: what `append` does while the memory is full."""
    allow_incomplete: bool = False
    tiff_files: str = "position"
    """`position`: each has an OME-TIFF of its own; `single`: one has all; `companion`: as
    `position`, with the metadata of all in a file beside them."""
    bids: BidsPlace | None = None
    """Where the images stand in a BIDS dataset, whose scans table gets their rows; a mapping is
    welcome."""
    source: InitVar[Document | None] = None
    """The file that the settings were read from, for the places of problems."""

    def __post_init__(self, source: Document | None) -> None:
        """Validate: first each value, then those that depend on each other."""
        make_plain(self)
        dtype: Any = self.dtype  # numpy.uint16, or a numpy.dtype, is welcome as well
        path: Any = self.root_path
        form: Any = self.format  # ome-writers has objects with a name
        form = getattr(form, "name", form)
        if form == "auto" and isinstance(path, str):
            form = "ome-tiff" if path.lower().endswith(TIFF_ENDINGS) else "ome-zarr"
        values = {
            "format": form,
            "compression": _CODECS.get(self.compression, self.compression),
            "dtype": getattr(dtype, "name", getattr(dtype, "__name__", dtype)),
            "root_path": os.path.expanduser(path) if isinstance(path, str) else path,
            "dimensions": as_items(self.dimensions),
            "storage_order": as_items(self.storage_order),
            "memory_bytes": as_whole(self.memory_bytes),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        check_values(self.as_data(), source)
        dims = (
            Dimension(**each) if isinstance(each, Mapping) else each for each in self.dimensions
        )
        object.__setattr__(self, "dimensions", tuple(dims))
        for key, make in (("plate", lambda given: Plate(**given)), ("bids", BidsPlace.of)):
            value = getattr(self, key)
            if isinstance(value, Mapping):
                object.__setattr__(self, key, make(value))
        check_settings(self, source)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes along all dimensions, as they are given."""
        return tuple(each.count for each in self.dimensions)

    @property
    def is_unbounded(self) -> bool:
        """Whether the first dimension has no end."""
        return self.dimensions[0].count is None

    @property
    def num_frames(self) -> int | None:
        """Number of frames, `None` without an end."""
        return None if self.is_unbounded else prod(n or 1 for n in self.shape[:-2])

    @property
    def positions(self) -> tuple[Position, ...]:
        """The positions; one without a name if the acquisition has none."""
        dimension = self.along("p")
        if dimension is None:
            return (Position(""),)
        numbered = (Position(str(number)) for number in range(dimension.count or 1))
        return dimension.coords or tuple(numbered)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels, empty if none is described."""
        dimension = self.along("c")
        return dimension.coords if dimension else ()

    @property
    def array_dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions of each image."""
        return tuple(each for each in self.dimensions if each.axis != "p")

    def along(self, axis: str) -> Dimension | None:
        """Return the dimension of an axis (t, c, z, y, x or p), `None` if there is none."""
        return next((each for each in self.dimensions if each.axis == axis), None)

    def as_data(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        data: dict[str, Any] = as_data(self)
        return {key: value for key, value in data.items() if key != "bids" or value is not None}
