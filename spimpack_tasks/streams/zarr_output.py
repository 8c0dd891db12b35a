"""The images of a stream as one OME-Zarr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.atomic import Durability
from spimpack_tasks.files.places import LocalPlace, PlaceBelow
from spimpack_tasks.streams.frame_log import FRAMES, lines_by_image
from spimpack_tasks.streams.zarr_groups import image_folders, write_groups
from spimpack_tasks.streams.zarr_image import ZarrImage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.streams.part import Part
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.work import Work


class ZarrOutput:
    """The images of a stream as one OME-Zarr: an image, a series of them, or a plate.

    Parameters
    ----------
    part
        The folder of the stream.
    settings
        The settings.
    sizes
        Planes of an image along t, c and z, 0 without an end.
    work
        What the images share.
    """

    def __init__(
        self, part: Part, settings: AcquisitionSettings, sizes: PlaneAt, work: Work
    ) -> None:
        self._part, self._settings = part, settings
        self._place = LocalPlace(part.image)
        self.images = [
            ZarrImage(number, PlaceBelow(self._place, folder), settings, sizes, work)
            if folder
            else ZarrImage(number, self._place, settings, sizes, work)
            for number, folder in enumerate(image_folders(settings))
        ]

    def finish(self, sizes: PlaneAt, facts: Sequence[Mapping[str, Any]]) -> str:
        """Make the images whole, and write the metadata of the whole last.

        The metadata of frames lie in the folder of the full level, where readers of Zarr look for
        chunks alone, and do not wonder about other files.
        """
        lines = lines_by_image(self._part.frames, len(self.images))
        for number, image in enumerate(self.images):
            image.finish(sizes, facts[number])
            if lines[number]:
                folder = image_folders(self._settings)[number]
                text = "".join(lines[number])
                key = f"{folder}/0/{FRAMES}".lstrip("/")
                self._place.put(key, ((text.encode(),),), Durability.WHOLE)
        write_groups(self._place, self._settings)
        return self._part.image

    def move(self, final: str) -> None:
        """Learn that the images were moved to their final path."""
        self._place.root = final

    def close(self) -> None:
        """Have nothing to close."""
