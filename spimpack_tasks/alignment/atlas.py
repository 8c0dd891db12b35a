"""Reads the volumes of an atlas: template, labels, and the names of regions.

Three forms are known: volumes with a list of ids, as the alignment GUI has them; volumes whose
voxels are the ids; and folders of brainglobe. Facts of the latter: `metadata.json` has the sides at
which the axes begin, resolutions in µm, and the shape, in the order of the axes of its TIFFs.
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.choices import NONE
from spimpack_tasks.alignment.geometry import Grid, direction_of
from spimpack_tasks.alignment.transforms import (
    AtlasFileError,
    grid_of,
    image_on,
    load_sitk,
    read_image,
    read_image_grid,
    read_label_ids,
)
from spimpack_tasks.alignment.warps import Resampling, largest_share
from spimpack_tasks.alignment.whole_files import check_whole
from spimpack_tasks.model.orientation import OPPOSITES, normalise_orientation
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_INT32 = 2**31 - 1
"""The largest id that the volume of labels can hold, as the GUI has it."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A region of the atlas."""

    acronym: str
    name: str = ""


def read_atlas_grid(path: str) -> Grid:
    """Return the grid of a volume of an atlas by its header.

    Raises
    ------
    AtlasFileError
        It is missing or damaged.
    """
    if not path.endswith(".tiff"):
        return read_image_grid(path)
    return _brainglobe_grid(os.path.join(os.path.dirname(path), names.BRAINGLOBE_METADATA))


def read_atlas_image(path: str) -> Any:
    """Read a volume of an atlas as an image of SimpleITK.

    Raises
    ------
    AtlasFileError
        It is missing, cut off or damaged.
    """
    if not path.endswith(".tiff"):
        check_whole(path, is_read=True)
        image = read_image(path)
        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise AtlasFileError(f"{path}: is no volume of one value at each of its voxels")
        return image
    grid = read_atlas_grid(path)
    tifffile = load_library("tifffile")
    try:
        voxels = tifffile.imread(path)
    # Codecs raise the last but one. The last one is a ValueError in late versions only.
    except (OSError, ValueError, RuntimeError, tifffile.TiffFileError) as error:
        raise AtlasFileError(f"{path}: is no volume that can be read; copy it again") from error
    if voxels.shape != grid.size_xyz[::-1]:
        message = f"has {voxels.shape} voxels, metadata.json says {grid.size_xyz[::-1]}"
        raise AtlasFileError(f"{path}: {message}; download the atlas again")
    return image_on(grid, voxels)


def _brainglobe_grid(path: str) -> Grid:
    """Return the grid of the volumes of a folder, with its corner at that of the Allen CCF.

    There the centre of the voxel at the left, anterior and superior end is the origin.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        origin = normalise_orientation(str(data["orientation"])[::-1])
        x, y, z = (int(n) for n in data["shape"][::-1])
        dx, dy, dz = (float(n) / 1000 for n in data["resolution"][::-1])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AtlasFileError(f"{path}: describes no atlas of brainglobe ({error})") from error
    if origin is None or min(x, y, z, dx, dy, dz) <= 0:
        message = f"{path}: has the orientation {data['orientation']!r}, or sizes of 0"
        raise AtlasFileError(message)
    # Axes run away from the side at which they begin.
    direction = direction_of("".join(OPPOSITES[letter] for letter in origin))
    grid = Grid((x, y, z), (dx, dy, dz), (0.0, 0.0, 0.0), direction)
    box = grid.bounds()
    corner = (-box.high[0], -box.low[1], -box.high[2])
    return Grid(grid.size_xyz, grid.spacing_mm_xyz, corner, direction)


@dataclass(frozen=True, slots=True)
class AtlasLabels:
    """Labels of an atlas, whose voxels are places in a list of ids, or the ids themselves."""

    image: Any
    path: str
    ids: tuple[int, ...] | None
    """`None` where voxels are ids; one of them is 0, for places outside of the volume."""

    @property
    def resampling(self) -> Resampling:
        """How labels between voxels are found; outside there is the place of 0."""
        return largest_share(0 if self.ids is None else self.ids.index(0))

    def expand(self, places: Any) -> Any:
        """Return the labels of some voxels."""
        import numpy as np

        return (places if self.ids is None else np.asarray(self.ids)[places]).astype(np.int32)

    def at(self, place_mm_lps: tuple[float, float, float]) -> int:
        """Return the label at a place, 0 outside."""
        import numpy as np

        index = self.image.TransformPhysicalPointToIndex(place_mm_lps)
        if not all(0 <= i < n for i, n in zip(index, self.image.GetSize(), strict=True)):
            return 0
        return int(self.expand(np.asarray([self.image.GetPixel(index)]))[0])


def read_atlas_labels(path: str, ids_path: str) -> AtlasLabels:
    """Read the labels of an atlas.

    Parameters
    ----------
    path
        The volume.
    ids_path
        The list of ids, or `none` where voxels are ids.

    Raises
    ------
    AtlasFileError
        A file is missing or damaged, or labels are no whole numbers, or one alone.
    """
    import numpy as np

    image = read_atlas_image(path)
    sitk = load_sitk()
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = voxels.astype(np.int32)
        if not np.array_equal(whole, voxels):
            raise AtlasFileError(f"{path}: has labels that are no whole numbers")
        image = image_on(grid_of(image), whole)
        voxels = sitk.GetArrayViewFromImage(image)
    if ids_path == NONE:
        if max(-int(voxels.min()), int(voxels.max())) > _MOST_INT32:
            raise AtlasFileError(f"{path}: has labels above {_MOST_INT32}; number them again")
        _refuse_single_value(path, voxels)
        return AtlasLabels(image, path, None)
    if int(voxels.min()) < 0:
        message = "has negative places; give label_ids none if its voxels are labels"
        raise AtlasFileError(f"{path}: {message}")
    known = read_label_ids(ids_path)
    if max(map(abs, known), default=0) > _MOST_INT32:
        raise AtlasFileError(f"{ids_path}: has ids above {_MOST_INT32}")
    if int(voxels.max()) >= len(known):
        message = f"{path}: has voxels with places up to {int(voxels.max())}, but there are only "
        raise AtlasFileError(f"{message}{len(known)} ids; give the file of ids of this volume")
    ids = tuple(known if 0 in known else [*known, 0])
    if ids.index(0) > np.iinfo(voxels.dtype).max:
        image = sitk.Cast(image, sitk.sitkUInt32)
    _refuse_single_value(path, voxels)
    return AtlasLabels(image, path, ids)


def read_structures(path: str) -> dict[int, Structure]:
    """Return the regions of an atlas by their ids.

    Parameters
    ----------
    path
        JSON as brainglobe has it, or a table (CSV, TSV) with `id` and `acronym`; empty for none.

    Raises
    ------
    AtlasFileError
        It is missing, or has no such columns.
    """
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows: list[Mapping[str, Any]] = (
                json.load(file)
                if path.endswith(".json")
                else [*csv.DictReader(file, delimiter="\t" if path.endswith(".tsv") else ",")]
            )
        return {
            int(row["id"]): Structure(str(row["acronym"]), str(row.get("name") or ""))
            for row in rows
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        message = f"{path}: has no regions with id and acronym ({error})"
        raise AtlasFileError(message) from error


def acronym_of(label: int, structures: Mapping[int, Structure]) -> str:
    """Return the acronym of a label; labels of the left side may be negative."""
    known = structures.get(label) or structures.get(abs(label))
    return known.acronym if known else "n/a"


def _refuse_single_value(path: str, voxels: Any) -> None:
    """Refuse labels that are the same at all voxels, as those of a file of zeros are."""
    if int(voxels.min()) == int(voxels.max()):
        message = f"{path}: has the single value {int(voxels.min())} at all voxels"
        raise AtlasFileError(f"{message}; give the labels of the atlas, or copy them again")
