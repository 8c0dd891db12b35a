"""Headers of Imaris files (`.ims`, layout 5.5), by their HDF5 attributes; no voxel is read.

Facts: the Imaris file format description and ImarisWriter. Attributes are one-dimensional arrays
of one-byte characters; a value of more than 1,024 characters is a dataset of the attribute's name.
Other software writes texts or numbers. `Data` is padded to whole chunks, and `ImageSize` of the
channel has the true size. The extents are corners, so a voxel is (max - min) / size; extent 0 is
that of x.

Each level has a dataset for each time point and channel. All are looked at: an image has as many
channels at any time, and all have one size and one type, or it is refused.
"""

from __future__ import annotations

import operator
import os
import re
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from spimpack_tasks.model.displays import Displays, read_imaris_channel
from spimpack_tasks.model.quantities import (
    EXACT,
    Doubts,
    checked_um,
    extent_per_voxel,
    iso_time,
    positive_number,
    unit_in_um,
    wavelengths_nm,
)
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import (
    PLACEHOLDERS,
    Header,
    SpacingXYZ,
    check_regular,
    load_library,
    tidy_names,
)
from spimpack_tasks.volumes.imaris.hdf5 import Hdf5File
from spimpack_tasks.volumes.metadata_texts import Texts, as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

ShapeZYX: TypeAlias = tuple[int, int, int]
MOST_LEVELS = 64
"""A side of 2**63 voxels halved to one; real files have some eight."""
MOST_CHANNELS = 1024
"""Real files have some ten."""
MOST_DATASETS = 2**16
"""Of all levels, time points and channels; looking at so many takes seconds."""
_NUMBERS = {"Magnification": "LensPower", "NumericalAperture": "NumericalAperture"}
"""Sidecar key to attribute; the lens is written as `4x`."""
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError)
"""Exceptions of h5py for a file whose structures are not sound."""


class ChannelData(NamedTuple):
    """A channel at one time point of one level, by identifiers of HDF5."""

    section: Any
    data: Any


def read_header(path: str) -> Header:
    """Return the header of an Imaris file."""
    with ImarisFile(path) as file:
        return file.header


class ImarisFile:
    """An open file; knows where Imaris keeps things in it.

    It is opened without SWMR, and its lock is respected where the disk has locks.

    Raises
    ------
    HeaderError
        The file is damaged, is not an Imaris file, or holds what is no image of one size and type.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.h5py = load_library("h5py")
        check_regular(path)
        with ExitStack() as stack, self._damage_told():
            file = self.h5py.File(path, "r", swmr=False, locking="best-effort")
            self._file = stack.enter_context(file)
            others = stack.enter_context(ExitStack())
            self._members = Hdf5File(path, file.id, others)
            self.image = self._group("DataSetInfo/Image")
            self._channels = self._find_channels()
            """By level, time point and channel."""
            self.header = self._read()
            self._opened = stack.pop_all()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._opened.close()

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            reason = " ".join(str(error).split())[:200]
            message = f"is not a sound Imaris file: {reason}"
            raise HeaderError(self.path, message) from error

    def dataset(self, level: int, time: int, channel: int) -> Any:
        """Return a dataset by the higher of h5py's two interfaces."""
        return self.h5py.Dataset(self._channels[level][time][channel].data)

    def visit_chunks(self, dataset: Any, note: Callable[[tuple[int, ...], Any], None]) -> None:
        """Report each stored chunk of a dataset.

        Parameters
        ----------
        dataset
            Stored in chunks.
        note
            Told the place of a chunk in the grid, and what HDF5 knows of it.

        Raises
        ------
        HeaderError
            The index of chunks is damaged: what it leaves out would be taken for zeros.
        """
        grid = [-(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True)]
        seen: set[tuple[int, ...]] = set()

        def check(chunk: Any) -> None:
            pairs = list(zip(chunk.chunk_offset, dataset.chunks, strict=True))
            place = tuple(o // n for o, n in pairs)
            inside = all(o % n == 0 for o, n in pairs) and all(map(operator.lt, place, grid))
            if not inside or place in seen:
                raise HeaderError(self.path, f"has a strange index of chunks in {dataset.name!r}")
            seen.add(place)
            note(place, chunk)

        try:
            dataset.id.chunk_iter(check)
        except (OSError, RuntimeError, ValueError) as error:
            what = f"has a damaged index of chunks in {dataset.name!r}: {error}"
            raise HeaderError(self.path, what) from error

    def holds_bytes_of(self, dataset: Any) -> bool:
        """Tell whether HDF5 gives places of a dataset in the file itself."""
        other = self.h5py.h5f.get_name(dataset.id)
        return not self._file.userblock_size and os.path.samefile(other, self.path)

    def _find_channels(self) -> list[list[list[ChannelData]]]:
        """Return all channels of all time points of all levels, as many of each as at first."""
        levels = self._count("DataSet", "ResolutionLevel", MOST_LEVELS)
        first = "DataSet/ResolutionLevel 0"
        times = self._count(first, "TimePoint", MOST_DATASETS)
        channels = self._count(f"{first}/TimePoint 0", "Channel", MOST_CHANNELS)
        if levels * times * channels > MOST_DATASETS:
            what = f"has {levels} levels of {times} time points of {channels} channels"
            raise HeaderError(self.path, f"{what}; those are more than {MOST_DATASETS:,} datasets")
        return [
            [
                self._channels_at(f"DataSet/ResolutionLevel {level}/TimePoint {time}", channels)
                for time in range(self._same_count(level, times))
            ]
            for level in range(levels)
        ]

    def _same_count(self, level: int, times: int) -> int:
        name = f"DataSet/ResolutionLevel {level}"
        found = self._count(name, "TimePoint", MOST_DATASETS)
        if found != times:
            what = f"has {found} time points in {name!r}, and {times} at full resolution"
            raise HeaderError(self.path, what)
        return times

    def _channels_at(self, name: str, count: int) -> list[ChannelData]:
        """Return the channels of a time point."""
        found = self._count(name, "Channel", MOST_CHANNELS)
        if found != count:
            what = f"has {found} channels in {name!r}, and {count} at the first time point"
            raise HeaderError(self.path, what)
        owner = self._group(name)
        return [self._channel(f"{name}/Channel {n}", owner, f"Channel {n}") for n in range(count)]

    def _channel(self, name: str, owner: Any, inner: str) -> ChannelData:
        section = self._members.find(inner, owner)
        data: Any = self._members.find("Data", section) if self._members.is_group(section) else None
        if not self._members.is_dataset(data, f"{name}/Data") or data.rank != 3:
            raise HeaderError(self.path, f"has no three-dimensional '{name}/Data'")
        if data.dtype.kind not in "uif" or data.dtype.itemsize > 8:
            what = f"has voxels of type {str(data.dtype)[:200]} in '{name}/Data'"
            raise HeaderError(self.path, f"{what}, which is no number of an image")
        return ChannelData(section, data)

    def _read(self) -> Header:
        times, channels = len(self._channels[0]), len(self._channels[0][0])
        sizes, dtypes = zip(*map(self._read_level, range(len(self._channels))), strict=True)
        for number, (before, size) in enumerate(pairwise(sizes), start=1):
            if any(n > most for n, most in zip(size, before, strict=True)):
                raise HeaderError(self.path, f"has a level {number} larger than the one before")
        if len(set(dtypes)) > 1:
            what = f"has levels of different types: {', '.join(sorted(set(dtypes)))}"
            raise HeaderError(self.path, what)
        displays = self._read_displays(channels)
        return Header(
            axes=("t", "c", "z", "y", "x"),
            shapes=tuple((times, channels, *size) for size in sizes),
            dtype=dtypes[0],
            spacing_um_xyz=self._read_spacing(sizes[0], doubts := Doubts()),
            channel_count=channels,
            channel_names=self._read_channel_names(channels),
            displays=displays.known,
            display_doubts=displays.doubts,
            acquired_at=self._read_time(),
            instrument=self._read_instrument(),
            excitation_nm=self._read_excitation(channels),
            doubts=doubts.told,
        )

    def _find(self, name: str, owner: Any = None) -> Any:
        return self._members.find(name, owner)

    def _group(self, name: str) -> Any:
        found = self._find(name)
        if not self._members.is_group(found):
            raise HeaderError(self.path, f"has no group {name!r}, so it is not an Imaris file")
        return found

    def _count(self, name: str, kind: str, most: int) -> int:
        """Return how many members a group has that are named by a kind and a number from 0 on.

        Raises
        ------
        HeaderError
            There is none, there are too many, or a number is missing.
        """
        start = f"{kind} ".encode()
        group = self._group(name)
        found = {each.removeprefix(start) for each in group if each.startswith(start)}
        if not 0 < len(found) <= most:
            raise HeaderError(self.path, f"has {len(found)} members {kind!r} in {name!r}")
        missing = [n for n in range(len(found)) if str(n).encode() not in found]
        if missing:
            what = f"has no '{kind} {missing[0]}' in {name!r}, but {len(found)} of other numbers"
            raise HeaderError(self.path, what, "number them from 0 on without gaps")
        return len(found)

    def _read_level(self, number: int) -> tuple[ShapeZYX, str]:
        """Return the sizes z, y, x of a level, without the padding, and its data type."""
        first: tuple[ShapeZYX, str] | None = None
        for time, channels in enumerate(self._channels[number]):
            for channel, (section, data) in enumerate(channels):
                name = f"DataSet/ResolutionLevel {number}/TimePoint {time}/Channel {channel}"
                size = self._read_size(name, section, data.shape, first[0] if first else None)
                found = size, str(data.dtype.name)
                first = first or found
                if found != first:
                    what = f"has {_described(*found)} in {name!r}, and {_described(*first)} in the "
                    hint = "channels and time points of an image have one size and one type"
                    raise HeaderError(self.path, f"{what}first channel of the level", hint)
        assert first  # noqa: S101 - no level is without a channel
        return first

    def _read_size(
        self, name: str, section: Any, stored: ShapeZYX, first: ShapeZYX | None
    ) -> ShapeZYX:
        """Return the true sizes of a channel; where it has none, they are those of the first."""
        size = []
        for number, axis in enumerate("ZYX"):
            text = self._text(section, f"ImageSize{axis}")
            n = first[number] if first and not text else _whole_number(text)
            if not 0 < n <= stored[number]:
                what = f"has an ImageSize{axis} of {text[:20]!r} in {name!r}"
                raise HeaderError(self.path, f"{what}, of {stored[number]} stored")
            size.append(n)
        return size[0], size[1], size[2]

    def _read_spacing(self, size_zyx: tuple[int, int, int], doubts: Doubts) -> SpacingXYZ:
        found: list[float | None] = []
        for axis, n in enumerate(size_zyx[::-1]):
            name = f"ExtMin{axis} to ExtMax{axis}"
            found.append(doubts.ask(name, self._spacing_along, axis, n))
        return found[0], found[1], found[2]

    def _spacing_along(self, axis: int, count: int) -> float | None:
        """Return the distance of two voxels along an axis of so many."""
        factor = unit_in_um(self._text(self.image, "Unit"))
        ends = [self._text(self.image, f"Ext{end}{axis}") for end in ("Min", "Max")]
        if factor is None or not all(ends):
            return None
        each = extent_per_voxel(ends[0], ends[1], count)
        return checked_um(EXACT.multiply(each, factor))

    def _read_channel_names(self, count: int) -> tuple[str, ...]:
        sections = (self._find(f"DataSetInfo/Channel {number}") for number in range(count))
        return tidy_names([self._text(section, "Name") for section in sections])

    def _read_excitation(self, count: int) -> tuple[float, ...]:
        sections = (self._find(f"DataSetInfo/Channel {number}") for number in range(count))
        return wavelengths_nm(self._text(each, "LSMExcitationWavelength") for each in sections)

    def _read_displays(self, count: int) -> Displays:
        displays = Displays()
        for number in range(count):
            section = self._find(f"DataSetInfo/Channel {number}")
            colour, shown = (self._text(section, name) for name in ("Color", "ColorRange"))
            read_imaris_channel(displays, number, colour, shown)
        return displays

    def _read_time(self) -> str | None:
        recorded = iso_time(self._text(self.image, "RecordingDate"))
        return recorded or iso_time(self._text(self._find("DataSetInfo/TimeInfo"), "TimePoint1"))

    def list_attributes(self) -> dict[str, dict[str, str]]:
        """Return the texts of all attributes below `DataSetInfo`, by the name of their group."""
        top = self._group("DataSetInfo")
        found = {}
        for name in (key.decode("utf-8", "replace") for key in top):
            section = self._find(f"DataSetInfo/{name}")
            if section is None or not self._members.is_group(section):
                continue
            count = self.h5py.h5a.get_num_attrs(section)
            opened = (self.h5py.h5a.open(section, index=n).name for n in range(count))
            names = sorted(each.decode("utf-8", "replace") for each in opened)
            found[name] = {each: self._text(section, each) for each in names}
        return found

    def _read_instrument(self) -> dict[str, str | float]:
        found: dict[str, str | float] = {}
        for key, name in _NUMBERS.items():
            number = positive_number(self._text(self.image, name))
            if number is not None:
                found[key] = number
        section = self._find("DataSetInfo/ImarisDataSet")
        creator, version = (self._text(section, name) for name in ("Creator", "Version"))
        if creator:
            found["SoftwareVersions"] = f"{creator} {version}".strip()
        return found

    def _text(self, section: Any, name: str) -> str:
        """Return a value as text, empty where it is absent or a placeholder."""
        text = self._members.text(section, name).strip("\0 \t\r\n")
        return "" if text in PLACEHOLDERS else text


def _whole_number(text: str) -> int:
    """Return the number that a text holds, `21` or `21.0`; 0 where it is no whole number."""
    match = re.fullmatch(r"(\d{1,18})(\.0*)?", text, re.ASCII)
    return int(match[1]) if match else 0


def _described(size: ShapeZYX, dtype: str) -> str:
    return f"{' x '.join(map(str, size))} voxels of {dtype}"


def read_original(path: str) -> Texts:
    """Return the attributes of an Imaris file, as JSON."""
    with ImarisFile(path) as file:
        return {"Imaris": as_json(file.list_attributes())}
