"""An OME-Zarr of each image whose format BIDS does not hold; the others are linked or copied."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.model.axes import CHOICES
from spimpack_tasks.packaging.backends.converting import (
    WHICH,
    ConvertAssets,
    compose_job,
    is_conversion,
    source_format,
    spacing_given,
)
from spimpack_tasks.volumes.convert import (
    ZIPPED,
    choose_codec_for,
    count_bytes,
    is_result,
    load_converter,
)
from spimpack_tasks.volumes.ome_zarr.stores import NGFF
from spimpack_tasks.volumes.request import Request
from spimpack_tasks.volumes.reuse import take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.model.plan import Asset, Output
    from spimpack_tasks.volumes.request import Job

EXTENSION = ".ome.zarr"


class OmeZarrAssets(ConvertAssets):
    """Convert each image to OME-Zarr, or link or copy it where BIDS takes it as it is."""

    name = "ome-zarr"
    makes = "OME-Zarr"
    takes_over = True
    settings = MappingProxyType(
        {"codec": ("gzip", "blosc"), "ngff": NGFF, "axes": CHOICES, **WHICH}
    )

    @classmethod
    def extension_made(cls, asset: Asset) -> str:
        """Return the extension of OME-Zarr."""
        del asset
        return EXTENSION

    @classmethod
    def compose_request(cls, asset: Asset, settings: Mapping[str, str]) -> Request:
        """Return how to convert an image."""
        form = source_format(asset.source)
        if form == ZIPPED:  # unpacked as it is, whatever is asked for
            return Request()
        return Request(
            codec=settings.get("codec") or choose_codec_for(form),
            ngff=settings.get("ngff", NGFF[0]),
            name=asset.key,
            orientation_xyz=asset.sidecar.get("OrientationStringXYZ"),
            channel_names=tuple(asset.sidecar.get("SampleStaining", ())),
            spacing_um_xyz=spacing_given(asset),
            axes=asked if (asked := settings.get("axes", CHOICES[0])) != CHOICES[0] else "",
            other_files=tuple(map(" ".join, asset.other_files)),
        )

    @classmethod
    def settings_told(cls, asset: Asset, request: Request) -> dict[str, str]:
        """Return the settings that show; the files of a zip are unpacked as they are."""
        if source_format(asset.source) == ZIPPED:
            return {}
        return super().settings_told(asset, request)

    @classmethod
    def left_out(cls, asset: Asset) -> list[str]:
        """Return what is left out, which is nothing of a zip."""
        return [] if source_format(asset.source) == ZIPPED else list(asset.left_out)

    @classmethod
    def convert(cls, job: Job, source_format: str, advance: Callable[[int], None]) -> None:
        """Convert an image, or go on with that."""
        load_converter(source_format)(job, advance)

    @classmethod
    def take_over(cls, output: Output, earlier: str, path: str) -> bool:
        """Take the voxels of an image, and write other metadata: stains, orientation, name."""
        form = source_format(output.source)
        if not is_conversion(output) or form == ZIPPED:
            return False
        return take_over(compose_job(output, path), earlier, form)

    @classmethod
    def is_result(cls, path: str, source: str, source_format: str, made_from: str) -> bool:
        """Tell whether `path` was made from just that."""
        return is_result(path, source, source_format, made_from)

    @classmethod
    def count_bytes(cls, source: str, source_format: str) -> int:
        """Return the number of bytes that converting will tell of."""
        return count_bytes(source, source_format)
