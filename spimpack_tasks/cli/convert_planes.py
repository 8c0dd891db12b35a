"""`spimpack convert` to a folder of planes, TIFF or JPEG 2000."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.cli.progress_line import ByteLine, above
from spimpack_tasks.conversion.convert_file import ConversionRefusedError
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError, count_of
from spimpack_tasks.files.plane_names import PATTERN_EXAMPLE
from spimpack_tasks.model.selection import Selection

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.volumes.examine import Source
    from spimpack_tasks.volumes.plane_folder.encoding import PlanesRequest

_HERE = "spimpack_tasks.conversion.convert_planes"
_convert_planes = Deferred(f"{_HERE}:convert_planes")
_compare_planes = Deferred(f"{_HERE}:compare_planes")
_measure_planes = Deferred(f"{_HERE}:measure_planes")
_OF_PLANES = ("psnr", "rotate_90", "flip_ud", "start", "stop")
_OF_IMAGES = ("codec", "ngff", "orientation", "stains", "drop_original")
"""Options without a meaning for planes, which hold nothing but pixels."""
_LEAST_PSNR, _LARGEST_PSNR = 20.0, 150.0
"""Decibels: below, nothing is to be seen; of more, 16 bits have not."""


def add_planes(parser: argparse.ArgumentParser) -> None:
    """Declare the options of planes."""
    group = parser.add_argument_group("planes", f"with a target such as {PATTERN_EXAMPLE}")
    group.add_argument(
        "--psnr",
        type=_psnr,
        metavar="DB",
        help="of JPEG 2000: least ratio of peak signal to noise in decibels, such as 80, or 0 for "
        "no loss (default: 0)",
    )
    group.add_argument(
        "--rotate-90",
        type=int,
        choices=range(4),
        help="quarter turns of each plane, anticlockwise, before --flip-ud (default: 0)",
    )
    group.add_argument(
        "--flip-ud", action="store_true", default=None, help="reverse the rows of each plane"
    )
    group.add_argument("--start", type=_count, metavar="N", help="first plane, from 0 on")
    group.add_argument("--stop", type=_count, metavar="N", help="end of the planes, not among them")


def _psnr(text: str) -> float:
    number = float(text)
    if number and not _LEAST_PSNR <= number <= _LARGEST_PSNR:
        raise ValueError(text)
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


_psnr.__name__, _count.__name__ = "number of decibels", "number of a plane"  # in messages


def refuse_planes(arguments: argparse.Namespace, made: str) -> None:
    """Refuse options of planes where the target is an image.

    Raises
    ------
    ConversionRefusedError
        One is given.
    """
    given = [name for name in _OF_PLANES if getattr(arguments, name) is not None]
    if given:
        message = f"{made} is no folder of planes, of which alone {_flags(given)} can be chosen"
        raise ConversionRefusedError(message, f"write a target such as {PATTERN_EXAMPLE}")


def _flags(names: list[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def run_planes(arguments: argparse.Namespace, source: str | Source, made: str) -> int:
    """Write planes, and print how long it took."""
    target = os.path.expanduser(made)
    request = _request_of(arguments, target)
    axes = "" if arguments.merge else arguments.source_axes.lower()
    chosen = Selection(arguments.scene, axes, arguments.reader)
    began = time.monotonic()
    threads = arguments.threads or count_threads()
    with ByteLine(
        "Converting", lambda: _measure_planes(source, target, request, chosen)
    ) as line:  # fmt: skip
        try:
            is_new = _convert_planes(source, target, request, chosen, (threads, line.advance))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            hint = "; run the command again to resume: finished planes are kept"
            raise SpimpackError(f"{where}{error.strerror or error}{hint}") from error
    if is_new:
        print(f"Made {made} in {time.monotonic() - began:.1f} s")
    else:
        print(f"Nothing to do: {made} was made from this")
    if not arguments.verify:
        return ExitCode.OK
    count = 0
    line = ByteLine("Comparing", lambda: _measure_planes(source, target, request, chosen))
    for fault in above(line, _compare_planes(source, target, request, chosen, line.advance)):
        print(f"{os.path.dirname(made)}: {fault}")
        count += 1
    print(
        f"{made}: planes are equal to their source" if not count else count_of(count, "deviation")
    )
    return ExitCode.CONFLICT if count else ExitCode.OK


def _request_of(arguments: argparse.Namespace, target: str) -> PlanesRequest:
    """Return how planes are written.

    Raises
    ------
    ConversionRefusedError
        An option has no meaning for them.
    """
    # Only this target needs them.
    from spimpack_tasks.volumes.plane_folder.encoding import (  # noqa: PLC0415
        PlaneSettings,
        PlanesRequest,
    )

    is_tiff = not target.lower().endswith(".jp2")
    wrong = [name for name in _OF_IMAGES if getattr(arguments, name)]
    wrong += ["psnr"] if is_tiff and arguments.psnr is not None else []
    wrong += ["level"] if not is_tiff and arguments.level else []
    if wrong:
        message = f"planes in {'TIFF' if is_tiff else 'JPEG 2000'} have no {_flags(wrong)}"
        raise ConversionRefusedError(message, "leave it out")
    x, y, _ = parse_spacing(arguments.pixel_size) or (None, None, None)
    return PlanesRequest(
        settings=PlaneSettings(
            level=int(arguments.level or 3),
            psnr_db=arguments.psnr or 0.0,
            spacing_um_xy=(x, y),
        ),
        rotate_90=arguments.rotate_90 or 0,
        flip_ud=bool(arguments.flip_ud),
        start=arguments.start or 0,
        stop=arguments.stop,
    )


def parse_spacing(text: str) -> tuple[float, ...]:
    """Return the distance of voxels along x, y and z that a text gives; nothing if it is empty.

    Raises
    ------
    ConversionRefusedError
        It is no size.
    """
    if not text:
        return ()
    try:
        x, y, z = map(float, text.split(";"))
    except ValueError:
        x = y = z = math.nan
    if not all(math.isfinite(each) and each > 0 for each in (x, y, z)):
        message = f"{text!r} is not a size of voxels; write it like 1.8;1.8;4"
        raise ConversionRefusedError(message)
    return x, y, z
