"""The files of a stream to OME-TIFF: one for each position, or one with all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.streams.zarr_groups import image_folders

if TYPE_CHECKING:
    from spimpack_tasks.streams.settings import AcquisitionSettings

ENDING = ".ome.tif"
COMPANION = ".companion.ome"
"""End of the name of a file with the OME-XML of others, by which Bio-Formats knows it."""


_ENDINGS = re.compile(r"\.ome\.tiff?\Z")


def without_ending(path: str) -> str:
    """Return a path without the ending of an OME-TIFF, `.ome.tif` or `.ome.tiff`."""
    return _ENDINGS.sub("", path)


class TiffNames(NamedTuple):
    """The files of a stream."""

    files: list[str]
    file_of: list[int]
    """For each image, the number of its file."""
    is_folder: bool
    """Whether they lie in a folder, which is the finished image."""


def name_files(settings: AcquisitionSettings) -> TiffNames:
    """Return the names of the files."""
    images = [each.replace("/", "_") or "image" for each in image_folders(settings)]
    has_companion = settings.tiff_files == "companion"
    is_folder = has_companion or (
        settings.along("p") is not None and settings.tiff_files == "position"
    )
    if not is_folder:
        return TiffNames([f"image{ENDING}"], [0] * len(images), is_folder=False)
    files = [each + ENDING for each in images]
    return TiffNames(files, [*range(len(images))], is_folder=True)
