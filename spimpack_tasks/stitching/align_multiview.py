"""Measures the shifts of pairs by multiview-stitcher, a program of its own that users install.

It is told the frames as they are, with the matrix from sample to micrometres: no tile is deskewed
for it. It does not tell how certain a shift is. Places follow from the shifts as from those of
`pairs`, so a pair that it cannot measure leaves its tiles to the stage.
"""

from __future__ import annotations

import math
import warnings
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from spimpack_tasks.stitching.align import measure_pairs
from spimpack_tasks.stitching.pairs import PairShift, unmeasured
from spimpack_tasks.stitching.tiles import affine_um_zyx, sample_of_um

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.stitching.frames import Frames, OpenTiles
    from spimpack_tasks.stitching.pairs import Overlap
    from spimpack_tasks.stitching.tiles import Geometry, TileSet, Vector

    Place = tuple[Geometry, Vector]

_AXES = ("z", "y", "x")
_STAGE, _FOUND = "stage", "found"
_TOGETHER = 32
"""Frames that are read at a time."""
_UPSAMPLED = 10
"""Parts of a sample to which a shift is told; by default it is two."""
_LEAST_QUALITY = 0.3
"""Correlation of a pair that counts, as of a window in `pairs`."""
_SIGMA = 1.0
"""Samples, in place of what is not told; in sets of known places errors were up to 1.5."""
_OBLIQUE_SIGMA = 2.5
"""The same of tilted frames, whose shifts are drawn towards 0; errors were up to 2.6."""


class _Samples:
    """Frames as an array that is read part by part."""

    ndim = 3

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self.shape, self.dtype = frames.shape_frc, frames.dtype

    def __getitem__(self, index: Any) -> Any:
        """Return the samples of a region."""
        import numpy as np

        parts = zip(index, self.shape, strict=True)
        f, r, c = (slice(*part.indices(count)[:2]) for part, count in parts)
        return np.ascontiguousarray(self._frames.read((f, r, c)))


def measure_by_multiview(
    tiles: TileSet, stacks: OpenTiles, advance: Callable[[int, int], None] | None = None
) -> list[PairShift]:
    """Return the shifts of all pairs of tiles that overlap.

    Parameters
    ----------
    tiles
        The tiles, where the stage says they are.
    stacks
        Their frames.
    advance
        Told how many pairs are done, and how many there are.

    Raises
    ------
    SourceRefusedError, UnreadableVoxelsError
        A tile is not as it was found, or damaged.
    """
    return measure_pairs(tiles, stacks, partial(_measure, tiles), advance)


def _measure(tiles: TileSet, overlap: Overlap, frames: tuple[Frames, Frames]) -> PairShift:
    import numpy as np

    places = [tiles.tiles[n].position_um_zyx for n in (overlap.first, overlap.second)]
    images = [
        _image(each, (tiles.geometry, place)) for each, place in zip(frames, places, strict=True)
    ]
    away_um, quality = _register(images)
    stage = overlap.stage_shift_frc
    if quality < _LEAST_QUALITY:
        reason = f"multiview-stitcher finds a correlation of {quality:.2f} only"
        return unmeasured(overlap, reason, quality)
    sigma = _OBLIQUE_SIGMA if tiles.geometry.is_oblique else _SIGMA
    f, r, c = np.array(stage) + sample_of_um(tiles.geometry, away_um)
    return PairShift(
        overlap.first,
        overlap.second,
        stage,
        (float(f), float(r), float(c)),
        np.eye(3) / sigma**2,
        1,
        quality,
    )


def _image(frames: Frames, place: Place) -> Any:
    """Return a tile as the program has it: frames along its z, with the matrix to micrometres."""
    import dask.array as da
    import numpy as np

    images = import_module("multiview_stitcher.spatial_image_utils")
    pyramids = import_module("multiview_stitcher.msi_utils")
    _, rows, columns = frames.shape_frc
    array: Any = da
    samples = array.from_array(_Samples(frames), chunks=(_TOGETHER, rows, columns), asarray=False)
    image = images.get_sim_from_array(
        samples,
        dims=list(_AXES),
        scale=dict.fromkeys(_AXES, 1.0),
        translation=dict.fromkeys(_AXES, 0.0),
        affine=np.array(affine_um_zyx(*place)),
        transform_key=_STAGE,
    )
    return pyramids.get_msim_from_sim(image, scale_factors=[])


def _register(images: list[Any]) -> tuple[Vector, float]:
    """Return by how many micrometres the second image lies elsewhere, and the correlation.

    That is 0 where an image is the same everywhere, for which the program has no number.
    """
    import dask

    registration = import_module("multiview_stitcher.registration")
    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reason of a pair says what is wrong with it
        found = registration.register(
            images,
            transform_key=_STAGE,
            new_transform_key=_FOUND,
            reg_channel_index=0,
            pairs=[(0, 1)],
            pre_registration_pruning_method=None,
            pairwise_reg_func_kwargs={"upsample_factor": _UPSAMPLED},
            groupwise_resolution_kwargs={"transform": "translation"},
            return_dict=True,
        )
    edge = found["pairwise_registration"]["graph"].edges[0, 1]
    # The matrix goes from the first image to the second one.
    z, y, x = (-float(value) for value in edge["transform"].values.reshape(-1, 4, 4)[0, :3, 3])
    quality = float(edge["quality"].values.ravel()[0])
    return (z, y, x), quality if math.isfinite(quality) else 0.0
