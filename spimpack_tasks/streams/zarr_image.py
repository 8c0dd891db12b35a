"""Writes an image of a stream as an OME-Zarr with its pyramid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.codecs import choose_codec
from spimpack_tasks.arrays.contrast import find_window
from spimpack_tasks.files.atomic import Durability
from spimpack_tasks.streams.missing_levels import make_missing
from spimpack_tasks.streams.pyramid import Pyramid
from spimpack_tasks.streams.reader import SlabReader
from spimpack_tasks.streams.slabs import PRESENT, SlabGrid
from spimpack_tasks.streams.unrecorded import settle_unrecorded
from spimpack_tasks.streams.zarr_level import LevelWriter
from spimpack_tasks.streams.zarr_plan import choose_cut, describe, plan_levels
from spimpack_tasks.volumes.ome_zarr.stores import open_store, read_store
from spimpack_tasks.volumes.spec import compose_channels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.arrays.grid import LevelGrid, Voxels
    from spimpack_tasks.files.places import Place
    from spimpack_tasks.streams.journal import Recorded
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.work import Work

_SMALL = 2**18
"""Bytes of a frame that take longer to hand to another thread than to halve: 256 KiB."""


class ZarrImage:
    """An image that is being written.

    Parameters
    ----------
    number
        Number of the image in its stream.
    place
        Where it is written.
    settings
        The settings of the stream.
    sizes
        Planes along t, c and z, 0 without an end.
    work
        What the images of a stream share.
    """

    def __init__(
        self, number: int, place: Place, settings: AcquisitionSettings, sizes: PlaneAt, work: Work
    ) -> None:
        import numpy as np

        self._number, self._place, self._settings, self._work = number, place, settings, work
        self._dtype = np.dtype(settings.dtype)
        self._ngff = "0.4" if settings.format.endswith("0.4") else "0.5"
        itemsize = self._dtype.itemsize
        has_checksum = self._ngff != "0.4"
        self._codec = choose_codec(settings.compression, itemsize, has_checksum=has_checksum)
        self._cut = choose_cut(settings)
        self._axes = describe(settings, settings.positions[number], sizes, self._dtype).axes
        levels = plan_levels(settings, self._cut, sizes, is_final=False)
        self._levels, self._reader = self._open(levels)
        is_small = self._levels[0].grid.frame_bytes <= _SMALL
        self._pyramid: Pyramid | None = None
        if len(levels) > 1:
            self._pyramid = Pyramid(self._levels, work, is_small=is_small)

    def _open(self, levels: tuple[LevelGrid, ...]) -> tuple[list[LevelWriter], SlabReader]:
        store = open_store(self._place, self._ngff, self._axes, levels, Durability.WHOLE)
        grids = [SlabGrid(level, self._dtype) for level in levels]
        writers = [
            LevelWriter((self._number, number), store, grid, self._codec, self._work)
            for number, grid in enumerate(grids)
        ]
        return writers, SlabReader(store, grids, self._codec)

    def write(self, at: PlaneAt, frame: Voxels) -> None:
        """Take a plane over: when this returns, the caller may change its memory.

        Raises
        ------
        StreamBehindError
            The memory is full, and waiting is not wanted; nothing was taken.
        OSError
            The disk does not take it.
        """
        full = self._levels[0]
        full.reserve(at)
        if self._pyramid is None:
            full.put(at, frame)
        else:
            self._pyramid.push(at, frame, lambda: full.put(at, frame))

    def skip(self, at: PlaneAt) -> None:
        """Note that a plane never comes."""
        self._levels[0].skip(at)

    def flush(self) -> None:
        """Put all planes into files; the caller syncs them."""
        self._levels[0].flush()

    def read(self, at: PlaneAt) -> Voxels | None:
        """Return a plane that was written, `None` where there is none."""
        full = self._levels[0]
        key = full.grid.key_of(at)
        if key in full.open:
            return full.plane(at)
        if key in full.leaving:
            full.settle()
        return self._reader.plane(0, at) if key in full.done else None

    def restore(self, recorded: Recorded, skipped: set[PlaneAt]) -> None:
        """Take up what an earlier process has written, see `StreamImage.restore`."""
        planes = recorded.spooled.get(self._number, set())
        for level, writer in enumerate(self._levels):
            done = recorded.slabs.get((self._number, level), {})
            writer.restore(planes if not level else set(), done)
        # Objects of the old form have their names before they are whole.
        are_whole = recorded.is_same_boot and self._ngff != "0.4"
        grids = tuple(writer.grid.level for writer in self._levels)
        store = read_store(self._place, self._ngff, self._axes, grids)
        settle_unrecorded(self._place, store, self._levels, skipped, are_whole=are_whole)

    def recorded(self) -> Iterator[PlaneAt]:
        """Yield the planes that are there."""
        full = self._levels[0]
        for key, lacks in full.done.items():
            lacking = set(lacks)
            yield from (at for number, at in full.grid.planes_of(key) if number not in lacking)
        for key, slab in full.open.items():
            for number, at in full.grid.planes_of(key):
                if slab.states[number] == PRESENT:
                    yield at

    def finish(self, sizes: PlaneAt, facts: Mapping[str, Any]) -> None:
        """Make the image whole, and write its metadata.

        Parameters
        ----------
        sizes
            Planes along t, c and z.
        facts
            Facts about the stream, for the attributes.
        """
        if self._pyramid is not None:
            self._pyramid.drop()
        full = self._levels[0]
        full.finish()
        full.settle()
        levels = plan_levels(self._settings, self._cut, sizes, is_final=True)
        earlier, (self._levels, self._reader) = self._levels, self._open(levels)
        for before, writer in zip(earlier, self._levels, strict=False):
            writer.restore(set(), before.done)
        self._work.pool.settle()
        make_missing(self._levels, self._reader, self._work.pool)
        position = self._settings.positions[self._number]
        spec = describe(self._settings, position, sizes, self._dtype)
        # Channels that nobody has named are shown as in conversions.
        shown = spec.channels or compose_channels(sizes[1], (), ())
        channels = tuple(
            replace(channel, window=self._find_window(number, sizes))
            for number, channel in enumerate(shown)
        )
        spec = replace(spec, channels=channels, provenance=facts)
        store = open_store(self._place, self._ngff, self._axes, levels, Durability.WHOLE)
        store.finish(spec, self._codec)

    def _find_window(self, channel: int, sizes: PlaneAt) -> tuple[float, float]:
        """Return the values that a channel is shown between, by planes of the smallest level."""
        last = len(self._levels) - 1
        height = self._levels[last].grid.level.shape[2]
        middle: Any = self._reader.plane(last, (0, min(channel, sizes[1] - 1), height // 2))
        return find_window(middle)
