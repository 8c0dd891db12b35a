"""`spimpack verify`: compares a dataset with the records made when it was written."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format
from spimpack_tasks.cli.progress_line import ByteLine, above, counting
from spimpack_tasks.errors import ExitCode, count_of
from spimpack_tasks.state.checksums import read_all_records
from spimpack_tasks.verification.pixels import count_pixels, verify_pixels
from spimpack_tasks.verification.recorded import recorded_store
from spimpack_tasks.verification.verify import REMEDIES, Fault, verify_fast, verify_full

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.state.store import Store
    from spimpack_tasks.verification.verify import Deviation

_NOTES = {Fault.UNRECORDED: "without checksum", Fault.AS_IT_IS: "not converted"}
"""Notes that are counted apart from deviations."""


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
    parser.add_argument(
        "--pixels",
        action="store_true",
        help="compare each image that was converted with its source as well, voxel by voxel and at "
        "all levels, going on where that was interrupted",
    )
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify, and print the deviations."""
    store = recorded_store(arguments.dataset)
    deviations = 0
    found: Counter[Fault] = Counter()
    others: Counter[Fault] = Counter()
    for deviation in _find(store, full=arguments.checksum == "full", pixels=arguments.pixels):
        deviations += deviation.counts
        found[deviation.fault] += deviation.counts
        others[deviation.fault] += not deviation.counts
        if deviation.fault is not Fault.AS_IT_IS:
            is_json = arguments.format == "json"
            print(json.dumps(deviation.as_dict()) if is_json else deviation)
    if arguments.format == "text":
        line = f"{arguments.dataset}: {count_of(deviations, 'deviation')}"
        for fault, note in _NOTES.items():
            line += f", {count_of(others[fault], 'image')} {note}" if others[fault] else ""
        print(line)
    if deviations:
        for fault, remedy in REMEDIES.items() if arguments.format == "text" else ():
            if found[fault]:
                print(f"spimpack: {fault}: {remedy}", file=sys.stderr)
        return ExitCode.CONFLICT
    if others[Fault.UNRECORDED]:
        unread = count_of(others[Fault.UNRECORDED], "image")
        hint = "record the checksums with: spimpack package --checksum"
        print(f"spimpack: nothing to compare the content of {unread} with; {hint}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.OK


def _find(store: Store, *, full: bool, pixels: bool) -> Iterator[Deviation]:
    if full:
        line = ByteLine("Reading", lambda: sum(r.size for r in read_all_records(store).values()))
        yield from above(line, verify_full(store, line.advance))
    else:
        yield from above(counting("Comparing with the records"), verify_fast(store))
    if pixels:
        line = ByteLine("Comparing voxels", lambda: count_pixels(store))
        yield from above(line, verify_pixels(store, line.advance))
