"""An OME-Zarr of each image whose format BIDS does not hold; the others are linked or copied."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.model.axes import CHOICES
from spimpack_tasks.packaging.backends.converting import (
    ConvertingBackend,
    conversion_of,
    is_conversion,
    spacing_given,
)
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.convert import (
    LIBRARIES,
    convert_to_ome_zarr,
    count_bytes,
    is_result,
)
from spimpack_tasks.volumes.formats import OME_ZARR as FORMAT
from spimpack_tasks.volumes.formats import ZIPPED, format_named
from spimpack_tasks.volumes.ome_zarr.stores import NGFF
from spimpack_tasks.volumes.reuse import reuse_voxels

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Asset, Output
    from spimpack_tasks.packaging.backends.base import Settings


def _compose_request(asset: Asset, settings: Settings) -> Request:
    if asset.format == ZIPPED.name:  # unpacked as it is, whatever is asked for
        return Request()
    return Request(
        codec=settings.get("codec") or format_named(asset.format).codec,
        ngff=settings.get("ngff", NGFF[0]),
        name=asset.key,
        orientation_xyz=asset.sidecar.get("OrientationStringXYZ"),
        channel_names=tuple(asset.sidecar.get("SampleStaining", ())),
        spacing_um_xyz=spacing_given(asset),
        axes=asked if (asked := settings.get("axes", CHOICES[0])) != CHOICES[0] else "",
        other_files=tuple(map(" ".join, asset.other_files)),
    )


def _take_over(output: Output, earlier: str, path: str) -> bool:
    """Take the voxels of an image, and write other metadata: stains, orientation, name."""
    if not is_conversion(output) or output.format == ZIPPED.name:
        return False
    return reuse_voxels(conversion_of(output), earlier, path)


OME_ZARR = ConvertingBackend(
    makes=FORMAT,
    extension_made=lambda _: ".ome.zarr",
    compose_request=_compose_request,
    convert=convert_to_ome_zarr,
    is_result=is_result,
    count_bytes=count_bytes,
    keeps_extras=True,
    copied_formats=frozenset({ZIPPED.name}),
    settings=MappingProxyType({"codec": ("gzip", "blosc"), "ngff": NGFF, "axes": CHOICES}),
).as_backend(
    "ome-zarr",
    "OmeZarrAssets",
    "OME-Zarr of what BIDS does not hold, else links",
    LIBRARIES,
    take_over=_take_over,
)
