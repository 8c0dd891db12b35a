"""Makes the volumes of an alignment, piece by piece: memory does not grow with the image."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.atlas import read_atlas_image, read_atlas_labels
from spimpack_tasks.alignment.isotropic import open_isotropic
from spimpack_tasks.alignment.nrrd import write_nrrd
from spimpack_tasks.alignment.recording import record, write_text
from spimpack_tasks.alignment.region_volumes import compose_volumes
from spimpack_tasks.alignment.transforms import grid_of, load_sitk, turned_axes, turned_grid
from spimpack_tasks.alignment.warps import (
    LINEAR,
    image_map,
    pieces_of,
    point_map,
    warp,
)
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.alignment.atlas import AtlasLabels
    from spimpack_tasks.alignment.brain import Brain, ChannelImage
    from spimpack_tasks.alignment.chain import Chain
    from spimpack_tasks.alignment.geometry import Grid, Index
    from spimpack_tasks.alignment.warps import Source

_MOST_UINT16 = 65535
"""The largest value of the template in the space of the image, as the GUI has it."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image of SimpleITK, of which boxes are read."""

    image: Any

    @property
    def grid(self) -> Grid:
        """Its grid."""
        return grid_of(self.image)

    def read(self, low: Index, high: Index) -> Any:
        """Return the voxels z, y, x of a box."""
        region = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))
        # A view would outlive the memory of the image.
        return load_sitk().GetArrayViewFromImage(self.image)[region].copy()


@dataclass(frozen=True, slots=True)
class ChannelSource:
    """A channel of a level that is open, of which boxes are read."""

    stored: Any
    index: int
    grid: Grid

    def read(self, low: Index, high: Index) -> Any:
        """Return the voxels z, y, x of a box.

        Raises
        ------
        OSError
            The image is damaged.
        """
        space = [slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True)]
        with as_os_errors():
            return self.stored.read((slice(0, 1), slice(self.index, self.index + 1), *space))[0, 0]


@contextmanager
def open_channel(channel: ChannelImage, level: int, grid: Grid) -> Iterator[ChannelSource]:
    """Open a channel of an image on a grid.

    Raises
    ------
    OSError
        The image is damaged.
    """
    with as_os_errors(), open_volume(channel.path, "OME-Zarr") as volume:
        yield ChannelSource(volume.levels[level], channel.index, grid)


@contextmanager
def open_output(brain: Brain, channel: ChannelImage, grid: Grid) -> Iterator[Source]:
    """Open a channel with the voxels of volumes on a grid of them.

    Raises
    ------
    OSError
        The image is damaged, or the disk of temporary files is full.
    """
    level = brain.base(brain.level)
    if brain.base() == level:
        with open_channel(channel, brain.level, grid) as source:
            yield source
        return
    with (
        open_channel(channel, brain.level, level) as source,
        open_isotropic(source, brain.base(), grid) as other,
    ):
        yield other


def reorient_channel(chain: Chain, name: str) -> None:
    """Write a channel in the order of axes of the GUI, and the grid of the registration.

    Raises
    ------
    OSError
        The image is damaged, or the disk does not take the volume.
    """
    brain = chain.brain
    channel = next(each for each in brain.channels if each.name == name)
    files = [channel_path(chain, name)]
    path, grid = os.path.join(chain.folder, files[0]), brain.base()
    with open_output(brain, channel, grid) as source:
        write_nrrd(path, turned_grid(grid), _turned(source))
    if channel is brain.channels[0]:
        files.append(names.PIPELINE_GEOMETRY)
        text = compose_geometry(turned_grid(brain.registered()))
        write_text(os.path.join(chain.folder, names.PIPELINE_GEOMETRY), text)
    record(chain, f"channel_{name}", chain.channel_id(name), files)


def _turned(source: Source) -> Iterator[Any]:
    """Yield the voxels of a source in the order of axes of the GUI, in pieces."""
    axes, size = turned_axes(source.grid.direction), source.grid.size_xyz
    order = [axis for axis, _ in axes]
    flips = [2 - n for n, (_, is_kept) in enumerate(axes) if not is_kept]
    x, y, z = (size[axis] for axis in order)
    for low, high in pieces_of((x, y, z)):
        first, last = [0, 0, 0], [0, 0, 0]
        for n, (axis, is_kept) in enumerate(axes):
            ends = (low[n], high[n]) if is_kept else (size[axis] - high[n], size[axis] - low[n])
            first[axis], last[axis] = ends
        a, b = (first[0], first[1], first[2]), (last[0], last[1], last[2])
        turned = source.read(a, b).transpose([2 - axis for axis in order[::-1]])
        yield turned[tuple(slice(None, None, -1 if n in flips else 1) for n in range(3))]


def channel_path(chain: Chain, name: str) -> str:
    """Return the file of a channel, below the folder of the brain."""
    is_first = name == chain.brain.channels[0].name
    return f"{names.IMAGE_SPACE}/{names.REGISTRATION_NAME if is_first else name}.nrrd"


def compose_geometry(grid: Grid) -> str:
    """Return the JSON that tells a grid without voxels, as the GUI reads it."""
    header = {
        "origin": grid.origin_mm_lps,
        "spacing": grid.spacing_mm_xyz,
        "direction": grid.direction,
        "size_ijk": grid.size_xyz,
    }
    data = {
        "schema": "anatomical-header/1",
        "space": "left-posterior-superior",
        "units": "millimeter",
        "header": header,
    }
    return json.dumps(data, indent=2) + "\n"


def warp_to_image(chain: Chain, kind: str) -> None:
    """Write the template or the labels of the atlas in the space of the image.

    Places are mapped in the frame of the registration; the volume lies like the image. Beside
    labels there is a table of the volumes of regions.

    Raises
    ------
    AtlasFileError
        A volume or a transformation is damaged.
    """
    brain, choices = chain.brain, chain.choices
    grid, written = turned_grid(brain.registered()), turned_grid(brain.base())
    name = names.CCF_IN_IMAGE if kind == "template" else names.LABELS_IN_IMAGE
    files = [f"{names.IMAGE_SPACE}/{name}.nrrd"]
    counts: Counter[int] = Counter()
    pieces: Iterator[Any]
    with point_map(brain.pairs) as transformation:
        if kind == "template":
            source = ImageSource(read_atlas_image(choices.ccf_template))
            pieces = map(_as_uint16, warp(source, grid, transformation, LINEAR))
        else:
            labels = read_atlas_labels(choices.ccf_labels, choices.label_ids)
            pieces = warp_labels(labels, grid, transformation, counts)
        write_nrrd(os.path.join(chain.folder, files[0]), written, pieces)
    if kind != "template":
        files.append(names.REGION_VOLUMES)
        table = compose_volumes(counts, written.spacing_mm_xyz, chain.structures)
        write_text(os.path.join(chain.folder, names.REGION_VOLUMES), table)
    record(chain, name, chain.volume_id(kind), files)


def _as_uint16(piece: Any) -> Any:
    import numpy as np

    limited = np.clip(np.nan_to_num(piece) if piece.dtype.kind == "f" else piece, 0, _MOST_UINT16)
    return limited.astype(np.uint16)


def warp_labels(
    labels: AtlasLabels, grid: Grid, transformation: Any, counts: Counter[int]
) -> Iterator[Any]:
    """Yield labels on another grid, in pieces, and count the voxels of each label."""
    import numpy as np

    for places in warp(ImageSource(labels.image), grid, transformation, labels.resampling):
        piece = labels.expand(places)
        found, number = np.unique(piece, return_counts=True)
        counts.update(dict(zip(found.tolist(), number.tolist(), strict=True)))
        yield piece


def ccf_channel_path(name: str) -> str:
    """Return the file of a channel in the space of the CCF, below the folder of the brain."""
    return f"{names.CCF_SPACE}/histology_{name}.nrrd"


def warp_to_ccf(chain: Chain, name: str) -> None:
    """Write a channel on the grid of the atlas.

    Raises
    ------
    AtlasFileError, OSError
        The image or a transformation is damaged, or the disk does not take the volume.
    """
    brain = chain.brain
    channel = next(each for each in brain.channels if each.name == name)
    grid = turned_grid(chain.atlas_grid)
    path, registered = ccf_channel_path(name), brain.registered()
    with (
        image_map(brain.pairs) as transformation,
        open_output(brain, channel, registered) as source,
    ):
        pieces = warp(source, grid, transformation, LINEAR)
        write_nrrd(os.path.join(chain.folder, path), grid, pieces)
    record(chain, f"ccf_{name}", chain.ccf_channel_id(name), [path])
