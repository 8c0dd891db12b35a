"""`spimpack verify`: prove a dataset against what was recorded when it was written."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format, recorded_store
from spimpack_tasks.errors import ExitCode, count_of
from spimpack_tasks.state.checksums import read_all_records
from spimpack_tasks.state.verify import verify_fast, verify_full

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.state.store import Store
    from spimpack_tasks.state.verify import Deviation

HELP = "prove a dataset against what was recorded, without its manifest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dataset", metavar="DIR", help="the BIDS dataset")
    parser.add_argument(
        "--checksum",
        choices=("fast", "full"),
        default="fast",
        help="fast: compare sizes, times and links (default); full: read everything and compare "
        "checksums, going on where a full verification was interrupted",
    )
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify, and print what deviates."""
    store = recorded_store(arguments.dataset)
    deviations = 0
    unrecorded = 0
    for deviation in _find(store, full=arguments.checksum == "full"):
        deviations += deviation.counts
        unrecorded += not deviation.counts
        is_json = arguments.format == "json"
        print(json.dumps(deviation.as_dict()) if is_json else deviation)
    if arguments.format == "text":
        without = f", {count_of(unrecorded, 'image')} without checksum" if unrecorded else ""
        print(f"{arguments.dataset}: {count_of(deviations, 'deviation')}{without}")
    return ExitCode.CONFLICT if deviations else ExitCode.OK


def _find(store: Store, *, full: bool) -> Iterator[Deviation]:
    if not full:
        yield from verify_fast(store)
        return
    total = sum(record.size for record in read_all_records(store).values())
    line = ProgressLine(total)
    for deviation in verify_full(store, line.advance):
        line.clear()
        yield deviation
    line.clear()


class ProgressLine:
    """One line on a terminal that says how much has been read; nothing where there is none."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.shows = sys.stderr.isatty()
        self.next_time = time.monotonic() + 0.5

    def advance(self, count: int) -> None:
        """Count bytes, and show the sum twice a second."""
        self.done += count
        if self.shows and time.monotonic() >= self.next_time:
            self.next_time = time.monotonic() + 0.5
            share = min(self.done / self.total, 1) if self.total else 1
            print(
                f"\r\033[K{self.done / 1e9:,.1f} of {self.total / 1e9:,.1f} GB ({share:.0%})",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self.shows:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
