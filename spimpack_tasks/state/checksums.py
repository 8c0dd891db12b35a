"""Checksums of images, with evidence of the content read, and lists for `sha256sum -c`.

    checksums/<bucket>.json       the checksum of each image, with evidence of the content read
    checksums/partial/<digest>    digests so far of an image that is being read
    SHA256SUMS                    a line for each text and each image that is a file
    SHA256SUMS.trees              a line for each image that is a directory (see `files.digests`)

A checksum is valid as long as receipt and plan of the image are the same as at the reading. Texts
have theirs in their receipts. Reading large images takes hours, so it is done only on request, and
meanwhile no lock is held that another process waits for.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, fields
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.digests import DigestLog, checksum_line
from spimpack_tasks.files.evidence import evidence_of
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.buckets import bucket_of
from spimpack_tasks.state.checksum_lists import FILE_LIST, TREE_LIST
from spimpack_tasks.state.publish import Failure
from spimpack_tasks.state.receipts import read_all_receipts, read_receipts, receipts_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spimpack_tasks.files.digests import Checksum
    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.state.receipts import Receipt, Receipts
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.state.work_notes import Worker

_FOLDER = "checksums"
_PARTIAL = "partial"
_CHANGED = "changed while its checksum was made; run it again"


@dataclass(frozen=True, slots=True)
class ChecksumRecord:
    """Checksum of an image, and evidence of its source."""

    is_tree: bool
    sha256: str
    size: int
    """Bytes of content."""
    evidence: str
    """Evidence in the image's receipt; for a link, the path of the source instead of its text."""
    stamp: str
    """Size and modification time of the source."""

    def fits(self, receipt: Receipt) -> bool:
        """Tell whether this is the checksum of the image that a receipt describes."""
        return (self.evidence, self.stamp) == (_evidence(receipt), receipt.stamp)


def _evidence(receipt: Receipt) -> str:
    is_link = receipt.evidence.startswith("link")
    return f"link to {receipt.source}" if is_link else receipt.evidence


_values = attrgetter(*(field.name for field in fields(ChecksumRecord)))

ChecksumRecords = dict[str, ChecksumRecord]
"""Records by the image's path."""


def read_records(store: Store, bucket: str) -> ChecksumRecords:
    """Return the checksums of the images of one bucket of assets."""
    return read_json(store.path(_FOLDER, f"{bucket}.json"), _records_of, {})


def _records_of(data: dict[str, list[Any]]) -> ChecksumRecords:
    return {path: ChecksumRecord(*values) for path, values in data.items()}


def read_all_records(store: Store) -> ChecksumRecords:
    """Return the checksums of all images."""
    return {
        path: r for bucket in _buckets(store) for path, r in read_records(store, bucket).items()
    }


def _buckets(store: Store) -> list[str]:
    try:
        names = os.listdir(store.path(_FOLDER))
    except FileNotFoundError:
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def lacks_checksum(store: Store, outputs: Iterable[Output]) -> list[Output]:
    """Return the images without an up-to-date checksum."""
    lacking = []
    receipts: dict[str, Receipts] = {}
    records: dict[str, ChecksumRecords] = {}
    for output in outputs:
        name, bucket = receipts_name(output), bucket_of(output.asset)
        if name not in receipts:
            receipts[name] = read_receipts(store, name)
            records[bucket] = read_records(store, bucket)
        receipt, record = receipts[name].get(output.path), records[bucket].get(output.path)
        if not (receipt and record and record.fits(receipt) and record.stamp == output.stamp):
            lacking.append(output)
    return lacking


def record_checksums(
    store: Store, plan_id: str, outputs: Iterable[Output], worker: Worker
) -> list[Failure]:
    """Read the images that have no checksum yet, and record it.

    Parameters
    ----------
    store
        The state directory of the dataset.
    plan_id
        Identity of the plan that must be the current one.
    outputs
        The images.
    worker
        Receives the image that is read, and the bytes.

    Returns
    -------
    list of Failure
        The images that could not be read, or that changed meanwhile.

    Raises
    ------
    SupersededError
        Another plan has become the current one.
    """
    failures = []
    lacking = lacks_checksum(store, outputs)
    worker.expect(sum(size_of_stamp(output) for output in lacking))
    for output in lacking:
        with store.writing(plan_id):
            os.makedirs(store.path(_FOLDER, _PARTIAL), exist_ok=True)
        try:
            with store.lock("checksums", shared=True):
                worker.begin_image(output.path, size_of_stamp(output))
                is_recorded = _record(store, plan_id, output, worker.advance)
        except OSError as error:
            failures.append(Failure(output.path, error.strerror or str(error)))
        else:
            failures += [] if is_recorded else [Failure(output.path, _CHANGED)]
    return failures


def size_of_stamp(output: Output) -> int:
    """Return the bytes of the source of an image, 0 for a folder: its stamp does not have them."""
    return int(output.stamp.partition(" ")[0] or 0)


def _record(store: Store, plan_id: str, output: Output, on_read: Callable[[int], None]) -> bool:
    """Read an image, and record its checksum unless the image has changed by then."""
    receipt = read_receipts(store, receipts_name(output)).get(output.path)
    path = f"{store.output_dir}/{output.path}"
    with DigestLog(_partial(store, output.path), on_read) as log:
        checksum = log.checksum(path, output.path)
        bucket = bucket_of(output.asset)
        with store.writing(plan_id), store.scratch_folder(f"checksums-{bucket}") as place:
            if not receipt or evidence_of(path) != receipt.evidence:
                return False
            if stamp_text(output.source) != output.stamp:
                return False
            records = read_records(store, bucket)
            records[output.path] = _make_record(checksum, receipt)
            place.write(f"{_FOLDER}/{bucket}.json", _dump(records))
        log.forget()
    return True


def _make_record(checksum: Checksum, receipt: Receipt) -> ChecksumRecord:
    return ChecksumRecord(
        checksum.is_tree, checksum.sha256, checksum.size, _evidence(receipt), receipt.stamp
    )


def _partial(store: Store, path: str) -> str:
    name = blake2b(path.encode(), digest_size=8).hexdigest()
    return store.path(_FOLDER, _PARTIAL, name)


def _dump(records: ChecksumRecords) -> bytes:
    data = {path: _values(record) for path, record in sorted(records.items())}
    return json.dumps(data, ensure_ascii=False).encode()


def lists_are_right(store: Store) -> bool:
    """Tell whether the lists match the records."""
    return all(_read(store.path(name)) == text for name, text in _compose_lists(store).items())


def _read(path: str) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _compose_lists(store: Store) -> dict[str, bytes]:
    """Return the text of each list. Files that the user may edit are in none."""
    records = read_all_records(store)
    files: dict[str, str] = {}
    trees: dict[str, str] = {}
    for receipts in read_all_receipts(store).values():
        for path, receipt in receipts.items():
            record = records.get(path)
            if receipt.kind.is_hashed:
                files[path] = receipt.sha256
            elif record and record.fits(receipt):
                (trees if record.is_tree else files)[path] = record.sha256
    return {
        name: b"".join(checksum_line(digest, path) for path, digest in sorted(lines.items()))
        for name, lines in ((FILE_LIST, files), (TREE_LIST, trees))
    }


def write_lists(store: Store, plan_id: str) -> None:
    """Bring the lists up to date, and forget the checksums of images that are gone.

    Raises
    ------
    SupersededError
        Another plan has become the current one.
    """
    with store.writing(plan_id):
        kept = {path for part in read_all_receipts(store).values() for path in part}
        for bucket in _buckets(store):
            with store.scratch_folder(f"checksums-{bucket}") as place:
                records = read_records(store, bucket)
                if not records.keys() <= kept:
                    rest = {path: record for path, record in records.items() if path in kept}
                    place.write(f"{_FOLDER}/{bucket}.json", _dump(rest))
        _forget_partial(store, kept)
        with store.scratch_folder("checksum-lists") as place:
            for name, text in _compose_lists(store).items():
                place.write(name, text)


def _forget_partial(store: Store, kept: set[str]) -> None:
    wanted = {_partial(store, path) for path in kept}
    with suppress(FileNotFoundError):
        for name in os.listdir(store.path(_FOLDER, _PARTIAL)):
            path = store.path(_FOLDER, _PARTIAL, name)
            if path not in wanted:
                with suppress(FileNotFoundError):
                    os.unlink(path)
