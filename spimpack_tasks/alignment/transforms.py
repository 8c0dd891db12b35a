"""Applies transformations of ANTs to points and volumes, by SimpleITK.

ANTs maps a point of the moving image to the fixed one by the inverse of its affine and by its
inverse displacements; the same map, from a grid of the moving image, resamples volumes of the
fixed space into it. Displacements are linear between voxels, and zero outside of their field.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.geometry import Grid, direction_of, tuple_of
from spimpack_tasks.errors import ExitCode, MissingExtraError, SpimpackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GUI_ORIENTATION = "IRP"
"""The order and direction of axes that the alignment GUI wants."""


class AtlasFileError(SpimpackError):
    """A transformation or a volume of the atlas cannot be read; the message names it."""

    exit_code = ExitCode.BAD_INPUT


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


def _read_affine(path: str) -> Any:
    sitk = load_sitk()
    try:
        affine = sitk.ReadTransform(path)
    except RuntimeError as error:
        raise AtlasFileError(f"{path}: is no transformation; copy it again") from error
    if affine.GetDimension() != 3 or not affine.IsLinear():
        raise AtlasFileError(f"{path}: is not an affine transformation of three axes")
    return affine


def _inverse_affine(path: str) -> Any:
    try:
        return _read_affine(path).GetInverse()
    except RuntimeError as error:
        raise AtlasFileError(f"{path}: cannot be inverted") from error


def _read_warp(path: str) -> Any:
    sitk = load_sitk()
    try:
        field = sitk.ReadImage(path, sitk.sitkVectorFloat64)
    except RuntimeError as error:
        raise AtlasFileError(f"{path}: is no field of displacements; copy it again") from error
    if field.GetDimension() != 3 or field.GetNumberOfComponentsPerPixel() != 3:
        raise AtlasFileError(f"{path}: is not a field of three displacements at each voxel")
    return sitk.DisplacementFieldTransform(field)


def _compose(in_order: Sequence[Any]) -> Any:
    """Return one transformation that applies several, the first one first.

    A composite of SimpleITK is a stack, which applies the last one first.
    """
    sitk = load_sitk()
    composite = sitk.CompositeTransform(3)
    for each in reversed(in_order):
        composite.AddTransform(each)
    return composite


def point_map(pairs: Iterable[AntsPair]) -> Any:
    """Return the map of points through some registrations, from moving to fixed.

    Raises
    ------
    AtlasFileError
        A file is missing or damaged.
    """
    steps = []
    for pair in pairs:
        steps += [_inverse_affine(pair.affine), _read_warp(pair.inverse_warp)]
    return _compose(steps)


def image_map(pairs: Iterable[AntsPair]) -> Any:
    """Return the map of points from the last fixed image to the first moving one.

    It resamples the moving image onto a grid of the fixed space.

    Raises
    ------
    AtlasFileError
        A file is missing or damaged.
    """
    steps = []
    for pair in reversed(list(pairs)):
        steps += [_read_warp(pair.warp), _read_affine(pair.affine)]
    return _compose(steps)


def map_points(
    transform: Any, points_mm_lps: Iterable[Sequence[float]]
) -> list[tuple[float, float, float]]:
    """Return where a map brings some points, LPS in mm."""
    return [tuple_of(transform.TransformPoint(tuple(point))) for point in points_mm_lps]


def image_on(grid: Grid, array_zyx: Any) -> Any:
    """Return an image of SimpleITK of voxels z, y, x on a grid."""
    return with_grid(load_sitk().GetImageFromArray(array_zyx), grid)


def with_grid(image: Any, grid: Grid) -> Any:
    """Give an image the place, spacing and direction of a grid of the same size."""
    image.SetOrigin(grid.origin_mm_lps)
    image.SetSpacing(grid.spacing_mm_xyz)
    image.SetDirection(grid.direction)
    return image


def grid_of(image: Any) -> Grid:
    """Return the grid of an image of SimpleITK."""
    return Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def turned_grid(grid: Grid) -> Grid:
    """Return a grid with its axes in the order and direction of the GUI."""
    sitk = load_sitk()
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(grid.direction)
    if code == GUI_ORIENTATION:
        return grid
    target = {axis: GUI_ORIENTATION.index(axis) for axis in GUI_ORIENTATION}
    opposite = dict(zip("LRAPSI", "RLPAIS", strict=True))
    size, spacing = [0, 0, 0], [0.0, 0.0, 0.0]
    start = [0.0, 0.0, 0.0]
    for axis, letter in enumerate(code):
        is_kept = letter in target
        place = target[letter if is_kept else opposite[letter]]
        size[place], spacing[place] = grid.size_xyz[axis], grid.spacing_mm_xyz[axis]
        start[axis] = 0.0 if is_kept else grid.size_xyz[axis] - 1.0
    x, y, z = size
    return Grid((x, y, z), tuple_of(spacing), grid.place(start), direction_of(GUI_ORIENTATION))


def turn(image: Any) -> Any:
    """Return an image with its axes in the order and direction of the GUI."""
    return load_sitk().DICOMOrient(image, GUI_ORIENTATION)


def resample(image: Any, grid: Grid, transform: Any) -> Any:
    """Return an image on another grid, linear between voxels, in its own data type, 0 outside."""
    sitk = load_sitk()
    return sitk.Resample(
        image,
        grid.size_xyz,
        transform,
        sitk.sitkLinear,
        grid.origin_mm_lps,
        grid.spacing_mm_xyz,
        grid.direction,
        0.0,
        image.GetPixelID(),
    )


def resample_labels(image: Any, ids: Any, grid: Grid, transform: Any) -> Any:
    """Return labels on another grid, each voxel with the label that has the largest share.

    Parameters
    ----------
    image
        Compact labels: each voxel has a place in `ids`.
    ids
        The label at each place; outside of the volume the label is 0.
    grid
        The other grid.
    transform
        From its points to those of the image.

    Raises
    ------
    AtlasFileError
        A voxel has a place that `ids` has not.
    """
    import numpy as np

    sitk = load_sitk()
    known = np.asarray(ids).astype(np.int64)
    zeros = np.flatnonzero(known == 0)
    outside = int(zeros[0]) if zeros.size else known.size
    known = np.append(known, 0).astype(np.int32)
    if outside > np.iinfo(sitk.GetArrayViewFromImage(image).dtype).max:
        image = sitk.Cast(image, sitk.sitkUInt32)
    warped = sitk.Resample(
        image,
        grid.size_xyz,
        transform,
        sitk.sitkLabelLinear,
        grid.origin_mm_lps,
        grid.spacing_mm_xyz,
        grid.direction,
        float(outside),
        image.GetPixelID(),
    )
    places = sitk.GetArrayViewFromImage(warped)
    if places.size and int(places.max()) >= known.size:
        message = f"voxels of labels have places up to {int(places.max())}, but there are only"
        raise AtlasFileError(f"{message} {known.size - 1} ids; give the file of ids of this volume")
    return image_on(grid, known[places])


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
            ids = file["unique_labels"]
            return [int(each) for each in ids]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        message = f"{path}: has no whole numbers 'unique_labels'; copy it again"
        raise AtlasFileError(message) from error
