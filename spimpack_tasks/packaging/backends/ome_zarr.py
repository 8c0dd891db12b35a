"""An OME-Zarr of each image whose format BIDS does not hold; the others are linked or copied."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.model.axes import CHOICES
from spimpack_tasks.packaging.backends.converting import (
    ORIGINAL,
    ConvertingBackend,
    describe_source,
)
from spimpack_tasks.volumes.conversion import LIBRARIES, Request
from spimpack_tasks.volumes.formats import NGFF, ZIPPED
from spimpack_tasks.volumes.formats import OME_ZARR as FORMAT
from spimpack_tasks.volumes.merged.form import find_format

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.packaging.backends.base import Settings

_CONVERT = "spimpack_tasks.volumes.convert"


def _compose_request(asset: Asset, settings: Settings) -> Request:
    if asset.format == ZIPPED.name:  # unpacked as it is, with any settings
        return Request()
    request = Request(
        codec=settings.get("codec") or find_format(asset.format).codec,
        ngff=settings.get("ngff", NGFF[0]),
        orientation_xyz=asset.sidecar.get("OrientationStringXYZ"),
        axes=asked if (asked := settings.get("axes", CHOICES[0])) != CHOICES[0] else "",
    )
    return describe_source(request, asset, settings)


OME_ZARR = ConvertingBackend(
    makes=FORMAT,
    extension_made=lambda _: ".ome.zarr",
    compose_request=_compose_request,
    convert=Deferred(f"{_CONVERT}:convert_to_ome_zarr"),
    is_result=Deferred(f"{_CONVERT}:is_result"),
    count_bytes=Deferred(f"{_CONVERT}:count_bytes"),
    keeps_extras=True,
    copied_formats=frozenset({ZIPPED.name}),
    settings=MappingProxyType(
        {"codec": CODEC_NAMES, "ngff": NGFF, "axes": CHOICES, "original": ORIGINAL}
    ),
).as_backend(
    "ome-zarr",
    "OmeZarrAssets",
    "OME-Zarr of what BIDS does not hold, else links",
    LIBRARIES,
    take_over=Deferred("spimpack_tasks.packaging.backends.conversion_work:reuse_image"),
)
