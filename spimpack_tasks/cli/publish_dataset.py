"""Runs `spimpack publish`: looks at the location, publishes, and prints what was done."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.cli.progress_line import ProgressLine, counting
from spimpack_tasks.cli.verify_published import print_links
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError, count_of, size_in_words
from spimpack_tasks.model.plan import SOURCE_FOLDER
from spimpack_tasks.publishing.estimate import estimate, lines_of
from spimpack_tasks.publishing.links import public_address
from spimpack_tasks.publishing.look_notes import notes_of
from spimpack_tasks.publishing.progress import BytesBrought
from spimpack_tasks.publishing.publish import look, make_run_id
from spimpack_tasks.publishing.target import Target, identify, make_location
from spimpack_tasks.remote.credentials import find_credentials, find_region

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.publishing.look import Look

_run_publication = Deferred("spimpack_tasks.local_publication:run_publication")
_EXAMPLE = "spimpack publish bids s3://bucket/prefix"


def run(arguments: argparse.Namespace) -> int:
    """Publish the dataset, and print what was done."""
    target = _target_of(arguments)
    publication = target.publication()
    target.items()
    find_credentials(publication.location)
    run_id = "" if arguments.dry_run else make_run_id(identify(target))
    with counting("Looking at the location"):
        found = look(target, run_id=run_id)
        planned = estimate(target.items(), found) if arguments.dry_run else None
    for text in [*_on_included(arguments, target, found), *notes_of(found)]:
        print(text)
    if planned:
        price = arguments.price_per_1000_requests
        print("\n".join(lines_of(publication.location, found, planned, price)))
        return ExitCode.CONFLICT if found.blocked or found.occupied else ExitCode.OK
    if found.is_current:
        number = count_of(found.wanted, "object")
        print(f"Nothing to do: {number} at {publication.location}")
        _print_links(target)
        return ExitCode.OK
    with PublishLine(target, found):
        code: ExitCode = _run_publication(target, run_id, arguments.workers)
    if code is ExitCode.OK:
        done = count_of(found.wanted, "object")
        size = size_in_words(found.size)
        counts = publication.read_counts().in_words()
        print(f"Published {done} ({size}) to {publication.location}: {counts}")
        _print_links(target)
    return code


def _target_of(arguments: argparse.Namespace) -> Target:
    dataset = os.path.abspath(os.path.expanduser(arguments.dataset))
    if "," in "".join(arguments.include):
        message = "a path for --include may not hold a comma"
        raise UsageError(message, _EXAMPLE)
    location = make_location(arguments.url, arguments.endpoint_url, arguments.profile)
    if arguments.no_include and (arguments.include or arguments.with_sources):
        message = "--no-include leaves nothing to include"
        raise UsageError(message, _EXAMPLE)
    target = Target(
        dataset,
        str(location),
        location.endpoint_url,
        location.profile,
        tuple(arguments.include),
        arguments.with_sources,
        arguments.replace_dataset,
        arguments.no_include,
        -(-arguments.limit_rate // arguments.workers),
    )
    return target.with_included()


def _on_included(arguments: argparse.Namespace, target: Target, found: Look) -> Iterator[str]:
    """Yield what is sent beside the outputs as before, and what no longer is."""
    before, had_sources = target.included()
    if not (arguments.include or arguments.with_sources or arguments.no_include):
        names = [*before, *([SOURCE_FOLDER] if had_sources else [])]
        if names:
            yield f"sent as before: {', '.join(names)}; --no-include leaves it out, and deletes it"
        return
    gone = [*set(before).difference(target.include)]
    gone += [SOURCE_FOLDER] if had_sources and not target.sources else []
    for name in sorted(gone):
        some = [each for each in found.stale if each == name or each.startswith(f"{name}/")]
        yield f"no longer sent: {name}; {count_of(len(some), 'object')} to delete"


def _print_links(target: Target) -> None:
    location = target.publication().location
    images = [item.name for item in target.items() if item.name.endswith(".ome.zarr")]
    print_links(public_address(location, find_region(location)), images)


class PublishLine(ProgressLine):
    """The line of a publication: bytes, their rate, the time left, and what is being sent."""

    def __init__(self, target: Target, found: Look) -> None:
        super().__init__(self._compose)
        self._brought = BytesBrought(target.publication(), found.bytes_to_send)

    def _compose(self) -> tuple[float, str]:
        share, text = self._brought.tell()
        return share, f"Publishing  {text}"
