"""Sources of frames, by the text that names them: a folder, a file of planes, or a function.

A source is only read. Frames come with the number that they have in the acquisition.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from inspect import Parameter
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.streams.errors import SourceError, SourceFailedError, described
from spimpack_tasks.streams.frame_source import POLL_S, SourceFrame, frame_shape
from spimpack_tasks.streams.growing_folder import GrowingFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.streams.frame_source import EndRule, FrameSource
    from spimpack_tasks.streams.settings import AcquisitionSettings

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

_RAW = (".raw", ".bin", ".dat")
_HEADED = (
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\x89HDF\r\n\x1a\n",
    b"PK\x03\x04",
    b"\x93NUMPY",
)
"""First bytes of TIFF, BigTIFF, HDF5, zip (also .npz) and .npy."""


def open_source(text: str, settings: AcquisitionSettings, rule: EndRule) -> FrameSource:
    """Return the source that a text names.

    Parameters
    ----------
    text
        A folder of planes, an array of numpy (`.npy`), a file of planes without a header, or
        `module:function`.
    settings
        The settings, from which shape and type follow.
    rule
        When a source that grows has ended.

    Raises
    ------
    SourceError
        There is no such source, or it cannot fit.
    """
    if os.path.isdir(text):
        return GrowingFolder(text, settings, rule)
    if os.path.isfile(text):
        return _open_array(text, settings, rule)
    if _FUNCTION.fullmatch(text):
        return FunctionFrames(text)
    message = f"there is no folder or file {text}, and it is no module:function"
    raise SourceError(message)


def _open_array(path: str, settings: AcquisitionSettings, rule: EndRule) -> FrameSource:
    import numpy as np

    if not path.lower().endswith(".npy"):
        _require_raw(path)
        return RawFrames(path, settings, rule)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        message = f"{path} cannot be read as an array of numpy: {error}"
        raise SourceError(message) from error
    shape = frame_shape(settings)
    if array.ndim < 2 or array.shape[-2:] != shape:
        message = f"{path} has planes of {array.shape[-2:]}, but frames of {shape} are announced"
        raise SourceError(message)
    planes = array.reshape(-1, *shape)
    total = settings.num_frames
    if total is not None and len(planes) > total:
        message = f"{path} has {len(planes):,} planes, but {total:,} frames are announced"
        raise SourceError(message)
    wanted = np.dtype(settings.dtype)
    if array.dtype.newbyteorder("=") != wanted:
        message = f"{path} has voxels of type {array.dtype}, but {wanted} is announced"
        raise SourceError(message)
    return ArrayFrames(planes, wanted)


def _require_raw(path: str) -> None:
    """Refuse a file that is no planes without a header, by its ending and its first bytes."""
    with open(path, "rb") as file:
        first = file.read(8)
    is_raw = path.lower().endswith(_RAW)
    if not is_raw or first.startswith(_HEADED):
        message = (
            f"{path} is no file of planes without a header ({', '.join(_RAW)}) and no array of "
            "numpy (.npy); give the folder of planes"
        )
        raise SourceError(message)


class ArrayFrames:
    """The planes of an array.

    Parameters
    ----------
    planes
        Along number, y and x.
    dtype
        Type of a frame, in the byte order of the machine.
    """

    def __init__(self, planes: Voxels, dtype: Any) -> None:
        self._planes, self._dtype = planes, dtype

    def frames(self, first: int) -> Iterator[SourceFrame]:
        """Yield the planes from a number on."""
        for number in range(first, len(self._planes)):
            yield SourceFrame(number, self.read(number))

    def read(self, number: int) -> Voxels | None:
        """Return a plane."""
        if number >= len(self._planes):
            return None
        plane: Voxels = self._planes[number].astype(self._dtype, copy=False)
        return plane


class RawFrames:
    """A file of planes one behind the other, without a header, in the byte order of the machine.

    Where an end rule is given it may still grow; then whole planes are taken.

    Parameters
    ----------
    path
        The file.
    settings
        Have shape and type of a plane.
    rule
        When it has ended.
    """

    def __init__(self, path: str, settings: AcquisitionSettings, rule: EndRule) -> None:
        import numpy as np

        self._path, self._rule = path, rule
        self._shape, self._dtype = frame_shape(settings), np.dtype(settings.dtype)
        self._bytes = prod(self._shape) * self._dtype.itemsize
        self._total = settings.num_frames
        size = os.path.getsize(path)
        if not rule.is_given and size % self._bytes:
            message = (
                f"{path} has {size:,} bytes, which is no multiple of the {self._bytes:,} of a "
                f"plane of {self._shape} pixels of type {self._dtype}"
            )
            raise SourceError(message)
        if self._total is not None and size > self._total * self._bytes:
            count = size // self._bytes
            message = f"{path} has {count:,} planes, but {self._total:,} frames are announced"
            raise SourceError(message)

    def frames(self, first: int) -> Iterator[SourceFrame]:
        """Yield planes from a number on."""
        number, changed, before = first, time.monotonic(), -1
        while self._total is None or number < self._total:
            size = os.path.getsize(self._path)
            if size != before:
                before, changed = size, time.monotonic()
            is_ended = not self._rule.is_given or self._is_ended(changed)
            while number < size // self._bytes:
                yield SourceFrame(number, self.read(number))
                number += 1
            if is_ended and size == os.path.getsize(self._path):
                if size % self._bytes:
                    message = f"{self._path} ends within plane {number}"
                    raise SourceError(message)
                return
            time.sleep(POLL_S)

    def _is_ended(self, changed: float) -> bool:
        folder = os.path.dirname(self._path)
        if self._rule.marker and os.path.exists(os.path.join(folder, self._rule.marker)):
            return True
        return 0 < self._rule.quiet_s <= time.monotonic() - changed

    def read(self, number: int) -> Voxels | None:
        """Return a plane."""
        import numpy as np

        count = prod(self._shape)
        plane = np.fromfile(self._path, self._dtype, count, offset=number * self._bytes)
        return plane.reshape(self._shape) if plane.size == count else None


class FunctionFrames:
    """The frames, or pairs of frame and metadata, that a function yields.

    A function with a parameter `first` gets the number to begin with. Of any other, earlier frames
    are passed over.

    Parameters
    ----------
    text
        The function, as `module:function`. The module may lie in the working folder.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._function = _import_function(text)
        self._takes_first = _takes_first(text, self._function)

    def frames(self, first: int) -> Iterator[SourceFrame]:
        """Yield what the function yields.

        Raises
        ------
        SourceFailedError
            The function has failed.
        SourceError
            It yields no frames.
        """
        number = first
        items = self._items(first)
        while True:
            try:
                item = next(items)
            except StopIteration:
                return
            except SpimpackError:
                raise
            except Exception as error:  # the user's code may raise anything
                raise SourceFailedError(self._text, number, error) from error
            yield self._frame(number, item)
            number += 1

    def _items(self, first: int) -> Iterator[Any]:
        found = self._function(first=first) if self._takes_first else self._function()
        if not isinstance(found, Iterable) or isinstance(found, str | bytes | Mapping):
            message = f"{self._text} returns {found!r:.80}; let it yield frames, or return a list"
            raise SourceError(message)
        yield from found if self._takes_first else islice(found, first, None)

    def _frame(self, number: int, item: Any) -> SourceFrame:
        """Return a frame; a pair is one with its metadata."""
        if not isinstance(item, tuple):
            pixels, metadata = item, None
        elif len(item) == 2:
            pixels, metadata = item
        else:
            message = (
                f"{self._text} yields {len(item)} values as frame {number}; yield an array, or a "
                "pair of an array and its metadata"
            )
            raise SourceError(message)
        if pixels is None:
            message = f"{self._text} yields nothing (None) as frame {number}; yield an array"
            raise SourceError(message)
        return SourceFrame(number, pixels, metadata)

    def read(self, number: int) -> Voxels | None:  # noqa: ARG002 - as other sources have it
        """Return nothing: a camera shows no frame twice."""
        return None


def _import_function(text: str) -> Callable[..., Any]:
    module, _, name = text.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    try:
        imported = import_module(module)
    except Exception as error:  # the user's code may raise anything
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent and f"{module}.".startswith(f"{absent}."):
            message = f"there is no module {module}; its folder must be in PYTHONPATH, or be the "
            raise SourceError(message + "working folder") from error
        message = f"the module {module} cannot be imported: {described(error)}"
        raise SourceError(message) from error
    function: Any = getattr(imported, name, None)
    if function is None:
        message = f"the module {module} has no function {name}"
        raise SourceError(message)
    if not callable(function):
        message = f"{text} is no function"
        raise SourceError(message)
    found: Callable[..., Any] = function
    return found


def _takes_first(text: str, function: Callable[..., Any]) -> bool:
    """Tell whether a function takes the number to begin with.

    Raises
    ------
    SourceError
        It needs other arguments, which nobody gives.
    """
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a few functions in C do not tell
        return False
    unfilled = [
        each.name
        for each in parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    takes_first = (
        "first" in parameters and parameters["first"].kind is not Parameter.POSITIONAL_ONLY
    )
    others = [name for name in unfilled if name != "first" or not takes_first]
    if others:
        message = f"{text} needs {', '.join(others)}; give it no parameters, or `first` alone"
        raise SourceError(message)
    return takes_first
