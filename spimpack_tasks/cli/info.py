"""`spimpack info`: what images are, of any format; writes nothing."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from spimpack_tasks.cli.arguments import add_axes, add_format, add_reader, add_scene
from spimpack_tasks.cli.merging import add_merge, check_merge, merge_given
from spimpack_tasks.errors import ExitCode, HintedError, SpimpackError, in_flags, joined, printable
from spimpack_tasks.images.info import find_unused, probe_image
from spimpack_tasks.images.text import describe_lines
from spimpack_tasks.volumes.axis_names import HINT as AXES_HINT

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.images.info import ImageInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="an image: a file, an OME-Zarr, a folder of planes",
    )
    add_scene(parser)
    add_reader(parser)
    add_axes(parser)
    parser.add_argument(
        "--original",
        action="store_true",
        help="print the metadata as the file has them as well, text by text",
    )
    add_merge(parser)
    add_format(parser, "a list with one JSON object for each image")


def run(arguments: argparse.Namespace) -> int:
    """Look at each image; one that is refused does not stop the others."""
    check_merge(arguments, "spimpack info t1.tif t2.tif --merge T")
    found: list[dict[str, Any]] = []
    code = ExitCode.OK
    for number, path in enumerate(arguments.paths[:1] if arguments.merge else arguments.paths):
        try:
            info = _probe(arguments, path)
        except SpimpackError as error:
            code = error.exit_code
            message = _message(error)
            found.append({"path": path, "error": message})
            if arguments.format != "json":
                print(f"spimpack: {message}", file=sys.stderr)
            continue
        original = info.original
        extra = {"original": dict(original)} if arguments.original else {}
        found.append(_facts(info) | {"not_used": list(find_unused(original))} | extra)
        if arguments.format != "json":
            lines = [*([""] if number else []), *describe_lines(info, original)]
            for key, text in extra.get("original", {}).items():
                lines += ["", f"  {key}", *text.splitlines()]
            print("\n".join(map(printable, lines)))
    if arguments.format == "json":
        print(json.dumps(found, indent=1))
    return code


def _probe(arguments: argparse.Namespace, path: str) -> ImageInfo:
    """Return what an image is, or what all of them merged would be."""
    if not arguments.merge:
        return probe_image(
            path, axes=arguments.axes, scene=arguments.scene, reader=arguments.reader
        )
    return probe_image(merge_given(arguments, arguments.paths, arguments.axes))


def _facts(info: ImageInfo) -> dict[str, Any]:
    """Return the facts under fixed keys, with a remedy in words of the command line."""
    facts = info.as_dict()
    if info.unclear:
        facts["unclear"]["hint"] = in_flags(AXES_HINT)
    return facts


def _message(error: SpimpackError) -> str:
    if isinstance(error, HintedError):
        return joined(error.message, in_flags(error.hint))
    return str(error)
