"""An OME-TIFF of each image whose format BIDS does not hold; the others are linked or copied."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.packaging.backends.converting import ConvertingBackend, spacing_given
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.convert import LIBRARIES, convert_to_ome_tiff, count_voxel_bytes
from spimpack_tasks.volumes.formats import OME_TIFF as FORMAT
from spimpack_tasks.volumes.tiff.ome_writer import COMPRESSIONS, extension_of
from spimpack_tasks.volumes.tiff.ome_xml_writer import is_made_from

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.packaging.backends.base import Advance, Settings
    from spimpack_tasks.volumes.conversion import Conversion


def _extension_made(asset: Asset) -> str:
    """Return the extension of OME-TIFF, or of BigTIFF for what might not fit otherwise.

    Of an image whose header cannot be read nothing is made.
    """
    return extension_of((1, 1, *(asset.shape_nyx or (1, 1, 1))), asset.itemsize)


def _compose_request(asset: Asset, settings: Settings) -> Request:
    """Return how to convert an image; OME-TIFF has no word for its orientation."""
    return Request(
        codec=settings.get("codec") or COMPRESSIONS[0],
        name=asset.key,
        channel_names=tuple(asset.sidecar.get("SampleStaining", ())),
        spacing_um_xyz=spacing_given(asset),
        other_files=tuple(map(" ".join, asset.other_files)),
    )


def _convert(conversion: Conversion, path: str, advance: Advance, threads: int) -> None:
    """Convert an image, unless that was done and only not noted."""
    if _is_result(conversion, path):
        advance(count_voxel_bytes(conversion.source, conversion.form))
    else:
        convert_to_ome_tiff(conversion, path, advance, threads)


def _is_result(conversion: Conversion, path: str) -> bool:
    return is_made_from(path, conversion.made_from)


OME_TIFF = ConvertingBackend(
    makes=FORMAT,
    extension_made=_extension_made,
    compose_request=_compose_request,
    convert=_convert,
    is_result=_is_result,
    count_bytes=count_voxel_bytes,
    settings=MappingProxyType({"codec": COMPRESSIONS}),
).as_backend(
    "ome-tiff",
    "OmeTiffAssets",
    "OME-TIFF of what BIDS does not hold, else links",
    (*LIBRARIES, "tifffile"),
)
