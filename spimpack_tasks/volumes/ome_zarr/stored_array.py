"""How the voxels of an array of Zarr lie in its files, by its metadata.

Only forms that are simple and usual are described: C order, chunks of equal size, at most one layer
of shards, and codecs that unpack bytes. The library zarr reads all others. Facts: Zarr v2 and v3
specifications, sharding codec 1.0.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.files.limits import MOST_CHUNKS_OF_SHARD, allowed
from spimpack_tasks.volumes.unpacking import COMPRESSORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    Json = Mapping[str, Any]

CRC32C = "crc32c"
_TYPES_V2 = re.compile(r"\|b1|[<>|][iu]1|[<>][iu][248]|[<>]f[248]")
_TYPES_V3 = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)")
_KEYS_V3 = frozenset(
    [
        *("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding"),
        *("fill_value", "codecs", "storage_transformers"),
        *("attributes", "dimension_names", "consolidated_metadata"),
    ]
)
"""An array with other keys may be stored in a way that this version does not know."""
_SEPARATORS = {"default": "/", "v2": "."}
"""Encodings of the keys of chunks in Zarr v3, and their separators if none is given."""
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Packing(NamedTuple):
    """A codec that made bytes of bytes."""

    name: str
    """One of `COMPRESSORS`, or `CRC32C`."""
    settings: Json


class Shards(NamedTuple):
    """How chunks lie in the shards of an array."""

    counts: tuple[int, ...]
    """Chunks along each axis of a shard."""
    is_index_first: bool
    """Whether the index begins the file, and does not end it."""
    has_checksum: bool
    """Whether a CRC-32C follows the index."""


class StoredArray(NamedTuple):
    """How the voxels of an array lie in its files."""

    folder: str
    """Where the array lies, empty or ending with `/`."""
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    """Sizes of what is packed together."""
    dtype: np.dtype[Any]
    """Of the voxels as they are stored, with their byte order."""
    fill: Any
    """The voxel where no chunk is stored."""
    packings: tuple[Packing, ...]
    """Codecs of the bytes of a chunk, in the order of packing."""
    shards: Shards | None
    key_begin: str
    separator: str

    @property
    def chunk_size(self) -> int:
        """Bytes of the voxels of a chunk."""
        return math.prod(self.chunk) * self.dtype.itemsize

    def key(self, place: tuple[int, ...]) -> str:
        """Return the name of the file of a chunk, or of a shard, by its place in the grid."""
        return self.folder + self.separator.join([*self.key_begin, *map(str, place)])


def describe_array(folder: str, load: Callable[[str], Json | None]) -> StoredArray | None:
    """Return how the voxels of an array lie in its files, `None` if only zarr knows.

    Parameters
    ----------
    folder
        Where the array lies in the store, empty or ending with `/`.
    load
        Returns the JSON object in a file of the store, `None` if there is no such file.
    """
    new = load(f"{folder}zarr.json")
    told = new if new is not None else load(f"{folder}.zarray")
    if told is None:
        return None
    if new is None:
        load(f"{folder}.zattrs")  # what is no file there is refused, as zarr does
    try:
        return (_describe_v2 if new is None else _describe_v3)(folder, told)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return None  # zarr will say what is wrong


class _UnusualError(ValueError):
    """The array is stored in a way that is not described here."""


def _require(*, is_usual: bool) -> None:
    if not is_usual:
        raise _UnusualError


def _describe_v2(folder: str, told: Json) -> StoredArray:
    import numpy as np

    separator = told.get("dimension_separator", ".")
    is_usual = told["zarr_format"] == 2 and told["order"] == "C" and not told.get("filters")
    _require(is_usual=is_usual and separator in {".", "/"})
    _require(is_usual=_TYPES_V2.fullmatch(told["dtype"]) is not None)
    dtype = np.dtype(told["dtype"])
    compressor = told["compressor"]
    packings = (_packing(compressor["id"], compressor),) if compressor else ()
    fill = 0 if told["fill_value"] is None else told["fill_value"]
    shape, chunk = _sizes(told["shape"]), _sizes(told["chunks"])
    _require(is_usual=len(shape) == len(chunk))
    return StoredArray(
        *(folder, shape, chunk, dtype, _fill(dtype, fill), packings),
        shards=None,
        key_begin="",
        separator=separator,
    )


def _describe_v3(folder: str, told: Json) -> StoredArray:
    encoding = told["chunk_key_encoding"]
    name, settings = encoding["name"], encoding.get("configuration", {})
    separator = settings.get("separator", _SEPARATORS[name])
    grid = told["chunk_grid"]
    is_usual = told["zarr_format"] == 3 and told["node_type"] == "array" and told.keys() <= _KEYS_V3
    is_usual = is_usual and grid["name"] == "regular" and separator in {".", "/"}
    _require(is_usual=is_usual and not told.get("storage_transformers"))
    shape, sizes = _sizes(told["shape"]), _sizes(grid["configuration"]["chunk_shape"])
    _require(is_usual=len(shape) == len(sizes))
    codecs, shards, chunk = [*map(split_codec, told["codecs"])], None, sizes
    if codecs[0][0] == "sharding_indexed":
        _require(is_usual=len(codecs) == 1)
        chunk = _sizes(codecs[0][1]["chunk_shape"])
        shards = _shards(codecs[0][1], sizes, chunk)
        codecs = [*map(split_codec, codecs[0][1]["codecs"])]
    dtype = _dtype_v3(told["data_type"], *codecs[0])
    return StoredArray(
        *(folder, shape, chunk, dtype, _fill(dtype, told["fill_value"])),
        tuple(_packing(name.removeprefix("numcodecs."), settings) for name, settings in codecs[1:]),
        shards,
        key_begin="c" if name == "default" else "",
        separator=separator,
    )


def split_codec(codec: Any) -> tuple[str, Json]:
    """Return name and settings of a codec of Zarr v3, which may be a name alone."""
    return (
        (codec, {}) if isinstance(codec, str) else (codec["name"], codec.get("configuration", {}))
    )


def _shards(settings: Json, shard: tuple[int, ...], chunk: tuple[int, ...]) -> Shards:
    along = zip(shard, chunk, strict=True)
    counts = tuple(-(-n // side) if n % side == 0 else 0 for n, side in along)
    _require(is_usual=0 < math.prod(counts) <= allowed(MOST_CHUNKS_OF_SHARD))
    (first, order), *others = map(split_codec, settings["index_codecs"])
    _require(is_usual=first == "bytes" and order.get("endian") == "little")
    names = [name for name, _ in others]
    location = settings.get("index_location", "end")
    _require(is_usual=names in ([], [CRC32C]) and location in {"start", "end"})
    return Shards(counts, location == "start", bool(names))


def _dtype_v3(told: str, codec: str, settings: Json) -> np.dtype[Any]:
    import numpy as np

    _require(is_usual=codec == "bytes" and _TYPES_V3.fullmatch(told) is not None)
    dtype = np.dtype(told)
    order = settings.get("endian")
    if dtype.itemsize > 1:
        _require(is_usual=order in {"little", "big"})
        dtype = dtype.newbyteorder(">" if order == "big" else "<")
    return dtype


def _packing(name: str, settings: Json) -> Packing:
    is_at_end = settings.get("location") in {None, "end"}  # numcodecs can have it first
    _require(is_usual=name in COMPRESSORS or (name == CRC32C and is_at_end))
    return Packing(name, settings)


def _sizes(told: Any) -> tuple[int, ...]:
    _require(is_usual=bool(told) and all(type(n) is int and n > 0 for n in told))
    return tuple(told)


def _fill(dtype: np.dtype[Any], told: Any) -> Any:
    """Return the voxel that metadata give; numbers only, no text of bits."""
    if dtype.kind == "f":
        told = _NOT_FINITE.get(told, told) if isinstance(told, str) else told
        _require(is_usual=type(told) in {int, float})
    elif dtype.kind == "b":
        _require(is_usual=told in {False, True})
    else:
        _require(is_usual=type(told) is int)
    return dtype.newbyteorder("=").type(told)
