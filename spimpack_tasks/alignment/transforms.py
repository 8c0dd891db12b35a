"""Reads volumes, their grids, affine maps and lists of labels, by SimpleITK."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

from spimpack_tasks.alignment.geometry import Grid, tuple_of
from spimpack_tasks.errors import ExitCode, MissingExtraError, Place, Problem, SpimpackError

GUI_ORIENTATION = "IRP"
"""The order and direction of axes that the alignment GUI wants."""

_DAMAGE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, OverflowError)
"""Exceptions of NumPy for files that are empty or damaged."""


class AtlasFileError(SpimpackError):
    """A transformation or a volume of the atlas cannot be read; the message names it."""

    exit_code = ExitCode.BAD_INPUT

    def as_problem(self, code: str, key: str) -> Problem:
        """Return it as a problem of the file that its message begins with."""
        path, _, text = str(self).partition(": ")
        message, _, hint = text.partition("; ")
        return Problem(code, Place(path), key, message, hint or "copy it again")


@dataclass(frozen=True, slots=True)
class AntsPair:
    """Files of one registration, from a moving to a fixed image."""

    affine: str
    inverse_warp: str
    warp: str = ""
    """Only needed to resample the moving image; empty where there is none."""


def load_sitk() -> Any:
    """Import SimpleITK.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise MissingExtraError("SimpleITK", "alignment") from error
    return SimpleITK


def read_image(path: str) -> Any:
    """Read a volume.

    Raises
    ------
    AtlasFileError
        It is missing or damaged.
    """
    sitk = load_sitk()
    try:
        return sitk.ReadImage(path)
    except RuntimeError as error:
        raise AtlasFileError(f"{path}: is no volume that can be read; copy it again") from error


def read_image_grid(path: str) -> Grid:
    """Return the grid of a volume by its header.

    Raises
    ------
    AtlasFileError
        It is missing, damaged, or has not three axes.
    """
    reader = load_sitk().ImageFileReader()
    reader.SetFileName(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise AtlasFileError(f"{path}: is no volume that can be read; copy it again") from error
    if reader.GetDimension() != 3:
        raise AtlasFileError(f"{path}: has {reader.GetDimension()} axes; a volume has three")
    return Grid(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def image_on(grid: Grid, array_zyx: Any, *, is_vector: bool = False) -> Any:
    """Return an image of SimpleITK of voxels z, y, x on a grid; vectors have a fourth axis."""
    return with_grid(load_sitk().GetImageFromArray(array_zyx, isVector=is_vector), grid)


def with_grid(image: Any, grid: Grid) -> Any:
    """Give an image the place, spacing and direction of a grid of the same size."""
    image.SetOrigin(grid.origin_mm_lps)
    image.SetSpacing(grid.spacing_mm_xyz)
    image.SetDirection(grid.direction)
    return image


def grid_of(image: Any) -> Grid:
    """Return the grid of an image of SimpleITK."""
    return Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def turned_axes(direction: tuple[float, ...]) -> list[tuple[int, bool]]:
    """Return the index axis along each axis of the GUI, and whether it runs the same way."""
    sitk = load_sitk()
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(direction)
    opposite = dict(zip("LRAPSI", "RLPAIS", strict=True))
    return [
        (code.index(letter if letter in code else opposite[letter]), letter in code)
        for letter in GUI_ORIENTATION
    ]


def turned_grid(grid: Grid) -> Grid:
    """Return a grid with its axes in the order and direction of the GUI."""
    axes = turned_axes(grid.direction)
    start = [0.0, 0.0, 0.0]
    for axis, is_kept in axes:
        start[axis] = 0.0 if is_kept else grid.size_xyz[axis] - 1.0
    x, y, z = (grid.size_xyz[axis] for axis, _ in axes)
    spacing = tuple_of(grid.spacing_mm_xyz[axis] for axis, _ in axes)
    # The columns of the turned matrix are those of the grid itself, which may be oblique.
    direction = tuple(
        grid.direction[3 * row + axis] * (1 if is_kept else -1) + 0.0
        for row in range(3)
        for axis, is_kept in axes
    )
    return Grid((x, y, z), spacing, grid.place(start), direction)


def read_label_ids(path: str) -> list[int]:
    """Return the label at each place of compact labels.

    Raises
    ------
    AtlasFileError
        It is no file of ids.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            ids = [int(each) for each in file["unique_labels"]]
    except (*_DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        message = f"{path}: has no whole numbers 'unique_labels'; copy it again"
        raise AtlasFileError(message) from error
    if not ids:
        raise AtlasFileError(f"{path}: has an empty list 'unique_labels'; copy it again")
    return ids
