"""Draws the pictures of a page on a brain: slices with borders of the atlas, and silhouettes.

Volumes are read plane by plane, in the order of axes of the GUI: x to inferior, y to right, z to
posterior.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.geometry import tuple_of
from spimpack_tasks.alignment.nrrd import read_planes
from spimpack_tasks.alignment.transforms import grid_of, load_sitk, turned_axes, turned_grid
from spimpack_tasks.qc.pictures import encode_png
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.alignment.atlas import AtlasLabels
    from spimpack_tasks.alignment.geometry import Grid, Vector

_PLACES = {"coronal": (0.2, 0.35, 0.5, 0.65, 0.8), "sagittal": (0.35, 0.5, 0.65)}
"""Slices that are shown, as parts of the way through the volume."""
_PLACES |= {"horizontal": (0.35, 0.5, 0.65)}
_LONGEST = 420
"""Pixels of the longer side of a slice: two fit beside each other."""
_BORDER = (255, 209, 102)
_PERCENTILES = (1.0, 99.7)
"""Of the voxels shown: black, and full brightness, so that a few bright ones do not darken all."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A picture of one slice."""

    view: str
    place_mm: float
    """From the first voxel of the image."""
    picture: str
    """A `data:` address."""


@dataclass(frozen=True, slots=True)
class Silhouette:
    """The outline of the atlas along one direction."""

    picture: str
    left_um: float
    """From bregma: the first side of the picture, its upper one, its width and height."""
    top_um: float
    width_um: float
    height_um: float


def draw_slices(image_path: str, labels_path: str, spacing_mm_xyz: Vector) -> list[Slice]:
    """Return slices of an image with the borders of labels on the same grid.

    Raises
    ------
    AtlasFileError
        A volume is damaged.
    """
    both = [_cut(path) for path in (image_path, labels_path)]
    size = both[0][1]
    low, high = _contrast([cut for view in both[0][0].values() for cut in view.values()])
    along = {"coronal": 2, "sagittal": 1, "horizontal": 0}
    # Axes of a slice, down and across.
    axes = {"coronal": (0, 1), "sagittal": (0, 2), "horizontal": (2, 1)}
    made = []
    for view, places in _PLACES.items():
        for number in sorted({int(part * size[along[view]]) for part in places}):
            cuts = [cut[0][view][number] for cut in both]
            steps = [spacing_mm_xyz[axis] for axis in axes[view]]
            picture = _draw(cuts[0], cuts[1], steps, (low, high))
            made.append(Slice(view, number * spacing_mm_xyz[along[view]], picture))
    return made


def _cut(path: str) -> tuple[dict[str, dict[int, Any]], tuple[int, int, int]]:
    """Return slices by view and number, rows downwards, and the size of the volume."""
    import numpy as np

    planes: dict[str, dict[int, Any]] = {"coronal": {}}
    lines: dict[str, dict[int, list[Any]]] = {"sagittal": {}, "horizontal": {}}
    count = sum(1 for _ in read_planes(path))
    coronal = {int(part * count) for part in _PLACES["coronal"]}
    x = y = 0
    for number, plane in enumerate(read_planes(path)):
        y, x = plane.shape
        if number in coronal:
            planes["coronal"][number] = plane.T
        for part in _PLACES["sagittal"]:
            lines["sagittal"].setdefault(int(part * y), []).append(plane[int(part * y)].copy())
        for part in _PLACES["horizontal"]:
            lines["horizontal"].setdefault(int(part * x), []).append(plane[:, int(part * x)].copy())
    planes["sagittal"] = {n: np.stack(each, 1) for n, each in lines["sagittal"].items()}
    planes["horizontal"] = {n: np.stack(each, 0) for n, each in lines["horizontal"].items()}
    return planes, (x, y, count)


def _contrast(cuts: Sequence[Any]) -> tuple[float, float]:
    import numpy as np

    values = np.concatenate([cut.ravel() for cut in cuts]).astype(np.float64)
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, _PERCENTILES) if values.size else (0.0, 1.0)
    return float(low), float(max(high, low + 1e-9))


def _draw(image: Any, labels: Any, steps: Sequence[float], window: tuple[float, float]) -> str:
    """Return a picture of a slice, in the proportions of the brain."""
    import numpy as np

    rows, columns = (n * step for n, step in zip(image.shape, steps, strict=True))
    scale = _LONGEST / max(rows, columns)
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    low, high = window
    grey = np.clip(np.nan_to_num((image.astype(np.float64) - low) / (high - low)), 0, 1)
    pillow = load_library("PIL.Image")
    picture = pillow.fromarray((255 * grey).astype(np.uint8))
    shown = np.array(picture.resize(size, pillow.Resampling.BILINEAR).convert("RGB"))
    # Labels are numbers that no picture holds, so their pixels are picked.
    down, across = (
        np.minimum((np.arange(n) + 0.5) * m // n, m - 1).astype(int)
        for n, m in zip(size[::-1], labels.shape, strict=True)
    )
    large = labels[np.ix_(down, across)]
    border = np.zeros(large.shape, bool)
    border[:-1] |= large[:-1] != large[1:]
    border[:, :-1] |= large[:, :-1] != large[:, 1:]
    shown[border] = _BORDER
    return _address(pillow.fromarray(shown))


def _address(picture: Any) -> str:
    return f"data:image/png;base64,{b64encode(encode_png(picture)).decode()}"


def draw_silhouettes(labels: AtlasLabels, bregma_um: Vector) -> dict[str, Silhouette]:
    """Return the outlines of the atlas by view."""
    import numpy as np

    sitk = load_sitk()
    voxels = sitk.GetArrayViewFromImage(labels.image)
    nothing = 0 if labels.ids is None else labels.ids.index(0)
    grid = grid_of(labels.image)
    turned = turned_grid(grid)
    flat = {}
    axes = turned_axes(grid.direction)
    for view, along in (("coronal", 2), ("sagittal", 1), ("horizontal", 0)):
        # Axes of the array are z, y, x; those that are left over are turned like the GUI's.
        left = [n for n in (0, 1, 2) if n != along]
        shade = np.zeros([voxels.shape[2 - axes[n][0]] for n in left], bool)
        moved = np.moveaxis(voxels, [2 - axes[along][0], *(2 - axes[n][0] for n in left)], range(3))
        for plane in moved:
            shade |= plane != nothing
        for place, n in enumerate(left):
            if not axes[n][1]:
                shade = np.flip(shade, place)
        flat[view] = shade if view != "horizontal" else shade.T
    return {view: _silhouette(shade, view, turned, bregma_um) for view, shade in flat.items()}


def _silhouette(shade: Any, view: str, grid: Grid, bregma_um: Vector) -> Silhouette:
    """Return a picture with its place; rows run down or to the back, columns right or back."""
    import numpy as np

    pillow = load_library("PIL.Image")
    grey = np.where(shade, 225, 255).astype(np.uint8)
    size = tuple_of(n * s * 1000 for n, s in zip(grid.size_xyz, grid.spacing_mm_xyz, strict=True))
    half = [500 * step for step in grid.spacing_mm_xyz]
    left, back, up = grid.origin_mm_lps
    # From bregma: right, front, up; the first voxel lies at the upper, left and front corner.
    right_um = -1000 * left - bregma_um[0] - half[1]
    back_um = 1000 * back - bregma_um[1] - half[2]
    down_um = -1000 * up - bregma_um[2] - half[0]
    places = {
        "coronal": (right_um, down_um, size[1], size[0]),
        "sagittal": (back_um, down_um, size[2], size[0]),
        "horizontal": (right_um, back_um, size[1], size[2]),
    }
    return Silhouette(_address(pillow.fromarray(grey)), *places[view])
