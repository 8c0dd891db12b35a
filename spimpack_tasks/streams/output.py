"""The images of a stream in one of the formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.streams.journal import Recorded
    from spimpack_tasks.streams.router import PlaneAt


class StreamImage(Protocol):
    """An image that is being written. It knows places of storage only, and no order of frames."""

    def write(self, at: PlaneAt, frame: Voxels) -> None:
        """Take a plane over: when this returns, the caller may change its memory."""

    def skip(self, at: PlaneAt) -> None:
        """Note that a plane never comes."""

    def flush(self) -> None:
        """Put all planes into files; the caller syncs them."""

    def read(self, at: PlaneAt) -> Voxels | None:
        """Return a plane that was written, `None` where there is none."""

    def restore(self, recorded: Recorded, skipped: set[PlaneAt]) -> None:
        """Take up what an earlier process has written.

        Afterwards the image has voxels of recorded planes alone.

        Parameters
        ----------
        recorded
            The content of the journal.
        skipped
            Planes of the image that never came.
        """

    def recorded(self) -> Iterator[PlaneAt]:
        """Yield the planes that are there."""


class Output(Protocol):
    """All images of a stream."""

    @property
    def images(self) -> Sequence[StreamImage]:
        """The images, one for each position."""

    def finish(self, sizes: PlaneAt, facts: Sequence[Mapping[str, Any]]) -> str:
        """Make the images whole, and return the path of what is moved to its final place.

        Parameters
        ----------
        sizes
            Planes of each image along t, c and z.
        facts
            Facts about the stream, for each image.
        """

    def move(self, final: str) -> None:
        """Learn that the images were moved to their final path, where they are read from now on."""

    def close(self) -> None:
        """Close files."""
