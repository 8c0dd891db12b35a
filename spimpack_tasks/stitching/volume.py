"""Writes the volume that tiles make, block by block, at a place that is not its final one yet.

    parts (any number, by any processes) → finish → the image can be opened

A part is a run of blocks, and each block is one shard, which one process writes once and whole.
The smaller levels are made of the shards when all are there. So no voxel depends on the number of
threads, processes or parts, nor on what was interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.grid import LevelGrid
from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.arrays.pyramid import choose_deep_chunk, plan_levels
from spimpack_tasks.files.noted_parts import bounds_of_part
from spimpack_tasks.stitching.frames import OpenTiles
from spimpack_tasks.stitching.fuse import Fuser, overlaps
from spimpack_tasks.stitching.identity import digest, identify_tile
from spimpack_tasks.stitching.placing import place_alone, place_tiles
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.blocks import Block
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.spec import VolumeSpec, compose_channels
from spimpack_tasks.volumes.writer import Layout, create_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.grid import Region
    from spimpack_tasks.files.places import Place
    from spimpack_tasks.stitching.identity import Pace
    from spimpack_tasks.stitching.names import Interpolation
    from spimpack_tasks.stitching.placing import Canvas
    from spimpack_tasks.stitching.tiles import Geometry, TileSet, Vector

FORM = 3
"""Raised when equal inputs give other voxels than before, or parts are other blocks."""
BLOCK_SIDES_ZYX = (512, 128, 512)
"""Voxels of a block of tilted frames: deep, so that a frame is read few times, as its columns run
down, and long along x, because each column starts further along it; 64 MiB of two bytes. Of more
bytes a block is shorter, so that it takes no more memory, however large the volume is."""
_MOST_WAITING = 32 * 2**20
"""Bytes of voxels that may wait to be written: half a block, so that one waits while another is
made."""
_AXES = "zyx"


@dataclass(frozen=True, slots=True)
class Stitching:
    """A volume to be made of tiles."""

    tiles: TileSet
    positions_um_zyx: tuple[Vector, ...]
    """Where the first sample of each tile lies: on the stage, or as it was aligned."""
    geometry: Geometry
    """That of the tiles, or as it was measured by an alignment."""
    interpolation: Interpolation = "cubic"
    ngff: str = NGFF[0]
    codec: str = "blosc"
    name: str = ""
    channel_name: str = ""
    parameters: str = ""
    """How tiles were corrected, placed and fused, as JSON; it is noted in the volume."""
    planned_from: str = ""
    """Identity of the steps before, which is noted in the volume."""
    keeps_to_frames: bool = False
    """Whether one tile is deskewed by itself, linear between its frames."""

    @property
    def canvas(self) -> Canvas:
        """The grid of the volume, with the tiles on it."""
        tiles = replace(self.tiles, geometry=self.geometry)
        if self.keeps_to_frames:
            return place_alone(tiles, 0)
        return place_tiles(tiles, self.positions_um_zyx)


def stitch_on_stage(tiles: TileSet, **chosen: Any) -> Stitching:
    """Return the stitching of tiles where the stage says they are."""
    positions = tuple(tile.position_um_zyx for tile in tiles.tiles)
    return Stitching(tiles, positions, tiles.geometry, **chosen)


def deskew(tiles: TileSet, number: int, **chosen: Any) -> Stitching:
    """Return the deskewing of one tile by itself."""
    tile = tiles.tiles[number]
    return Stitching(
        replace(tiles, tiles=(tile,)),
        (tile.position_um_zyx,),
        tiles.geometry,
        interpolation="linear",
        keeps_to_frames=True,
        **chosen,
    )


def identify_stitching(work: Stitching) -> str:
    """Return what a stitched volume is known by: tiles, places, choices and the form of voxels."""
    geometry = work.geometry
    choices = (work.interpolation, work.ngff, work.codec, work.name, work.channel_name)
    return digest(
        FORM,
        [identify_tile(tile) for tile in work.tiles.tiles],
        work.positions_um_zyx,
        (geometry.pitch_um, geometry.step_um, geometry.angle_deg),
        (geometry.rotate_90, geometry.flip_ud),
        choices,
        work.planned_from,
        work.parameters,
        work.keeps_to_frames,
    )


def plan_volume(work: Stitching) -> tuple[VolumeSpec, tuple[LevelGrid, ...]]:
    """Return the volume without its voxels, and its levels, the full one first."""
    import numpy as np

    canvas = work.canvas
    dtype = np.dtype(work.tiles.tiles[0].dtype)
    shape = (1, 1, *canvas.shape_zyx)
    names = [work.channel_name] if work.channel_name else []
    spec = VolumeSpec(
        shape_tczyx=shape,
        dtype=dtype,
        name=work.name,
        axes=_AXES,
        spacing_um_zyx=canvas.spacing_um_zyx,
        origin_um_zyx=canvas.origin_um_zyx,
        channels=compose_channels(1, names, ()),
        provenance={
            "version": __version__,
            "made_from": identify_stitching(work),
            "stitched_from": f"{len(work.tiles.tiles)} tiles",
            "interpolation": work.interpolation,
            **({"parameters": work.parameters} if work.parameters else {}),
            **({"planned_from": work.planned_from} if work.planned_from else {}),
        },
    )
    itemsize = int(dtype.itemsize)
    if not work.geometry.is_oblique:
        return spec, plan_levels(shape, itemsize)
    levels = plan_levels(shape, itemsize, choose_deep_chunk(canvas.shape_zyx, itemsize))
    return spec, tuple(_with_deep_blocks(level, itemsize) for level in levels)


def _with_deep_blocks(level: LevelGrid, itemsize: int) -> LevelGrid:
    z, y, x = BLOCK_SIDES_ZYX
    sides = (1, 1, z, y, x * 2 // max(itemsize, 2))
    shard = tuple(
        min(count, max(side // size, 1))
        for side, size, count in zip(sides, level.chunk, level.grid, strict=True)
    )
    return LevelGrid(level.shape, level.chunk, shard_chunks=shard)


def open_stacks(work: Stitching) -> OpenTiles:
    """Return the tiles of a volume, of which none is open yet."""
    return OpenTiles(replace(work.tiles, geometry=work.geometry))


def count_objects(work: Stitching) -> int:
    """Return the number of chunks or shards of the full level in which a tile may have a voxel."""
    full, placements = plan_volume(work)[1][0], work.canvas.placements

    def is_covered(region: Region) -> bool:
        box = region[2], region[3], region[4]
        return any(overlaps(placement, box) for placement in placements)

    covered = (shard for shard in full.shards() if is_covered(full.region_of(shard)))
    if work.ngff == "0.5":
        return sum(1 for _ in covered)
    chunks = LevelGrid(full.shape, full.chunk, shard_chunks=(1,) * len(full.shape))
    return sum(
        is_covered(chunks.region_of(place))
        for shard in covered
        for place in full.chunks_of(shard)
        if place is not None
    )


def write_part(
    work: Stitching,
    place: Place,
    part: tuple[int, int],
    stacks: OpenTiles,
    pace: Pace,
) -> int:
    """Write the blocks of one part that are not there yet.

    Parameters
    ----------
    work
        The volume.
    place
        Where it is made.
    part
        Number of the part, from 0 on, and number of parts.
    stacks
        The tiles, as `open_stacks` opens them.
    pace
        Threads, and who is told after each block, also of those that were there.

    Returns
    -------
    int
        How many blocks were written; those without a voxel are written each time, as nothing.

    Raises
    ------
    SourceRefusedError, UnreadableVoxelsError
        A tile is not as it was found, or damaged.
    OSError
        The place does not take a block.
    """
    import numpy as np

    spec, levels = plan_volume(work)
    fuser = Fuser(
        work.canvas,
        spec.dtype,
        work.interpolation,
        is_oblique=work.geometry.is_oblique,
        keeps_to_frames=work.keeps_to_frames,
    )
    layout = Layout(work.ngff, work.codec, levels=levels)
    written = 0
    with (
        WorkPool(pace.threads, _MOST_WAITING) as pool,
        create_volume(place, spec, layout, pool) as writer,
    ):
        for block in blocks_of(levels[0], part):
            box = block.region[2:]
            if not writer.has(0, block.place):
                frames = stacks.need(fuser.numbers_in((box[0], box[1], box[2])))
                voxels = fuser.fuse((box[0], box[1], box[2]), frames, pool)
                writer.write(block, voxels[np.newaxis, np.newaxis])
                written += 1
            pace.advance(int(np.prod(block.shape)) * spec.dtype.itemsize)
        pool.settle()
    return written


def blocks_of(full: LevelGrid, part: tuple[int, int]) -> Sequence[Block]:
    """Return the blocks of a part: a run of them in the order of y, z and x.

    Blocks that follow each other are of the same rows and columns, and of frames of which half are
    the same.
    """
    shards = sorted(full.shards(), key=lambda shard: (*shard[:2], shard[3], shard[2], shard[4]))
    first, end = bounds_of_part(len(shards), part)
    return [Block(shard, full.region_of(shard)) for shard in shards[first:end]]


def finish_volume(work: Stitching, place: Place, threads: int) -> None:
    """Make the smaller levels, and write the metadata, when all parts were written.

    Raises
    ------
    OSError
        The place does not take them.
    """
    spec, levels = plan_volume(work)
    layout = Layout(work.ngff, work.codec, made_levels=levels)
    with (
        WorkPool(threads, most_waiting=0) as pool,  # a block is made of eight, and needs the room
        create_volume(place, spec, layout, pool) as writer,
    ):
        # A block without a voxel has no object, so it counts as missing.
        writer.finish(fill_missing=True)
