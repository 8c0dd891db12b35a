"""What a resolution level is, and which module opens those of a format.

A module has one function, `open_levels(path)`; `LEVELS` names it. Sources are opened for reading
only. What they say of themselves, such as the size of a voxel, is told by `readers`.
"""

from __future__ import annotations

import logging
import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.limits import LARGEST_BLOCK, REMEDY, allowed, as_size
from spimpack_tasks.volumes.formats import SourceRefusedError
from spimpack_tasks.volumes.header import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    Voxels: TypeAlias = NDArray[np.generic[Any]]

logger = logging.getLogger(__name__)

LEVELS = {
    "OME-Zarr": "spimpack_tasks.volumes.ome_zarr.levels:open_directory_levels",
    "zipped OME-Zarr": "spimpack_tasks.volumes.ome_zarr.levels:open_zip_levels",
    "Imaris": "spimpack_tasks.volumes.imaris.levels:open_levels",
    "OME-TIFF": "spimpack_tasks.volumes.tiff.levels:open_levels",
    "TIFF": "spimpack_tasks.volumes.tiff.levels:open_levels",
    "NIfTI": "spimpack_tasks.volumes.nifti.levels:open_levels",
    "folder of planes": "spimpack_tasks.volumes.plane_folder.levels:open_levels",
}
"""Name of a format in `volumes.formats` to `module:function`."""

Index: TypeAlias = tuple[slice, ...]
"""One slice with bounds and without a step for each axis."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution level, of which any block can be read."""

    axes: tuple[str, ...]
    """Names in storage order: `t`, `c`, `z`, `y`, `x`; of any other the first index is taken."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    block: tuple[int, ...]
    """The sizes in which it is stored, so that reading a part of a block costs as much as all."""
    read: Callable[[Index], Voxels]
    caveat: str = ""
    """What makes its voxels others than those of the image, such as planes that the file lacks."""
    in_order: bool = True
    """Whether blocks are best read in their order, by one thread."""
    finish: Callable[[], None] = lambda: None
    """Reads on to where a checksum stands of what was read, and raises as `read` does.

    To be called by who has read all voxels: a stream may prove damaged at its very end."""


def level_of_array(array: Any, axes: tuple[str, ...], caveat: str = "") -> Level:
    """Return a level whose voxels are an array of zarr."""
    return Level(
        axes=axes,
        shape=array.shape,
        dtype=array.dtype,
        block=array.chunks,
        read=lambda index: array[index],
        caveat=caveat,
    )


class OpenLevels(Protocol):
    """Opens the levels of one format, the full one first, for as long as the context lasts."""

    def __call__(self, path: str) -> AbstractContextManager[Sequence[Level]]:
        """Return the context."""


class UnreadableVoxelsError(SpimpackError):
    """The voxels of a source cannot be read; the message names the file."""

    exit_code = ExitCode.BAD_INPUT


@contextmanager
def open_levels(path: str, form: str) -> Iterator[Sequence[Level]]:
    """Open the levels of a source of the format with the name `form`.

    Raises
    ------
    UnreadableVoxelsError
        They cannot be read, there or while the context lasts.
    MissingExtraError
        A library that the format needs is not installed.
    """
    with ExitStack() as stack:
        with _told(path):
            levels = stack.enter_context(_load(form)(path))
            for number, level in enumerate(levels):
                _check_level(path, number, level)
        yield [
            replace(
                level, read=_guarded(path, level.read), finish=_guarded_finish(path, level.finish)
            )
            for level in levels
        ]


def _check_level(path: str, number: int, level: Level) -> None:
    """Refuse a level whose voxels are no numbers, or take more memory than those of any image."""
    where = f"{path!r} has at level {number}"
    if level.dtype.kind not in "buifc":
        raise UnreadableVoxelsError(f"{where} voxels of type {str(level.dtype)[:100]}")
    if min((*level.shape, *level.block, 1)) < 1 or len(level.block) != len(level.shape):
        sizes = f"the sizes {level.shape} in blocks of {level.block}"
        raise UnreadableVoxelsError(f"{where} {sizes[:300]}")
    check_block(path, number, level.block, level.dtype)


def check_block(path: str, number: int, block: Sequence[int], dtype: Any) -> None:
    """Refuse voxels of a level that are stored together and take more memory than any do.

    Raises
    ------
    UnreadableVoxelsError
        They take too much.
    """
    most = allowed(LARGEST_BLOCK)
    size = math.prod(map(int, block)) * dtype.itemsize
    if size > most:
        shown = " x ".join(map(str, block))
        what = (
            f"{path!r} has at level {number} blocks of {shown} voxels, which take {as_size(size)}"
        )
        message = f"{what} of memory each; at the most {as_size(most)} are read; {REMEDY}"
        raise UnreadableVoxelsError(message)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Tell what a library found wrong in one line, whatever it raises; a bug keeps its cause."""
    try:
        yield
    except SpimpackError:
        raise
    except SourceRefusedError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise UnreadableVoxelsError(f"{error.message}{hint}") from error
    except Exception as error:
        logger.debug("%s cannot be read", path, exc_info=True)
        message = f"the voxels of {path!r} cannot be read: {reason_of(error)}"
        raise UnreadableVoxelsError(message) from error


def _guarded(path: str, read: Callable[[Index], Voxels]) -> Callable[[Index], Voxels]:
    def guarded(index: Index) -> Voxels:
        with _told(path):
            return read(index)

    return guarded


def _guarded_finish(path: str, finish: Callable[[], None]) -> Callable[[], None]:
    def guarded() -> None:
        with _told(path):
            finish()

    return guarded


@cache
def _load(form: str) -> OpenLevels:
    module, _, function = LEVELS[form].partition(":")
    opener: OpenLevels = getattr(import_module(module), function)
    return opener
