"""How the voxels of an OME-Zarr that is there are stored: version, codec, chunks and shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.arrays.codec_table import CODECS
from spimpack_tasks.volumes.ome_zarr.header import find_level_paths, open_directory, read_store

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    array = store.load(f"{level}/zarr.json")
    if array is None:
        old = store.load(f"{level}/.zarray") or {}
        compressor = old.get("compressor")
        codec = _name_codec([compressor] if compressor else [])
        return StoredLayout("0.4", codec, _along_zyx(axes, old["chunks"]), ())
    grid = array["chunk_grid"]["configuration"]["chunk_shape"]
    codecs: list[dict[str, Any]] = array["codecs"]
    sharding = next((each for each in codecs if each["name"] == "sharding_indexed"), None)
    if sharding is None:
        return StoredLayout("0.5", _name_codec(codecs), _along_zyx(axes, grid), ())
    inner = sharding["configuration"]
    chunk = _along_zyx(axes, inner["chunk_shape"])
    return StoredLayout("0.5", _name_codec(inner["codecs"]), chunk, _along_zyx(axes, grid))


def _along_zyx(axes: tuple[str, ...], sizes: Iterable[Any]) -> Shape:
    told = dict(zip(axes, map(int, sizes), strict=True))
    return tuple(told.get(axis, 1) for axis in "zyx")


def _name_codec(codecs: list[dict[str, Any]]) -> str:
    """Return our name for the compressor of an array, of Zarr v2 or v3."""
    names = [str(each.get("name") or each.get("id")) for each in codecs]
    packing = [name for name in names if name not in {"bytes", "crc32c"}]
    if not packing:
        return "none"
    if packing == ["gzip"]:
        return "gzip"
    if packing == ["blosc"]:
        found = codecs[names.index("blosc")]
        compressor = (found.get("configuration") or found).get("cname")
        return next((name for name, each in CODECS.items() if each.compressor == compressor), "")
    return ""
