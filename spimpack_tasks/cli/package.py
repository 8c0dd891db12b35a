"""`spimpack package`: the same as `luigi --module spimpack_tasks PackageDataset`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_inputs, options_of, positive
from spimpack_tasks.pipelines import package

if TYPE_CHECKING:
    import argparse

HELP = "package the images of a manifest into a BIDS dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser, output=True)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what stands in the way of an output, but never a source",
    )
    parser.add_argument(
        "--checksum",
        action="store_true",
        help="read all images and record their checksums, for verify --checksum full",
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="number of processes (default: 1)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Package, and print the summary."""
    outcome = package(options_of(arguments), arguments.workers, checksum=arguments.checksum)
    print("\n".join(outcome.lines(arguments.output_dir)))
    return outcome.exit_code
