"""The codecs of Zarr that are let decode chunks, by name.

Some codecs of Zarr v2 run code that stands in the chunks (`pickle`), and any package that is
installed may add codecs. So an array is read only if all of its codecs are listed here, no matter
zarr would take.
Codecs that tell nowhere how much they unpack to (`pcodec`, `zfpy`) are not among them. Facts: Zarr
v2 and v3 specifications, numcodecs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS_ONLY = (
    "adler32 astype bitround blosc bz2 crc32 crc32c delta fixedscaleoffset fletcher32 gzip "
    "jenkins_lookup3 lz4 lzma packbits quantize shuffle zlib zstd"
)
V2 = frozenset(_NUMBERS_ONLY.split())
"""Compressors and filters of Zarr v2 that are read: those of numcodecs that know numbers only."""
V3 = frozenset(
    ["blosc", "bytes", "crc32c", "gzip", "sharding_indexed", "transpose", "zstd"]
    + [f"numcodecs.{name}" for name in _NUMBERS_ONLY.split()]
)


def find_strange_codec(metadata: dict[str, Any]) -> str:
    """Return the name of a codec that is not let decode, empty where there is none.

    Parameters
    ----------
    metadata
        Of an array, or of a group, which may hold those of arrays (consolidated metadata).
    """
    for array in _arrays_in(metadata):
        for name in _v2_names(array):
            if name not in V2:
                return name[:100]
        for name in _v3_names(array.get("codecs")):
            if name not in V3:
                return name[:100]
    return ""


def _arrays_in(metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield metadata
    for owner in (metadata, metadata.get("consolidated_metadata")):
        inner = owner.get("metadata") if isinstance(owner, dict) else None
        if isinstance(inner, dict):
            yield from (each for each in inner.values() if isinstance(each, dict))


def _v2_names(array: dict[str, Any]) -> Iterator[str]:
    filters = array.get("filters")
    for codec in (array.get("compressor"), *(filters if isinstance(filters, list) else ())):
        if codec is not None:
            yield str(codec.get("id") if isinstance(codec, dict) else codec)


def _v3_names(codecs: object) -> Iterator[str]:
    pending = [*codecs] if isinstance(codecs, list) else []
    while pending:
        codec = pending.pop()
        settings = codec.get("configuration") if isinstance(codec, dict) else None
        yield str(codec.get("name") if isinstance(codec, dict) else codec)
        if isinstance(settings, dict):
            for key in ("codecs", "index_codecs"):
                inner = settings.get(key)
                pending += inner if isinstance(inner, list) else []
