"""`spimpack restore`: a certified image as TIFF or raw voxels, equal to those of the original."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import absolute_path
from spimpack_tasks.cli.progress_line import ByteLine
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.verification.restore import certified_digest, count_restored, restore

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("image", metavar="IMAGE", help="the image, which is only read")
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="the file to write: .ome.tif or .tif, or .raw for voxels alone, little-endian",
    )
    parser.add_argument(
        "--uncertified",
        action="store_true",
        help="write an image back that no certificate names; the digest of its voxels is printed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the image back, and print the digest of its voxels."""
    image, target = absolute_path(arguments.image), absolute_path(arguments.target)
    wanted = "" if arguments.uncertified else certified_digest(image)
    began = time.monotonic()
    try:
        with ByteLine("Restoring", lambda: count_restored(image)) as line:
            digest = restore(image, target, wanted, line.advance)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SpimpackError(f"{where}{error.strerror or error}") from error
    proven = "as certified" if wanted else "not certified"
    took = time.monotonic() - began
    print(f"Made {arguments.target} in {took:.1f} s; voxels {digest}, {proven}")
    return ExitCode.OK
