"""`spimpack report`: what there is to see of a dataset, as one HTML page or as JSON."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format, recorded_store
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.report.facts import gather_facts
from spimpack_tasks.report.page import compose_page
from spimpack_tasks.report.summary import summarise
from spimpack_tasks.report.writing import check_place, write_page

if TYPE_CHECKING:
    import argparse

HELP = "write one HTML page on a dataset: its images, problems, and the last run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dataset", metavar="DIR", help="the BIDS dataset")
    parser.add_argument(
        "--file",
        default="",
        metavar="FILE",
        help="file for the page (default: report.html in the .spimpack of the dataset)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace FILE whatever it is; an earlier report is replaced anyway",
    )
    add_format(parser, "one JSON object, printed; no page is written then")


def run(arguments: argparse.Namespace) -> int:
    """Gather the facts, and write or print them."""
    store = recorded_store(arguments.dataset)
    if arguments.format == "json":
        print(json.dumps(summarise(gather_facts(store)), indent=1))
        return ExitCode.OK
    path = os.path.abspath(os.path.expanduser(arguments.file)) if arguments.file else ""
    if path:
        check_place(store, path, overwrite=arguments.overwrite)
    print(f"wrote {write_page(store, compose_page(gather_facts(store)), path)}")
    return ExitCode.OK
