"""`spimpack verify`: compares a dataset with the records made when it was written."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format, add_location
from spimpack_tasks.cli.progress_line import ByteLine, above, counting
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError, count_of
from spimpack_tasks.remote.location import is_remote
from spimpack_tasks.state.checksums import read_all_records
from spimpack_tasks.verification.pixels import count_pixels, verify_pixels
from spimpack_tasks.verification.recorded import recorded_store
from spimpack_tasks.verification.verify import REMEDIES, Fault, verify_fast, verify_full

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.state.store import Store
    from spimpack_tasks.verification.verify import Deviation

_verify_published = Deferred("spimpack_tasks.cli.verify_published:run")
_OF_PUBLISHED = ("anonymous", "check_public", "endpoint_url", "profile")
_NOTES = {
    Fault.UNRECORDED: "without checksum",
    Fault.AS_IT_IS: "not converted",
    Fault.ELSEWHERE: "in an object store",
}
"""Notes that are counted apart from deviations."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "dataset", metavar="DIR", help="the BIDS dataset, or the address of a published one"
    )
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
    parser.add_argument(
        "--check-public",
        action="store_true",
        help="of a published dataset: try whether anybody, and a viewer in a browser, can read it",
    )
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="of a published dataset: read it as anybody, without credentials",
    )
    add_location(parser)
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify, and print the deviations."""
    if is_remote(arguments.dataset):
        code: int = _verify_published(arguments)
        return code
    _refuse_options_of_published(arguments)
    store = recorded_store(arguments.dataset)
    deviations = 0
    found: Counter[Fault] = Counter()
    others: Counter[Fault] = Counter()
    for deviation in _find(store, full=arguments.checksum == "full", pixels=arguments.pixels):
        deviations += deviation.counts
        (found if deviation.counts else others)[deviation.fault] += 1
        if deviation.fault is not Fault.AS_IT_IS:
            is_json = arguments.format == "json"
            print(json.dumps(deviation.as_dict()) if is_json else deviation)
    if arguments.format == "text":
        line = f"{arguments.dataset}: {count_of(deviations, 'deviation')}"
        for fault, note in _NOTES.items():
            line += f", {count_of(others[fault], 'image')} {note}" if others[fault] else ""
        print(line)
    if deviations:
        for fault in filter(found.__getitem__, REMEDIES if arguments.format == "text" else ()):
            print(f"spimpack: {fault}: {REMEDIES[fault]}", file=sys.stderr)
        return ExitCode.CONFLICT
    if others[Fault.UNRECORDED]:
        unread = count_of(others[Fault.UNRECORDED], "image")
        hint = "record the checksums with: spimpack package --checksum"
        print(f"spimpack: nothing to compare the content of {unread} with; {hint}", file=sys.stderr)
        return ExitCode.FAILED
    if others[Fault.ELSEWHERE]:
        unread = count_of(others[Fault.ELSEWHERE], "image")
        hint = "when it is published, ask: spimpack verify s3://bucket/prefix --checksum full"
        print(f"spimpack: the content of {unread} is not here; {hint}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.OK


def _refuse_options_of_published(arguments: argparse.Namespace) -> None:
    if any(getattr(arguments, name) for name in _OF_PUBLISHED):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in _OF_PUBLISHED)
        message = f"{names} are for a published dataset"
        raise UsageError(message, "spimpack verify s3://bucket/prefix --check-public")


def _find(store: Store, *, full: bool, pixels: bool) -> Iterator[Deviation]:
    if full:
        line = ByteLine("Reading", lambda: sum(r.size for r in read_all_records(store).values()))
        yield from above(line, verify_full(store, line.advance))
    else:
        yield from above(counting("Comparing with the records"), verify_fast(store))
    if pixels:
        line = ByteLine("Comparing voxels", lambda: count_pixels(store))
        yield from above(line, verify_pixels(store, line.advance))
