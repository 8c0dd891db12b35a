"""An array-like view of an acquisition that is still running."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Shape, Voxels
    from spimpack_tasks.streams.settings import AcquisitionSettings


class Frames(Protocol):
    """Frames of an acquisition by their numbers: a stream, or one that is watched."""

    @property
    def settings(self) -> AcquisitionSettings:
        """The settings."""

    @property
    def next_frame(self) -> int:
        """Number behind the last frame that is there."""

    def read_frame(self, number: int) -> Voxels | None:
        """Return a frame, `None` if it is not there."""


class StreamView:
    """The frames so far, along the axes of the acquisition; frames that lack are zeros.

    Parameters
    ----------
    stream
        The stream, which may go on.
    is_dynamic
        Whether the first axis is as long as it was reached.
    is_strict
        Whether frames that are not there are an error.
    """

    def __init__(self, stream: Frames, *, is_dynamic: bool, is_strict: bool) -> None:
        import numpy as np

        self._stream, self._is_dynamic, self._is_strict = stream, is_dynamic, is_strict
        self._counts = [each.count for each in stream.settings.dimensions]
        self.dtype = np.dtype(stream.settings.dtype)

    @property
    def shape(self) -> Shape:
        """Sizes along the axes of the acquisition."""
        first, *others = self._counts
        reached = -(-self._stream.next_frame // (prod(n or 1 for n in others[:-2])))
        if len(self._counts) > 2 and (first is None or self._is_dynamic):
            return reached, *(n or 1 for n in others)
        return first or 1, *(n or 1 for n in others)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._counts)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return prod(self.shape)

    def __len__(self) -> int:
        """Return the size of the first axis."""
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: FBT001 - numpy's
        """Return all of it as an array of numpy.

        Raises
        ------
        ValueError
            A view without a copy is asked for, which there is not.
        """
        if copy is False:
            message = "frames are in files; they cannot become an array without a copy"
            raise ValueError(message)
        return self[...].astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index: Any) -> Voxels:
        """Return a part, by numbers and slices for each axis.

        Raises
        ------
        IndexError
            It lies outside, or a frame is not there and the view is strict.
        """
        import numpy as np

        parts = self._parts(index)
        loops, pixels = parts[:-2], tuple(parts[-2:])
        sizes = self.shape
        lists = [
            range(*part.indices(n)) if isinstance(part, slice) else [_inside(part, n)]
            for part, n in zip(loops, sizes, strict=False)
        ]
        sample = np.empty(sizes[-2:], self.dtype)[pixels]
        found = np.zeros((*map(len, lists), *sample.shape), self.dtype)
        for place in np.ndindex(*map(len, lists)):
            steps = [values[at] for values, at in zip(lists, place, strict=True)]
            frame = self._stream.read_frame(self._number(steps))
            if frame is not None:
                found[place] = frame[pixels]
            elif self._is_strict:
                message = f"there is no frame at {tuple(steps)}"
                raise IndexError(message)
        dropped = tuple(slice(None) if isinstance(part, slice) else 0 for part in loops)
        voxels: Voxels = found[dropped]
        return voxels

    def _number(self, steps: list[int]) -> int:
        """Return the number of a frame by its steps, the slowest first."""
        number = 0
        for step, count in zip(steps, self._counts, strict=False):
            number = number * (count or 1) + step
        return number

    def _parts(self, index: Any) -> list[Any]:
        """Return a number or a slice for each axis."""
        given = list(index) if isinstance(index, tuple) else [index]
        if Ellipsis in given:
            at = given.index(Ellipsis)
            given[at : at + 1] = [slice(None)] * (self.ndim - len(given) + 1)
        given += [slice(None)] * (self.ndim - len(given))
        if len(given) > self.ndim:
            message = f"there are {self.ndim} axes, but {len(given)} indices"
            raise IndexError(message)
        return [each if isinstance(each, slice) else int(each) for each in given]


def _inside(index: int, size: int) -> int:
    """Return an index from the start.

    Raises
    ------
    IndexError
        It lies outside.
    """
    if not -size <= index < size:
        message = f"the index {index} lies outside of an axis of {size}"
        raise IndexError(message)
    return index % size
