"""Writes the corrected frames of a tile to an OME-Zarr, whose planes are the turned frames."""

from __future__ import annotations

import os
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import sync_disk
from spimpack_tasks.files.held_folders import TargetTakenError, move_to_target
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.stitching.correct import correct_frame
from spimpack_tasks.stitching.frames import OpenTiles
from spimpack_tasks.stitching.identity import CORRECTED_KEY
from spimpack_tasks.stitching.tiles import turned_shape
from spimpack_tasks.stitching.working import (
    hold_place,
    is_made,
)
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.spec import VolumeSpec
from spimpack_tasks.volumes.writer import Layout, create_volume

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.files.places import Place
    from spimpack_tasks.stitching.correct import Corrections
    from spimpack_tasks.stitching.frames import Frames
    from spimpack_tasks.stitching.identity import Pace
    from spimpack_tasks.stitching.tiles import TileSet
    from spimpack_tasks.volumes.blocks import Block


class FramesRefusedError(SpimpackError):
    """Frames have values that a correction cannot take."""

    exit_code = ExitCode.BAD_INPUT


def write_corrected(
    tile: tuple[TileSet, int],
    target: str,
    identity: str,
    corrections: tuple[Corrections, Any],
    pace: Pace,
) -> bool:
    """Write the corrected frames of a tile, or resume that; tell whether anything was to be done.

    Parameters
    ----------
    tile
        A set, and the number of a tile of it.
    target
        Path of the OME-Zarr.
    identity
        What tile and corrections are known by.
    corrections
        Corrections of each frame, and the flat or `None`.
    pace
        Threads, and who is told the bytes of frames that are written.

    Raises
    ------
    TargetTakenError
        Something else lies at the target.
    FramesRefusedError
        A frame has values of which stripes cannot be taken out.
    OSError
        The tile is damaged, or the disk does not take the frames.
    """
    if is_made(target, identity):
        return False
    if os.path.lexists(target) and CORRECTED_KEY not in read_provenance(target):
        raise TargetTakenError(f"{target} is there already, and holds no corrected frames")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with hold_place(target, identity, alone=True) as place:
        if place is None:
            return False
        path = f"{place}/{identity}"
        with as_os_errors(), OpenTiles(tile[0]) as stacks:
            frames = stacks.need((tile[1],))[tile[1]]
            spec = _describe(tile, identity)
            try:
                _write(frames, LocalPlace(path), spec, corrections, pace)
            except FramesRefusedError as error:
                raise FramesRefusedError(f"{tile[0].tiles[tile[1]].path}: {error}") from error
        sync_disk(place)
        move_to_target(path, target)
    return True


def _describe(tile: tuple[TileSet, int], identity: str) -> VolumeSpec:
    import numpy as np

    tiles, number = tile
    geometry = tiles.geometry
    shape = turned_shape(tiles.tiles[number].shape_frc, geometry)
    return VolumeSpec(
        shape_tczyx=(1, 1, *shape),
        dtype=np.dtype(tiles.tiles[number].dtype),
        name=os.path.basename(tiles.tiles[number].name),
        axes="zyx",
        spacing_um_zyx=(geometry.step_um, geometry.pitch_um, geometry.pitch_um),
        provenance={"version": __version__, "made_from": identity, CORRECTED_KEY: "frames"},
    )


def _write(
    frames: Frames,
    place: Place,
    spec: VolumeSpec,
    corrections: tuple[Corrections, Any],
    pace: Pace,
) -> None:
    """Write all frames that are not there yet, some planes of blocks at a time."""
    import numpy as np

    with (
        WorkPool(pace.threads) as pool,
        create_volume(place, spec, Layout(codec="blosc"), pool) as writer,
    ):
        _, rows, columns = frames.shape_frc
        missing = sorted(writer.missing(), key=_first_frame)
        for _, group in groupby(missing, _first_frame):
            blocks = [*group]
            planes = blocks[0].region[2]
            slab = np.empty((planes.stop - planes.start, rows, columns), spec.dtype)
            jobs = (partial(_correct, frames, n, corrections) for n in _numbers(planes))
            for number, frame in enumerate(pool.results(jobs)):
                slab[number] = frame
            for block in blocks:
                _, _, _, r, c = block.region
                writer.write(block, slab[np.newaxis, np.newaxis, :, r, c])
            pace.advance(slab.nbytes)
        writer.finish(fill_missing=True)  # a block of zeros alone is never there


def _numbers(planes: slice) -> Iterable[int]:
    return range(planes.start, planes.stop)


def _first_frame(block: Block) -> int:
    return int(block.region[2].start)


def _correct(frames: Frames, number: int, corrections: tuple[Corrections, Any]) -> Any:
    _, rows, columns = frames.shape_frc
    region = (slice(number, number + 1), slice(0, rows), slice(0, columns))
    frame = frames.read(region)[0]
    _require_counts(frame, number, corrections[0].destripe)
    return correct_frame(frame, *corrections)


def _require_counts(frame: Any, number: int, method: str) -> None:
    """Refuse a frame out of which stripes cannot be taken."""
    import numpy as np

    if method == "none":
        return
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        what = "pixels that are no numbers"
    elif method == "wavelet" and frame.dtype.kind in "if" and frame.min() < 0:
        what = f"pixels down to {frame.min()}, and wavelets take the logarithm"
    else:
        return
    message = f"frame {number} has {what}; replace them, or choose another way than {method}"
    raise FramesRefusedError(message)
