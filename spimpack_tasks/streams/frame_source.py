"""The interface of a source of frames, and the rule by which one that grows has ended."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from spimpack_tasks.streams.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.arrays.grid import Shape, Voxels
    from spimpack_tasks.streams.settings import AcquisitionSettings

POLL_S = 0.2
"""Seconds between two looks at what grows."""


@dataclass(frozen=True, slots=True)
class EndRule:
    """When a source that grows has ended; with neither, when all announced frames are there.

    Raises
    ------
    SourceError
        A time is no number of seconds from 0 on.
    """

    marker: str = ""
    """Name of a file that appears in the folder when all planes are there."""
    quiet_s: float = 0.0
    """Seconds without any change, 0 for no such end."""
    settle_s: float = 0.5
    """Seconds for which a file must stay as it is before it is read."""

    def __post_init__(self) -> None:
        """Refuse times that never pass, or have passed before they began."""
        for name, seconds in (("quiet", self.quiet_s), ("settle", self.settle_s)):
            if not (isfinite(seconds) and seconds >= 0):
                message = f"{name} is {seconds:g}, but must be seconds, 0 or more"
                raise SourceError(message)

    @property
    def is_given(self) -> bool:
        """Whether there is an end other than the announced number of frames."""
        return bool(self.marker) or self.quiet_s > 0


class SourceFrame(NamedTuple):
    """A frame of a source."""

    number: int
    pixels: Voxels | None
    """`None` for one that never came."""
    metadata: Mapping[str, Any] | None = None
    name: str = ""
    """Name of its file, where each frame has one."""


class FrameSource(Protocol):
    """A source of frames."""

    def frames(self, first: int) -> Iterator[SourceFrame]:
        """Yield frames from a number on, one by one; wait for those that still come.

        Raises
        ------
        SourceError
            The source cannot be read, or is in disorder.
        """

    def read(self, number: int) -> Voxels | None:
        """Return an earlier frame once more, `None` where that is not possible."""


def frame_shape(settings: AcquisitionSettings) -> Shape:
    """Return the pixels of a frame along y and x."""
    return tuple(each.count or 1 for each in settings.dimensions[-2:])
