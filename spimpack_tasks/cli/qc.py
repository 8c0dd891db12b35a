"""`spimpack qc`: one page that shows an image in the orientation that a code gives it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_axes, add_reader, add_scene
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.selection import Selection
from spimpack_tasks.qc.page_file import check_default_place, default_place, make_page, parse_codes

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="the image; it is only read")
    parser.add_argument(
        "--output",
        default="",
        metavar="FILE",
        help="file for the page (default: spimpack-qc/NAME.html below the working directory, with "
        "scene and axes in its name); only an earlier page is replaced",
    )
    add_scene(parser)
    add_reader(parser)
    add_axes(parser)
    parser.add_argument(
        "--orientations",
        default="",
        metavar="CODES",
        help="codes to show side by side, such as RPI,LPS; the first one is shown large (default: "
        "that of the image's header, and some more)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the page, and print a summary of the image."""
    source = os.path.abspath(os.path.expanduser(arguments.source))
    codes = parse_codes(arguments.orientations)
    chosen = Selection(arguments.scene, arguments.axes.lower(), arguments.reader)
    if arguments.output:
        path = os.path.abspath(os.path.expanduser(arguments.output))
    else:
        path = default_place(source, chosen)
        check_default_place(source, path)
    volume = make_page(source, path, codes, chosen)
    print("\n".join([*volume.lines(), f"wrote {path}"]))
    return ExitCode.OK
