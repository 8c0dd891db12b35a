"""`spimpack convert`: one image becomes an OME-Zarr or an OME-TIFF, as backends make them."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import positive
from spimpack_tasks.cli.progress import ByteLine
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.transcoding.alone import CODECS, ConversionRefusedError, convert_alone
from spimpack_tasks.transcoding.request import NGFF, Request, count_threads

if TYPE_CHECKING:
    import argparse

HELP = "convert one image to OME-Zarr or OME-TIFF"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="the image; it is only read")
    parser.add_argument(
        "target", metavar="TARGET", help="the image to make, ending in .ome.zarr or .ome.tif"
    )
    parser.add_argument(
        "--codec",
        choices=[codec for codecs in CODECS.values() for codec in codecs],
        default="",
        help="of OME-Zarr: gzip, which every program reads, and which an Imaris file becomes "
        "quickest, or blosc, which is smaller and faster to read; of OME-TIFF: zlib, "
        "which every program reads, or zstd (default: the first, or the quickest of OME-Zarr)",
    )
    parser.add_argument(
        "--ngff",
        choices=NGFF,
        default="",
        help="version of OME-Zarr: 0.5, or 0.4 for programs that read no other; of 0.4 each chunk "
        f"is a file (default: {NGFF[0]})",
    )
    parser.add_argument(
        "--orientation",
        default="",
        metavar="CODE",
        help="such as RPI: towards which side the index of x, y and z increases",
    )
    parser.add_argument(
        "--stains", default="", metavar="NAMES", help="names of the channels, with ; between them"
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=0,
        metavar="N",
        help="number of threads (default: one for each processor)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say how long it took."""
    orientation = normalise_orientation(arguments.orientation) if arguments.orientation else None
    if arguments.orientation and orientation is None:
        message = f"{arguments.orientation!r} is not an orientation; write it like RPI"
        raise ConversionRefusedError(message)
    target = os.path.abspath(os.path.expanduser(arguments.target)).rstrip("/")
    request = Request(
        codec=arguments.codec,
        ngff=arguments.ngff,
        name=os.path.basename(target).partition(".ome.")[0],
        orientation_xyz=orientation,
        channel_names=tuple(n.strip() for n in arguments.stains.split(";") if n.strip()),
    )
    source = os.path.abspath(os.path.expanduser(arguments.source)).rstrip("/")
    began = time.monotonic()
    threads = arguments.threads or count_threads()
    try:
        with ByteLine() as line:
            is_new = convert_alone(source, target, request, threads, line.advance)
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        hint = "free some and " if is_full else ""
        message = f"{error.strerror or error}; {hint}run it again: what is done is gone on with"
        raise SpimpackError(message) from error
    if not is_new:
        print(f"Nothing to do: {arguments.target} was made from this")
    else:
        print(f"Made {arguments.target} in {time.monotonic() - began:.1f} s")
    return ExitCode.OK
