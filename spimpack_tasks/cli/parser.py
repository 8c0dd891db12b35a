"""The parser of the command line, which imports a subcommand when it is chosen."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any, Protocol

from spimpack_tasks.version import __version__

COMMANDS = {
    "init": "write a commented manifest and a table, to fill in or filled in from a folder tree",
    "ui": "edit a manifest and its tables in a browser, package, and look at the result",
    "validate": "check manifest, tables and sources, and report all problems at once",
    "plan": "show the changes that a run would make, and why, without writing anything",
    "package": "package the images of a manifest into a BIDS dataset",
    "status": "show the state of a dataset in short, and whether a run is in progress",
    "qc": "write one HTML page that shows an image in each orientation, to find the right code",
    "view": "open an image in napari, or print a state that shows it in Neuroglancer",
    "report": "write one HTML page on a dataset: its images, problems, and the last run",
    "verify": "compare a dataset with its records, without its manifest",
    "convert": "convert one image to OME-Zarr or OME-TIFF",
    "bids-validate": "validate any BIDS dataset with the official validator and checks of our own",
    "demo": "make small real images, package them, and validate the dataset",
    "doctor": "check the installed software, the scheduler, and the abilities of a disk",
    "completion": "print a script that lets bash, zsh or fish complete command lines",
}
"""Help of each subcommand, in the order of `--help`. Each is a module of this package, with `_` for
`-`, that is imported when the subcommand is chosen: no other one pays for its imports."""


class CommandModule(Protocol):
    """Contents of the module of a subcommand."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the subcommand's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it and return the exit code."""


class CommandParser(argparse.ArgumentParser):
    """The parser of a subcommand, which imports its module when the subcommand is chosen."""

    def load(self) -> None:
        """Declare the arguments, unless that has been done."""
        if self.get_default("run") is None:
            name = self.prog.rpartition(" ")[2].replace("-", "_")
            command: CommandModule = import_module(f"spimpack_tasks.cli.{name}")
            command.add_arguments(self)
            self.set_defaults(run=command.run)

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        """Parse; argparse calls this for the subcommand that it has found."""
        self.load()
        return super().parse_known_args(*arguments, **named)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="spimpack",
        description="Package light-sheet microscopy (SPIM) files into a valid BIDS dataset.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=CommandParser
    )
    for name, text in COMMANDS.items():
        subparsers.add_parser(name, help=text, description=text)
    return parser


def whole_parsers(parser: argparse.ArgumentParser) -> dict[str, CommandParser]:
    """Return the parsers of all subcommands by name, with their arguments."""
    # argparse has no public way to list what it parses.
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]  # noqa: SLF001
    parsers: dict[str, CommandParser] = dict(found[0].choices)
    for command in parsers.values():
        command.load()
    return parsers
