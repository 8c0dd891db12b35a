"""Watches a stream that another process writes: its frames, as far as they are in files.

Nothing is locked or written. Frames that wait in the memory of the other process are not there yet;
its `flush` puts them into files.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Protocol, Self

from spimpack_tasks.arrays.codecs import choose_codec
from spimpack_tasks.files.places import LocalPlace, PlaceBelow
from spimpack_tasks.streams.errors import StreamClosedError
from spimpack_tasks.streams.journal_follower import JournalFollower
from spimpack_tasks.streams.part import Part
from spimpack_tasks.streams.reader import SlabReader
from spimpack_tasks.streams.router import Router, Target
from spimpack_tasks.streams.slabs import SlabGrid
from spimpack_tasks.streams.spool import read_spooled
from spimpack_tasks.streams.tiff_names import name_files
from spimpack_tasks.streams.tiff_planes import read_plane
from spimpack_tasks.streams.view import StreamView
from spimpack_tasks.streams.zarr_groups import image_folders
from spimpack_tasks.streams.zarr_plan import choose_cut, describe, plan_levels
from spimpack_tasks.volumes.ome_zarr.stores import read_store
from spimpack_tasks.volumes.tiff.bigtiff import StoredPlane

if TYPE_CHECKING:
    from types import TracebackType

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.streams.journal import Recorded
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.slabs import SlabKey


class StreamWatch:
    """A stream that another process writes.

    Parameters
    ----------
    path
        Path of the image, or of the unfinished folder beside it.

    Raises
    ------
    StreamClosedError
        There is no unfinished stream.
    InputError
        Its settings are damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._part = Part(path)
        self.settings = self._part.settings()
        self.path = self._part.final
        """Path of the image when it is finished."""
        self._router = Router(self.settings)
        self._open = ExitStack()
        try:
            self._journal = self._open.enter_context(JournalFollower(self._part.journal))
            self._files = self._open_files()
        except FileNotFoundError as error:
            self._open.close()
            message = f"the stream at {self._part.path} has no file yet, or is finished just now"
            raise StreamClosedError(message) from error
        self._there: set[int] = set()
        self.is_finished = False
        """Whether the image was finished, or the folder deleted, when it was looked at last."""
        self.refresh()

    def _open_files(self) -> _Files:
        if self.settings.format == "ome-tiff":
            return _TiffFiles(self._part, self.settings, self._open)
        return _ZarrFiles(self._part, self.settings, self._router.sizes_of(0))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close files."""
        self._open.close()

    def refresh(self) -> bool:
        """Look for further frames, and tell whether there are any."""
        self.is_finished = not os.path.isdir(self._part.image)
        before = len(self._there)
        recorded = self._journal.refresh()
        for image, at in self._files.update(recorded):
            self._there.add(self._router.frame(Target(image, at)))
        self._last = max(self._there | recorded.skipped, default=-1)
        if self.is_finished:
            self._files.move(self._part.final)
        return len(self._there) > before

    @property
    def next_frame(self) -> int:
        """Number of the frame behind the last one that is there, from 0."""
        return self._last + 1

    @property
    def frames(self) -> int:
        """Number of frames that are there."""
        return len(self._there)

    def read_frame(self, number: int) -> Voxels | None:
        """Return a frame, `None` if it is not there."""
        if number not in self._there:
            return None
        target = self._router.target(number)
        with suppress(FileNotFoundError):
            frame = self._files.read(target.image, target.at)
            if self.is_finished or os.path.isdir(self._part.image):
                return frame
        self.refresh()  # it was moved meanwhile: into shards, or to the final path
        with suppress(FileNotFoundError):
            return self._files.read(target.image, target.at)
        return None

    def view(self, *, dynamic_shape: bool = True, strict: bool = False) -> StreamView:
        """Return the frames like an array, see `Stream.view`."""
        return StreamView(self, is_dynamic=dynamic_shape, is_strict=strict)


def count_in_files(part: Part) -> int:
    """Return how many frames of a stream are in files, 0 where that cannot be read."""
    with suppress(StreamClosedError, OSError), StreamWatch(part.path) as watch:
        return watch.frames
    return 0


class _Files(Protocol):
    """The files of the images."""

    def update(self, recorded: Recorded) -> list[tuple[int, PlaneAt]]:
        """Return image and place of planes that are there, all or only further ones."""

    def read(self, image: int, at: PlaneAt) -> Voxels | None:
        """Return a plane that is there."""

    def move(self, final: str) -> None:
        """Learn that the image is at its final path."""


class _ZarrFiles:
    def __init__(self, part: Part, settings: AcquisitionSettings, sizes: PlaneAt) -> None:
        import numpy as np

        self._settings = settings
        self._folders = image_folders(settings)
        dtype = np.dtype(settings.dtype)
        self._ngff = "0.4" if settings.format.endswith("0.4") else "0.5"
        has_checksum = self._ngff != "0.4"
        self._codec = choose_codec(settings.compression, dtype.itemsize, has_checksum=has_checksum)
        ends = tuple(Router(settings).sizes)
        self._axes = describe(settings, settings.positions[0], sizes, dtype).axes
        plan = plan_levels(
            settings, choose_cut(settings), (ends[0], ends[1], ends[2]), is_final=False
        )
        self._grid = SlabGrid(plan[0], dtype)
        self._spool = part.spool
        self._slabs: dict[int, set[SlabKey]] = {}
        self._spooled: set[tuple[int, PlaneAt]] = set()
        self._open(part.image)

    def move(self, final: str) -> None:
        self._spool = ""  # all planes are in shards
        self._open(final)

    def _open(self, folder: str) -> None:
        root = LocalPlace(folder)
        levels = (self._grid.level,)
        self._readers = [
            SlabReader(
                read_store(
                    PlaceBelow(root, each) if each else root, self._ngff, self._axes, levels
                ),
                [self._grid],
                self._codec,
            )
            for each in self._folders
        ]

    def update(self, recorded: Recorded) -> list[tuple[int, PlaneAt]]:
        found = []
        for image in range(len(self._folders)):
            slabs = recorded.slabs.get((image, 0), {})
            known = self._slabs.setdefault(image, set())
            new = [key for key in slabs if key not in known] if len(slabs) > len(known) else []
            known.update(new)
            for key in new:
                lacks = {*slabs[key]}
                planes = self._grid.planes_of(key)
                found += [(image, at) for number, at in planes if number not in lacks]
            spooled = {(image, at) for at in recorded.spooled.get(image, ())} - self._spooled
            self._spooled |= spooled
            found += spooled
        return found

    def read(self, image: int, at: PlaneAt) -> Voxels | None:
        key = self._grid.key_of(at)
        if key in self._slabs[image] or not self._spool:
            return self._readers[image].plane(0, at)
        return read_spooled(self._spool, image, key, self._grid.number_of(at), self._grid)


class _TiffFiles:
    def __init__(self, part: Part, settings: AcquisitionSettings, closing: ExitStack) -> None:
        import numpy as np

        self._dtype, self._codec = np.dtype(settings.dtype), settings.compression
        y, x = (each.count or 1 for each in settings.dimensions[-2:])
        self._size = y, x
        names = name_files(settings)
        opened = [closing.enter_context(_OpenFile(f"{part.image}/{each}")) for each in names.files]
        self._files = [opened[number] for number in names.file_of]
        self._planes: dict[tuple[int, PlaneAt], StoredPlane] = {}
        self._count = 0

    def update(self, recorded: Recorded) -> list[tuple[int, PlaneAt]]:
        found = []
        for entry in recorded.planes[self._count :]:
            image, t, c, z = entry["plane"]
            offset, *tiles = entry["levels"][0]
            self._planes[image, (t, c, z)] = StoredPlane(self._size, offset, tuple(tiles))
            found.append((image, (t, c, z)))
        self._count = len(recorded.planes)
        return found

    def read(self, image: int, at: PlaneAt) -> Voxels | None:
        plane = self._planes[image, at]
        return read_plane(self._files[image], plane, self._dtype, self._codec)

    def move(self, final: str) -> None:
        """The files are open, wherever they are."""


class _OpenFile:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def read(self, offset: int, size: int) -> bytes:
        """Return some bytes."""
        return os.pread(self._file, size, offset)
