"""The codecs that an OME-Zarr can be written with, as users choose them.

Every list, check and explanation of codecs is made from this table. It imports no library that
compresses.
"""

from __future__ import annotations

from typing import NamedTuple


class CodecChoice(NamedTuple):
    """A codec, and what it is good for."""

    suits: str
    """The words about it in the help, behind its name."""
    compressor: str = ""
    """Compressor of Blosc; empty for gzip."""
    level: int = 2
    """Effort of the compressor; Imaris has 2 of gzip."""


CODECS = {
    "gzip": CodecChoice("which every program reads, and which an Imaris file becomes quickest"),
    "blosc": CodecChoice("which is the smallest", "zstd", 1),
    "lz4": CodecChoice("which is the fastest to read, and larger than blosc", "lz4", 5),
}
"""By name. The first is that of images which other programs make with `api.create_volume`."""

CODEC_NAMES = tuple(CODECS)
