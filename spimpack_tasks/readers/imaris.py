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
    QuantityError,
    checked_um,
    extent_per_voxel,
    iso_time,
    positive_number,
    unit_in_um,
)

LONGEST_TEXT = 2**16
MOST_LEVELS = 64
MOST_CHANNELS = 1024
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
            return _ImarisFile(path, file).read()
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise HeaderError(path, f"is not a sound Imaris file: {reason}") from error


class _ImarisFile:
    """An open file; knows where Imaris keeps things in it."""

    def __init__(self, path: str, file: Any) -> None:
        self.path, self.file = path, file
        self.info = self._group(file, "DataSetInfo")
        self.image = self._group(self.info, "Image")

    def read(self) -> Header:
        levels = self._group(self.file, "DataSet")
        first = self._group(levels, "ResolutionLevel 0")
        times = _count(first, "TimePoint")
        channels = _count(self._group(first, "TimePoint 0"), "Channel")
        if not times or not 0 < channels <= MOST_CHANNELS:
            raise HeaderError(self.path, f"has {times} time points of {channels} channels")
        sizes, dtypes = [], []
        for number in range(min(_count(levels, "ResolutionLevel"), MOST_LEVELS)):
            size, dtype = self._read_level(levels, number)
            sizes.append(size)
            dtypes.append(dtype)
        return Header(
            axes=("t", "c", "z", "y", "x"),
            shapes=tuple((times, channels, *size) for size in sizes),
            dtype=dtypes[0],
            spacing_um_xyz=self._read_spacing(sizes[0]),
            channel_count=channels,
            channel_names=self._read_channel_names(channels),
            acquired_at=self._read_time(),
            instrument=self._read_instrument(),
        )

    def _group(self, owner: Any, name: str) -> Any:
        found = owner.get(name)
        if found is None or not hasattr(found, "keys"):
            raise HeaderError(self.path, f"has no group {name!r}, so it is not an Imaris file")
        return found

    def _read_level(self, levels: Any, number: int) -> tuple[tuple[int, int, int], str]:
        """Return the sizes z, y, x of a level, without the padding, and its data type."""
        name = f"ResolutionLevel {number}/TimePoint 0/Channel 0"
        channel = self._group(levels, name)
        data = channel.get("Data")
        if not hasattr(data, "shape") or len(data.shape) != 3:
            raise HeaderError(self.path, f"has no three-dimensional 'DataSet/{name}/Data'")
        size = []
        for axis, stored in zip("ZYX", data.shape, strict=True):
            text = self._text(channel, f"ImageSize{axis}")
            n = int(text) if text.isdecimal() and len(text) < 20 else 0
            if not 0 < n <= stored:
                what = f"has an ImageSize{axis} of {text!r} in '{name}', but {stored} are stored"
                raise HeaderError(self.path, what)
            size.append(n)
        return (size[0], size[1], size[2]), str(data.dtype.name)

    def _read_spacing(self, size_zyx: tuple[int, int, int]) -> SpacingXYZ:
        found: list[float | None] = []
        try:
            factor = unit_in_um(self._text(self.image, "Unit"))
            for axis, n in enumerate(size_zyx[::-1]):
                ends = [self._text(self.image, f"Ext{end}{axis}") for end in ("Min", "Max")]
                if factor is None or not all(ends):
                    found.append(None)
                else:
                    each = extent_per_voxel(ends[0], ends[1], n)
                    found.append(checked_um(EXACT.multiply(each, factor)))
        except QuantityError as error:
            raise HeaderError(self.path, f"has a voxel size of which {error}") from None
        return found[0], found[1], found[2]

    def _read_channel_names(self, count: int) -> tuple[str, ...]:
        sections = [self.info.get(f"Channel {number}") for number in range(count)]
        return tidy_names([self._text(section, "Name") for section in sections])

    def _read_time(self) -> str | None:
        recorded = iso_time(self._text(self.image, "RecordingDate"))
        return recorded or iso_time(self._text(self.info.get("TimeInfo"), "TimePoint1"))

    def _read_instrument(self) -> dict[str, str | float]:
        found: dict[str, str | float] = {}
        for key, name in {
            "Magnification": "LensPower",
            "NumericalAperture": "NumericalAperture",
        }.items():
            number = positive_number(self._text(self.image, name))
            if number is not None:
                found[key] = number
        section = self.info.get("ImarisDataSet")
        creator, version = (self._text(section, name) for name in ("Creator", "Version"))
        if creator:
            found["SoftwareVersions"] = f"{creator} {version}".strip()
        return found

    def _text(self, section: Any, name: str) -> str:
        """Return a value as text, empty where it is absent or a placeholder."""
        if section is None:
            return ""
        if name in section.attrs:
            value = section.attrs[name]
        else:
            dataset: Any = section.get(name) if hasattr(section, "keys") else None
            if not hasattr(dataset, "size") or dataset.size > LONGEST_TEXT:
                return ""
            value = dataset[()]
        text = _as_text(value).strip("\0 \t\r\n")
        return "" if text in PLACEHOLDERS else text


def _count(group: Any, kind: str) -> int:
    """Return how many members a group has that are named by a kind and a number from 0 on."""
    return _end_of_run(group, kind, len(group))


def _end_of_run(group: Any, kind: str, most: int) -> int:
    """Return the first number without a member, looking at few of them."""
    if most and f"{kind} {most - 1}" in group:
        return most
    return next((number for number in range(most) if f"{kind} {number}" not in group), most)


def _as_text(value: Any) -> str:
    """Return an attribute as text: Imaris has arrays of characters, others plain texts."""
    if isinstance(value, str):
        return value
    if hasattr(value, "tobytes") and getattr(value, "dtype", None) is not None:
        if value.dtype.kind == "S":
            value = value.tobytes()
        elif value.dtype.kind == "O":
            items = value.ravel().tolist()
            value = items[0] if items else ""
        else:
            return " ".join(str(item) for item in value.ravel()[:4].tolist())
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    return str(value)
