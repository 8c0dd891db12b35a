"""`spimpack rechunk`: a finished OME-Zarr with other chunks, shards, codec or version."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import absolute_path
from spimpack_tasks.cli.convert import add_sizes, add_work, make, tell, verify
from spimpack_tasks.conversion.convert_file import CODECS, EXTENSION
from spimpack_tasks.conversion.rechunk import compose_request
from spimpack_tasks.conversion.remarks import read_remarks
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.formats import NGFF

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="the OME-Zarr, which is only read")
    parser.add_argument("target", metavar="TARGET", help="the OME-Zarr to make")
    add_sizes(parser, "as they are; of a shard, chosen where the chunks are others")
    parser.add_argument(
        "--codec",
        choices=CODECS[EXTENSION],
        default="",
        help="how chunks are compressed (default: as they are)",
    )
    parser.add_argument(
        "--ngff", choices=NGFF, default="", help="version of OME-Zarr (default: as it is)"
    )
    add_work(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rechunk, and say how long it took."""
    source, target = absolute_path(arguments.source), absolute_path(arguments.target)
    wanted = Request(
        codec=arguments.codec,
        ngff=arguments.ngff,
        name=os.path.basename(target).partition(".ome.")[0],
        chunk_zyx=arguments.chunk,
        shard_zyx=arguments.shard,
    )
    request = compose_request(source, target, wanted)
    began = time.monotonic()
    is_new = make(source, target, request, arguments.threads)
    for remark in read_remarks(source, target, request, can_give_size=False):
        print(f"warning: {remark}", file=sys.stderr)
    tell(arguments.target, began, is_new=is_new)
    if not arguments.verify:
        return ExitCode.OK
    return verify(source, target, arguments.target, request.selection)
