"""Headers and levels of Leica LIF files; liffile reads their structure (extra `lif`).

A file holds XML and blocks of memory, of which each image has one. The XML tells for each axis and
channel how many bytes lie between its elements, so a plane is read from where it is. Lengths are in
metres and times in seconds, from the first element to the last. Facts: liffile 2026.2.
"""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.limits import LARGEST_BLOCK, LARGEST_XML, REMEDY, allowed, as_size
from spimpack_tasks.model.displays import Display
from spimpack_tasks.model.quantities import Doubts, length_in_um, time_in_s
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import (
    Header,
    check_regular,
    itemsize_of,
    load_library,
    tidy_names,
)
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.scenes import Scene, pick_scene

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO
    from xml.etree.ElementTree import Element

    from spimpack_tasks.volumes.header import SpacingXYZ
    from spimpack_tasks.volumes.levels import Index, Voxels
    from spimpack_tasks.volumes.metadata_texts import Texts

_AXES = {"1": "x", "2": "y", "3": "z", "4": "t"}
"""By `DimID`; others, such as 5 of wavelengths and 10 of tiles, are no axes of ours."""
_OTHERS = {"5": "wavelength", "6": "rotation", "9": "excitation", "10": "tile"}
_TYPES = {("0", 1): "uint8", ("0", 2): "uint16", ("1", 4): "float32"}
"""Data type by `DataType` and bytes of a sample."""
_COLOURS = {
    "Red": "FF0000",
    "Green": "00FF00",
    "Blue": "0000FF",
    "Cyan": "00FFFF",
    "Magenta": "FF00FF",
    "Yellow": "FFFF00",
    "Gray": "FFFFFF",
}
"""By `LUTName`."""
_START = struct.Struct("<IIBI")
"""Of a file: a mark, bytes of the first chunk, a second mark, and letters of the XML."""
_MARKS = (0x70, 0x2A)


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of an image."""

    name: str
    size: int
    step: int
    """Bytes between two of its elements."""
    length: str
    """From the first element to the last."""
    unit: str


@dataclass(frozen=True, slots=True)
class _Image:
    """One image, and where its voxels are."""

    path: str
    """Names of the folders that it is in, and its own."""
    axes: tuple[_Axis, ...]
    """The slowest first; `c` counts channels, and lies where their distance has it."""
    starts: tuple[int, ...]
    """Bytes from the begin of the block to each channel."""
    dtype: str
    names: tuple[str, ...]
    """Of channels."""
    colours: tuple[str, ...]
    offset: int
    size: int
    """Bytes of its block."""

    @property
    def names_of_axes(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes along the axes."""
        return tuple(axis.size for axis in self.axes)


def read_header(path: str, scene: str = "") -> Header:
    """Return the header of a LIF file."""
    image, scenes, number = _find_image(path, scene)
    sizes = {axis.name: axis for axis in image.axes}
    doubts = Doubts()
    is_shown = all(image.colours) and "c" in sizes and not _has_samples(image)
    return Header(
        axes=image.names_of_axes,
        shapes=(image.shape,),
        dtype=image.dtype,
        spacing_um_xyz=_spacing(sizes, doubts),
        time_step_s=_time_step(sizes.get("t")),
        channel_count=len(image.starts),
        channel_names=tidy_names([*image.names]),
        displays=tuple(Display(colour=colour) for colour in image.colours) if is_shown else (),
        doubts=doubts.told,
        scenes=scenes,
        scene=number,
    )


@contextmanager
def open_levels(path: str, scene: str = "") -> Iterator[Sequence[StoredLevel]]:
    """Open the voxels of an image of a LIF file, which has one level."""
    image, _, _ = _find_image(path, scene)
    with open(path, "rb") as stream:
        yield [_level(stream, image)]


def _find_image(path: str, scene: str) -> tuple[_Image, tuple[Scene, ...], int]:
    """Return the image that is meant, all images if there are several, and its number."""
    with open_file(path) as file:
        listed = [each for each in _list_images(file) if _has_voxels(each.xml_element)]
        images = [_read_image(path, each) for each in listed]
    if not images:
        raise HeaderError(path, "holds no image")
    several = images if len(images) > 1 else []
    scenes = tuple(Scene(one.path, one.names_of_axes, one.shape) for one in several)
    number = pick_scene(path, scenes, scene)
    _check_block(path, images[number])
    return images[number], scenes, number


@contextmanager
def open_file(path: str) -> Iterator[Any]:
    """Open a LIF file by the library, if it begins as one does.

    Raises
    ------
    HeaderError
        It does not.
    """
    liffile = load_library("liffile", "lif")
    check_regular(path)
    _check_beginning(path)
    with open(path, "rb") as stream, liffile.LifFile(stream) as file:
        yield file


def _check_beginning(path: str) -> None:
    """Refuse XML that is no such, before the library parses it."""
    with open(path, "rb") as stream:
        start = stream.read(_START.size)
        mark, _, second, letters = _START.unpack(start) if len(start) == _START.size else (0,) * 4
        if (mark, second) != _MARKS:
            raise HeaderError(path, "does not begin as LIF files do")
        if 2 * letters > allowed(LARGEST_XML):
            raise HeaderError(path, f"has XML of {as_size(2 * letters)}", REMEDY)
        text = stream.read(2 * letters)
    if len(text) < 2 * letters:
        raise HeaderError(path, "is cut off within its XML")
    if "<!DOCTYPE".encode("utf-16-le") in text:
        raise HeaderError(path, "has XML with a document type, which a LIF file has not")


def _list_images(file: Any) -> Iterator[Any]:
    """Yield all images; the library keeps one of several that have the same path."""
    known = list(file.images)
    kinds = {type(each) for each in known}
    if len(kinds) != 1:
        yield from known
        return
    kind = kinds.pop()
    for name, element in _walk(file.xml_element):
        if element.find("Data/Image") is not None:
            yield kind(file, element, name)


def _walk(element: Element, base: str = "") -> Iterator[tuple[str, Element]]:
    """Yield the elements below one, each with its path without the name of the file."""
    inner = element.findall("Children/Element") or element.findall("Element")
    for each in inner:
        name = f"{base}/{each.get('Name', '')}" if base else each.get("Name", "")
        yield name.partition("/")[2] or name, each
        yield from _walk(each, name)


def _has_voxels(element: Element) -> bool:
    place = "Data/Image/ImageDescription/Dimensions/DimensionDescription"
    return element.find(place) is not None


def _read_image(path: str, image: Any) -> _Image:
    described = image.xml_element.find("Data/Image/ImageDescription")
    channels = _sort_channels(described.findall("Channels/ChannelDescription"))
    types = {_type_of(channel) for channel in channels}
    if len(types) != 1 or not types <= set(_TYPES):
        shown = ", ".join(f"{kind} of {size} bytes" for kind, size in sorted(types))
        raise HeaderError(path, f"has an image {image.path!r} with samples of the types {shown}")
    dtype = _TYPES[types.pop()]
    axes = [_read_axis(each) for each in described.findall("Dimensions/DimensionDescription")]
    starts = tuple(int(channel.get("BytesInc", "0")) for channel in channels)
    if len(starts) > 1:
        step = min((start for start in starts if start), default=0)
        axes.append(_Axis("c", len(starts), step, "", ""))
    axes.sort(key=lambda axis: axis.step, reverse=True)
    missing = {"x", "y"} - {axis.name for axis in axes}
    axes = [_Axis(name, 1, 0, "", "") for name in sorted(missing, reverse=True)] + axes
    block = image.memory_block
    return _Image(
        path=image.path,
        axes=tuple(_order(axes)),
        starts=starts,
        dtype=dtype,
        names=tuple(_name_of(channel) for channel in channels),
        colours=tuple(_COLOURS.get(channel.get("LUTName", ""), "") for channel in channels),
        offset=block.offset,
        size=block.size,
    )


def _order(axes: list[_Axis]) -> list[_Axis]:
    """Return axes with y and x behind the others, and only samples of a pixel behind those."""
    of_plane = {axis.name: axis for axis in axes if axis.name in "yx"}
    before = [axis for axis in axes if axis.name not in of_plane]
    samples = [axis for axis in before if axis.name == "c" and axis.step < of_plane["x"].step]
    leading = [axis for axis in before if axis not in samples]
    return [*leading, of_plane["y"], of_plane["x"], *samples]


def _has_samples(image: _Image) -> bool:
    return image.axes[-1].name == "c"


def _sort_channels(channels: list[Element]) -> list[Element]:
    """Return channels in the order of their bytes, or as red, green and blue."""
    tags = [channel.get("ChannelTag", "0") for channel in channels]
    if sorted(tags) == ["1", "2", "3"]:
        return sorted(channels, key=lambda channel: channel.get("ChannelTag", ""))
    return sorted(channels, key=lambda channel: int(channel.get("BytesInc", "0")))


def _type_of(channel: Element) -> tuple[str, int]:
    bits = int(channel.get("Resolution", "0"))
    size = next((size for size in (1, 2, 4, 8) if 0 < bits <= 8 * size), 0)
    return channel.get("DataType", "0"), size


def _read_axis(described: Element) -> _Axis:
    number = described.get("DimID", "")
    name = _AXES.get(number, _OTHERS.get(number, f"dimension {number[:9]}"))
    size, step = (int(described.get(key, "")) for key in ("NumberOfElements", "BytesInc"))
    return _Axis(name, size, step, described.get("Length", ""), described.get("Unit", ""))


def _name_of(channel: Element) -> str:
    """Return the name of the dye, the only name of a channel in the file."""
    for fact in channel.iterfind("ChannelProperty"):
        if fact.findtext("Key") == "DyeName":
            return (fact.findtext("Value") or "").strip()
    return ""


def _check_block(path: str, image: _Image) -> None:
    """Refuse an image whose voxels would lie outside its block, or whose block is not there."""
    reach = sum((axis.size - 1) * axis.step for axis in image.axes if axis.name != "c")
    needed = max(image.starts) + reach + itemsize_of(image.dtype)
    is_sound = all(axis.size > 0 and axis.step >= 0 for axis in image.axes)
    if not is_sound or min(image.starts) < 0 or needed > image.size or image.offset < 0:
        what = f"is damaged: the image {image.path!r} needs {needed:,} bytes, but its block has "
        raise HeaderError(path, f"{what}{image.size:,}")
    size = os.stat(path).st_size
    if image.offset + image.size > size:
        what = (
            f"is cut off or damaged: it has {size:,} bytes, and the image {image.path!r} ends at "
        )
        raise HeaderError(path, f"{what}{image.offset + image.size:,}")


def _level(stream: BinaryIO, image: _Image) -> StoredLevel:
    import numpy as np

    dtype = np.dtype(image.dtype).newbyteorder("<")
    axes = {axis.name: axis for axis in image.axes}
    names = image.names_of_axes
    leading = [name for name in names if name not in "cyx"]
    channels = range(len(image.starts))

    def read_plane(start: int, rows: slice, columns: slice) -> Voxels:
        y, x = axes["y"].step, axes["x"].step
        first = image.offset + start + rows.start * y + columns.start * x
        count, width = rows.stop - rows.start, columns.stop - columns.start
        size = (count - 1) * y + (width - 1) * x + dtype.itemsize
        if size > allowed(LARGEST_BLOCK):
            message = f"a plane takes {as_size(size)}; {REMEDY}"
            raise ValueError(message)
        data = os.pread(stream.fileno(), size, first)
        if len(data) != size:
            message = f"the file ends at byte {first + len(data):,}, within a plane"
            raise ValueError(message)
        return np.ndarray((count, width), dtype, data, 0, (y, x))

    def read(index: Index) -> Voxels:
        wanted = dict(zip(names, index, strict=True))
        numbers = range(*wanted["c"].indices(len(channels))) if "c" in wanted else channels
        steps = [axes[name].step for name in leading]
        places = product(*(range(wanted[name].start, wanted[name].stop) for name in leading))
        planes = [
            read_plane(
                image.starts[c] + sum(n * step for n, step in zip(at, steps, strict=True)),
                wanted["y"],
                wanted["x"],
            )
            for at in places
            for c in numbers
        ]
        order = [*leading, *(["c"] if "c" in names else []), "y", "x"]
        sizes = [wanted[name].stop - wanted[name].start for name in order]
        block = np.stack(planes).reshape(sizes)
        return block.transpose([order.index(name) for name in names])

    one = {"y": axes["y"].size, "x": axes["x"].size}
    chunk = tuple(one.get(axis.name, 1) for axis in image.axes)
    return StoredLevel(names, image.shape, dtype, chunk, read)


def _spacing(axes: dict[str, _Axis], doubts: Doubts) -> SpacingXYZ:
    x, y, z = (_distance(axes.get(name), doubts) for name in "xyz")
    return x, y, z


def _distance(axis: _Axis | None, doubts: Doubts) -> float | None:
    """Return the distance of voxels, which a single one does not have."""
    if axis is None or axis.size < 2 or not axis.unit or float(axis.length or 0) == 0:
        return None
    step = abs(float(axis.length)) / (axis.size - 1)
    return doubts.ask(f"the length of {axis.name}", length_in_um, step, axis.unit)


def _time_step(axis: _Axis | None) -> float | None:
    if axis is None or axis.size < 2 or not axis.length:
        return None
    return time_in_s(float(axis.length) / (axis.size - 1), axis.unit or "s")


def read_original(path: str) -> Texts:
    """Return the XML of a LIF file."""
    with open_file(path) as file:
        return {"LIF": file.xml_header()}
