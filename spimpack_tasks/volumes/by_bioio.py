"""Headers and levels of files that bioio reads by the plug-ins that are installed (extra `bioio`).

A plug-in is chosen by the ending of the file, and names the axes, perhaps by a guess. Sizes of
voxels are bare numbers there: one is taken if the plug-in tells its unit as well, or hands over
OME-XML that has the same number. A message that tifffile logs below a plug-in is an error here,
since tifffile then returns zeros. Tiles of a mosaic are not put together. Facts: bioio 3.6,
bioio-base 3.5.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.limits import LARGEST_XML, allowed
from spimpack_tasks.model.quantities import (
    Doubts,
    QuantityError,
    length_in_um,
    parse_number,
    time_in_s,
)
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import Header, check_regular, load_library, tidy_names
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.scenes import Scene, pick_scene
from spimpack_tasks.volumes.xml_facts import parse_xml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.volumes.header import SpacingXYZ
    from spimpack_tasks.volumes.levels import Index, Voxels

_INVENTED = re.compile(r"Channel:\d+:\d+")
"""Names that bioio gives to channels without one."""
_DEFAULT_UNIT = "\u00b5m"
"""That of sizes in OME-XML (schema 2016-06)."""
_TOLERANCE = 1e-6
"""Of a size that is told twice, relative: single precision."""
_HINT = "install the plug-in for such files; in Python, bioio.plugins.dump_plugins() lists them"
_OBJECT = re.compile("<tifffile[^>]*> *")
"""Beginning of a message of tifffile, which names an object of its own."""


class _Messages(logging.Handler):
    """Collects what libraries log in this thread, at least as warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[tuple[str, str]] = []
        """Name of the logger, and message."""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        if record.thread == self._thread:
            self.told.append((record.name, " ".join(record.getMessage().split())))


@contextmanager
def _collecting() -> Iterator[_Messages]:
    """Collect what is logged meanwhile."""
    messages, root = _Messages(), logging.getLogger()
    root.addHandler(messages)
    try:
        yield messages
    finally:
        root.removeHandler(messages)


@contextmanager
def _without_complaints(path: str) -> Iterator[None]:
    """Refuse a file of which tifffile has logged that something is wrong."""
    with _collecting() as messages:
        yield
    wrong = [text for name, text in messages.told if name.partition(".")[0] == "tifffile"]
    if wrong:
        raise HeaderError(path, f"is damaged: {_OBJECT.sub('', wrong[0])[:400]}")


def read_header(path: str, scene: str = "") -> Header:
    """Return the header of a file that bioio reads."""
    with _open(path) as reader:
        scenes, number = _choose(path, reader, scene)
        array, axes = _voxels(path, reader)
        pixels = _find_pixels(reader.metadata, number, len(scenes))
        doubts = Doubts()
        channels = dict(zip(axes, array.shape, strict=True)).get("c", 1)
        return Header(
            axes=axes,
            shapes=(tuple(map(int, array.shape)),),
            dtype=array.dtype.name,
            spacing_um_xyz=_spacing(reader, axes, pixels, doubts),
            time_step_s=time_in_s(
                pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s")
            ),
            channel_count=channels,
            channel_names=_channel_names(reader, channels),
            doubts=doubts.told,
            scenes=scenes,
            scene=number,
            plugin=_name_plugin(reader),
        )


@contextmanager
def open_levels(path: str, scene: str = "") -> Iterator[Sequence[StoredLevel]]:
    """Open the voxels of a file that bioio reads, at full resolution."""
    with _open(path) as reader:
        _choose(path, reader, scene)
        array, axes = _voxels(path, reader)
    yield [_level(path, array, axes)]


def read_original(path: str) -> dict[str, str]:
    """Return the metadata that bioio hands over, where they are texts or values by name."""
    with _open(path) as reader:
        metadata = reader.metadata
    ome = _ome_text(metadata)
    if ome:
        return {"OME-XML": ome}
    if isinstance(metadata, Mapping):
        metadata = "\n".join(f"{key}: {value}" for key, value in metadata.items())
    return {"metadata by bioio": metadata} if metadata and isinstance(metadata, str) else {}


@contextmanager
def _open(path: str) -> Iterator[Any]:
    """Yield the plug-in's reader of a file, which reads a plane at a time if it can."""
    bioio = load_library("bioio", "bioio")
    check_regular(path)
    kind = _find_reader(bioio, path)
    planes = {"chunk_dims": ["Y", "X"]} if "chunk_dims" in signature(kind).parameters else {}
    with _without_complaints(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield kind(path, **planes)
        except ModuleNotFoundError as error:  # of a plug-in, for some of its files
            what = f"is read by a plug-in that needs {error.name}, which is not installed"
            raise HeaderError(path, what, "install it beside the plug-in") from error


def _find_reader(bioio: Any, path: str) -> Any:
    """Return the class of the plug-in that takes a file."""
    unsupported = load_library("bioio_base", "bioio").exceptions.UnsupportedFileFormatError
    with _collecting() as messages, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return bioio.BioImage.determine_plugin(path).metadata.get_reader()
        except unsupported as error:
            tried = [text for name, text in messages.told if name.partition(".")[0] == "bioio"]
            why = f": {' '.join(tried[0].split())[:400]}" if tried else ""
            what = f"is read by none of the plug-ins of bioio that are installed{why}"
            raise HeaderError(path, what, _HINT) from error


def _name_plugin(reader: Any) -> str:
    name = type(reader).__module__.partition(".")[0]
    try:
        return f"{name.replace('_', '-')} {version(name)}"
    except PackageNotFoundError:
        return name


def _choose(path: str, reader: Any, asked: str) -> tuple[tuple[Scene, ...], int]:
    """Set the scene that is meant; return all if there are several, and its number."""
    scenes = []
    if len(reader.scenes) > 1:
        for number, name in enumerate(reader.scenes):
            reader.set_scene(number)
            names = tuple(reader.dims.order.lower())
            scenes.append(Scene(str(name), names, tuple(map(int, reader.dims.shape))))
    number = pick_scene(path, scenes, asked)
    reader.set_scene(number)
    return tuple(scenes), number


def _voxels(path: str, reader: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the voxels as an array of dask, and the names of its axes; samples are channels."""
    array, names = reader.dask_data, [*reader.dims.order.lower()]
    if names[-1] != "s":
        return array, tuple(names)
    if array.shape[-1] == 1:
        return array.squeeze(-1), tuple(names[:-1])
    if "c" in names:
        if array.shape[names.index("c")] > 1:
            raise HeaderError(path, "has channels of several samples each")
        array = array.squeeze(names.index("c"))
        names.remove("c")
    return array, (*names[:-1], "c")


def _level(path: str, array: Any, axes: tuple[str, ...]) -> StoredLevel:
    import numpy as np

    chunk = tuple(map(int, array.chunksize))

    def read(index: Index) -> Voxels:
        found = np.empty([part.stop - part.start for part in index], array.dtype)
        with _without_complaints(path):
            # One chunk of dask after the other, so that no more than one is in memory.
            for piece in product(*map(_split, index, chunk)):
                place = tuple(
                    slice(part.start - whole.start, part.stop - whole.start)
                    for part, whole in zip(piece, index, strict=True)
                )
                found[place] = array[piece].compute(scheduler="synchronous")
        return found

    return StoredLevel(
        axes=axes, shape=tuple(map(int, array.shape)), dtype=array.dtype, chunk=chunk, read=read
    )


def _split(part: slice, size: int) -> Iterator[slice]:
    """Yield the parts of a range that lie in one chunk each."""
    start = part.start
    while start < part.stop:
        stop = min(part.stop, (start // size + 1) * size)
        yield slice(start, stop)
        start = stop


def _channel_names(reader: Any, count: int) -> tuple[str, ...]:
    names = [str(name) for name in reader.channel_names or ()]
    told = ["" if _INVENTED.fullmatch(name) else name for name in names]
    return tidy_names(told) if len(told) == count else ()


def _spacing(
    reader: Any, axes: tuple[str, ...], pixels: Mapping[str, str], doubts: Doubts
) -> SpacingXYZ:
    sizes, units = reader.physical_pixel_sizes, getattr(reader, "dimension_properties", None)
    found: list[float | None] = []
    for axis in "XYZ":
        size, unit = getattr(sizes, axis), getattr(getattr(units, axis, None), "unit", None)
        own = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit")
        is_there = axis.lower() in axes
        told = (size, unit, *own)
        found.append(doubts.ask(f"size along {axis}", _length, *told) if is_there else None)
    return found[0], found[1], found[2]


def _length(
    size: float | None, unit: object, own: str | None, own_unit: str | None
) -> float | None:
    """Return a size in micrometres, `None` where there is none.

    Parameters
    ----------
    size, unit
        As bioio tells them.
    own, own_unit
        As OME-XML has them.

    Raises
    ------
    QuantityError
        The size has no unit, or is told in two ways.
    """
    if size is not None and unit is not None:
        return length_in_um(float(size), str(unit))
    if own is None:
        if size is None:
            return None
        message = f"bioio tells {size:g} without a unit"
        raise QuantityError(message)
    own_unit = own_unit or _DEFAULT_UNIT
    number = float(parse_number(own))
    if size is not None and not math.isclose(size, number, rel_tol=_TOLERANCE):
        message = f"bioio tells {size:g}, but its metadata {own[:20]} {own_unit[:20]}"
        raise QuantityError(message)
    return length_in_um(own, own_unit)


def _find_pixels(metadata: object, number: int, scenes: int) -> Mapping[str, str]:
    """Return the attributes of the pixels of a scene, nothing where the metadata are not OME."""
    text = _ome_text(metadata)
    images = parse_xml(text).findall("{*}Image") if text else []
    if len(images) != max(1, scenes):
        return {}
    pixels = images[number].find("{*}Pixels")
    return {} if pixels is None else pixels.attrib


def _ome_text(metadata: Any) -> str:
    """Return OME-XML, a text or an object of ome-types; nothing of other metadata."""
    text = metadata.to_xml() if hasattr(metadata, "to_xml") else metadata
    if not isinstance(text, str) or len(text) > allowed(LARGEST_XML):
        return ""
    try:
        root = parse_xml(text.strip("\0 \r\n\t"))
    except ValueError:
        return ""
    return text if root.tag.rpartition("}")[2] == "OME" else ""
