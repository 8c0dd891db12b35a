"""`spimpack convert`: one image becomes an OME-Zarr, an OME-TIFF or planes."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.codec_table import CODECS as OME_ZARR_CODECS
from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.cli.arguments import absolute_path, add_axes, add_reader, add_scene, positive
from spimpack_tasks.cli.convert_planes import (
    add_planes,
    parse_spacing,
    refuse_planes,
    run_planes,
)
from spimpack_tasks.cli.merging import add_merge, check_merge, merge_given
from spimpack_tasks.cli.progress_line import ByteLine, above
from spimpack_tasks.conversion.convert_file import (
    CODECS,
    ConversionRefusedError,
    compare_file,
    convert_file,
    measure_file,
    refusal_of,
)
from spimpack_tasks.conversion.remarks import read_remarks
from spimpack_tasks.errors import ExitCode, SpimpackError, UsageError, count_of
from spimpack_tasks.files.held_folders import TargetTakenError
from spimpack_tasks.files.plane_names import is_plane_pattern
from spimpack_tasks.model.axes import CHOICES
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.volumes.conversion import LEVEL0, Request
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.ome_zarr.chunk_sizes import parse_sizes
from spimpack_tasks.volumes.tiff.layout import LEVELS

if TYPE_CHECKING:
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.examine import Source

_PLAIN_EXAMPLE = "spimpack convert image.ims image.ome.zarr"
_EXAMPLE = "spimpack convert t1.tif t2.tif --merge T image.ome.zarr"
_AGAIN = "run the command again to resume: finished parts are kept"
_REMEDIES = {
    errno.ENOSPC: f"; free some and {_AGAIN}",
    errno.EDQUOT: f"; free some and {_AGAIN}",
    errno.EIO: f"; {_AGAIN}",
    errno.EROFS: "; choose a target on another disk",
    errno.EACCES: "; choose a target in a folder that you may write to",
    errno.EPERM: "; choose a target in a folder that you may write to",
}
"""Remedy by number of the error."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="the image, or a folder of numbered planes, which is only read, or with --merge "
        "several; then the image to make, ending in .ome.zarr or .ome.tif, or a folder with names "
        "of planes, such as planes/img_{z:05}.tif or .jp2",
    )
    add_merge(parser)
    _add_form(parser)
    add_planes(parser)
    parser.add_argument(
        "--axes",
        choices=CHOICES,
        default=CHOICES[0],
        help="of OME-Zarr: those of the source, or all five for programs that want them "
        f"(default: {CHOICES[0]})",
    )
    _add_facts(parser)
    add_work(parser)


def add_work(parser: argparse.ArgumentParser) -> None:
    """Declare how the work is done, and whether it is checked."""
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read the image that was made, and compare it with its source at all levels",
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=0,
        metavar="N",
        help="number of threads (default: one for each processor)",
    )


def _add_facts(parser: argparse.ArgumentParser) -> None:
    """Declare what is taken of the source, and what the user knows better."""
    parser.add_argument(
        "--drop-original",
        action="store_true",
        help="leave out the metadata of the source as texts, which may name people and folders",
    )
    add_scene(parser)
    add_reader(parser)
    add_axes(parser, "--source-axes")
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
        "--pixel-size",
        default="",
        metavar="X;Y;Z",
        help="distance of voxels in micrometres, as in 1.8;1.8;4 (default: as in the source)",
    )


def _add_form(parser: argparse.ArgumentParser) -> None:
    """Declare in which form an image is written."""
    parser.add_argument(
        "--codec",
        choices=[*dict.fromkeys(codec for codecs in CODECS.values() for codec in codecs)],
        default="",
        help=f"of OME-Zarr: {_explain_codecs()}; of OME-TIFF: zlib, which every program reads, "
        "zstd, or none (default: zlib, or of OME-Zarr gzip for Imaris and blosc for others); zstd, "
        "none, and blosc and lz4 of OME-Zarr 0.4, have no checksums, so no reader notices flipped "
        "bits",
    )
    parser.add_argument(
        "--level",
        choices=LEVELS,
        default="",
        help="effort of zlib and zstd of OME-TIFF, and of planes in TIFF: 1 is the quickest, 9 "
        f"makes the smallest files (default: {LEVELS[0]}, of planes 3)",
    )
    parser.add_argument(
        "--ngff",
        choices=NGFF,
        default="",
        help="version of OME-Zarr: 0.5, or 0.4 for programs that read no other; of 0.4 each chunk "
        f"is a file (default: {NGFF[0]})",
    )
    add_sizes(parser, "chosen by the sizes of the image")
    parser.add_argument(
        "--level0",
        choices=LEVEL0,
        default=LEVEL0[0],
        help="full level of an OME-Zarr: encoded, or in-place, as a copy of the file with an index "
        "behind it, where its voxels lie in raw or zstd blocks, or, with in-place-unverified, in "
        "deflated ones, which not all programs read; the copy takes no space on a disk "
        f"that can share data, such as XFS or Btrfs (default: {LEVEL0[0]})",
    )


def add_sizes(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare the sizes of chunks and shards."""
    for name, text in (
        ("chunk", "of OME-Zarr: voxels of a chunk, which is what a viewer reads at once"),
        ("shard", "of OME-Zarr 0.5: voxels of a shard, which is a file; multiples of a chunk's"),
    ):
        parser.add_argument(
            f"--{name}",
            type=_sizes,
            default=(),
            metavar="Z,Y,X",
            help=f"{text} (default: {default})",
        )


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return parse_sizes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _explain_codecs() -> str:
    known = (f"{name}, {choice.suits}" for name, choice in OME_ZARR_CODECS.items())
    return f"{'; '.join(known)}; or none, of which nothing is compressed"


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say how long it took."""
    *sources, made = _check_paths(arguments)
    if is_plane_pattern(made):
        return run_planes(arguments, _find_source(arguments, sources), made)
    refuse_planes(arguments, made)
    orientation = normalise_orientation(arguments.orientation) if arguments.orientation else None
    if arguments.orientation and orientation is None:
        message = f"{arguments.orientation!r} is not an orientation; write it like RPI"
        raise ConversionRefusedError(message)
    target = absolute_path(made)
    request = Request(
        codec=arguments.codec,
        level=arguments.level if arguments.level != LEVELS[0] else "",
        ngff=arguments.ngff,
        name=os.path.basename(target).partition(".ome.")[0],
        orientation_xyz=orientation,
        channel_names=tuple(n.strip() for n in arguments.stains.split(";") if n.strip()),
        spacing_um_xyz=parse_spacing(arguments.pixel_size),
        axes=arguments.axes if arguments.axes != CHOICES[0] else "",
        original="drop" if arguments.drop_original else "",
        scene=arguments.scene,
        reader=arguments.reader,
        source_axes="" if arguments.merge else arguments.source_axes.lower(),
        chunk_zyx=arguments.chunk,
        shard_zyx=arguments.shard,
        level0=arguments.level0 if arguments.level0 != LEVEL0[0] else "",
    )
    source = _find_source(arguments, sources)
    began = time.monotonic()
    try:
        is_new = make(source, target, request, arguments.threads)
    except (ConversionRefusedError, TargetTakenError) as error:
        ending = os.path.splitext(target)[1]
        if arguments.merge and os.path.lexists(target) and sources[-1].endswith(ending):
            hint = f"the last path is the image to make, which is {made!r} here: is it missing?"
            raise type(error)(f"{error}; {hint}") from error
        raise
    for remark in read_remarks(source, target, request):
        print(f"warning: {remark}", file=sys.stderr)
    tell(made, began, is_new=is_new)
    return verify(source, target, made, request.selection) if arguments.verify else ExitCode.OK


def make(source: str | Source, target: str, request: Request, threads: int) -> bool:
    """Make an image, with progress; return whether anything was to be done.

    Raises
    ------
    SpimpackError
        It is refused, or the source or the disk fails.
    """
    chosen = request.selection
    try:
        with ByteLine("Converting", lambda: measure_file(source, target, chosen)) as line:
            return convert_file(source, target, request, threads or count_threads(), line.advance)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        hint = _REMEDIES.get(error.errno or 0, "")
        raise SpimpackError(f"{where}{error.strerror or error}{hint}") from error


def tell(made: str, began: float, *, is_new: bool) -> None:
    """Say what was done, and how long it took."""
    if not is_new:
        print(f"Nothing to do: {made} was made from this")
    else:
        print(f"Made {made} in {time.monotonic() - began:.1f} s")


def _check_paths(arguments: argparse.Namespace) -> list[str]:
    """Return the paths of sources and target.

    Raises
    ------
    UsageError
        There are too few or too many.
    """
    paths: list[str] = arguments.paths
    check_merge(arguments, _EXAMPLE)
    if len(paths) < 2:
        message = "the image to make is not given"
        raise UsageError(message, _EXAMPLE if arguments.merge else _PLAIN_EXAMPLE)
    if len(paths) > 2 and not arguments.merge:
        message = f"{paths[2]!r} is one path too many; put a path with spaces into quotes, or "
        raise UsageError(f"{message}merge several files into one image", _EXAMPLE)
    return paths


def _find_source(arguments: argparse.Namespace, paths: list[str]) -> str | Source:
    """Return the absolute path of a source, or files that are merged."""
    if not arguments.merge:
        return absolute_path(paths[0])
    try:
        return merge_given(arguments, paths, arguments.source_axes)
    except SourceRefusedError as error:
        raise refusal_of(error) from error


def verify(source: str | Source, target: str, made: str, chosen: Selection) -> ExitCode:
    """Compare an image with its source, and print the differences; `made` is its name in them."""
    count = 0
    try:
        line = ByteLine("Comparing", lambda: measure_file(source, target, chosen))
        for fault in above(line, compare_file(source, target, line.advance, chosen)):
            print(f"{made}: {fault}")
            count += 1
    except OSError as error:
        message = f"it cannot be compared: {error.strerror or error}"
        raise SpimpackError(message) from error
    print(f"{made} is equal to its source" if not count else count_of(count, "deviation"))
    return ExitCode.CONFLICT if count else ExitCode.OK
