"""`spimpack stitch`: tiles of a microscope become one volume, as the tasks of Luigi make it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from spimpack_tasks.cli.arguments import positive
from spimpack_tasks.cli.progress_line import ProgressLine, counting
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError, count_of
from spimpack_tasks.stitching.options import (
    IMAGE_TEXT,
    ITERATIONS,
    KERNEL_SIZE,
    OPTIONS,
    POWER,
    TILES_TEXT,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.stitching.align import Alignment
    from spimpack_tasks.stitching.chain import Chain

_ACTIONS = ("volume", "align", "deskew", "deconvolve")
_run_stitching = Deferred("spimpack_tasks.local_stitching:run_stitching")
_check = Deferred("spimpack_tasks.stitching.choices:checked_chain")
_alignment_of = Deferred("spimpack_tasks.stitching.steps:alignment_of")
_check_deskewing = Deferred("spimpack_tasks.stitching.steps:check_deskewing")
_check_target = Deferred("spimpack_tasks.stitching.working:check_target")
_settle_options = Deferred("spimpack_tasks.stitching.spimstitch.options:settle_options")
_explain_idle = Deferred("spimpack_tasks.stitching.spimstitch.options:explain_idle")
_parse_cells = Deferred("spimpack_tasks.stitching.dataset_rows:parse_cells")
_write_volume_row = Deferred("spimpack_tasks.stitching.steps:write_volume_row")
_write_tile_row = Deferred("spimpack_tasks.stitching.steps:write_tile_row")
_ROWS_EXAMPLE = (
    "spimpack stitch volume tiles.json a.ome.zarr --rows scans.tsv --cell subject=01 "
    "--cell sample=brain"
)
_identify_sharpened = Deferred("spimpack_tasks.stitching.deconvolve:identify_choices")
_check_info = Deferred("spimpack_tasks.stitching.precomputed_info:check_info")
_write_volume_info = Deferred("spimpack_tasks.stitching.steps:write_volume_info")
_written = Deferred("spimpack_tasks.stitching.written:WrittenVolume")
_OF_DESKEW = ("ngff", "codec")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action",
        choices=_ACTIONS,
        help="volume: align and stitch all tiles; align: find their places only, and print them; "
        "deskew: make a volume of one tile by itself; deconvolve: sharpen a stitched volume, whose "
        "path takes the place of TILES",
    )
    parser.add_argument("tiles", metavar="TILES", help=TILES_TEXT)
    parser.add_argument("image", metavar="IMAGE", help=IMAGE_TEXT)
    _add_options(parser)
    parser.add_argument("--tile", default="", metavar="NAME", help="with deskew: name of the tile")
    parser.add_argument(
        "--rows",
        default="",
        metavar="TABLE",
        help="scans table (.tsv) of a manifest that gets a row for the image",
    )
    parser.add_argument(
        "--cell",
        action="append",
        default=[],
        metavar="COLUMN=TEXT",
        help="with --rows: a cell of the row, such as subject=01; may be given several times",
    )
    parser.add_argument(
        "--precomputed-info",
        action="store_true",
        help="with volume: write IMAGE.precomputed/info as well, in which programs of "
        "Neuroglancer's precomputed format find sizes and places of all levels",
    )
    parser.add_argument(
        "--spimstitch-env",
        action="store_true",
        help="take what is not given from the environment variables of spimstitch's scripts",
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=None,
        metavar="N",
        help="threads of each worker (default: one for each processor)",
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="number of processes (default: 1)"
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of volumes and of deconvolution."""
    for name, option in OPTIONS.items():
        is_number = isinstance(option.default, float)
        default = f" (default: {option.default})" if option.default != "" else ""
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=float if is_number else str,
            choices=option.choices or None,
            default=None,  # so that what is given can be told from what is not
            metavar=None if option.choices else "NUMBER" if is_number else "TEXT",
            help=f"{option.text}{default}".replace("%", "%%"),
        )
    for name, kind, (value, text) in (
        ("power", float, POWER),
        ("kernel-size", int, KERNEL_SIZE),
        ("iterations", int, ITERATIONS),
    ):
        explained = f"with deconvolve: {text[0].lower()}{text[1:]} (default: {value})"
        parser.add_argument(
            f"--{name}",
            type=kind,
            default=value,
            metavar="NUMBER",
            help=explained.replace("%", "%%"),
        )


def run(arguments: argparse.Namespace) -> int:
    """Do it, and print where the tiles lie."""
    parameters = _settle(arguments)
    for name in (each for each, option in OPTIONS.items() if option.is_path):
        parameters[name] = os.path.abspath(parameters[name]) if parameters[name] else ""
    shared: dict[str, Any] = {
        "tiles": os.path.abspath(arguments.tiles),
        "image": os.path.abspath(arguments.image),
        "threads": parameters.pop("threads", 0),
    }
    _check_rows(arguments)
    if arguments.precomputed_info:
        _require_volume(arguments.action, shared["image"])
    if arguments.action == "deconvolve":
        return _deconvolve(arguments, shared)
    if arguments.action == "deskew":
        return _deskew(arguments, shared, {name: parameters[name] for name in _OF_DESKEW})
    if arguments.tile:
        raise UsageError("--tile is for deskew", "spimpack stitch deskew tiles.json a.ome.zarr")
    chain: Chain = _check(parameters | shared)
    with ProgressLine(_written(chain).tell):
        code: int = _run_stitching(arguments.action, parameters | shared, arguments.workers)
    if code == ExitCode.OK:
        for line in _lines(_alignment_of(chain)):
            print(line)
        if arguments.action == "volume":
            _end_volume(arguments, chain)
    return code


def _end_volume(arguments: argparse.Namespace, chain: Chain) -> None:
    """Write what is wanted beside a volume, and print what was made."""
    if arguments.rows:
        _write_volume_row(chain, arguments.rows, _parse_cells(*_row(arguments)))
    print(f"made {arguments.image}")
    if arguments.precomputed_info:
        _write_volume_info(chain)
        print(f"made {arguments.image}.precomputed/info")


def _require_volume(action: str, image: str) -> None:
    """Refuse an `info` of what is no volume, or in the place of another one."""
    if action != "volume":
        example = "spimpack stitch volume tiles.json a.ome.zarr --precomputed-info"
        raise UsageError("--precomputed-info is for volume", example)
    _check_info(image)


def _settle(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the values of all options, of which the environment may settle some.

    Raises
    ------
    EnvironmentRefusedError
        Its variables are impossible.
    """
    given = {name: getattr(arguments, name) for name in (*OPTIONS, "threads")}
    environment = dict(os.environ) if arguments.spimstitch_env else {}
    for line in _explain_idle(environment):
        print(f"note: {line}", file=sys.stderr)
    settled: dict[str, Any] = _settle_options(
        {name: value for name, value in given.items() if value is not None}, environment
    )
    return settled


def _deskew(arguments: argparse.Namespace, shared: dict[str, Any], layout: dict[str, Any]) -> int:
    if not arguments.tile:
        example = "spimpack stitch deskew tiles.json tile.ome.zarr --tile NAME"
        raise UsageError("deskew makes a volume of one tile; name it by --tile", example)
    parameters = shared | layout | {"tile": arguments.tile}
    tile = shared["tiles"], arguments.tile
    _check_deskewing(tile, shared["image"], (layout["ngff"], layout["codec"]))
    with counting("Deskewing"):
        code: int = _run_stitching("deskew", parameters, arguments.workers)
    if code == ExitCode.OK:
        if arguments.rows:
            row = arguments.rows, _parse_cells(*_row(arguments))
            _write_tile_row(tile, shared["image"], (layout["ngff"], layout["codec"]), row)
        print(f"made {arguments.image}")
    return code


def _deconvolve(arguments: argparse.Namespace, shared: dict[str, Any]) -> int:
    shared["volume"] = shared.pop("tiles")
    chosen = {name: getattr(arguments, name) for name in ("power", "kernel_size", "iterations")}
    _identify_sharpened(shared["volume"], tuple(chosen.values()))
    _check_target(shared["image"], [shared["volume"]])
    with counting("Sharpening"):
        code: int = _run_stitching("deconvolve", shared | chosen, arguments.workers)
    if code == ExitCode.OK:
        print(f"made {arguments.image}")
    return code


def _row(arguments: argparse.Namespace) -> tuple[str, list[str]]:
    return arguments.rows, arguments.cell


def _check_rows(arguments: argparse.Namespace) -> None:
    """Refuse a row that could not be written, before any work."""
    if arguments.rows and arguments.action in {"align", "deconvolve"}:
        raise UsageError("--rows is for volume and deskew", _ROWS_EXAMPLE)
    if arguments.cell and not arguments.rows:
        raise UsageError("--cell is for a row; name its table by --rows", _ROWS_EXAMPLE)
    if arguments.rows:
        _parse_cells(*_row(arguments))


def _lines(alignment: Alignment) -> Iterator[str]:
    """Yield the places of tiles, the distance of pixels, and warnings."""
    for tile in alignment.tiles:
        corrections = ", ".join(
            f"{name} {round(value, 2) + 0:+.2f} ± {sigma:.2f}"
            for name, value, sigma in zip(
                ("frame", "row", "column"), tile.correction_frc, tile.sigma_frc, strict=True
            )
        )
        yield f"{tile.name}: {corrections} samples from the stage"
    measured = [pair for pair in alignment.pairs if not pair.reason]
    if alignment.pairs:
        yield f"{len(measured)} of {count_of(len(alignment.pairs), 'pair')} measured"
    if alignment.pitch is not None:
        used = "used" if alignment.pitch.is_used else "not used"
        value, error = alignment.pitch.pitch_um, alignment.pitch.error_um
        yield f"distance of pixels: {value:.4f} ± {error:.4f} µm, {used}"
    for warning in alignment.warnings:
        yield f"warning: {warning}"
