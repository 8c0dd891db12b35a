"""Headers: the facts about an image in its file, besides the voxels.

A format has one function `read_header(path)`, named by its record in `volumes.formats`. It opens
nothing for writing, holds no voxel, and leaves out what the file does not say.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.files.regular import open_descriptor
from spimpack_tasks.volumes.errors import UnreadableHeaderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.model.displays import Display
    from spimpack_tasks.volumes.scenes import Scene

PLACEHOLDERS = frozenset({"", "(name not specified)", "(description not specified)"})
"""Texts of Imaris where nothing was entered."""

SpacingXYZ: TypeAlias = tuple[float | None, float | None, float | None]
UNKNOWN_SPACING: SpacingXYZ = (None, None, None)


@dataclass(frozen=True, slots=True)
class Header:
    """The header of an image, as its file has it; nothing here is a guess."""

    axes: tuple[str, ...]
    """Names in storage order, the slowest first: `t`, `c`, `z`, `y`, `x`; `page` where a TIFF
    does not say what its pages are."""
    shapes: tuple[tuple[int, ...], ...]
    """The sizes of each resolution level, the full one first, in the order of `axes`."""
    dtype: str
    """As numpy names it, such as `uint16`."""
    are_axes_assumed: bool = False
    """Whether the format does not say what its frames are, and planes along z are taken for it."""
    spacing_um_xyz: SpacingXYZ = UNKNOWN_SPACING
    """Distance of two voxels in micrometres at full resolution along x, y and z; `None` where the
    file has no such axis, no value or no unit."""
    time_step_s: float | None = None
    """Seconds between two time points; `None` where the file does not say."""
    channel_count: int = 1
    """Number of channels."""
    channel_names: tuple[str, ...] = ()
    """One for each channel, empty for a channel without one; nothing if none has a name."""
    displays: tuple[Display, ...] = ()
    """How each channel is shown; nothing where the file says nothing of it."""
    display_doubts: tuple[str, ...] = ()
    """Impossible colours and windows in the file; they count as unknown."""
    acquired_at: str | None = None
    """ISO 8601, with the offset from UTC if the file has it."""
    instrument: Mapping[str, str | float] = field(default_factory=lambda: MappingProxyType({}))
    """Sidecar keys that the file has values for, such as `NumericalAperture`."""
    excitation_nm: tuple[float, ...] = ()
    """Wavelength of the light that excites each channel; nothing if that of one is not known."""
    orientation_xyz: str | None = None
    """Such as `RPI`: towards which side the index of x, y and z increases."""
    doubts: tuple[str, ...] = ()
    """Impossible voxel sizes in the file; the size counts as unknown."""
    remarks: tuple[tuple[str, str], ...] = ()
    """Doubts whether the image is as it is meant: the code of a problem, and the text."""
    other_files: tuple[str, ...] = ()
    """Absolute paths of the files that the image lies in besides this one."""
    metadata_file: str = ""
    """Absolute path of the file that has the metadata, if this one has not."""
    left_out: tuple[str, ...] = ()
    """Further contents of the file that are not this image, such as a second image."""
    extras: tuple[str, ...] = ()
    """Further parts of the image that only OME-Zarr holds, such as labels."""
    scenes: tuple[Scene, ...] = ()
    """All images of the file where it holds several, this one among them."""
    scene: int = 0
    """Number of this image among them."""
    label_names: tuple[str, ...] = ()
    """Names of the label images of an OME-Zarr, which lie below `labels/`."""
    origin_um_xyz: SpacingXYZ = UNKNOWN_SPACING
    """Where the first voxel lies, in micrometres; `None` where the file does not say."""
    beginning: bytes = b""
    """The first bytes of an OME-TIFF, which tell whether it is a BigTIFF."""
    ome_sizes: Mapping[str, str] | None = None
    """The attributes `PhysicalSize…` of OME-XML that the official BIDS validator compares with the
    sidecar; `None` where it does not see them."""
    plugin: str = ""
    """Name and version of the plug-in that read the file, where a library has several."""
    merged: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Of merged files: axis, policies, and path, sizes and type of each file, JSON-ready."""

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
    def is_size_known(self) -> bool:
        """Whether the size of the voxels is known along all axes that have several."""
        return bool(self.pixel_size_um) and None not in self.pixel_size_um

    @property
    def shape_nyx(self) -> tuple[int, ...]:
        """Number of planes over all leading axes, height and width, at full resolution."""
        sizes = dict(zip(self.axes, self.shapes[0], strict=True))
        y, x = sizes.get("y", 1), sizes.get("x", 1)
        return math.prod(self.shapes[0]) // (y * x), y, x

    @property
    def itemsize(self) -> int:
        """Bytes of a voxel."""
        return itemsize_of(self.dtype)


@lru_cache(64)
def itemsize_of(dtype: str) -> int:
    """Return the bytes of a voxel, by the name of its type."""
    bits = re.search("[0-9]+", dtype)
    return int(bits[0]) // 8 if bits else 1


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
