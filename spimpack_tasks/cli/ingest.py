"""`spimpack ingest`: the same as `luigi --module spimpack_tasks IngestDataset`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format, positive
from spimpack_tasks.deferred import Deferred

if TYPE_CHECKING:
    import argparse

run = Deferred("spimpack_tasks.cli.ingest_dataset:run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dataset", metavar="DIR", help="the packaged dataset")
    parser.add_argument(
        "dandiset", metavar="DANDISET", help="the dandiset to bring it to, such as dandi:000123"
    )
    parser.add_argument(
        "--records",
        default="",
        metavar="FOLDER",
        help="folder with dandiset.json and assets.json of spimpack records (default: they are "
        "composed of the dataset, and of the publication block of its manifest)",
    )
    parser.add_argument(
        "--instance",
        default="dandi",
        metavar="URL",
        help="address of the API of the archive, or dandi or dandi-sandbox (default: dandi)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show assets, bytes and requests of a run, and change nothing",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete assets that this program made and that the dataset no longer has",
    )
    add_format(parser, "one JSON object")
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="number of processes (default: 1)"
    )
