"""An OME-TIFF of each image whose format BIDS does not hold; the others are linked or copied."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.packaging.backends.converting import WHICH, ConvertAssets, spacing_given
from spimpack_tasks.volumes.convert import LIBRARIES
from spimpack_tasks.volumes.request import Request
from spimpack_tasks.volumes.tiff.ome_writer import COMPRESSIONS, convert, count_bytes, extension_of
from spimpack_tasks.volumes.tiff.ome_xml_writer import is_made_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.volumes.request import Job


class OmeTiffAssets(ConvertAssets):
    """Convert each image to OME-TIFF, or link or copy it where BIDS takes it as it is."""

    name = "ome-tiff"
    makes = "OME-TIFF"
    libraries = (*LIBRARIES, "tifffile")
    settings = MappingProxyType({"codec": COMPRESSIONS, **WHICH})

    @classmethod
    def extension_made(cls, asset: Asset) -> str:
        """Return the extension of OME-TIFF, or of BigTIFF for what might not fit otherwise.

        Of an image whose header cannot be read nothing is made.
        """
        return extension_of((1, 1, *(asset.shape_nyx or (1, 1, 1))), asset.itemsize)

    @classmethod
    def compose_request(cls, asset: Asset, settings: Mapping[str, str]) -> Request:
        """Return how to convert an image; OME-TIFF has no word for its orientation."""
        return Request(
            codec=settings.get("codec") or COMPRESSIONS[0],
            name=asset.key,
            channel_names=tuple(asset.sidecar.get("SampleStaining", ())),
            spacing_um_xyz=spacing_given(asset),
            other_files=tuple(map(" ".join, asset.other_files)),
        )

    @classmethod
    def convert(cls, job: Job, source_format: str, advance: Callable[[int], None]) -> None:
        """Convert an image, unless that was done and only not noted."""
        if is_made_from(job.path, job.made_from):
            advance(cls.count_bytes(job.source, source_format))
        else:
            convert(job, advance)

    @classmethod
    def is_result(cls, path: str, source: str, source_format: str, made_from: str) -> bool:
        """Tell whether `path` was made from just that."""
        del source, source_format
        return is_made_from(path, made_from)

    @classmethod
    def count_bytes(cls, source: str, source_format: str) -> int:
        """Return the number of bytes that converting will tell of."""
        return count_bytes(source, source_format)
