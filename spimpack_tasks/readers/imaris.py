"""Headers of Imaris files (`.ims`, layout 5.5), by their HDF5 attributes; no voxel is read.

Facts: the Imaris file format description and ImarisWriter. Attributes are one-dimensional arrays
of one-byte characters; a value of more than 1,024 characters is a dataset of the attribute's name.
`Data` is padded to whole chunks, and `ImageSize` of the channel has the true size. The extents are
corners, so a voxel is (max - min) / size; extent 0 is that of x.
"""

from __future__ import annotations

from typing import Any

from spimpack_tasks.readers.base import (
    PLACEHOLDERS,
    Header,
    HeaderError,
    SpacingXYZ,
    check_regular,
    load_library,
    tidy_names,
)
from spimpack_tasks.readers.quantities import (
    EXACT,
    Doubts,
    checked_um,
    extent_per_voxel,
    iso_time,
    positive_number,
    unit_in_um,
)

LONGEST_TEXT = 2**16
MOST_LEVELS = 64
MOST_CHANNELS = 1024
_NUMBERS = {"Magnification": "LensPower", "NumericalAperture": "NumericalAperture"}
"""Sidecar key to attribute; the lens is written as `4x`."""
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError)
"""What h5py raises for a file whose structures are not sound."""


def read_header(path: str) -> Header:
    """Return the header of an Imaris file.

    The file is opened without SWMR, and its lock is respected where the disk has locks.
    """
    h5py = load_library("h5py")
    check_regular(path)
    try:
        with h5py.File(path, "r", swmr=False, locking="best-effort") as file:
            return _ImarisFile(path, file.id).read()
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise HeaderError(path, f"is not a sound Imaris file: {reason}") from error


class _ImarisFile:
    """An open file; knows where Imaris keeps things in it.

    It uses the lower of h5py's two interfaces, which takes a third of the time.
    """

    def __init__(self, path: str, file: Any) -> None:
        self.h5py, self.numpy = load_library("h5py"), load_library("numpy")
        self.path, self.file = path, file
        self.image = self._group("DataSetInfo/Image")

    def read(self) -> Header:
        first = "DataSet/ResolutionLevel 0"
        times = _count(self._group(first), "TimePoint")
        channels = _count(self._group(f"{first}/TimePoint 0"), "Channel")
        if not times or not 0 < channels <= MOST_CHANNELS:
            raise HeaderError(self.path, f"has {times} time points of {channels} channels")
        levels = min(_count(self._group("DataSet"), "ResolutionLevel"), MOST_LEVELS)
        sizes, dtypes = zip(*map(self._read_level, range(levels)), strict=True)
        return Header(
            axes=("t", "c", "z", "y", "x"),
            shapes=tuple((times, channels, *size) for size in sizes),
            dtype=dtypes[0],
            spacing_um_xyz=self._read_spacing(sizes[0], doubts := Doubts()),
            channel_count=channels,
            channel_names=self._read_channel_names(channels),
            acquired_at=self._read_time(),
            instrument=self._read_instrument(),
            doubts=doubts.told,
        )

    def _find(self, name: str, owner: Any = None) -> Any:
        """Return a group or dataset, `None` where it is not there."""
        try:
            return self.h5py.h5o.open(owner or self.file, name.encode())
        except KeyError:
            return None

    def _group(self, name: str) -> Any:
        found = self._find(name)
        if not isinstance(found, self.h5py.h5g.GroupID):
            raise HeaderError(self.path, f"has no group {name!r}, so it is not an Imaris file")
        return found

    def _read_level(self, number: int) -> tuple[tuple[int, int, int], str]:
        """Return the sizes z, y, x of a level, without the padding, and its data type."""
        name = f"DataSet/ResolutionLevel {number}/TimePoint 0/Channel 0"
        channel = self._group(name)
        data = self._find("Data", channel)
        if not isinstance(data, self.h5py.h5d.DatasetID) or data.rank != 3:
            raise HeaderError(self.path, f"has no three-dimensional '{name}/Data'")
        size = []
        for axis, stored in zip("ZYX", data.shape, strict=True):
            text = self._text(channel, f"ImageSize{axis}")
            n = int(text) if text.isdecimal() and len(text) < 20 else 0
            if not 0 < n <= stored:
                what = f"has an ImageSize{axis} of {text[:20]!r} in '{name}', of {stored} stored"
                raise HeaderError(self.path, what)
            size.append(n)
        return (size[0], size[1], size[2]), str(data.dtype.name)

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

    def _read_time(self) -> str | None:
        recorded = iso_time(self._text(self.image, "RecordingDate"))
        return recorded or iso_time(self._text(self._find("DataSetInfo/TimeInfo"), "TimePoint1"))

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
        if section is None:
            return ""
        if self.h5py.h5a.exists(section, name.encode()):
            source = self.h5py.h5a.open(section, name.encode())
            value = self._characters(source, source.get_storage_size())
        else:
            source = self._find(name, section)
            if not isinstance(source, self.h5py.h5d.DatasetID):
                return ""
            value = self.h5py.Dataset(source)[()] if source.rank < 2 and _is_short(source) else b""
        text = _as_text(value).strip("\0 \t\r\n")
        return "" if text in PLACEHOLDERS else text

    def _characters(self, attribute: Any, size: int) -> Any:
        """Return the value of an attribute: the bytes of an array of characters, or what it is."""
        if size > LONGEST_TEXT:
            return b""
        array = self.numpy.empty(attribute.shape, attribute.dtype)
        attribute.read(array)
        return array


def _is_short(dataset: Any) -> bool:
    return bool(dataset.get_space().get_simple_extent_npoints() <= LONGEST_TEXT)


def _count(group: Any, kind: str) -> int:
    """Return how many members a group has that are named by a kind and a number from 0 on."""
    most = group.get_num_objs()
    if most and f"{kind} {most - 1}".encode() in group:
        return int(most)
    return next((n for n in range(most) if f"{kind} {n}".encode() not in group), int(most))


def _as_text(value: Any) -> str:
    """Return a value as text: Imaris has arrays of characters, others plain texts or numbers."""
    if hasattr(value, "dtype"):
        if value.dtype.kind == "S":
            value = value.tobytes()
        else:
            items = value.ravel()[:4].tolist()
            value = items[0] if len(items) == 1 else " ".join(map(str, items))
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    return str(value)
