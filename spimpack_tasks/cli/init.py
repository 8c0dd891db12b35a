"""`spimpack init`: a commented manifest and a table to fill in, or filled in from a folder tree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, InputError, Place, Problem, Report
from spimpack_tasks.manifest.template import template_files
from spimpack_tasks.scanning.new_inputs import init_from_scan
from spimpack_tasks.scanning.options import ScanOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "directory", nargs="?", default=".", metavar="DIR", help="where (default: here)"
    )
    parser.add_argument(
        "--scan",
        metavar="ROOT",
        help="list the images below this folder in the table, with values from their headers",
    )
    parser.add_argument(
        "--pattern",
        action="append",
        default=[],
        metavar="PATTERN",
        help="path of images below ROOT, such as '{subject}/exp_{session}/*.ims'; the first of "
        "several that fits counts (default: names such as sub-01_acq-4x)",
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="ENTITY=TEMPLATE",
        help="make a label of captures of --pattern, which may then have any name, such as "
        "subject='{cohort}{number:02}', where :02 fills up with zeros",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="leave out names such as '*preview*', or paths below ROOT; may be given several times",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="give a column one value in all rows, in place of headers, such as sample=brain",
    )
    parser.add_argument("--name", default="", metavar="TEXT", help="name of the dataset")
    parser.add_argument(
        "--license",
        default="",
        metavar="TEXT",
        help="licence of the data, such as CC0; nobody else can choose it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the files."""
    if arguments.scan is None:
        _refuse_options_of_a_scan(arguments)
        given = {"Name": arguments.name, "License": arguments.license}
        _write_templates(Path(arguments.directory), given)
    else:
        options = ScanOptions(
            root=arguments.scan,
            directory=arguments.directory,
            patterns=tuple(arguments.pattern),
            excludes=tuple(arguments.exclude),
            settings=tuple(arguments.set),
            labels=tuple(arguments.label),
            name=arguments.name,
            license=arguments.license,
        )
        lines, warnings = init_from_scan(options)
        for problem in warnings:
            print(problem, file=sys.stderr)
        print("\n".join(lines))
    return ExitCode.OK


def _refuse_options_of_a_scan(arguments: argparse.Namespace) -> None:
    for name in ("pattern", "label", "exclude", "set"):
        if getattr(arguments, name):
            message, hint = f"is missing beside --{name}", "name the folder to look through"
            place = Place("command line")
            raise InputError(Report([Problem("option.missing", place, "--scan", message, hint)]))


def _write_templates(directory: Path, given: dict[str, str]) -> None:
    """Write the files that are not there yet."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in template_files(given).items():
        path = directory / name
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            print(f"{path} is there already and was left as it is")
        else:
            print(f"wrote {path}")
    print(f"Fill them in, then run: spimpack validate --manifest {directory / 'manifest.yml'}")
