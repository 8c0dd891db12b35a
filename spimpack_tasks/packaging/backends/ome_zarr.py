"""An OME-Zarr of each image whose format BIDS does not hold; the others are linked or copied."""

from __future__ import annotations

from contextlib import suppress
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
from spimpack_tasks.packaging.splitting import NEVER, SPLIT_ABOVE, fault_of_size
from spimpack_tasks.remote.location import Location, LocationError
from spimpack_tasks.volumes.conversion import LEVEL0, LIBRARIES, Request
from spimpack_tasks.volumes.formats import NGFF, ZIPPED, Transfer
from spimpack_tasks.volumes.formats import OME_ZARR as FORMAT
from spimpack_tasks.volumes.merged.form import find_format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.packaging.backends.base import Settings

_CONVERT = "spimpack_tasks.volumes.convert"
_parse_sizes, _describe_sizes = (
    Deferred(f"spimpack_tasks.volumes.ome_zarr.chunk_sizes:{name}")
    for name in ("parse_sizes", "describe_sizes")
)


HERE = "here"
"""Place of images: in the dataset. Any other is the address of an object store."""
AUTO = "auto"
"""Sizes of chunks and shards that suit the image."""
_SIZES = ("chunk", "shard")
"""Settings that are sizes along z, y and x."""
_ANY_SIZE = (2**40,) * 3
"""More voxels along each axis than any image has: the settings are for images of all sizes."""
_ANY_ITEMSIZE = 8
"""Bytes of the largest voxels."""


def _fault_of_setting(setting: str, value: str) -> str:
    if setting == SPLIT_ABOVE:
        return fault_of_size(value)
    if setting in _SIZES:
        try:
            _parse_sizes(value)
        except ValueError as error:
            return f"{error}, as the value of {setting}"
        return ""
    if setting != "place":
        return f"{value!r} is not a value of {setting}"
    try:
        Location.parse(value)
    except LocationError as error:
        return f"{error}, as the value of {setting}"
    return ""


def _misfits_of_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    chunk, shard = (_sizes_of(settings, name) for name in _SIZES)
    ngff, place = settings.get("ngff", NGFF[0]), settings.get("place", HERE)
    if fault := (chunk or shard) and _describe_sizes(ngff, _ANY_SIZE, _ANY_ITEMSIZE, chunk, shard):
        yield "shard" if shard else "chunk", fault
    if place != HERE and settings.get(SPLIT_ABOVE, NEVER) != NEVER:
        what = "one worker writes the whole of an image into an object store"
        yield SPLIT_ABOVE, f"{what}; leave out {SPLIT_ABOVE}, or place"
    if place != HERE and settings.get("level0", LEVEL0[0]) != LEVEL0[0]:
        what = "images are encoded on their way into an object store"
        yield "level0", f"{what}; leave out level0, or place"


def _sizes_of(settings: Settings, name: str) -> tuple[int, ...]:
    """Return sizes along z, y and x, nothing where none can be read: that is told elsewhere."""
    sizes: tuple[int, ...] = ()
    if (text := settings.get(name, AUTO)) != AUTO:
        with suppress(ValueError):
            sizes = _parse_sizes(text)
    return sizes


def _compose_request(asset: Asset, settings: Settings) -> Request:
    asked = settings.get("place", HERE)
    place = "" if asked == HERE else asked.rstrip("/")
    if asset.format == ZIPPED.name:  # unpacked as it is, with any settings
        return Request(place=place)
    is_encoded = find_format(asset.format).transfer is Transfer.VOXELS
    chunk, shard = (_sizes_of(settings, name) if is_encoded else () for name in _SIZES)
    request = Request(
        codec=settings.get("codec") or find_format(asset.format).codec,
        ngff=settings.get("ngff", NGFF[0]),
        orientation_xyz=asset.sidecar.get("OrientationStringXYZ"),
        axes=asked if (asked := settings.get("axes", CHOICES[0])) != CHOICES[0] else "",
        place=place,
        level0=asked if (asked := settings.get("level0", LEVEL0[0])) != LEVEL0[0] else "",
        chunk_zyx=chunk,
        shard_zyx=shard,
    )
    return describe_source(request, asset, settings)


OME_ZARR = ConvertingBackend(
    makes=FORMAT,
    extension_made=lambda _: ".ome.zarr",
    compose_request=_compose_request,
    convert=Deferred(f"{_CONVERT}:convert_to_ome_zarr"),
    is_result=Deferred(f"{_CONVERT}:is_result"),
    count_bytes=Deferred(f"{_CONVERT}:count_bytes"),
    make_part=Deferred("spimpack_tasks.volumes.convert_part:convert_part"),
    finish_parts=Deferred("spimpack_tasks.volumes.convert_part:finish_parts"),
    keeps_extras=True,
    copied_formats=frozenset({ZIPPED.name}),
    settings=MappingProxyType(
        {
            "codec": CODEC_NAMES,
            "ngff": NGFF,
            "axes": CHOICES,
            "original": ORIGINAL,
            "place": (HERE,),
            "level0": LEVEL0,
            **dict.fromkeys(_SIZES, (AUTO,)),
            SPLIT_ABOVE: (NEVER,),
        }
    ),
).as_backend(
    "ome-zarr",
    "OmeZarrAssets",
    "OME-Zarr of what BIDS does not hold, else links",
    LIBRARIES,
    take_over=Deferred("spimpack_tasks.packaging.backends.conversion_work:reuse_image"),
    fault_of=_fault_of_setting,
    misfits=_misfits_of_settings,
)
