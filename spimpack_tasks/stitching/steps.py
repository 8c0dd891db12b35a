"""Does the steps of a chain: flat, corrected frames, alignment, volume."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import joined, suggestion
from spimpack_tasks.files.atomic import Durability, replacing, write_at
from spimpack_tasks.stitching.align import STAGE_SIGMA_UM, align, keep_stage, solve
from spimpack_tasks.stitching.chain import (
    ALIGNMENT_FILE,
    EXCHANGE_FILE,
    FLAT_FILE,
    FLAT_NOTE,
    PAGE_FILE,
)
from spimpack_tasks.stitching.choice_rules import ChoiceRefusedError
from spimpack_tasks.stitching.dataset_rows import compose_row, tell_parameters, write_row
from spimpack_tasks.stitching.flat import describe_flat, estimate_flat, sample_frames
from spimpack_tasks.stitching.frames import OpenTiles
from spimpack_tasks.stitching.making import finish, has_part, make_part, stitch
from spimpack_tasks.stitching.names import ESTIMATED_FLAT, NO_FLAT
from spimpack_tasks.stitching.overlap_pictures import draw_overlaps
from spimpack_tasks.stitching.page import compose_page
from spimpack_tasks.stitching.placing import place_tiles, require_near
from spimpack_tasks.stitching.precomputed_info import write_info
from spimpack_tasks.stitching.preprocess import write_corrected
from spimpack_tasks.stitching.spimstitch.align_file import write_align_file
from spimpack_tasks.stitching.tile_files import (
    match_tiles,
    read_alignment,
    read_tiles,
    require_files,
    write_alignment,
    write_json,
)
from spimpack_tasks.stitching.tiles import count_parts, turned_shape
from spimpack_tasks.stitching.volume import Stitching, deskew, identify_stitching
from spimpack_tasks.stitching.working import check_target, claim_work_files, is_made
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.source_errors import as_os_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.stitching.align import Alignment
    from spimpack_tasks.stitching.chain import Chain
    from spimpack_tasks.stitching.identity import Pace

_measure_by_multiview = Deferred("spimpack_tasks.stitching.align_multiview:measure_by_multiview")


def make_flat(chain: Chain) -> None:
    """Estimate the flat of some frames of all tiles.

    Raises
    ------
    FlatRefusedError
        Too little of the frames is bright.
    OSError
        A tile is damaged, or the disk does not take the flat.
    """
    import tifffile

    settings = chain.choices.flat_settings
    with as_os_errors(), OpenTiles(chain.tiles) as stacks:
        flat = estimate_flat(sample_frames(chain.tiles, stacks, settings), settings)
    claim_work_files(chain.work_dir, [FLAT_FILE, FLAT_NOTE])
    with replacing(chain.flat_path, Durability.SAFE) as aside:
        tifffile.imwrite(aside.file, flat)
    told = describe_flat(flat, settings)
    write_json(f"{chain.work_dir}/{FLAT_NOTE}", {**told, "made_from": chain.flat_id})


def read_flat(chain: Chain) -> Any:
    """Return the flat, 1 on average, or `None` where there is none.

    Raises
    ------
    ChoiceRefusedError
        The file is no TIFF, or of other sizes than the frames.
    """
    path = chain.flat_path
    if not path:
        return None
    if not chain.has_flat():
        message = f"{path}: is missing, or was made of other inputs by another run; run it again"
        raise ChoiceRefusedError(message)
    import tifffile

    try:
        flat = tifffile.imread(path).astype("float32")
    except (OSError, ValueError) as error:  # tifffile's own error is a ValueError
        raise ChoiceRefusedError(f"{path}: is no flat: {error}") from error
    wanted = turned_shape(chain.tiles.tiles[0].shape_frc, chain.tiles.geometry)[1:]
    if flat.shape != wanted:
        message = f"{path}: is {flat.shape}, but frames are {wanted} (rows, columns)"
        raise ChoiceRefusedError(message)
    if not flat.min() > 0:
        raise ChoiceRefusedError(f"{path}: has pixels that are not positive")
    return flat / flat.mean()


def make_frames(chain: Chain, number: int, pace: Pace) -> None:
    """Correct the frames of a tile.

    Raises
    ------
    SpimpackError, OSError
        As of `preprocess.write_corrected`.
    """
    write_corrected(
        (chain.tiles, number),
        chain.corrected_path(number),
        chain.frame_ids[number],
        (chain.choices.corrections, read_flat(chain)),
        pace,
    )


def make_alignment(chain: Chain, advance: Callable[[int, int], None] | None = None) -> Alignment:
    """Find the places of the tiles, and write them, with a page that shows them.

    Raises
    ------
    OSError
        A tile is damaged, or the disk does not take the file.
    """
    tiles = chain.frames
    pictures: dict[tuple[str, str], str] = {}
    if chain.choices.align == "stage":
        found = keep_stage(tiles)
    else:
        with as_os_errors(), OpenTiles(tiles) as stacks:
            if chain.choices.align == "multiview":
                found = solve(tiles, _measure_by_multiview(tiles, stacks, advance))
            else:
                found = align(tiles, stacks, chain.choices.search, advance)
            pictures = draw_overlaps(found, tiles, stacks)
    claim_work_files(chain.work_dir, [ALIGNMENT_FILE, EXCHANGE_FILE, PAGE_FILE])
    page = compose_page(found, tiles, pictures)
    write_at(f"{chain.work_dir}/{PAGE_FILE}", page.encode())
    chosen = chain.choices
    write_align_file(chain.exchange_path, tiles, found, chosen.align_reversed)
    write_alignment(chain.alignment_path, found, chain.alignment_id)
    return found


def alignment_of(chain: Chain) -> Alignment:
    """Return the places of the tiles, in their order, when they were found or given.

    Raises
    ------
    TilesRefusedError
        The alignment is damaged, or of other tiles.
    """
    if chain.choices.align == "file":
        return chain.given_alignment
    return match_tiles(read_alignment(chain.alignment_path), chain.tiles, chain.alignment_path)


def stitching_of(chain: Chain) -> Stitching:
    """Return the volume, when all steps before it were done.

    Raises
    ------
    TilesRefusedError
        The alignment is damaged, or of other tiles.
    ChoiceRefusedError
        Another run has replaced the output of a step.
    """
    tiles = chain.frames
    _require_steps(chain)
    found = alignment_of(chain)
    require_near(chain.alignment_path, place_tiles(tiles, found.positions_um_zyx, found.geometry))
    turns = tiles.geometry
    chosen = chain.choices
    return Stitching(
        tiles,
        found.positions_um_zyx,
        replace(found.geometry, rotate_90=turns.rotate_90, flip_ud=turns.flip_ud),
        chosen.interpolation,
        ngff=chosen.ngff,
        codec=chosen.codec,
        name=chosen.name,
        channel_name=chosen.channel_name,
        parameters=tell_parameters(_parameters(chain, found)),
        planned_from=chain.volume_id,
    )


def _parameters(chain: Chain, found: Alignment) -> dict[str, Any]:
    """Return how a volume is made, for people who have nothing but its metadata."""
    chosen = chain.choices
    largest = [max(sigmas) for sigmas in zip(*(t.sigma_um_zyx for t in found.tiles), strict=True)]
    return {
        "align": chosen.align,
        "angle_deg": found.geometry.angle_deg,
        "dark": chosen.corrections.dark,
        "destripe": chosen.corrections.destripe,
        "flat": chosen.flat if chosen.flat in {NO_FLAT, ESTIMATED_FLAT} else "file",
        "fuse": chosen.interpolation,
        "largest_sigma_um_zyx": [round(sigma, 4) for sigma in largest],
        "magnification": chosen.corrections.magnification.factor,
        "pairs_measured": sum(not pair.reason for pair in found.pairs),
        "pitch_um": found.geometry.pitch_um,
        "step_um": found.geometry.step_um,
        "tiles": len(found.tiles),
    }


def _require_steps(chain: Chain) -> None:
    """Refuse a working folder in which another run has replaced what this one has made.

    Raises
    ------
    ChoiceRefusedError
        The alignment or the frames of a tile are of other inputs.
    """
    replaced = [] if chain.has_alignment() else [chain.alignment_path]
    replaced += [
        chain.corrected_path(number)
        for number in range(len(chain.tiles.tiles))
        if not chain.has_frames(number)
    ]
    if replaced:
        message = f"{replaced[0]}: is missing, or was made of other inputs by another run"
        raise ChoiceRefusedError(f"{message}; run it again, with a work_dir of its own")


def has_volume_part(chain: Chain, number: int) -> bool:
    """Tell whether a part of the volume is there."""
    if chain.has_volume():
        return True
    part = (number, count_parts(chain.tiles))
    return chain.has_alignment() and has_part(stitching_of(chain), chain.choices.output, part)


def make_volume_part(chain: Chain, number: int, pace: Pace) -> None:
    """Write a part of the volume.

    Raises
    ------
    SpimpackError, OSError
        As of `making.make_part`.
    """
    work, target = stitching_of(chain), chain.choices.output
    part = (number, count_parts(chain.tiles))
    make_part(work, target, part, pace.threads, pace.advance)


def finish_volume(chain: Chain, pace: Pace) -> int:
    """Make the volume of its parts; return the number of its tiles.

    Raises
    ------
    SpimpackError, OSError
        As of `making.finish`.
    """
    work, target = stitching_of(chain), chain.choices.output
    finish(work, target, count_parts(chain.tiles), pace.threads)
    return len(work.tiles.tiles)


def _deskewing(path: str, name: str, ngff: str, codec: str) -> Stitching:
    """Return the deskewing of a tile by its name.

    Raises
    ------
    SpimpackError
        The file of tiles is wrong, or has no such tile.
    """
    tiles = read_tiles(path)
    names = [tile.name for tile in tiles.tiles]
    if name not in names:
        message = joined(f"{path}: has no tile {name!r}", suggestion(name, names))
        raise ChoiceRefusedError(message)
    if ngff not in NGFF or codec not in CODEC_NAMES:
        message = f"ngff is {ngff!r} and codec {codec!r}; choose of {NGFF} and of {CODEC_NAMES}"
        raise ChoiceRefusedError(message)
    geometry = tiles.geometry
    parameters = {
        "align": "stage",
        "angle_deg": geometry.angle_deg,
        "fuse": "linear",
        "largest_sigma_um_zyx": [STAGE_SIGMA_UM] * 3,
        "pitch_um": geometry.pitch_um,
        "step_um": geometry.step_um,
        "tiles": 1,
    }
    return deskew(
        tiles,
        names.index(name),
        ngff=ngff,
        codec=codec,
        name=os.path.basename(name),
        parameters=tell_parameters(parameters),
    )


def identify_deskewed(path: str, name: str, ngff: str, codec: str) -> str:
    """Return what a deskewed tile is known by."""
    return identify_stitching(_deskewing(path, name, ngff, codec))


def check_deskewing(tile: tuple[str, str], image: str, layout: tuple[str, str]) -> None:
    """Refuse the deskewing of a tile before any work.

    Parameters
    ----------
    tile, image, layout
        As of `deskew_tile`.

    Raises
    ------
    SpimpackError
        The file of tiles is wrong or has no such tile, or the target is taken or does not fit.
    """
    work = _deskewing(*tile, *layout)
    require_files(tile[0], work.tiles)
    check_target(image, [each.path for each in work.tiles.tiles])


def has_deskewed(path: str, name: str, image: str, ngff: str, codec: str) -> bool:
    """Tell whether a deskewed tile is there."""
    return is_made(image, identify_deskewed(path, name, ngff, codec))


def deskew_tile(tile: tuple[str, str], image: str, layout: tuple[str, str], threads: int) -> None:
    """Make a volume of one tile; nothing where it is there.

    Parameters
    ----------
    tile
        File of tiles, and name of the tile.
    image
        Path of the OME-Zarr.
    layout
        Version of OME-Zarr, and codec.
    threads
        How many work side by side.

    Raises
    ------
    SpimpackError, OSError
        As of `making.stitch`.
    """
    stitch(_deskewing(*tile, *layout), image, threads, lambda _: None)


def write_volume_info(chain: Chain) -> str:
    """Write the `info` of Neuroglancer beside a stitched volume; return its path.

    Raises
    ------
    SpimpackError, OSError
        As of `precomputed_info.write_info`.
    """
    return write_info(stitching_of(chain), chain.choices.output)


def write_volume_row(chain: Chain, table: str, cells: Mapping[str, str]) -> None:
    """Write the row of a stitched volume into a scans table.

    Raises
    ------
    SpimpackError, OSError
        As of `dataset_rows.write_row`.
    """
    write_row(table, chain.choices.output, *compose_row(stitching_of(chain), cells))


def write_tile_row(
    tile: tuple[str, str], image: str, layout: tuple[str, str], row: tuple[str, Mapping[str, str]]
) -> None:
    """Write the row of a deskewed tile into a scans table; its chunk is its number from 1 on.

    Parameters
    ----------
    tile, image, layout
        As of `deskew_tile`.
    row
        The table, and the cells that the user gives.

    Raises
    ------
    SpimpackError, OSError
        As of `dataset_rows.write_row`.
    """
    names = [each.name for each in read_tiles(tile[0]).tiles]
    cells = {"chunk": str(names.index(tile[1]) + 1), **row[1]}
    write_row(row[0], image, *compose_row(_deskewing(*tile, *layout), cells))
