"""`spimpack tiles`: finds the tiles of a recording, and writes the file for stitching."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError, UsageError, count_of
from spimpack_tasks.stitching.discovery.found import BY_LAYOUT, TileChoices
from spimpack_tasks.stitching.discovery.layouts import LAYOUTS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from spimpack_tasks.stitching.discovery.found import Angle
    from spimpack_tasks.stitching.tiles import TileSet

_EXAMPLE = "spimpack tiles recording tiles.json --channel Ex_488_Em_1"
_discover_tiles = Deferred("spimpack_tasks.stitching.discovery.layouts:discover_tiles")
_write_tiles = Deferred("spimpack_tasks.stitching.tile_files:write_tiles")
_read_environment = Deferred("spimpack_tasks.stitching.spimstitch.environment:read_environment")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    layouts = "; ".join(f"{layout.name}: {layout.about}" for layout in LAYOUTS)
    parser.add_argument(
        "source", metavar="PATH", help="folder or file of the recording, which is only read"
    )
    parser.add_argument("tiles", metavar="TILES", help="file of tiles to write (tiles.json)")
    parser.add_argument(
        "--layout",
        default="",
        choices=("", *(layout.name for layout in LAYOUTS)),
        metavar="NAME",
        help=f"how tiles lie on the disk, if it is not to be found out. {layouts}",
    )
    parser.add_argument(
        "--channel", default="", metavar="NAME", help="which channel, by its folder, name or number"
    )
    for name, text in (
        ("pitch", "distance of pixels in the sample, in µm"),
        ("step", "distance of frames, in µm"),
        ("z-pitch", "distance of layers of tiles, in µm, in place of the z that files tell"),
    ):
        parser.add_argument(f"--{name}", type=_length, metavar="UM", help=text)
    parser.add_argument(
        "--angle",
        type=_angle,
        default=BY_LAYOUT,
        metavar="DEGREES",
        help="angle between light sheet and x axis, or none for planes across z (default: by "
        "layout)",
    )
    parser.add_argument(
        "--rotate-90", type=int, choices=range(4), help="quarter turns of each frame, anticlockwise"
    )
    parser.add_argument(
        "--flip-ud",
        choices=("yes", "no"),
        help="whether the rows of each frame are reversed after the turn",
    )
    parser.add_argument(
        "--reversed",
        choices=("none", "x", "y", "z", "xy", "xz", "yz", "xyz"),
        help="axes along which places fall while pixels or frames rise",
    )
    parser.add_argument(
        "--sizes-may-differ", action="store_true", help="take tiles of different sizes"
    )
    parser.add_argument(
        "--spimstitch-env",
        action="store_true",
        help="take what is not given from the environment variables of spimstitch's scripts",
    )


def _length(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise ValueError(text)
    return number


def _angle(text: str) -> Angle:
    if text in {"none", BY_LAYOUT}:
        return None if text == "none" else BY_LAYOUT
    number = float(text)
    if not 0 < number < 180:
        raise ValueError(text)
    return number


_READERS: tuple[tuple[Callable[[str], object], str], ...] = (
    (_length, "length in µm"),
    (_angle, "angle"),
)
for _read, _name in _READERS:
    _read.__name__ = _name  # in messages


def run(arguments: argparse.Namespace) -> int:
    """Find the tiles, print them, and write the file."""
    target = os.path.abspath(os.path.expanduser(arguments.tiles))
    if not target.endswith(".json"):
        message = f"{arguments.tiles} does not end in .json; write the file of tiles"
        raise UsageError(message, _EXAMPLE)
    if os.path.lexists(target):
        raise TilesTakenError(f"{arguments.tiles} is there already; choose another name")
    source = os.path.abspath(os.path.expanduser(arguments.source))
    tiles = _discover_tiles(source, _choices(arguments))
    for line in _lines(tiles):
        print(line)
    try:
        _write_tiles(target, tiles)
    except OSError as error:
        message = f"{arguments.tiles}: {error.strerror or error}"
        raise SpimpackError(message) from error
    print(f"Wrote {arguments.tiles} with {count_of(len(tiles.tiles), 'tile')}")
    return ExitCode.OK


class TilesTakenError(SpimpackError):
    """There is something at the place of the file of tiles."""

    exit_code = ExitCode.CONFLICT


def _choices(arguments: argparse.Namespace) -> TileChoices:
    reversed_axes = arguments.reversed
    choices = TileChoices(
        layout=arguments.layout,
        channel=arguments.channel,
        pitch_um=arguments.pitch,
        step_um=arguments.step,
        angle_deg=arguments.angle,
        rotate_90=arguments.rotate_90,
        flip_ud=None if arguments.flip_ud is None else arguments.flip_ud == "yes",
        reversed_axes="" if reversed_axes == "none" else reversed_axes,
        z_pitch_um=arguments.z_pitch,
        sizes_may_differ=arguments.sizes_may_differ,
    )
    return _with_environment(choices) if arguments.spimstitch_env else choices


def _with_environment(choices: TileChoices) -> TileChoices:
    """Return choices, of which the environment settles those that are open.

    Raises
    ------
    EnvironmentRefusedError
        Its variables are impossible, or the distance of layers has no length.
    """
    told = _read_environment(os.environ)
    step = choices.step_um or told.step_um
    z_pitch = choices.z_pitch_um
    if z_pitch is None and told.z_offset_frames is not None:
        if step is None:
            message = "Z_OFFSET counts frames, whose distance is not known; give --step"
            raise UsageError(message, f"{_EXAMPLE} --spimstitch-env --step 1.28")
        z_pitch = told.z_pitch_um(step)
    return replace(
        choices,
        pitch_um=choices.pitch_um or told.pitch_um,
        step_um=step,
        flip_ud=told.flip_ud if choices.flip_ud is None else choices.flip_ud,
        reversed_axes=(
            told.reversed_axes if choices.reversed_axes is None else choices.reversed_axes
        ),
        z_pitch_um=z_pitch,
    )


def _lines(tiles: TileSet) -> list[str]:
    """Return the tiles and their geometry for people."""
    geometry = tiles.geometry
    sheet = f"sheet at {geometry.angle_deg:g}°" if geometry.is_oblique else "planes across z"
    turns = f", turned by {90 * geometry.rotate_90}°" if geometry.rotate_90 else ""
    turns += ", rows reversed" if geometry.flip_ud else ""
    lines = [
        f"{sheet}: pixels of {geometry.pitch_um:g} µm, steps of {geometry.step_um:g} µm{turns}"
    ]
    width = max(len(tile.name) for tile in tiles.tiles)
    for tile in tiles.tiles:
        z, y, x = tile.position_um_zyx
        frames, rows, columns = tile.shape_frc
        sizes = f"{frames} x {rows} x {columns} {tile.dtype}"
        lines.append(f"{tile.name:{width}}  x {x:10.1f}  y {y:10.1f}  z {z:10.1f} µm  {sizes}")
    return lines
