"""`spimpack bids-validate`: findings of the official BIDS validator, and of our own checks."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format
from spimpack_tasks.cli.progress_line import counting
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.validation.report import check_place, place_for
from spimpack_tasks.validation.validate import validate

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.validation.report import ValidationReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dataset", metavar="DIR", help="the BIDS dataset")
    parser.add_argument(
        "--full",
        action="store_true",
        help="let the official validator see the dataset itself, with every chunk, and not a "
        "mirror of it; takes long, and finds the same",
    )
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    add_format(parser, "one JSON object")
    parser.add_argument(
        "--report",
        default="",
        metavar="FILE",
        help="file for the report in JSON (default: in the .spimpack of the dataset, if it has "
        "one); nothing else is written",
    )


def run(arguments: argparse.Namespace) -> int:
    """Validate, save the report, and print the findings."""
    dataset = os.path.abspath(os.path.expanduser(arguments.dataset))
    path = os.path.abspath(os.path.expanduser(arguments.report)) if arguments.report else ""
    if path:
        check_place(dataset, path)
    with counting("Validating"):
        report = validate(dataset, full=arguments.full)
    kept = _keep(report, dataset, path)
    if arguments.format == "json":
        print(report.text(), end="")
    else:
        print("\n".join(report.lines(arguments.dataset, kept)))
    return ExitCode.OK if report.verdict.is_valid(strict=arguments.strict) else ExitCode.INVALID


def _keep(report: ValidationReport, dataset: str, path: str) -> str:
    """Write the report and return where; nothing, in a state directory that is read-only."""
    place = place_for(dataset, path)
    if not place:
        return ""
    try:
        report.write(dataset, path)
    except OSError as error:
        if path:
            raise
        print(f"spimpack: the report was not kept: {error.strerror}", file=sys.stderr)
        return ""
    return place
