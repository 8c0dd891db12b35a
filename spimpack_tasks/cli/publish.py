"""`spimpack publish`: the same as `luigi --module spimpack_tasks PublishDataset`."""

from __future__ import annotations

import argparse
import re

from spimpack_tasks.cli.arguments import add_location, positive
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.remote.rate import parse_rate

run = Deferred("spimpack_tasks.cli.publish_dataset:run")
_PRICE = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dataset", metavar="DIR", help="the packaged dataset")
    parser.add_argument("url", metavar="URL", help="where to publish it, such as s3://bucket/study")
    add_location(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show objects, bytes and requests of a run, and change nothing",
    )
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="PATH",
        help="send a further file or folder of the dataset, given relative to it; can be repeated "
        "(default: what the last run has sent)",
    )
    parser.add_argument(
        "--no-include",
        action="store_true",
        help="send no further files and no originals, and delete those that the last run has sent",
    )
    parser.add_argument(
        "--with-sources",
        action="store_true",
        help="send the originals of converted images as well (sourcedata)",
    )
    parser.add_argument(
        "--replace-dataset",
        action="store_true",
        help="replace another dataset that is published there: its objects are deleted",
    )
    parser.add_argument(
        "--limit-rate",
        type=_rate,
        default=0,
        metavar="RATE",
        help="bytes a second to send at most, such as 5M; of several workers, each gets its share",
    )
    parser.add_argument(
        "--price-per-1000-requests",
        type=_price,
        default=0.0,
        metavar="PRICE",
        help="price of 1,000 writing requests, for the cost in --dry-run",
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="number of processes (default: 1)"
    )


def _rate(text: str) -> int:
    """Return a rate above 0, for argparse."""
    try:
        rate = parse_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not rate:
        message = f"{text!r} would send nothing; write it as 5M, or leave it out"
        raise argparse.ArgumentTypeError(message)
    return rate


def _price(text: str) -> float:
    """Return a price, for argparse."""
    if not _PRICE.fullmatch(text):
        message = f"{text!r} is no price; write it as 0.005"
        raise argparse.ArgumentTypeError(message)
    return float(text)
