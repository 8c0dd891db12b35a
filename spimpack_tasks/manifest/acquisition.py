"""Joins what an acquisition program tells beside an image with what the image's header tells.

The header goes first: it is in the image itself. A file beside it may belong to another image, so
it is compared with the header, and a contradiction is reported and left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.acquisition.programs import FileFinder
from spimpack_tasks.errors import count_of
from spimpack_tasks.model.header_values import differ

if TYPE_CHECKING:
    from spimpack_tasks.acquisition.facts import AcquisitionFacts, Value
    from spimpack_tasks.acquisition.programs import AcquisitionFile
    from spimpack_tasks.manifest.headers import HeaderFacts

_OF_PLANES = ("ImageFrames", "AcquisitionDirection")
"""Keys that follow from the number of planes."""
_MOST = 4096
"""Results that are kept for images to come: where most differ, keeping more is of no use."""


@dataclass(frozen=True, slots=True)
class ToldBeside:
    """Facts that a file beside an image adds to its header."""

    path: str
    """Absolute path of the file."""
    facts: HeaderFacts
    """The header's values, with those of the file where the header has none."""
    keys: frozenset[str]
    """Sidecar keys whose values are the file's."""
    settings: str = ""
    """Further settings, for people."""
    acquired_at: str | None = None
    """ISO 8601."""
    pages_are_planes: bool = False
    """Whether the image has as many pages, of which it does not say what they are, as the file has
    planes."""
    doubts: tuple[str, ...] = ()
    """Impossible or contradictory values in the file; they are left out."""


class AcquisitionReader:
    """Reads the files of acquisition programs beside the images of one run."""

    def __init__(self) -> None:
        self._finder = FileFinder()
        self._known: dict[tuple[int, str], ToldBeside] = {}
        """By the header's facts, which live on, and the content: many images may share both."""

    @property
    def listed(self) -> dict[str, frozenset[str]]:
        """Names of the files of metadata by the folder that was listed."""
        return self._finder.listed

    def join(self, image: str, header: HeaderFacts) -> ToldBeside | None:
        """Return the facts about an image, `None` where no file beside it has any.

        Parameters
        ----------
        image
            Absolute path as the user wrote it, links not resolved: the file lies beside that.
        header
            The values of the image's header.
        """
        file = self._finder.find(image)
        if file is None:
            return None
        found = file.read(image)
        key = id(header), f"{file.path}\0{found!r}"
        known = self._known.get(key)
        if known is None:
            known = _joined(file, found, header)
            if len(self._known) < _MOST:
                self._known[key] = known
        return known


def _joined(file: AcquisitionFile, found: AcquisitionFacts, header: HeaderFacts) -> ToldBeside:
    name = os.path.basename(file.path)
    doubts = [f"{name}: {doubt}" for doubt in found.doubts]
    sidecar: dict[str, Value] = dict(found.sidecar)
    spacing = found.spacing_um_xyz
    planes = _planes_of(header)
    if found.planes and planes and found.planes != planes:
        told = count_of(found.planes, "plane")
        doubts.append(f"has {count_of(planes, 'plane')}, but {name} describes {told}")
        spacing = (None, None, None)
        for key in _OF_PLANES:
            sidecar.pop(key, None)
    size = header.pixel_size_um
    pages_are_planes = bool(not size and found.planes and planes == found.planes)
    if pages_are_planes:
        size = (None, None, None)
    differing: dict[tuple[float, float], list[str]] = {}
    for axis, here, there in zip("xyz", size, spacing, strict=False):
        if here is not None and there is not None and differ(here, there):
            differing.setdefault((here, there), []).append(axis)
    for (here, there), axes in differing.items():
        along = " and ".join(axes)
        doubts.append(f"has voxels of {here:g} um along {along}, but {name} tells {there:g} um")
    filled = tuple(
        there if here is None else here for here, there in zip(size, spacing, strict=False)
    )
    keys = {key for key in sidecar if key not in header.instrument}
    if filled != size and None not in filled:
        keys |= {"PixelSize", "PixelSizeUnits"}
    instrument = {**sidecar, **header.instrument}
    settings = f"{file.program.name}: {'; '.join(found.settings)}" if found.settings else ""
    facts = header._replace(pixel_size_um=filled or header.pixel_size_um, instrument=instrument)
    return ToldBeside(
        path=file.path,
        facts=facts,
        keys=frozenset(keys),
        settings=settings,
        acquired_at=found.acquired_at,
        pages_are_planes=pages_are_planes,
        doubts=tuple(doubts),
    )


def _planes_of(header: HeaderFacts) -> int:
    """Return the number of planes of a channel, 0 where it is not known."""
    count = header.shape_nyx[0] if header.shape_nyx else 0
    channels = header.channel_count or 1
    return count // channels if count % channels == 0 else count
