"""The entry point of `spimpack`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Protocol

from spimpack_tasks.errors import ExitCode, InputError, SpimpackError
from spimpack_tasks.interrupts import INTERRUPTED
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    "init",
    "ui",
    "validate",
    "plan",
    "package",
    "status",
    "qc",
    "view",
    "report",
    "verify",
    "convert",
    "bids-validate",
    "demo",
    "doctor",
    "completion",
)
"""Subcommands in the order of `--help`; each is a module of this package, with `_` for `-`."""


class CommandModule(Protocol):
    """Contents of the module of a subcommand."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the subcommand's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it and return the exit code."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="spimpack",
        description="Package light-sheet microscopy (SPIM) files into a valid BIDS dataset.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command: CommandModule = import_module(f"spimpack_tasks.cli.{name.replace('-', '_')}")
        inner = subparsers.add_parser(name, help=command.HELP, description=command.HELP)
        command.add_arguments(inner)
        inner.set_defaults(run=command.run)
    parser.set_defaults(whole_parser=parser)  # for the scripts of shells
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `spimpack` and return its exit code."""
    # Our own message reports damage that tifffile finds in a file.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end a run.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = build_parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except SpimpackError as error:
        print(f"spimpack: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader, such as head, has closed the pipe; no message can reach it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"spimpack: {where}{error.strerror}", file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        print(f"spimpack: {INTERRUPTED}", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
