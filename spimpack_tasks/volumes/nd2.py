"""Headers and levels of Nikon ND2 files; nd2 reads their metadata (extra `nd2`).

A file holds frames, each with the samples of all channels side by side, and a map of its chunks at
its end. A frame is read from the file itself: where one is absent or cut off, the library returns
zeros. Positions of the stage are images of their own. Lengths are in micrometres and times in
milliseconds. Facts: nd2 0.12. Legacy files, of JPEG 2000, are refused.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.files.limits import LARGEST_BLOCK, REMEDY, allowed, as_size
from spimpack_tasks.model.displays import Display
from spimpack_tasks.model.quantities import Doubts, length_in_um, positive_number
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import Header, check_regular, load_library, tidy_names
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.metadata_texts import Texts, as_json
from spimpack_tasks.volumes.rows import flat_index
from spimpack_tasks.volumes.scenes import Scene, pick_scene

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from spimpack_tasks.volumes.header import SpacingXYZ
    from spimpack_tasks.volumes.levels import Index, Voxels

_LOOPS = {"TimeLoop": "t", "NETimeLoop": "t", "XYPosLoop": "p", "ZStackLoop": "z"}
"""Axes by the library's names of loops."""
_MAGIC = 0x0ABECEDA
"""Of each chunk of the file, as the program of Nikon writes it."""
_CHUNK = struct.Struct("<IIQ")
"""Of each chunk: the magic number, bytes of its name, and of its data."""
_END = struct.Struct("<32sQ")
"""At the end of a file: a signature, and the offset of the map."""
_ENTRY = struct.Struct("<QQ")
_MAP = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_LARGEST_MAP = 2**28
"""Bytes of a map: an entry has some fifty, so this is one of five million frames."""
_TIME_BYTES = 8
"""Before the samples of a frame stands its time."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes of an open file."""

    loops: tuple[tuple[str, int], ...]
    """Axes and sizes of the frames, the slowest first; `p` counts positions."""
    height: int
    width: int
    row_bytes: int
    components: int
    """Samples of a pixel."""
    is_rgb: bool
    dtype: str
    is_compressed: bool
    positions: tuple[str, ...]
    """Names; one for each position."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Those of one position."""
        leading = tuple(axis for axis, _ in self.loops if axis != "p")
        return (*leading, "y", "x", "c") if self.is_rgb else (*leading, "c", "y", "x")

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes along the axes."""
        sizes = {**dict(self.loops), "y": self.height, "x": self.width, "c": self.components}
        return tuple(sizes[axis] for axis in self.axes)


class _Frame(NamedTuple):
    """Place of the samples of a frame in the file."""

    offset: int
    size: int


def read_header(path: str, scene: str = "") -> Header:
    """Return the header of an ND2 file."""
    with _open(path) as (file, layout):
        scenes = _list_scenes(layout)
        number = pick_scene(path, scenes, scene)
        channels = [each.channel for each in file.metadata.channels]
        doubts = Doubts()
        is_named = len(channels) == layout.components
        names = [str(channel.name or "") for channel in channels]
        return Header(
            axes=layout.axes,
            shapes=(layout.shape,),
            dtype=layout.dtype,
            spacing_um_xyz=_spacing(file, doubts),
            time_step_s=_time_step(file),
            channel_count=layout.components,
            channel_names=tidy_names(names) if is_named else (),
            displays=_displays(channels) if is_named and not layout.is_rgb else (),
            instrument=_instrument(file),
            doubts=doubts.told,
            scenes=scenes,
            scene=number,
        )


@contextmanager
def open_levels(path: str, scene: str = "") -> Iterator[Sequence[StoredLevel]]:
    """Open the voxels of an ND2 file at full resolution."""
    with _open(path) as (_, layout):
        number = pick_scene(path, _list_scenes(layout), scene)
    with open(path, "rb") as stream:
        yield [_level(stream, layout, number, _find_frames(path, stream))]


@contextmanager
def _open(path: str) -> Iterator[tuple[Any, _Layout]]:
    with open_file(path) as file:
        yield file, _find_layout(path, file)


@contextmanager
def open_file(path: str) -> Iterator[Any]:
    """Open an ND2 file by the library, if the map of its chunks is whole.

    Raises
    ------
    HeaderError
        It is not.
    """
    nd2 = load_library("nd2", "nd2")
    check_regular(path)
    with open(path, "rb") as stream:
        _find_frames(path, stream)
    with nd2.ND2File(path) as file:
        yield file


def _find_layout(path: str, file: Any) -> _Layout:
    told = file.attributes
    if told.compressionType == "lossy":
        raise HeaderError(path, "has lossy frames, which are not read")
    bits, channels = told.bitsPerComponentInMemory, told.channelCount or 1
    dtype = {8: "uint8", 16: "uint16", 32: "float32"}.get(bits)
    if dtype is None:
        raise HeaderError(path, f"has samples of {bits} bits")
    is_rgb = told.componentCount != channels
    if is_rgb and channels > 1:
        raise HeaderError(path, "has channels of several samples each")
    loops = tuple((_LOOPS.get(loop.type, "other loop"), loop.count) for loop in file.experiment)
    if len({axis for axis, _ in loops}) != len(loops):
        raise HeaderError(path, f"has loops that repeat: {', '.join(a for a, _ in loops)}")
    frames = math.prod(n for _, n in loops)
    if frames != told.sequenceCount:
        what = f"is damaged or was stopped: its loops are of {frames:,} frames, "
        raise HeaderError(path, f"{what}but {told.sequenceCount:,} were recorded")
    row_bytes = told.widthBytes or told.widthPx * told.componentCount * bits // 8
    size = told.heightPx * row_bytes
    if size > allowed(LARGEST_BLOCK) or row_bytes * 8 < told.widthPx * told.componentCount * bits:
        what = f"has frames of {as_size(size)} in rows of {row_bytes:,} bytes"
        raise HeaderError(path, what, REMEDY)
    named = [loop for loop in file.experiment if loop.type == "XYPosLoop"]
    positions = [str(point.name or "") for loop in named for point in loop.parameters.points]
    return _Layout(
        loops=loops,
        height=told.heightPx,
        width=told.widthPx,
        row_bytes=row_bytes,
        components=told.componentCount,
        is_rgb=is_rgb,
        dtype=dtype,
        is_compressed=told.compressionType == "lossless",
        positions=tuple(positions),
    )


def _list_scenes(layout: _Layout) -> tuple[Scene, ...]:
    if len(layout.positions) < 2:
        return ()
    return tuple(Scene(name, layout.axes, layout.shape) for name in layout.positions)


def _find_frames(path: str, stream: BinaryIO) -> dict[int, _Frame]:
    """Return where the samples of each frame are, by its number, as the map of the file has it."""
    size = os.fstat(stream.fileno()).st_size
    stream.seek(max(0, size - _END.size))
    ending = stream.read(_END.size)
    if len(ending) < _END.size or not ending.startswith(_MAP):
        raise HeaderError(path, "is cut off or damaged: the map of its chunks is not at its end")
    (_, place), frames = _END.unpack(ending), {}
    name, data = _read_chunk(path, stream, place, size)
    text = stream.read(data) if data <= allowed(_LARGEST_MAP) else b""
    if not text or not name.startswith(b"ND2 FILEMAP SIGNATURE"):
        raise HeaderError(path, "is damaged: the map of its chunks is not where its end has it")
    at = 0
    while not text.startswith(_MAP, at):
        mark = text.index(b"!", at) + 1
        key = text[at:mark]
        at = mark + _ENTRY.size
        if key.startswith(b"ImageDataSeq|"):
            offset, _ = _ENTRY.unpack_from(text, mark)
            name, data = _read_chunk(path, stream, offset, size)
            if not name.startswith(key):
                raise HeaderError(path, f"is damaged: {key.decode()} is not where its map has it")
            frames[int(key[13:-1])] = _Frame(stream.tell() + _TIME_BYTES, data - _TIME_BYTES)
    return frames


def _read_chunk(path: str, stream: BinaryIO, offset: int, size: int) -> tuple[bytes, int]:
    """Return name and bytes of a chunk, at whose data the stream stands then."""
    stream.seek(min(offset, size))
    beginning = stream.read(_CHUNK.size)
    magic, named, data = _CHUNK.unpack(beginning) if len(beginning) == _CHUNK.size else (0, 0, 0)
    if magic != _MAGIC or offset + _CHUNK.size + named + data > size:
        what = f"is cut off or damaged: it has {size:,} bytes, and no whole chunk at {offset:,}"
        raise HeaderError(path, what)
    return stream.read(named), data


def _level(
    stream: BinaryIO, layout: _Layout, position: int, frames: dict[int, _Frame]
) -> StoredLevel:
    import numpy as np

    dtype = np.dtype(layout.dtype).newbyteorder("<")
    counts = tuple(n for _, n in layout.loops)
    at_position = [n for n, (axis, _) in enumerate(layout.loops) if axis == "p"]
    leading = tuple(n for axis, n in layout.loops if axis != "p")
    ones = (1,) * len(leading)

    def number_of(index: tuple[int, ...]) -> int:
        whole = list(index)
        for place in at_position:
            whole.insert(place, position)
        return flat_index(tuple(whole), counts)

    def read(index: Index) -> Voxels:
        first, rest = index[: len(leading)], index[len(leading) :]
        order = (0, 1, 2) if layout.is_rgb else (2, 0, 1)
        found = [
            _read_frame(stream, layout, frames[number_of(at)], dtype).transpose(order)[rest]
            for at in product(*(range(part.start, part.stop) for part in first))
        ]
        return np.stack(found).reshape([part.stop - part.start for part in index])

    size = layout.height * layout.row_bytes
    absent = 0
    for at in product(*(range(n) for n in leading)):
        frame = frames.get(number_of(at))
        absent += frame is None or (not layout.is_compressed and frame.size < size)
    return StoredLevel(
        axes=layout.axes,
        shape=layout.shape,
        dtype=dtype,
        chunk=(*ones, *layout.shape[len(ones) :]),
        read=read,
        caveat=f"lacks {absent} of its frames" if absent else "",
    )


def _read_frame(stream: BinaryIO, layout: _Layout, frame: _Frame, dtype: Any) -> Voxels:
    """Return the samples of a frame along y, x and component."""
    import numpy as np

    size = layout.height * layout.row_bytes
    data = os.pread(stream.fileno(), frame.size if layout.is_compressed else size, frame.offset)
    if layout.is_compressed:
        data = zlib.decompressobj().decompress(data, size)
    if len(data) != size:
        message = f"a frame has {len(data):,} bytes instead of {size:,}"
        raise ValueError(message)
    strides = (layout.row_bytes, layout.components * dtype.itemsize, dtype.itemsize)
    return np.ndarray((layout.height, layout.width, layout.components), dtype, data, 0, strides)


def _spacing(file: Any, doubts: Doubts) -> SpacingXYZ:
    """Return the distance of voxels; the library has 1.0 for one that the file does not tell."""
    if not file.metadata.channels:
        return (None, None, None)
    volume = file.metadata.channels[0].volume
    x, y, z = (
        doubts.ask(f"the distance along {axis}", length_in_um, size, "um") if is_told else None
        for axis, size, is_told in zip(
            "xyz", volume.axesCalibration, volume.axesCalibrated, strict=True
        )
    )
    return x, y, z


def _time_step(file: Any) -> float | None:
    """Return the seconds between time points; several series of times have no one distance."""
    loops = [loop.parameters for loop in file.experiment if _LOOPS.get(loop.type) == "t"]
    periods = [period for loop in loops for period in getattr(loop, "periods", [loop])]
    if len(periods) != 1:
        return None
    asked, measured = periods[0].periodMs, periods[0].periodDiff.avg
    found = next((ms for ms in (asked, measured) if 0 < ms < math.inf), None)
    return found / 1000 if found else None


def _displays(channels: list[Any]) -> tuple[Display, ...]:
    colours = [(channel.color.r, channel.color.g, channel.color.b) for channel in channels]
    if not all(any(colour) for colour in colours):
        return ()
    return tuple(Display(colour=f"{r:02X}{g:02X}{b:02X}") for r, g, b in colours)


def _instrument(file: Any) -> dict[str, str | float]:
    if not file.metadata.channels:
        return {}
    microscope = file.metadata.channels[0].microscope
    numbers = {
        "NumericalAperture": positive_number(str(microscope.objectiveNumericalAperture)),
        "Magnification": positive_number(str(microscope.objectiveMagnification)),
    }
    return {key: number for key, number in numbers.items() if number is not None}


def read_original(path: str) -> Texts:
    """Return the metadata of an ND2 file, as JSON."""
    with open_file(path) as file:
        return {"ND2": as_json(file.unstructured_metadata())}
