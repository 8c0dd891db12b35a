"""Compares a dataset with the records made when it was written, without its manifest.

The fast check calls `lstat` on every path and `stat` on every source; text files are read again if
their time differs. The full check reads all texts and images, through links, and compares their
checksums; equal content is right, regardless of its time. Of files that the user may edit
(README.md, CHANGES) only the presence is checked. Own lines in .bidsignore, and further files
outside of `sub-*` folders, are the user's and are skipped.

Only the log of a full verification (`.spimpack/verify`) is written; an interrupted verification
resumes from it. If it cannot be written, the verification works without it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spimpack_tasks.errors import printable
from spimpack_tasks.files.annex import is_annexed
from spimpack_tasks.files.blocks import find_block
from spimpack_tasks.files.digests import DigestLog
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.files.store_files import StoreFiles, is_elsewhere
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.remote.elsewhere import read_record
from spimpack_tasks.state.checksums import read_all_records
from spimpack_tasks.state.content import evidence_beside, holds_record
from spimpack_tasks.state.receipts import read_all_receipts
from spimpack_tasks.state.sweep import digest, has_other_readme, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.state.checksums import ChecksumRecord
    from spimpack_tasks.state.receipts import Receipt, Receipts
    from spimpack_tasks.state.store import Store

LOG = "verify"
_METADATA = ("zarr.json", ".zattrs", ".zgroup")


class Fault(StrEnum):
    """Kind of deviation of a path of a dataset."""

    MISSING = "missing"
    ALTERED = "altered"
    REPLACED = "replaced"
    RETARGETED = "retargeted"
    EXTRA = "extra"
    SOURCE_GONE = "source gone"
    SOURCE_CHANGED = "source changed"
    CHECKSUM = "checksum differs"
    PIXELS = "pixels differ"
    UNREADABLE = "unreadable"
    UNRECORDED = "no checksum recorded"
    """No deviation: all else is as recorded, but the content has no checksum to compare with."""
    AS_IT_IS = "not converted"
    """No deviation: an image that is its source, or a copy, has no voxels of its own."""
    ELSEWHERE = "in an object store"
    """No deviation: only the record of an image is here, and no content to compare."""


_NO_DEVIATIONS = {Fault.UNRECORDED, Fault.AS_IT_IS, Fault.ELSEWHERE}


REMEDIES = {
    Fault.MISSING: "spimpack package writes it again",
    Fault.ALTERED: "keep the change elsewhere, then spimpack package --overwrite",
    Fault.REPLACED: "move it away, then spimpack package",
    Fault.RETARGETED: "spimpack package --overwrite, or name the new source in the table",
    Fault.EXTRA: "move it out of the folders of subjects; spimpack never removes it",
    Fault.SOURCE_GONE: "put the source back, or take its row out of the table",
    Fault.SOURCE_CHANGED: "look at the source; if it is right, spimpack package takes it up",
    Fault.CHECKSUM: "restore it from a copy, or delete it and run spimpack package",
    Fault.PIXELS: "delete the image and run spimpack package, which makes it again",
    Fault.UNREADABLE: "look at the rights and the disk; git annex get brings what is elsewhere",
}
"""The remedy for each deviation."""

_ONLY_THE_TIME = "its size is as recorded, and its time is another"

_NOT_READ = {
    Fault.MISSING,
    Fault.REPLACED,
    Fault.RETARGETED,
    Fault.SOURCE_GONE,
    Fault.UNREADABLE,
}
"""Faults that make a comparison of the content pointless."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One path that is not as recorded."""

    path: str
    """The path below the dataset."""
    fault: Fault
    """The kind of difference."""
    detail: str = ""
    """The difference, where the kind does not say it."""

    @property
    def counts(self) -> bool:
        """Whether the dataset differs from the record."""
        return self.fault not in _NO_DEVIATIONS

    def __str__(self) -> str:
        """Render as one line."""
        detail = f" ({self.detail})" if self.detail else ""
        return printable(f"{self.fault}: {self.path}{detail}")

    def as_dict(self) -> dict[str, str]:
        """Return the deviation as a JSON-ready mapping."""
        return {"path": self.path, "fault": str(self.fault), "detail": self.detail}


def receipts_in_order(store: Store) -> Receipts:
    """Return all receipts, sorted by path."""
    receipts: Receipts = {}
    for part in read_all_receipts(store).values():
        receipts |= part
    return dict(sorted(receipts.items()))


def verify_fast(store: Store) -> Iterator[Deviation]:
    """Yield deviations from the record in size, time and link text."""
    receipts = receipts_in_order(store)
    for path, receipt in receipts.items():
        yield from _verify(store.output_dir, path, receipt)
    yield from _extra(store.output_dir, receipts)


def verify_full(store: Store, on_read: Callable[[int], None] | None = None) -> Iterator[Deviation]:
    """Yield deviations from the record, in content wherever a checksum is recorded.

    Parameters
    ----------
    store
        The state directory of the dataset.
    on_read
        Receives the number of bytes after each piece that was read.
    """
    receipts = receipts_in_order(store)
    records = read_all_records(store)
    with DigestLog(store.path(LOG), on_read) as log:
        for path, receipt in receipts.items():
            recorded = _recorded_checksum(receipt, records.get(path))
            yield from _verify_content(store.output_dir, path, receipt, recorded, log)
        yield from _extra(store.output_dir, receipts)
        log.forget()


def _unopened(absolute: str, path: str) -> Iterator[Deviation]:
    """Yield the first file of an image that is there but cannot be opened."""
    if os.path.isdir(absolute):
        try:
            StoreFiles(absolute).check()
        except OSError as error:
            yield _unreadable(path, error)


def _recorded_checksum(receipt: Receipt, record: ChecksumRecord | None) -> str:
    if receipt.kind.is_hashed:
        return receipt.sha256
    return record.sha256 if record and record.fits(receipt) else ""


def _verify_content(
    root: str, path: str, receipt: Receipt, recorded: str, log: DigestLog
) -> Iterator[Deviation]:
    seen = list(_verify(root, path, receipt))
    has_no_checksum = receipt.kind in {Kind.SEED, Kind.BLOCK, Kind.LINK}
    if has_no_checksum or any(deviation.fault in _NOT_READ for deviation in seen):
        yield from seen
    elif not recorded:
        seen += _unopened(f"{root}/{path}", path)
        fault = Fault.ELSEWHERE if is_elsewhere(f"{root}/{path}") else Fault.UNRECORDED
        yield from seen or [Deviation(path, fault)]
    else:
        try:
            now = log.checksum(f"{root}/{path}", path).sha256
        except OSError as error:
            yield _unreadable(path, error)
        else:
            if now != recorded:
                detail = f"recorded {recorded}, is {now}"
                yield from seen or [Deviation(path, Fault.CHECKSUM, detail)]


def _verify(root: str, path: str, receipt: Receipt) -> Iterator[Deviation]:
    """Yield the deviations of one output that show without reading an image."""
    try:
        found = list(_verify_output(root, path, receipt))
        yield from found or _verify_source(root, path, receipt)
    except OSError as error:
        yield _unreadable(path, error)


def _verify_output(root: str, path: str, receipt: Receipt) -> Iterator[Deviation]:
    absolute = f"{root}/{path}"
    there = evidence_beside(absolute, receipt)
    if receipt.kind is Kind.IMAGE and is_elsewhere(absolute) and read_record(absolute) is None:
        detail = "the record of where it is was changed: remove it, then spimpack package"
        yield Deviation(path, Fault.ALTERED, detail)
        return
    is_users = receipt.kind is Kind.SEED and (there or has_other_readme(root, path))
    if is_users or (there and there in {receipt.evidence, receipt.next_evidence}):
        return
    if not there:
        yield Deviation(path, Fault.MISSING)
    elif receipt.is_data and _is_elsewhere(absolute):
        yield Deviation(path, Fault.UNREADABLE, "its content is in git-annex, and not here")
    elif receipt.kind is Kind.BLOCK:
        if not (there.startswith("file") and _same_block(absolute, receipt)):
            yield Deviation(path, Fault.ALTERED)
    elif _word(there) != _word(receipt.evidence):
        yield Deviation(path, Fault.REPLACED, f"is a {_word(there)}")
    elif _word(there) == "link":
        yield Deviation(path, Fault.RETARGETED, there.removeprefix("link "))
    elif not _has_same_content(absolute, there, receipt):
        is_time = _word(there) == "file" and there.split()[1] == receipt.evidence.split()[1]
        is_unknown = is_time and receipt.kind is Kind.IMAGE
        yield Deviation(path, Fault.ALTERED, _ONLY_THE_TIME if is_unknown else "")


def _is_elsewhere(path: str) -> bool:
    """Tell whether git-annex keeps the content of a file, or of metadata of a Zarr, elsewhere."""
    inner = (f"{path}/{name}" for name in _METADATA) if os.path.isdir(path) else (path,)
    return any(is_annexed(each) and not os.path.exists(each) for each in inner)


def _has_same_content(path: str, there: str, receipt: Receipt) -> bool:
    if receipt.kind.is_hashed:
        return digest(read_file(path)) == receipt.sha256
    return holds_record(path, there, receipt)


def _word(evidence: str) -> str:
    """Return the kind of entry that evidence describes: file, link or directory."""
    return evidence.partition(" ")[0]


def _same_block(path: str, receipt: Receipt) -> bool:
    text = read_file(path).decode("utf-8", "surrogateescape")
    return digest(find_block(text).encode()) == receipt.evidence


def _verify_source(root: str, path: str, receipt: Receipt) -> Iterator[Deviation]:
    if not receipt.source or not os.path.lexists(f"{root}/{path}"):
        return
    source = _linked_source(f"{root}/{path}", receipt)
    if not source:
        return
    now = stamp_text(source)
    if not now:
        yield Deviation(path, Fault.SOURCE_GONE, source)
    elif now != receipt.stamp:
        yield Deviation(path, Fault.SOURCE_CHANGED, source)


def _linked_source(path: str, receipt: Receipt) -> str:
    """Return the target of an image's links, empty for a copy or a hard link.

    The dataset may have been moved, with or without its sources: the present targets count.
    """
    if _word(receipt.evidence) == "link":
        folder = os.path.realpath(os.path.dirname(path))
        return os.path.normpath(os.path.join(folder, os.readlink(path)))
    if _word(receipt.evidence) == "directory":
        for name in _METADATA:
            inner = f"{path}/{name}"
            if os.path.islink(inner) and not is_annexed(inner):
                folder = os.path.dirname(os.readlink(inner))
                return os.path.normpath(os.path.join(os.path.realpath(path), folder))
    return ""


def _extra(root: str, receipts: Receipts) -> Iterator[Deviation]:
    """Yield the paths in the folders of subjects that are not on record."""
    pending = [name for name in sorted(os.listdir(root), reverse=True) if name.startswith("sub-")]
    while pending:
        path = pending.pop()
        absolute = f"{root}/{path}"
        if path in receipts:
            continue
        if not os.path.isdir(absolute) or os.path.islink(absolute):
            yield Deviation(path, Fault.EXTRA)
            continue
        try:
            inner = sorted(os.listdir(absolute), reverse=True)
        except OSError as error:
            yield _unreadable(path, error)
        else:
            pending += [f"{path}/{name}" for name in inner]


def _unreadable(path: str, error: OSError) -> Deviation:
    reason = error.strerror or str(error)
    named = f"{error.filename!r}: " if error.filename else ""
    return Deviation(path, Fault.UNREADABLE, f"{named}{reason}")
