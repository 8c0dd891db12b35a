"""Maps points and volumes through registrations, part by part.

ANTs maps a point of the moving image to the fixed one by the inverse of its affine and by its
inverse displacements; the same map, from a grid of the moving image, resamples volumes of the
fixed space into it. Displacements are linear between voxels, and zero outside of their field.

Memory holds a small box of the output, the boxes of displacements that it needs, and the box of the
volume that it reaches: an affine map sends a box into that of its corners, and displacements widen
it by their least and largest values.
"""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from spimpack_tasks.alignment.affines import inverse_affine, read_affine
from spimpack_tasks.alignment.fields import StoredField, open_field
from spimpack_tasks.alignment.geometry import Box, tuple_of
from spimpack_tasks.alignment.transforms import image_on, load_sitk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spimpack_tasks.alignment.geometry import Grid, Index
    from spimpack_tasks.alignment.transforms import AntsPair

_TILE = 64
"""Voxels along each side that are resampled at once: their displacements, three numbers of 8 bytes,
take 10 to 20 MB."""
_LABEL_TILE = 32
"""The same for labels. ITK looks at every voxel once for each label of the volume that it is given:
a tile of the Allen CCF has a dozen labels, and the whole has 1,300."""
_MOST_MOVING = 2**25
"""Voxels read at once of the volume that is resampled; 64 MB of two bytes each."""
_PIECE_VOXELS = 2**24
"""Voxels of a piece that is handed on, 32 to 64 MB: some dozens of planes of a brain at 25 µm, as
deep as a tile."""


class Source(Protocol):
    """A volume of which boxes can be read."""

    @property
    def grid(self) -> Grid:
        """Its grid."""

    def read(self, low: Index, high: Index) -> Any:
        """Return the voxels z, y, x from index `low` to before `high`."""


@dataclass(frozen=True, slots=True)
class Transformation:
    """Affine maps and fields of displacements, the first one applied first."""

    steps: tuple[Any, ...]
    """Each a `StoredField`, or an affine map of SimpleITK."""

    def near(self, box: Box) -> tuple[Any, Box]:
        """Return the map for places in a box, and a box that holds where they come out.

        Raises
        ------
        AtlasFileError
            Displacements are no finite numbers.
        """
        sitk = load_sitk()
        in_order = []
        for step in self.steps:
            if not isinstance(step, StoredField):
                in_order.append(step)
                box = Box.around([step.TransformPoint(corner) for corner in box.corners()])
                continue
            inside = step.grid.cover(box)
            if inside is not None:
                field = step.part(*inside)
                box = box.widened(_span(field))
                in_order.append(sitk.DisplacementFieldTransform(field))
        # A composite of SimpleITK is a stack, which applies the last one first.
        composite = sitk.CompositeTransform(3)
        for each in reversed(in_order):
            composite.AddTransform(each)
        return composite, box

    def points(self, places_mm_lps: Iterable[Sequence[float]]) -> list[tuple[float, float, float]]:
        """Return where some points come out, LPS in mm.

        Raises
        ------
        AtlasFileError
            Displacements are no finite numbers.
        """
        found = []
        for place in places_mm_lps:
            transform, _ = self.near(Box.around([tuple_of(place)]))
            found.append(tuple_of(transform.TransformPoint(tuple(place))))
        return found


def _span(field: Any) -> Box:
    """Return the least and the largest displacement along each axis; zero is between them."""
    values = load_sitk().GetArrayViewFromImage(field).reshape(-1, 3)
    least, most = values.min(0), values.max(0)
    return Box(tuple_of(float(min(v, 0)) for v in least), tuple_of(float(max(v, 0)) for v in most))


@contextmanager
def point_map(pairs: Iterable[AntsPair]) -> Iterator[Transformation]:
    """Open the map of points through some registrations, from moving to fixed.

    Raises
    ------
    AtlasFileError
        A file is missing or damaged.
    """
    with ExitStack() as opened:
        steps: list[Any] = []
        for pair in pairs:
            field = open_field(pair.inverse_warp)
            opened.enter_context(field.file)
            steps += [inverse_affine(pair.affine), field]
        yield Transformation(tuple(steps))


@contextmanager
def image_map(pairs: Iterable[AntsPair]) -> Iterator[Transformation]:
    """Open the map of points from the last fixed image to the first moving one.

    It resamples the moving image onto a grid of the fixed space.

    Raises
    ------
    AtlasFileError
        A file is missing or damaged.
    """
    with ExitStack() as opened:
        steps: list[Any] = []
        for pair in reversed(list(pairs)):
            field = open_field(pair.warp)
            opened.enter_context(field.file)
            steps += [field, read_affine(pair.affine)]
        yield Transformation(tuple(steps))


@dataclass(frozen=True, slots=True)
class Resampling:
    """How the values between voxels are found, and the value outside."""

    interpolator: str
    tile: int
    outside: float = 0.0


LINEAR = Resampling("sitkLinear", _TILE)
"""Linear between voxels, in the data type of the volume."""


def largest_share(outside: int) -> Resampling:
    """Return the resampling of labels: each voxel has the label with the largest share."""
    return Resampling("sitkLabelLinear", _LABEL_TILE, float(outside))


def warp(
    source: Source, grid: Grid, transformation: Transformation, resampling: Resampling
) -> Iterator[Any]:
    """Yield a volume on another grid, in pieces z, y, x that follow one another in a file.

    Parameters
    ----------
    source
        The volume.
    grid
        The other grid.
    transformation
        From its points to those of the volume.
    resampling
        How values are found.

    Raises
    ------
    AtlasFileError
        Displacements are no finite numbers.
    """
    import numpy as np

    for low, high in pieces_of(grid.size_xyz):
        shape = [b - a for a, b in zip(low, high, strict=True)][::-1]
        piece: Any = None
        for a, b in _tiles(low, high, resampling.tile):
            tile = warp_box(source, grid, (a, b), transformation, resampling)
            if piece is None:
                piece = np.empty(shape, tile.dtype)
            region = [slice(i - n, j - n) for i, j, n in zip(a, b, low, strict=True)]
            piece[tuple(region[::-1])] = tile
        yield piece


def pieces_of(size_xyz: Index) -> Iterator[tuple[Index, Index]]:
    """Yield boxes that follow one another in a file: planes, or rows of one plane."""
    (x, y, z), most = size_xyz, _PIECE_VOXELS
    planes, rows = max(most // (x * y), 1), y if x * y <= most else max(most // x, 1)
    for k in range(0, z, planes):
        for j in range(0, y, rows):
            yield (0, j, k), (x, min(j + rows, y), min(k + planes, z))


def _tiles(low: Index, high: Index, side: int) -> Iterator[tuple[Index, Index]]:
    for k in range(low[2], high[2], side):
        for j in range(low[1], high[1], side):
            for i in range(low[0], high[0], side):
                last = (min(i + side, high[0]), min(j + side, high[1]), min(k + side, high[2]))
                yield (i, j, k), last


def warp_box(
    source: Source,
    grid: Grid,
    bounds: tuple[Index, Index],
    transformation: Transformation,
    resampling: Resampling,
) -> Any:
    """Return the voxels z, y, x of one box of another grid.

    Raises
    ------
    AtlasFileError
        Displacements are no finite numbers.
    """
    import numpy as np

    low, high = bounds
    part = grid.part(low, high)
    transform, reached = transformation.near(part.bounds())
    wanted = source.grid.cover(reached)
    if wanted is None:
        like = source.read((0, 0, 0), (1, 1, 1)).dtype
        return np.full(part.size_xyz[::-1], resampling.outside, like)
    voxels = math.prod(b - a for a, b in zip(*wanted, strict=True))
    if voxels > _MOST_MOVING and max(part.size_xyz) > 1:
        axis = part.size_xyz.index(max(part.size_xyz))
        middle = (low[axis] + high[axis]) // 2
        halves = [(low, _moved(high, axis, middle)), (_moved(low, axis, middle), high)]
        made = [warp_box(source, grid, half, transformation, resampling) for half in halves]
        return np.concatenate(made, axis=2 - axis)
    sitk = load_sitk()
    image = image_on(source.grid.part(*wanted), source.read(*wanted))
    warped = sitk.Resample(
        image,
        part.size_xyz,
        transform,
        getattr(sitk, resampling.interpolator),
        part.origin_mm_lps,
        part.spacing_mm_xyz,
        part.direction,
        resampling.outside,
        image.GetPixelID(),
    )
    return sitk.GetArrayFromImage(warped)


def _moved(index: Index, axis: int, value: int) -> Index:
    """Return an index with another number along one axis."""
    x, y, z = (value if n == axis else number for n, number in enumerate(index))
    return x, y, z
