"""`spimpack init`: a commented manifest and a table to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.template import template_files

if TYPE_CHECKING:
    import argparse

HELP = "write a commented manifest and a table to fill in"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "directory", nargs="?", default=".", metavar="DIR", help="where (default: here)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the files that are not there yet."""
    directory = Path(arguments.directory)
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in template_files().items():
        path = directory / name
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            print(f"{path} is there already and was left as it is")
        else:
            print(f"wrote {path}")
    print(f"Fill them in, then run: spimpack validate --manifest {directory / 'manifest.yml'}")
    return ExitCode.OK
