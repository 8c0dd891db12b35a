"""The base of backends that convert: what BIDS does not hold is made anew, the rest is linked."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.model.header_values import convert_length
from spimpack_tasks.model.plan import Origin
from spimpack_tasks.packaging.backends.copy import CopyAssets
from spimpack_tasks.packaging.backends.symlink import SymlinkAssets
from spimpack_tasks.packaging.tasks.making import MakeAssets
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.convert import CONVERTERS, LIBRARIES
from spimpack_tasks.volumes.disk_space import least_room, require_room
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.examine import format_of_source
from spimpack_tasks.volumes.request import Job, Request
from spimpack_tasks.volumes.source_errors import (
    reason_of_refusal,
    require_unchanged,
    source_trouble_told,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.model.plan import Asset, Output


WHICH = MappingProxyType({"convert": ("needed", "all"), "others": ("link", "copy")})
"""Settings of all backends that convert: which images, and what becomes of the others."""


class ConvertAssets(MakeAssets):
    """Convert each image whose format BIDS does not hold, or all, and link or copy the others.

    A subclass says what is made (`extension_made`, `compose_request`), how (`convert`), how it is
    known again (`is_result`), and how much work it is (`count_bytes`).
    """

    makes_symlinks = True
    impossible_on = SymlinkAssets.impossible_on
    extra = "convert"
    libraries: ClassVar[tuple[str, ...]] = LIBRARIES

    @classmethod
    def extension_made(cls, asset: Asset) -> str:
        """Return the extension of what an image is converted to."""
        raise NotImplementedError

    @classmethod
    def compose_request(cls, asset: Asset, settings: Mapping[str, str]) -> Request:
        """Return how to convert an image."""
        raise NotImplementedError

    @classmethod
    def convert(cls, job: Job, source_format: str, advance: Callable[[int], None]) -> None:
        """Convert an image, or go on with that."""
        raise NotImplementedError

    @classmethod
    def is_result(cls, path: str, source: str, source_format: str, made_from: str) -> bool:
        """Tell whether `path` was made from just that."""
        raise NotImplementedError

    @classmethod
    def count_bytes(cls, source: str, source_format: str) -> int:
        """Return the number of bytes that converting will tell of."""
        raise NotImplementedError

    @classmethod
    def settings_told(cls, asset: Asset, request: Request) -> dict[str, str]:
        """Return the settings that show in what is made of an image."""
        del asset
        told = {name: getattr(request, name, "") for name in cls.settings}
        return {name: value for name, value in told.items() if value}

    @classmethod
    def left_out(cls, asset: Asset) -> list[str]:
        """Return what the source holds that is not in what is made of it."""
        return [*asset.left_out, *asset.extras]

    @classmethod
    def converts(cls, asset: Asset, settings: Mapping[str, str]) -> bool:
        """Tell whether BIDS does not hold the format, or the image is in several files, or all."""
        found = format_of_source(asset.source)
        if found is None or asset.is_photo or found.name not in CONVERTERS:
            return False
        is_held = found.valid_in_bids and not asset.other_files
        return not is_held or settings.get("convert") == "all"

    @classmethod
    def extension_of(cls, asset: Asset, settings: Mapping[str, str]) -> tuple[str, bool]:
        """Return the extension of what is made, or that of what is linked."""
        if cls.converts(asset, settings):
            return cls.extension_made(asset), True
        return super().extension_of(asset, settings)

    @classmethod
    def least_room(cls, asset: Asset, settings: Mapping[str, str]) -> int:
        """Return how many bytes are written at the least."""
        if not cls.converts(asset, settings):
            return 0
        return least_room(asset.stamp[0], source_format(asset.source), cls.makes)

    @classmethod
    def describe_target(
        cls, asset: Asset, relative_to: str | None, settings: Mapping[str, str]
    ) -> str:
        """Return how to convert an image, the text of its link, or nothing if it is copied."""
        if not cls.converts(asset, settings):
            other = CopyAssets if settings.get("others") == "copy" else SymlinkAssets
            return other.describe_target(asset, relative_to, settings)
        return cls.compose_request(asset, settings).as_text()

    @classmethod
    def describe_conversion(cls, asset: Asset, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return from what, by what and how an image is converted, if it is."""
        if not cls.converts(asset, settings):
            return {}
        told = cls.settings_told(asset, cls.compose_request(asset, settings))
        left_out = {"LeftOut": each} if (each := cls.left_out(asset)) else {}
        return {
            "Format": source_format(asset.source),
            "Software": "spimpack_tasks",
            "SoftwareVersion": __version__,
            **({"Settings": told} if told else {}),
            **left_out,
        }

    @classmethod
    def measure(cls, output: Output) -> int:
        """Return the number of bytes that converting or copying will tell of.

        Raises
        ------
        OSError
            The source cannot be read.
        """
        if not is_conversion(output):
            return 0 if output.target else CopyAssets.measure(output)
        try:
            return cls.count_bytes(output.source, source_format(output.source))
        except HeaderError as error:
            raise OSError(None, reason_of_refusal(error)) from error

    @classmethod
    def resume(cls, output: Output, path: str, advance: Callable[[int], None]) -> None:
        """Convert or copy the source, or go on with that; or link it."""
        if not is_conversion(output):
            if output.target:
                SymlinkAssets.make(output, path)
            else:
                CopyAssets.resume(output, path, advance)
            return
        form = source_format(output.source)
        job = compose_job(output, path)
        with require_unchanged(job.sources, path), source_trouble_told():
            if not os.path.lexists(path):
                require_room(os.path.dirname(path), output.source, form, cls.makes)
            cls.convert(job, form, advance)

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether `path` was made from this source as it is, in this way."""
        if not is_conversion(output):
            other = SymlinkAssets if output.target else CopyAssets
            return other.matches(output, path)
        form = source_format(output.source)
        return cls.is_result(path, output.source, form, output.fingerprint)


def is_conversion(output: Output) -> bool:
    """Tell whether an image is to be converted, and not to be linked."""
    return Request.is_text(output.target)


def compose_job(output: Output, path: str) -> Job:
    """Return what is to be done to make an image at `path`."""
    request = Request.from_text(output.target)
    voxels = request.identify_voxels(output.source, output.stamp)
    return Job(output.source, path, request, output.fingerprint, count_threads(), voxels)


def source_format(source: str) -> str:
    """Return the name of the format of a source, empty where its name does not tell one."""
    found = format_of_source(source)
    return found.name if found else ""


def spacing_given(asset: Asset) -> tuple[float | None, ...]:
    """Return the size of a voxel that the user gives, nothing where it is that of the source.

    Image and sidecar must say the same, so the user is believed. Of an OME-TIFF the official
    validator compares them.
    """
    given = asset.sidecar.get("PixelSize", [])
    if not given or asset.origins.get("PixelSize") == Origin.HEADER:
        return ()
    sizes = [convert_length(size, asset.sidecar["PixelSizeUnits"], "um") for size in given]
    return (*sizes, *[None] * (3 - len(sizes)))
