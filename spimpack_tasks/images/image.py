"""Images that are open for reading, with lazy voxels along t, z, c, y, x."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from spimpack_tasks.images.info import ORDER, describe, find_image
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    import numpy as np

    from spimpack_tasks.images.info import Decision, ImageChannel, ImageInfo
    from spimpack_tasks.volumes.examine import Source
    from spimpack_tasks.volumes.levels import Voxels
    from spimpack_tasks.volumes.volume import Level


class _OpenFiles:
    """The files of an image; all that read from them hold this, so that they stay open."""

    def __init__(self, path: str, stack: ExitStack) -> None:
        self.path, self._stack = path, stack
        self.lock = Lock()
        self._is_open = True

    def require_open(self) -> None:
        """Raise where the image has been closed.

        Raises
        ------
        ValueError
            It has.
        """
        if not self._is_open:
            message = f"the image {self.path!r} is closed; read its voxels before, or open it again"
            raise ValueError(message)

    def close(self) -> None:
        """Close them."""
        with self.lock:
            self._is_open = False
            self._stack.close()


class LazyVoxels:
    """Voxels along t, z, c, y, x, of which a part is read when it is asked for, as of an array.

    Integers, slices with steps, and `...` are taken as by numpy.
    """

    ndim = len(ORDER)

    def __init__(self, level: Level, files: _OpenFiles) -> None:
        t, c, z, y, x = level.shape
        self.shape = (t, z, c, y, x)
        self.dtype: np.dtype[Any] = level.dtype.newbyteorder("=")
        t, c, z, y, x = level.chunk
        self.chunks = (t, z, c, y, x)
        """Sizes in which it is stored."""
        self._level, self._files = level, files

    def __getitem__(self, key: Any) -> Voxels:
        """Return a part as an array of numpy."""
        import numpy as np

        wanted = _resolve_index(key, self.shape)
        numbers = [_numbers_of(part, n) for part, n in zip(wanted, self.shape, strict=True)]
        groups = [_groups(each, n) for each, n in zip(numbers, self.chunks, strict=True)]
        with self._files.lock:
            self._files.require_open()
            if all(len(each) == 1 for each in groups):
                found = self._read([each[0] for each in groups]).astype(self.dtype, copy=False)
            else:
                found = np.empty([len(each) for each in numbers], self.dtype)
                for pieces in product(*groups):
                    found[tuple(piece.into for piece in pieces)] = self._read(pieces)
        # An axis that an integer chooses from is left out, as by numpy.
        return np.asarray(found[tuple(slice(None) if _is_slice(p) else 0 for p in wanted)])

    def _read(self, pieces: Sequence[_Piece]) -> Voxels:
        t, z, c, y, x = (piece.region for piece in pieces)
        block = self._level.read((t, c, z, y, x)).transpose(0, 2, 1, 3, 4)
        return block[tuple(piece.within for piece in pieces)]

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
        """Return all voxels."""
        found = self[...]
        return found if dtype is None else found.astype(dtype, copy=bool(copy))

    def __repr__(self) -> str:
        """Return sizes and type."""
        return f"LazyVoxels(shape={self.shape}, dtype={self.dtype})"


def _resolve_index(key: Any, shape: tuple[int, ...]) -> list[Any]:
    """Return one integer or slice for each axis."""
    parts = list(key) if isinstance(key, tuple) else [key]
    places = [number for number, part in enumerate(parts) if part is Ellipsis]
    if len(places) > 1 or len(parts) - len(places) > len(shape):
        message = f"there are {len(shape)} axes, t, z, c, y and x, not those of {key}"
        raise IndexError(message)
    at = places[0] if places else len(parts)
    missing = [slice(None)] * (len(shape) - len(parts) + len(places))
    return [*parts[:at], *missing, *parts[at + len(places) :]]


def _is_slice(part: Any) -> bool:
    return isinstance(part, slice)


def _numbers_of(part: Any, n: int) -> range:
    """Return the indices that are wanted along one axis."""
    if isinstance(part, slice):
        return range(n)[part]
    try:
        index = range(n)[part] if not isinstance(part, bool) else range(0)[part]
    except (TypeError, IndexError):
        message = f"{part!r} is no index of {n} voxels; give an integer or a slice"
        raise IndexError(message) from None
    return range(index, index + 1)


class _Piece(NamedTuple):
    """Indices along one axis that are read at once."""

    region: slice
    """The voxels to read."""
    within: slice
    """The part of them that is wanted."""
    into: slice
    """Its place in the result."""


def _groups(numbers: range, chunk: int) -> list[_Piece]:
    """Divide the indices along one axis: neighbours at once, and others chunk by chunk.

    So what lies between indices with a step is neither kept in memory nor read without need.
    """
    if abs(numbers.step) == 1 or len(numbers) < 2:
        return [_piece(numbers, 0)] if numbers else []
    found, first = [], 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] // chunk != numbers[first] // chunk:
            found.append(_piece(numbers[first:place], first))
            first = place
    return found


def _piece(numbers: range, place: int) -> _Piece:
    low, high = min(numbers[0], numbers[-1]), max(numbers[0], numbers[-1])
    start = numbers[0] - low
    stop = numbers[-1] - low + (1 if numbers.step > 0 else -1)
    within = slice(start, stop if stop >= 0 else None, numbers.step)
    return _Piece(slice(low, high + 1), within, slice(place, place + len(numbers)))


class Image:
    """An image that is open for reading; a context manager.

    Attributes
    ----------
    info
        The facts about the image.
    levels
        The voxels of each resolution level along t, z, c, y, x, the full one first.
    """

    def __init__(self, info: ImageInfo, levels: tuple[LazyVoxels, ...], files: _OpenFiles) -> None:
        self.info, self.levels = info, levels
        self._files = files

    @property
    def data(self) -> Any:
        """The voxels of the full level along t, z, c, y, x, read when they are needed.

        An array of dask where dask is installed, and `LazyVoxels` otherwise.
        """
        full = self.levels[0]
        if find_spec("dask") is None:
            return full
        array = load_library("dask.array")
        return array.from_array(full, chunks=full.chunks, name=False, asarray=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes along t, z, c, y, x."""
        return self.levels[0].shape

    @property
    def dtype(self) -> Any:
        """Data type of numpy."""
        return self.levels[0].dtype

    @property
    def spacing_um_zyx(self) -> tuple[float | None, float | None, float | None]:
        """Distance of voxels in micrometres; `None` where the file does not say."""
        return self.info.spacing_um_zyx

    @property
    def time_step_s(self) -> float | None:
        """Seconds between two time points; `None` where the file does not say."""
        return self.info.time_step_s

    @property
    def channels(self) -> tuple[ImageChannel, ...]:
        """Names and colours of the channels."""
        return self.info.channels

    @property
    def files(self) -> tuple[str, ...]:
        """Absolute paths of all files that make up the image."""
        return self.info.files

    @property
    def original(self) -> Mapping[str, str]:
        """Metadata as the file has them, text by text, such as `OME-XML`."""
        return self.info.original

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Values that the file does not give by itself, and where they come from."""
        return self.info.decisions

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def __enter__(self) -> Self:
        """Return the image."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self.close()


def open_image(
    path: str | os.PathLike[str] | Source,
    *,
    axes: str = "",
    scene: int | str = "",
    reader: str = "",
) -> Image:
    """Open an image of any format for reading; it is never opened for writing.

    Parameters
    ----------
    path
        A file or folder, or what `merge_files` returns.
    axes
        Names of the axes as they are stored, the slowest first, such as `"ZYX"`, where the file
        does not say it or is wrong. The decision is on record in `decisions`.
    scene
        Which image of a file that has several: its number from 0, or its name; of an OME-Zarr the
        path of its folder. The decision is on record in `decisions`.
    reader
        `"bioio"` for the plug-ins of bioio that are installed, for a file of any name;
        nothing for the readers of this package. The decision is on record in `decisions`.

    Raises
    ------
    SourceRefusedError
        It is no image, it is damaged, it has several images and `scene` is not given, or it does
        not say what its axes are and `axes` is not given.
    UnreadableVoxelsError
        Its voxels cannot be read, now or when they are asked for.
    MissingExtraError
        A library that the format needs is not installed.
    """
    source, shown = find_image(path, axes, scene, reader)
    with ExitStack() as stack:
        volume = stack.enter_context(open_volume(source.path, source.format, source.selection))
        info = describe(source, volume.header, shown)
        files = _OpenFiles(info.path, stack.pop_all())
        levels = tuple(LazyVoxels(level, files) for level in volume.levels)
        return Image(info, levels, files)
    raise AssertionError
