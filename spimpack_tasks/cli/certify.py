"""`spimpack certify`: may the originals be deleted? It deletes nothing itself."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format
from spimpack_tasks.cli.progress_line import ByteLine, above
from spimpack_tasks.errors import ExitCode, count_of
from spimpack_tasks.files.limits import as_size
from spimpack_tasks.model.plan import STATE_DIRECTORY
from spimpack_tasks.verification.certificate import NAME, read_certificate, write_certificate
from spimpack_tasks.verification.certify import certify, check, uncertified
from spimpack_tasks.verification.pixels import count_pixels
from spimpack_tasks.verification.recorded import recorded_store

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.state.store import Store
    from spimpack_tasks.verification.certificate import Certificate
    from spimpack_tasks.verification.verify import Deviation

_SHOWN = 3
"""Deviations of one image that are printed; a damaged shard has hundreds."""
_FOLDS = 3
"""Voxels are compared, digested, and lie in files that are digested."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dataset", metavar="DIR", help="the BIDS dataset")
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare the dataset with its certificate; the originals need not be there any more",
    )
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare, write or read the certificate, and print what is safe."""
    store = recorded_store(arguments.dataset)
    is_json = arguments.format == "json"
    if arguments.check:
        return _check(store, is_json=is_json)
    with store.lock("certificate"):
        with ByteLine("Certifying", lambda: _FOLDS * count_pixels(store)) as line:
            found = certify(store, line.advance)
        write_certificate(store, found.certificate)
    if is_json:
        for deviation in found.deviations:
            print(json.dumps(deviation.as_dict()))
        print(json.dumps(asdict(found.certificate)))
    else:
        _tell_deviations(found.deviations)
        _tell(arguments.dataset, found.certificate)
    if found.deviations:
        return ExitCode.CONFLICT
    is_safe = not found.certificate.unproven and not any(
        source.unsafe for source in found.certificate.sources.values()
    )
    return ExitCode.OK if is_safe else ExitCode.FAILED


def _tell_deviations(deviations: list[Deviation]) -> None:
    """Print the first deviations of each image, and how many more there are."""
    for path, each in groupby(deviations, lambda deviation: deviation.path):
        found = list(each)
        for deviation in found[:_SHOWN]:
            print(deviation)
        if len(found) > _SHOWN:
            more = count_of(len(found) - _SHOWN, "more line")
            print(f"{path}: {more} in {STATE_DIRECTORY}/{NAME}")


def _tell(dataset: str, certificate: Certificate) -> None:
    for path, why in certificate.unproven.items():
        print(f"not safe: {path}: {why}")
    for path, source in certificate.sources.items():
        if source.unsafe and not source.unsafe.endswith("is not proven"):
            print(f"not safe: {path}: {source.unsafe}")
    for path, source in certificate.sources.items():
        if not source.unsafe:
            print(f"safe to delete: {path} ({as_size(source.size)})")
    safe = [source for source in certificate.sources.values() if not source.unsafe]
    kept = len(certificate.sources) - len(safe)
    size = as_size(sum(source.size for source in safe))
    proven = certificate.images.keys() - certificate.unproven.keys()
    print(
        f"{dataset}: {count_of(len(proven), 'image')} proven equal to the originals, "
        f"{len(certificate.unproven)} not; {count_of(len(safe), 'original')} ({size}) safe to "
        f"delete, {kept} to be kept"
    )


def _check(store: Store, *, is_json: bool) -> ExitCode:
    certificate = read_certificate(store)
    count = 0
    line = ByteLine("Comparing with the certificate", lambda: 2 * count_bytes(certificate))
    for deviation in above(line, check(store, line.advance)):
        print(json.dumps(deviation.as_dict()) if is_json else deviation)
        count += 1
    others = uncertified(store, certificate)
    for path in others:
        print(f"not certified: {path}", file=sys.stderr)
    if not is_json:
        print(
            f"{store.output_dir}: {count_of(len(certificate.images), 'image')} certified on "
            f"{certificate.made}, {count_of(count, 'deviation')}"
        )
    return ExitCode.CONFLICT if count else ExitCode.FAILED if others else ExitCode.OK


def count_bytes(certificate: Certificate) -> int:
    """Return about how many bytes a check reads."""
    return sum(image.size for image in certificate.images.values())
