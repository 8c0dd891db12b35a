"""An OME-TIFF of each image whose format BIDS does not hold; the others are linked or copied."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.packaging.backends.converting import (
    ORIGINAL,
    ConvertingBackend,
    describe_source,
)
from spimpack_tasks.volumes.conversion import LIBRARIES, Request
from spimpack_tasks.volumes.formats import OME_TIFF as FORMAT
from spimpack_tasks.volumes.tiff.layout import COMPRESSIONS, LEVELS, extension_of

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.packaging.backends.base import Settings

_WORK = "spimpack_tasks.packaging.backends.conversion_work"


def _extension_made(asset: Asset) -> str:
    """Return the extension of OME-TIFF, or of BigTIFF for what might not fit otherwise.

    Of an image whose header cannot be read nothing is made.
    """
    return extension_of((1, 1, *(asset.shape_nyx or (1, 1, 1))), asset.itemsize)


def _compose_request(asset: Asset, settings: Settings) -> Request:
    """Return how to convert an image; OME-TIFF has no word for its orientation."""
    request = Request(
        codec=settings.get("codec") or COMPRESSIONS[0],
        level=asked if (asked := settings.get("level", LEVELS[0])) != LEVELS[0] else "",
    )
    return describe_source(request, asset, settings)


OME_TIFF = ConvertingBackend(
    makes=FORMAT,
    extension_made=_extension_made,
    compose_request=_compose_request,
    convert=Deferred(f"{_WORK}:write_ome_tiff"),
    is_result=Deferred(f"{_WORK}:is_ome_tiff_of"),
    count_bytes=Deferred("spimpack_tasks.volumes.convert:count_voxel_bytes"),
    settings=MappingProxyType({"codec": COMPRESSIONS, "level": LEVELS, "original": ORIGINAL}),
).as_backend(
    "ome-tiff",
    "OmeTiffAssets",
    "OME-TIFF of what BIDS does not hold, else links",
    (*LIBRARIES, "tifffile"),
)
