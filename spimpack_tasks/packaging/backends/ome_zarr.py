"""An OME-Zarr of each image whose format BIDS does not hold, and a link to each of the others."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.model.header_values import convert_length
from spimpack_tasks.model.plan import Origin
from spimpack_tasks.packaging.backends.symlink import SymlinkAssets
from spimpack_tasks.packaging.tasks.making import MakeAssets
from spimpack_tasks.readers.base import HeaderError
from spimpack_tasks.readers.formats import format_of_source
from spimpack_tasks.transcoding.convert import (
    CONVERTERS,
    LIBRARIES,
    ZIPPED,
    choose_codec_for,
    count_bytes,
    is_result,
    load_converter,
)
from spimpack_tasks.transcoding.request import NGFF, Job, Request, count_threads
from spimpack_tasks.transcoding.room import least_room, require_room
from spimpack_tasks.transcoding.taking_over import take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.model.plan import Asset, Output

EXTENSION = ".ome.zarr"


class OmeZarrAssets(MakeAssets):
    """Convert each image to OME-Zarr, or link it where BIDS takes it as it is."""

    name = "ome-zarr"
    makes_symlinks = True
    takes_over = True
    impossible_on = SymlinkAssets.impossible_on
    extra = "convert"
    libraries = LIBRARIES
    settings = MappingProxyType(
        {"codec": ("gzip", "blosc"), "convert": ("needed", "all"), "ngff": NGFF}
    )

    @classmethod
    def extension_of(cls, asset: Asset, settings: Mapping[str, str]) -> tuple[str, bool]:
        """Return the extension of OME-Zarr for what is converted."""
        if _is_converted(asset, settings):
            return EXTENSION, True
        return super().extension_of(asset, settings)

    @classmethod
    def least_room(cls, asset: Asset, settings: Mapping[str, str]) -> int:
        """Return how many bytes are written at the least."""
        if not _is_converted(asset, settings):
            return 0
        return least_room(asset.stamp[0], _source_format(asset.source))

    @classmethod
    def describe_target(
        cls, asset: Asset, relative_to: str | None, settings: Mapping[str, str]
    ) -> str:
        """Return how to convert an image, or the text of its link."""
        if not _is_converted(asset, settings):
            return SymlinkAssets.describe_target(asset, relative_to, settings)
        form = _source_format(asset.source)
        if form == ZIPPED:  # unpacked as it is, whatever is asked for
            return Request().as_text()
        return Request(
            codec=settings.get("codec") or choose_codec_for(form),
            ngff=settings.get("ngff", NGFF[0]),
            name=asset.key,
            orientation_xyz=asset.sidecar.get("OrientationStringXYZ"),
            channel_names=tuple(asset.sidecar.get("SampleStaining", ())),
            spacing_um_xyz=spacing_given(asset),
        ).as_text()

    @classmethod
    def measure(cls, output: Output) -> int:
        """Return the number of bytes that converting will tell of.

        Raises
        ------
        OSError
            The source cannot be read.
        """
        if not Request.is_text(output.target):
            return 0
        try:
            return count_bytes(output.source, _source_format(output.source))
        except HeaderError as error:
            raise OSError(None, str(error)) from error

    @classmethod
    def resume(cls, output: Output, path: str, advance: Callable[[int], None]) -> None:
        """Convert the source, or go on with that; or link it."""
        if not Request.is_text(output.target):
            SymlinkAssets.make(output, path)
            return
        form = _source_format(output.source)
        if not os.path.lexists(path):
            require_room(os.path.dirname(path), output.source, form)
        load_converter(form)(_job(output, path), advance)

    @classmethod
    def take_over(cls, output: Output, earlier: str, path: str) -> bool:
        """Take the voxels of an image, and write other metadata: size, stains, orientation."""
        form = _source_format(output.source)
        if not Request.is_text(output.target) or form == ZIPPED:
            return False
        return take_over(_job(output, path), earlier, form)

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether `path` was made from this source as it is, in this way."""
        if not Request.is_text(output.target):
            return SymlinkAssets.matches(output, path)
        form = _source_format(output.source)
        return is_result(path, output.source, form, output.fingerprint)


def _job(output: Output, path: str) -> Job:
    request = Request.from_text(output.target)
    voxels = request.identify_voxels(output.source, output.stamp)
    return Job(output.source, path, request, output.fingerprint, count_threads(), voxels)


def _source_format(source: str) -> str:
    found = format_of_source(source)
    return found.name if found else ""


def spacing_given(asset: Asset) -> tuple[float | None, ...]:
    """Return the size of a voxel that the user gives, nothing where it is that of the source.

    Image and sidecar must say the same, so the user is believed.
    """
    given = asset.sidecar.get("PixelSize", [])
    if not given or asset.origins.get("PixelSize") == Origin.HEADER:
        return ()
    sizes = [convert_length(size, asset.sidecar["PixelSizeUnits"], "um") for size in given]
    return (*sizes, *[None] * (3 - len(sizes)))


def _is_converted(asset: Asset, settings: Mapping[str, str]) -> bool:
    """Tell whether an image is converted: BIDS does not hold its format, or all are to be."""
    found = format_of_source(asset.source)
    if found is None or asset.is_photo or found.name not in CONVERTERS:
        return False
    return not found.valid_in_bids or settings.get("convert") == "all"
