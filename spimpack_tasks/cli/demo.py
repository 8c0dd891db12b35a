"""`spimpack demo`: the whole way on small generated images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.pipelines import make_demo

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", metavar="DIR", help="where; made if it is not there")
    parser.add_argument(
        "--backend",
        default="symlink",
        choices=tuple(BACKENDS),
        help="how images get into the dataset (default: symlink)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the demo, and print its messages."""
    for line in make_demo(Path(arguments.directory), arguments.backend):
        print(line, flush=True)
    return ExitCode.OK
