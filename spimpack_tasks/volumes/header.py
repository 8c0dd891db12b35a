"""What a header is, and which reader knows it.

A reader is one function, `read_header(path)`, in a module of its own; `READERS` names it. Readers
open nothing for writing, hold no pixel, and leave out what a file does not say.
"""

from __future__ import annotations

import logging
import math
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from spimpack_tasks.errors import MissingExtraError, SpimpackError
from spimpack_tasks.files.limits import LARGEST_IMAGE, MOST_CHANNELS, REMEDY, allowed, as_size
from spimpack_tasks.files.regular import open_descriptor
from spimpack_tasks.volumes.formats import FORMATS, SourceRefusedError, format_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.model.displays import Display
    from spimpack_tasks.volumes.formats import SourceFormat

logger = logging.getLogger(__name__)

_LONGEST_REASON = 400

READERS = {
    "OME-Zarr": "spimpack_tasks.volumes.ome_zarr.header:read_header",
    "zipped OME-Zarr": "spimpack_tasks.volumes.ome_zarr.zip_header:read_header",
    "Imaris": "spimpack_tasks.volumes.imaris.header:read_header",
    "OME-TIFF": "spimpack_tasks.volumes.tiff.ome_header:read_header",
    "TIFF": "spimpack_tasks.volumes.tiff.header:read_header",
    "NIfTI": "spimpack_tasks.volumes.nifti.header:read_header",
    "folder of planes": "spimpack_tasks.volumes.plane_folder.header:read_header",
}
"""Name of a format in `volumes.formats` to `module:function`."""

PLACEHOLDERS = frozenset({"", "(name not specified)", "(description not specified)"})
"""What Imaris writes where nothing was entered."""

SpacingXYZ: TypeAlias = tuple[float | None, float | None, float | None]
UNKNOWN_SPACING: SpacingXYZ = (None, None, None)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its image; nothing here is a guess."""

    axes: tuple[str, ...]
    """Names in storage order, the slowest first: `t`, `c`, `z`, `y`, `x`; `page` where a TIFF
    does not say what its pages are."""
    shapes: tuple[tuple[int, ...], ...]
    """The sizes of each resolution level, the full one first, in the order of `axes`."""
    dtype: str
    """As numpy names it, such as `uint16`."""
    spacing_um_xyz: SpacingXYZ = UNKNOWN_SPACING
    """Distance of two voxels in micrometres at full resolution along x, y and z; `None` where the
    file has no such axis, no value or no unit."""
    channel_count: int = 1
    channel_names: tuple[str, ...] = ()
    """One for each channel, empty for a channel without one; nothing if none has a name."""
    displays: tuple[Display, ...] = ()
    """How each channel is shown; nothing where the file says nothing of it."""
    display_doubts: tuple[str, ...] = ()
    """What the file says of colours and windows that cannot be, so that they are unknown."""
    acquired_at: str | None = None
    """ISO 8601, with the offset from UTC if the file has it."""
    instrument: Mapping[str, str | float] = field(default_factory=lambda: MappingProxyType({}))
    """Sidecar keys of BIDS that the file has values for, such as `NumericalAperture`."""
    orientation_xyz: str | None = None
    """Such as `RPI`: towards which side the index of x, y and z increases."""
    doubts: tuple[str, ...] = ()
    """What the file says of its voxel size that cannot be, so that the size is unknown."""
    other_files: tuple[str, ...] = ()
    """Absolute paths of the files that the image lies in besides this one."""
    metadata_file: str = ""
    """Absolute path of the file that has the metadata, if this one has not."""
    left_out: tuple[str, ...] = ()
    """What else the file holds that this image is not, such as a second image."""
    extras: tuple[str, ...] = ()
    """What else belongs to the image that OME-Zarr alone holds, such as labels."""
    label_names: tuple[str, ...] = ()
    """Names of the label images of an OME-Zarr, which lie below `labels/`."""
    origin_um_xyz: SpacingXYZ = UNKNOWN_SPACING
    """Where the first voxel lies, in micrometres; `None` where the file does not say."""
    ome_sizes: Mapping[str, str] | None = None
    """The attributes `PhysicalSize…` of OME-XML that the official BIDS validator compares with the
    sidecar; `None` where it does not see them."""

    @property
    def files_needed(self) -> tuple[str, ...]:
        """Absolute paths of all files that the image needs besides this one."""
        metadata = (self.metadata_file,) if self.metadata_file else ()
        return tuple(dict.fromkeys((*self.other_files, *metadata)))

    @property
    def pixel_size_um(self) -> tuple[float | None, ...]:
        """The spacing along x, y and z, or x and y: one plane has no distance to a next one.

        Nothing for several pages of which the file does not say what they are.
        """
        sizes = dict(zip(self.axes, self.shapes[0], strict=True))
        x, y, z = self.spacing_um_xyz
        if sizes.get("page", 1) > 1:
            return ()
        return (x, y) if z is None and sizes.get("z", 1) == 1 else (x, y, z)

    @property
    def shape_nyx(self) -> tuple[int, ...]:
        """How many planes there are at full resolution, whatever of, and their sizes."""
        sizes = dict(zip(self.axes, self.shapes[0], strict=True))
        y, x = sizes.get("y", 1), sizes.get("x", 1)
        return math.prod(self.shapes[0]) // (y * x), y, x

    @property
    def itemsize(self) -> int:
        """Bytes of a voxel."""
        bits = re.search("[0-9]+", self.dtype)
        return int(bits[0]) // 8 if bits else 1


class HeaderError(SourceRefusedError):
    """A file does not hold what its format demands; the message names the file."""

    def __init__(self, path: str, what: str, hint: str = "") -> None:
        super().__init__("source.content", f"{path!r} {what}", hint)


class UnreadableHeaderError(HeaderError):
    """The system does not let the file be read."""

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(path, f"cannot be read: {error.strerror or error}")
        self.code = "source.unreadable"


class Reader(Protocol):
    """Reads the header of one format, in milliseconds and a memory that the image's size is not in.

    Raises `HeaderError` where the file is damaged, and `MissingExtraError` where a library of the
    `images` extra is not installed.
    """

    def __call__(self, path: str) -> Header:
        """Return the header of the file or directory at `path`."""


def read_header(path: str, form: SourceFormat | str) -> Header:
    """Read what a source says of itself.

    Parameters
    ----------
    path
        The file or directory; its name need not tell the format.
    form
        The format as `volumes.formats` has it, its name, or a file name or extension that tells it.

    Raises
    ------
    HeaderError
        The source is damaged or cannot be read.
    MissingExtraError
        A library that this format needs is not installed.
    """
    reader = _load_reader(_name_of(form))
    with reading(path):
        header = reader(path)
        _check_sizes(path, header)
        return header


def _check_sizes(path: str, header: Header) -> None:
    """Refuse an image that is larger than any is."""
    channels = dict(zip(header.axes, header.shapes[0], strict=True)).get("c", 1)
    if channels > allowed(MOST_CHANNELS):
        what = f"has {channels:,} channels; at the most {allowed(MOST_CHANNELS):,} are read"
        raise HeaderError(path, what, REMEDY)
    most = allowed(LARGEST_IMAGE)
    for shape in header.shapes:
        size = math.prod(shape) * header.itemsize
        if size > most:
            shown = " x ".join(map(str, shape))
            what = f"has a level of {shown} voxels, which are {as_size(size)}; at the most "
            raise HeaderError(path, f"{what}{as_size(most)} are read", REMEDY)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Raise whatever a parser makes of a damaged file as an error that names the file.

    Raises
    ------
    HeaderError
        Anything went wrong but what is meant for the user already.
    """
    try:
        yield
    except (SourceRefusedError, SpimpackError):
        raise
    except Exception as error:
        logger.debug("%s cannot be read", path, exc_info=True)
        raise HeaderError(path, f"is damaged: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """Return what a library says of a damaged file, in one line."""
    text = str(error)
    if isinstance(error, OSError) and not error.filename:
        text = error.strerror or text  # without the number
    return " ".join(text.split())[:_LONGEST_REASON] or type(error).__name__


def _name_of(form: SourceFormat | str) -> str:
    if not isinstance(form, str):
        return form.name
    if form in READERS:
        return form
    told = format_of(form)
    if told is None:
        message = f"{form!r} is no format; those are {', '.join(f.name for f in FORMATS)}"
        raise ValueError(message)
    return told.name


@cache
def _load_reader(name: str) -> Reader:
    module, _, function = READERS[name].partition(":")
    reader: Reader = getattr(import_module(module), function)
    return reader


def load_library(name: str, extra: str = "images") -> Any:
    """Import a library of an extra, or say how to install it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(name, extra) from error


def open_for_reading(path: str) -> tuple[int, int]:
    """Open a regular file; return its descriptor and its size in bytes.

    A pipe is refused, not waited for.

    Raises
    ------
    OSError
        The system's reason.
    """
    descriptor, status = open_descriptor(path)
    return descriptor, status.st_size


def read_start(path: str, most: int) -> bytes:
    """Return the content of a small regular file, or its first `most` bytes.

    Raises
    ------
    OSError
        The system's reason.
    """
    descriptor, size = open_for_reading(path)
    try:
        return os.read(descriptor, min(size, most))
    finally:
        os.close(descriptor)


def check_regular(path: str) -> None:
    """Refuse, for libraries that open a path by themselves, what is no regular file.

    Raises
    ------
    HeaderError
        It is none, or cannot be looked at.
    """
    try:
        descriptor, _ = open_for_reading(path)
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    os.close(descriptor)


def tidy_names(names: list[str]) -> tuple[str, ...]:
    """Return the names of channels, placeholders emptied, and nothing if none is left."""
    tidied = tuple("" if name.strip() in PLACEHOLDERS else name.strip() for name in names)
    return tidied if any(tidied) else ()
