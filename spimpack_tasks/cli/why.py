"""`spimpack why`: where an output came from, and why it was last written; writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format
from spimpack_tasks.errors import ExitCode, printable
from spimpack_tasks.packaging.origins import explain

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "path", metavar="PATH", help="a file, link or folder of a dataset that was packaged"
    )
    add_format(parser, "one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Explain, and print it."""
    account = explain(arguments.path)
    if arguments.format == "json":
        print(json.dumps(account.as_dict(), indent=1))
    else:
        print("\n".join(map(printable, account.lines())))
    return ExitCode.OK
