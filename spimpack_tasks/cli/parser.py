"""The parser of the command line, which imports a subcommand when it is chosen."""

from __future__ import annotations

import argparse
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol

from spimpack_tasks.errors import suggestion
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(NamedTuple):
    """Texts on a subcommand that are there before its module is imported."""

    help: str
    example: str
    """A command line that works, shown with errors in others."""


COMMANDS = {
    "init": Command(
        "write a commented manifest and a table, to fill in or filled in from a folder tree",
        "spimpack init study --scan raw",
    ),
    "ui": Command(
        "edit a manifest and its tables in a browser, package, and look at the result",
        "spimpack ui --manifest manifest.yml",
    ),
    "validate": Command(
        "check manifest, tables and sources, and report all problems at once",
        "spimpack validate manifest.yml bids",
    ),
    "plan": Command(
        "show the changes that a run would make, and why, without writing anything",
        "spimpack plan manifest.yml bids",
    ),
    "package": Command(
        "package the images of a manifest into a BIDS dataset",
        "spimpack package manifest.yml bids",
    ),
    "run": Command(
        "make all that a study asks for: from tiles to a published dataset",
        "spimpack run study.yml",
    ),
    "status": Command(
        "show the state of a dataset in short, and whether a run is in progress",
        "spimpack status manifest.yml bids",
    ),
    "info": Command(
        "show what an image is: sizes, axes, size of voxels, channels, levels",
        "spimpack info image.ims",
    ),
    "qc": Command(
        "write one HTML page that shows an image in each orientation, to find the right code",
        "spimpack qc image.ims",
    ),
    "view": Command(
        "open an image in napari, or print a state that shows it in Neuroglancer",
        "spimpack view image.ome.zarr",
    ),
    "report": Command(
        "write one HTML page on a dataset: its images, problems, and the last run",
        "spimpack report bids",
    ),
    "verify": Command(
        "compare a dataset with its records, without its manifest",
        "spimpack verify bids",
    ),
    "certify": Command(
        "prove that the originals are in a dataset, voxel by voxel, before anybody deletes them",
        "spimpack certify bids",
    ),
    "restore": Command(
        "write a certified image back as TIFF or raw voxels",
        "spimpack restore bids/sub-01/micr/sub-01_sample-brain_SPIM.ome.zarr original.tif",
    ),
    "publish": Command(
        "send a packaged dataset to an object store",
        "spimpack publish bids s3://bucket/prefix",
    ),
    "records": Command(
        "write the metadata records that publication portals ask for",
        "spimpack records bids --for dandi,datacite",
    ),
    "ingest": Command(
        "bring a packaged dataset into a dandiset of the DANDI archive",
        "spimpack ingest bids dandi:000123 --dry-run",
    ),
    "why": Command(
        "show where an output came from: row, header, setting; and why it was last written",
        "spimpack why bids/sub-01/micr/sub-01_sample-brain_SPIM.json",
    ),
    "convert": Command(
        "convert one image to OME-Zarr, OME-TIFF or a folder of planes",
        "spimpack convert image.ims image.ome.zarr",
    ),
    "rechunk": Command(
        "give a finished OME-Zarr other chunks, shards, another codec or version",
        "spimpack rechunk image.ome.zarr other.ome.zarr --chunk 64,64,64",
    ),
    "tiles": Command(
        "find the tiles of a recording: their files, places and geometry",
        "spimpack tiles recording tiles.json",
    ),
    "stitch": Command(
        "stitch the tiles of a microscope to one volume",
        "spimpack stitch volume tiles.json image.ome.zarr",
    ),
    "align": Command(
        "bring histology and probe tracks of a brain into atlas space, for the IBL alignment GUI",
        "spimpack align --data-root data --results-root results",
    ),
    "stream": Command(
        "write frames into an image while they are acquired, or finish or resume such an image",
        "spimpack stream write settings.yml planes --quiet 60",
    ),
    "bids-validate": Command(
        "validate any BIDS dataset with the official validator and checks of our own",
        "spimpack bids-validate bids",
    ),
    "demo": Command(
        "make small real images, package them, and validate the dataset",
        "spimpack demo demo",
    ),
    "doctor": Command(
        "check the installed software, the scheduler, and the abilities of a disk",
        "spimpack doctor --output-dir bids",
    ),
    "completion": Command(
        "print a script that lets bash, zsh or fish complete command lines",
        "spimpack completion bash",
    ),
}
"""Each subcommand, in the order of `--help`. Each is a module of this package, with `_` for
`-`, that is imported when the subcommand is chosen: no other one pays for its imports."""


QUOTING = "put a path with spaces into quotes"
"""Hint for a path too many, which is often a part of one."""


class CommandModule(Protocol):
    """Contents of the module of a subcommand."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the subcommand's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it and return the exit code."""


class PlainParser(argparse.ArgumentParser):
    """A parser that ends with what is wrong, and an example of what is right."""

    words: Sequence[str] = ()
    """Those that are being parsed."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and remember the words for a message."""
        self.words = args or ()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2, and without the list of all options."""
        chosen = re.match(r"argument (\S+): invalid choice: '([^']*)'", message)
        if message.endswith("required: COMMAND"):
            given = next((word for word in self.words if word.startswith("-")), "")
            near = suggestion(given, ("--version", "--help"))
            message = f"there is no option {given}; {near}" if near else "give a command"
        if chosen and chosen[1] == "COMMAND":
            near = suggestion(chosen[2], COMMANDS)
            message = f"there is no command {chosen[2]!r}{f'; {near}' if near else ''}"
        self.exit(2, f"{self.prog}: {message}\n{self.epilog}\nhelp: {self.prog} --help\n")


class CommandParser(PlainParser):
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
        found, rest = super().parse_known_args(*arguments, **named)
        # argparse takes paths on one side of an option only, and leaves those on the other.
        if hasattr(found, "paths") and not any(word.startswith("-") for word in rest):
            found.paths, rest = [*found.paths, *rest], []
        if rest:
            if not rest[0].startswith("-"):
                self.error(f"{rest[0]!r} is one path too many; {QUOTING}")
            option = rest[0].partition("=")[0]
            near = suggestion(option, self._option_string_actions)
            self.error(f"there is no argument {option}{f'; {near}' if near else ''}")
        return found, rest


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = PlainParser(
        prog="spimpack",
        description="Package light-sheet microscopy (SPIM) files into a valid BIDS dataset.",
        epilog=f"example: {COMMANDS['package'].example}",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=CommandParser
    )
    for name, command in COMMANDS.items():
        example = f"example: {command.example}"
        subparsers.add_parser(
            name, help=command.help, description=command.help, epilog=example, allow_abbrev=False
        )
    return parser


def whole_parsers(parser: argparse.ArgumentParser) -> dict[str, CommandParser]:
    """Return the parsers of all subcommands by name, with their arguments."""
    parsers: dict[str, CommandParser] = nested_parsers(parser)
    for command in parsers.values():
        command.load()
    return parsers


def nested_parsers(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Return the parsers of the actions of a parser by name, none where it has no actions."""
    # argparse has no public way to list what it parses.
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]  # noqa: SLF001
    return dict(found[0].choices) if found else {}
