"""Lets zarr decode no more than an array says that its chunks hold.

The codecs of zarr and numcodecs unpack any data to any size. So in the metadata
that zarr gets to read, each codec that unpacks is replaced by one of ours, which knows the limit.
Nobody else's arrays are concerned: no file may name ours (see `volumes.ome_zarr.known_codecs`).
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numcodecs.abc import Codec  # noqa: TID253 - this module is imported where it is used
from numcodecs.compat import ndarray_copy  # noqa: TID253
from numcodecs.registry import register_codec as register_v2  # noqa: TID253
from zarr.abc.codec import BytesBytesCodec  # noqa: TID253
from zarr.registry import register_codec as register_v3  # noqa: TID253

from spimpack_tasks.files.limits import (
    LARGEST_BLOCK,
    MOST_CHUNKS_OF_SHARD,
    REMEDY,
    allowed,
)
from spimpack_tasks.volumes.ome_zarr.chunk_limits import most_packed, most_unpacked
from spimpack_tasks.volumes.unpacking import COMPRESSORS, unpack

if TYPE_CHECKING:
    from typing import Self

    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer

_NAME = "spimpack_tasks.bounded"
_WIDENING = 16
"""How much wider filters of Zarr v2 may make a voxel."""


class _BoundedV2(Codec):  # type: ignore[misc]
    """Unpacks chunks of Zarr v2."""

    codec_id = _NAME

    def __init__(self, codec: dict[str, Any], most: int) -> None:
        self.codec, self.most = codec, most

    def encode(self, buf: Any) -> Any:
        """Refuse to encode."""
        raise NotImplementedError

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return what a chunk holds."""
        return ndarray_copy(unpack(self.codec["id"], buf, self.most, self.codec), out)


@dataclass(frozen=True)
class _BoundedV3(BytesBytesCodec):
    """Unpacks chunks of Zarr v3."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the codec of the metadata."""
        return cls(**data["configuration"])

    def to_dict(self) -> dict[str, Any]:
        """Return the codec for metadata."""
        return {"name": _NAME, "configuration": {"name": self.name, "settings": self.settings}}

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        itemsize = chunk_spec.dtype.to_native_dtype().itemsize
        most = most_unpacked(math.prod(chunk_spec.shape) * itemsize)
        data = chunk_bytes.as_numpy_array()
        unpacked = await asyncio.to_thread(unpack, self.name, data, most, self.settings)
        return chunk_spec.prototype.buffer.from_bytes(unpacked)

    def compute_encoded_size(self, _input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        """Refuse: how long a packed chunk is cannot be told."""
        raise NotImplementedError


register_v2(_BoundedV2)
register_v3(_NAME, _BoundedV3)


def bound_metadata(content: bytes) -> tuple[bytes, int | None]:
    """Return the metadata of an array with bounded codecs, and how long a file of chunks may be.

    Anything except the metadata of an array is returned as it is.

    Raises
    ------
    ValueError
        They name sizes beyond the limits.
    """
    try:
        data = json.loads(content)
        shape = data["chunks"] if "chunks" in data else _grid_of(data)
        size = math.prod(shape) * _itemsize(data.get("dtype", data.get("data_type")))
    except (ValueError, TypeError, LookupError, RecursionError):
        return content, None
    _bind_v2(data, size)
    codecs = data.get("codecs")
    if isinstance(codecs, list):
        data["codecs"] = _bind_v3(codecs, shape)
    return json.dumps(data).encode(), most_packed(size) + _size_of_index(codecs, shape)


def _size_of_index(codecs: object, shape: list[int]) -> int:
    """Return the bytes of the index of a shard, nothing where chunks are not in shards."""
    for codec in codecs if isinstance(codecs, list) else ():
        if isinstance(codec, dict) and codec.get("name") == "sharding_indexed":
            return 16 * _count_chunks(codec["configuration"], shape)
    return 0


def _grid_of(data: dict[str, Any]) -> list[int]:
    grid: list[int] = data["chunk_grid"]["configuration"]["chunk_shape"]
    return grid


def _itemsize(told: object) -> int:
    """Return the bytes of a voxel of a type, as Zarr v2 or v3 has it; 16 if it is not known."""
    match = re.fullmatch(r"[<>|=]?[a-z](\d{1,2})|[a-z]+(\d{1,3})", str(told))
    if not match:
        return 16
    return int(match[1]) if match[1] else int(match[2]) // 8


def _bind_v2(data: dict[str, Any], size: int) -> None:
    filters = data.get("filters")
    has_filters = isinstance(filters, list) and bool(filters)
    most = min(_WIDENING * size, allowed(LARGEST_BLOCK)) if has_filters else size

    def bound(codec: object) -> object:
        if isinstance(codec, dict) and codec.get("id") in COMPRESSORS:
            return {"id": _NAME, "codec": codec, "most": most_unpacked(most)}
        return codec

    if isinstance(filters, list):
        data["filters"] = [bound(each) for each in filters]
    if "compressor" in data:
        data["compressor"] = bound(data["compressor"])


def _bind_v3(codecs: list[Any], shape: list[int]) -> list[Any]:
    """Return codecs of chunks of a shape, or of shards."""
    bound = []
    for codec in codecs:
        told = codec if isinstance(codec, dict) else {"name": codec}
        name, settings = told.get("name"), told.get("configuration", {})
        short = str(name).removeprefix("numcodecs.")
        if short in COMPRESSORS:
            bound.append({"name": _NAME, "configuration": {"name": short, "settings": settings}})
        elif name == "sharding_indexed" and isinstance(settings, dict):
            bound.append({**told, "configuration": _bind_shards(settings, shape)})
        else:
            bound.append(codec)
    return bound


def _bind_shards(settings: dict[str, Any], shape: list[int]) -> dict[str, Any]:
    count = _count_chunks(settings, shape)
    if count > allowed(MOST_CHUNKS_OF_SHARD):
        message = f"a shard has {count:,} chunks, more than {allowed(MOST_CHUNKS_OF_SHARD):,}"
        raise ValueError(f"{message}; {REMEDY}")
    bound = dict(settings)
    for key in ("codecs", "index_codecs"):
        if isinstance(settings.get(key), list):
            bound[key] = _bind_v3(settings[key], settings["chunk_shape"])
    return bound


def _count_chunks(settings: dict[str, Any], shape: list[int]) -> int:
    """Return how many chunks a shard of a shape has."""
    inner = settings.get("chunk_shape")
    if not isinstance(inner, list) or not all(type(n) is int and n > 0 for n in inner):
        message = f"its shards have chunks of the shape {str(inner)[:100]}"
        raise ValueError(message)
    return math.prod(-(-n // size) for n, size in zip(shape, inner, strict=True))
