"""Images that are open for reading, with lazy voxels along t, z, c, y, x."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from spimpack_tasks.images.info import ORDER, describe, find_image
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
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
        wanted = _resolve_index(key, self.shape)
        bounds = [_bounds_of(part, n) for part, n in zip(wanted, self.shape, strict=True)]
        inner = tuple(within for _, within in bounds)
        import numpy as np

        if any(region.start == region.stop for region, _ in bounds):
            sizes = [region.stop - region.start for region, _ in bounds]
            return np.asarray(np.empty(sizes, self.dtype)[inner])
        t, z, c, y, x = (region for region, _ in bounds)
        with self._files.lock:
            self._files.require_open()
            block = self._level.read((t, c, z, y, x))
        ordered = block.transpose(0, 2, 1, 3, 4).astype(self.dtype, copy=False)
        return np.asarray(ordered[inner])

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


def _bounds_of(part: Any, n: int) -> tuple[slice, Any]:
    """Return the region to read along one axis, and what of it is wanted."""
    if isinstance(part, slice):
        numbers = range(*part.indices(n))
        if not numbers:
            return slice(0, 0), slice(0, 0)
        low, high = min(numbers), max(numbers)
        start, stop = numbers[0] - low, numbers[-1] - low + (1 if numbers.step > 0 else -1)
        return slice(low, high + 1), slice(start, stop if stop >= 0 else None, numbers.step)
    try:
        index = range(n)[part] if not isinstance(part, bool) else range(0)[part]
    except (TypeError, IndexError):
        message = f"{part!r} is no index of {n} voxels; give an integer or a slice"
        raise IndexError(message) from None
    return slice(index, index + 1), 0


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
