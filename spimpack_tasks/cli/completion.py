"""`spimpack completion`: a static script that lets a shell complete command lines.

The script is made from the parser on demand, and knows all commands and options. A shell completes
lines without starting this program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.cli.parser import build_parser
from spimpack_tasks.cli.shell_scripts import SCRIPTS, read_commands
from spimpack_tasks.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="name of the shell")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    commands = list(read_commands(build_parser()))
    print("\n".join(SCRIPTS[arguments.shell](commands)))
    return ExitCode.OK
