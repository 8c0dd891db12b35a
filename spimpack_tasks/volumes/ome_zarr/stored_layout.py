"""How the voxels of an OME-Zarr that is there are stored: version, codec, chunks and shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.arrays.codec_table import CODECS
from spimpack_tasks.volumes.ome_zarr.header import find_level_paths, open_directory, read_store
from spimpack_tasks.volumes.ome_zarr.stored_array import split_codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.arrays.grid import Shape


class StoredLayout(NamedTuple):
    """How the voxels of the full level are stored."""

    ngff: str
    """Version of OME-Zarr whose arrays are such."""
    codec: str
    """`gzip`, `blosc`, `lz4` or `none`; empty for another one."""
    chunk_zyx: Shape
    """Sizes of a chunk."""
    shard_zyx: Shape
    """Sizes of a shard, nothing where there are none."""


def read_stored_layout(path: str) -> StoredLayout:
    """Return how the voxels of an OME-Zarr directory are stored.

    Raises
    ------
    HeaderError
        Its metadata cannot be read.
    """
    store = open_directory(path)
    axes = read_store(store).axes
    level = find_level_paths(store)[0]
    folder = f"{level}/" if level else ""
    array = store.load(f"{folder}zarr.json")
    try:
        if array is not None:
            return _read_v3(axes, array)
        return _read_v2(axes, store.load(f"{folder}.zarray") or {})
    except (LookupError, TypeError, ValueError, AttributeError):
        name = folder + (".zarray" if array is None else "zarr.json")
        raise store.error(f"has a {name!r} whose chunks and codecs cannot be read") from None


def _read_v2(axes: tuple[str, ...], array: Mapping[str, Any]) -> StoredLayout:
    compressor = array.get("compressor")
    codec = "none" if compressor is None else _name_compressor([(compressor["id"], compressor)])
    return StoredLayout("0.4", codec, _along_zyx(axes, array["chunks"]), ())


def _read_v3(axes: tuple[str, ...], array: Mapping[str, Any]) -> StoredLayout:
    grid = array["chunk_grid"]
    if grid["name"] != "regular":
        raise ValueError
    outer = _along_zyx(axes, grid["configuration"]["chunk_shape"])
    codecs = _list_codecs(array)
    sharding = [told for name, told in codecs if name == "sharding_indexed"]
    if not sharding:
        return StoredLayout("0.5", _name_compressor(codecs), outer, ())
    (inner,) = sharding
    chunk = _along_zyx(axes, inner["chunk_shape"])
    return StoredLayout("0.5", _name_compressor(_list_codecs(inner)), chunk, outer)


def _list_codecs(owner: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return names and settings of the codecs of an array, or of a shard; there is one at least."""
    codecs = owner["codecs"]
    if not isinstance(codecs, list) or not codecs:
        raise ValueError
    return [split_codec(codec) for codec in codecs]


def _along_zyx(axes: tuple[str, ...], sizes: Iterable[Any]) -> Shape:
    told = dict(zip(axes, sizes, strict=True))
    if not all(type(n) is int and n > 0 for n in told.values()):
        raise ValueError
    return tuple(told.get(axis, 1) for axis in "zyx")


def _name_compressor(codecs: list[tuple[str, Any]]) -> str:
    """Return our name for the compressor of an array, of Zarr v2 or v3."""
    packing = [(name, told) for name, told in codecs if name not in {"bytes", "crc32c"}]
    if not packing:
        return "none"
    (name, told), *others = packing
    if others or name not in {"gzip", "blosc"}:
        return ""
    if name == "gzip":
        return "gzip"
    compressor = told.get("cname")
    return next((name for name, each in CODECS.items() if each.compressor == compressor), "")
