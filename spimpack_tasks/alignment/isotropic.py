"""Brings a channel to voxels of equal sides, as the public package does from version 0.8 on.

Along each axis that becomes coarser, a Gaussian of half the new size of voxels takes away what the
new voxels cannot show; then voxels are linear between the old ones. The first voxel stays in its
place. Smoothed voxels lie in a temporary file, so memory does not grow with the image.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.geometry import Grid, tuple_of
from spimpack_tasks.alignment.transforms import image_on, load_sitk
from spimpack_tasks.alignment.warps import LINEAR, Transformation, warp_box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from spimpack_tasks.alignment.geometry import Index
    from spimpack_tasks.alignment.warps import Source

_SLAB_VOXELS = 2**24
"""Voxels that are smoothed at once, 64 MB."""
_VOXEL_BYTES = 4
"""Of a smoothed voxel, in single precision as the public package has it."""
_AS_IT_IS = Transformation(())


def isotropic_grid(grid: Grid, wanted_um: float) -> Grid:
    """Return a grid of voxels of equal sides, or the grid itself where all sides are larger.

    Parameters
    ----------
    grid
        That of the image.
    wanted_um
        The side of voxels; 0 keeps the grid.
    """
    wanted = wanted_um / 1000
    if min(grid.spacing_mm_xyz) >= wanted:
        return grid
    x, y, z = (
        max(round(n * side / wanted), 1)
        for n, side in zip(grid.size_xyz, grid.spacing_mm_xyz, strict=True)
    )
    return replace(grid, size_xyz=(x, y, z), spacing_mm_xyz=(wanted, wanted, wanted))


def mirrored_grid(grid: Grid, before: Grid, after: Grid) -> Grid:
    """Return a grid whose voxels change as those of another grid of the same image have changed."""
    spacing = tuple_of(
        side * (new / old)
        for side, new, old in zip(
            grid.spacing_mm_xyz, after.spacing_mm_xyz, before.spacing_mm_xyz, strict=True
        )
    )
    return replace(grid, size_xyz=after.size_xyz, spacing_mm_xyz=spacing)


@dataclass(frozen=True, slots=True)
class _StoredVoxels:
    """Voxels in a file, of which boxes are read."""

    file: IO[bytes]
    grid: Grid

    def read(self, low: Index, high: Index) -> Any:
        """Return the voxels z, y, x of a box."""
        import numpy as np

        # The pages of the file leave memory with the array.
        voxels = np.memmap(self.file, np.float32, "r", 0, self.grid.size_xyz[::-1])
        region = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))
        return voxels[region].copy()

    def read_rows(self, low: int, high: int) -> Any:
        """Return some rows of all planes; they are not mapped, since that would count as memory."""
        import numpy as np

        x, _, z = self.grid.size_xyz
        rows = np.empty((z, high - low, x), np.float32)
        for number, plane in enumerate(rows):
            self._seek(number, low)
            read = np.frombuffer(self.file.read(plane.nbytes), np.float32)
            plane[:] = read.reshape(plane.shape)
        return rows

    def write_rows(self, low: int, rows: Any) -> None:
        """Replace some rows of all planes."""
        for number, plane in enumerate(rows):
            self._seek(number, low)
            self.file.write(plane.tobytes())

    def _seek(self, plane: int, row: int) -> None:
        x, y, _ = self.grid.size_xyz
        self.file.seek(_VOXEL_BYTES * x * (y * plane + row))


@dataclass(frozen=True, slots=True)
class IsotropicSource:
    """A channel with voxels of equal sides, of which boxes are made when they are read."""

    smoothed: Source
    made_on: Grid
    """In the frame of the smoothed voxels."""
    grid: Grid
    """The same voxels in the frame that is asked for."""
    dtype: Any

    def read(self, low: Index, high: Index) -> Any:
        """Return the voxels z, y, x of a box, in the data type of the channel."""
        import numpy as np

        made = warp_box(self.smoothed, self.made_on, (low, high), _AS_IT_IS, LINEAR)
        if self.dtype.kind in "iu":
            # A Gaussian may fall a little below the least value, which would become the largest.
            limits = np.iinfo(self.dtype)
            made = np.clip(made, limits.min, limits.max)
        return made.astype(self.dtype)


@contextmanager
def open_isotropic(source: Source, made_on: Grid, grid: Grid) -> Iterator[IsotropicSource]:
    """Smooth a channel into a temporary file, and return it with other voxels.

    Parameters
    ----------
    source
        The channel.
    made_on
        The grid of the other voxels, in the frame of the channel.
    grid
        The same in the frame that is asked for.

    Raises
    ------
    OSError
        The image is damaged, or the disk of temporary files is full.
    """
    with TemporaryFile(prefix="spimpack-") as file:
        stored = _StoredVoxels(file, source.grid)
        dtype = _smooth_planes(source, stored, made_on)
        _smooth_along_z(stored, made_on)
        yield IsotropicSource(stored, made_on, grid, dtype)


def _smooth_planes(source: Source, stored: _StoredVoxels, made_on: Grid) -> Any:
    """Write the channel, smoothed along x and y, and return its data type."""
    x, y, z = source.grid.size_xyz
    step, dtype = max(_SLAB_VOXELS // (x * y), 1), None
    for low in range(0, z, step):
        high = min(low + step, z)
        slab = source.read((0, 0, low), (x, y, high))
        dtype = slab.dtype
        part = source.grid.part((0, 0, low), (x, y, high))
        stored.file.write(_smoothed(slab, part, made_on, (0, 1)).tobytes())
    return dtype


def _smooth_along_z(stored: _StoredVoxels, made_on: Grid) -> None:
    x, y, z = stored.grid.size_xyz
    step = max(_SLAB_VOXELS // (x * z), 1)
    for low in range(0, y, step):
        high = min(low + step, y)
        part = stored.grid.part((0, low, 0), (x, high, z))
        rows = stored.read_rows(low, high)
        stored.write_rows(low, _smoothed(rows, part, made_on, (2,)))
    stored.file.flush()


def _smoothed(voxels: Any, grid: Grid, made_on: Grid, axes: tuple[int, ...]) -> Any:
    """Return voxels z, y, x after a Gaussian along those axes that become coarser."""
    import numpy as np

    sitk = load_sitk()
    image = image_on(grid, np.ascontiguousarray(voxels, np.float32))
    for axis in axes:
        side = made_on.spacing_mm_xyz[axis]
        if side > grid.spacing_mm_xyz[axis]:
            image = sitk.RecursiveGaussian(image, sigma=side / 2, direction=axis)
    return sitk.GetArrayFromImage(image)
