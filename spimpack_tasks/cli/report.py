"""`spimpack report`: a report on a dataset, as one HTML page or as JSON."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format
from spimpack_tasks.cli.progress_line import CountLine
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.report.data import gather_data
from spimpack_tasks.report.page import compose_page
from spimpack_tasks.report.summary import summarise
from spimpack_tasks.report.thumbnails import make_thumbnails
from spimpack_tasks.report.writing import check_place, write_report
from spimpack_tasks.verification.recorded import recorded_store

if TYPE_CHECKING:
    import argparse


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
        help="replace any FILE; an earlier report is replaced anyway",
    )
    parser.add_argument(
        "--thumbnails",
        action="store_true",
        help="show the middle slices of every image, turned as its row says; reads each image once",
    )
    add_format(parser, "one JSON object, printed; no page is written then")


def run(arguments: argparse.Namespace) -> int:
    """Gather the facts, and write or print them."""
    store = recorded_store(arguments.dataset)
    if arguments.format == "json":
        print(json.dumps(summarise(gather_data(store)), indent=1))
        return ExitCode.OK
    path = os.path.abspath(os.path.expanduser(arguments.file)) if arguments.file else ""
    if path:
        check_place(store, path, overwrite=arguments.overwrite)
    gathered = gather_data(store)
    if not arguments.thumbnails:
        print(f"wrote {write_report(store, compose_page(gathered), path)}")
        return ExitCode.OK
    with CountLine("Drawing", "pictures") as line:
        thumbnails = make_thumbnails(store, gathered, line.reach)
        written = write_report(store, compose_page(gathered, thumbnails), path)
    print(f"wrote {written}")
    return ExitCode.OK
