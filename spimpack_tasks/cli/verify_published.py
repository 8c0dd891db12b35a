"""`spimpack verify s3://…`: compares a published dataset with its inventory."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from spimpack_tasks.cli.progress_line import ByteLine
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError, count_of, size_in_words
from spimpack_tasks.publishing.links import links_of, public_address
from spimpack_tasks.publishing.target import make_location
from spimpack_tasks.publishing.verifying import INTERRUPTED, REMEDIES, Fault, verify_published
from spimpack_tasks.remote.credentials import find_region

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.publishing.public import Trial
    from spimpack_tasks.publishing.verifying import Deviation, Verification
    from spimpack_tasks.remote.location import Location

_try_as_public = Deferred("spimpack_tasks.publishing.public:try_as_public")

_MOST_EXTRA = 20
"""Objects of others that are named."""


def run(arguments: argparse.Namespace) -> int:
    """Verify, print the deviations, and try to read it as anybody."""
    if arguments.pixels:
        message = "--pixels is for a dataset with its sources; leave it out for a published one"
        raise UsageError(message, f"spimpack verify {arguments.dataset} --checksum full")
    location = make_location(arguments.dataset, arguments.endpoint_url, arguments.profile)
    is_full = arguments.checksum == "full"
    line = ByteLine("Reading" if is_full else "Comparing with the inventory", lambda: None)
    with line:
        found = verify_published(
            location, full=is_full, is_anonymous=arguments.anonymous, advance=line.advance
        )
    is_json = arguments.format == "json"
    for text in _lines_of(found.deviations, is_json=is_json):
        print(text)
    if not is_json:
        _print_summary(location, found, is_full=is_full)
    is_public = _check_public(location, found, is_json=is_json) if arguments.check_public else True
    return ExitCode.CONFLICT if found.deviations or not is_public else ExitCode.OK


def _lines_of(deviations: list[Deviation], *, is_json: bool) -> Iterator[str]:
    """Yield a line for each deviation; of very many foreign objects, the first ones."""
    if is_json:
        yield from (json.dumps(each.as_dict()) for each in deviations)
        return
    extra = [each for each in deviations if each.fault is Fault.EXTRA]
    left_out = set(extra[_MOST_EXTRA:])
    yield from (str(each) for each in deviations if each not in left_out)
    if left_out:
        yield f"{Fault.EXTRA}: and {count_of(len(left_out), 'more object')}"


def _print_summary(location: Location, found: Verification, *, is_full: bool) -> None:
    whole = f"{count_of(found.objects, 'object')}, {size_in_words(found.bytes)}"
    how = "" if is_full else ", by size and entity tag"
    print(f"{location}: {count_of(len(found.deviations), 'deviation')} in {whole}{how}")
    if found.is_interrupted:
        print(f"spimpack: {INTERRUPTED}", file=sys.stderr)
        return
    for fault in sorted({deviation.fault for deviation in found.deviations}):
        print(f"spimpack: {fault}: {REMEDIES[fault]}", file=sys.stderr)


def _check_public(location: Location, found: Verification, *, is_json: bool) -> bool:
    address = public_address(location, find_region(location))
    trials: list[Trial] = _try_as_public(address, found.sample)
    for trial in trials:
        remedy = "" if trial.is_right else trial.remedy
        if is_json:
            print(json.dumps({"public": trial.what, "is_right": trial.is_right, "hint": remedy}))
        else:
            print(
                f"{'yes' if trial.is_right else 'NO '}  {trial.what}{f': {remedy}' * bool(remedy)}"
            )
    is_public = all(trial.is_right for trial in trials)
    if is_public and not is_json:
        print_links(address, found.images)
    return is_public


def print_links(address: str, images: list[str]) -> None:
    """Print the address of a dataset, and the links to its first image."""
    print(f"address: {address}")
    for image in images[:1]:
        print(f"  {image}")
        for link in links_of(address, image):
            print(f"  {link.viewer}: {link.url}")
    if images[1:]:
        print(f"  and {count_of(len(images) - 1, 'more image')}")
