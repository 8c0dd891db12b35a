"""Proves a dataset against what was recorded when it was written, without its manifest.

The fast way looks at every path by `lstat` and at every source by `stat`; text files are read
again where their time differs. What the user may edit (README.md, CHANGES, own lines in
.bidsignore) and what lies outside of `sub-*` folders is the user's, and passed over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spimpack_tasks.files.blocks import find_block
from spimpack_tasks.files.evidence import evidence_of
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.readers.formats import stamp_text
from spimpack_tasks.state.receipts import read_all_receipts
from spimpack_tasks.state.sweep import digest, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.state.receipts import Receipt, Receipts
    from spimpack_tasks.state.store import Store


class Fault(StrEnum):
    """What can be wrong with a path of a dataset."""

    MISSING = "missing"
    ALTERED = "altered"
    RETARGETED = "retargeted"
    EXTRA = "extra"
    SOURCE_GONE = "source gone"
    SOURCE_CHANGED = "source changed"
    CHECKSUM = "checksum differs"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One path that is not as recorded."""

    path: str
    fault: Fault
    detail: str = ""

    def __str__(self) -> str:
        """Render as one line."""
        return f"{self.fault}: {self.path}" + (f" ({self.detail})" if self.detail else "")


def verify_fast(store: Store) -> Iterator[Deviation]:
    """Yield what differs from the record, by size, time and link text."""
    receipts: Receipts = {}
    for part in read_all_receipts(store).values():
        receipts |= part
    for path, receipt in sorted(receipts.items()):
        yield from _verify_output(store.output_dir, path, receipt)
        yield from _verify_source(path, receipt)
    yield from _extra(store.output_dir, receipts)


def _verify_output(root: str, path: str, receipt: Receipt) -> Iterator[Deviation]:
    absolute = f"{root}/{path}"
    there = evidence_of(absolute)
    if receipt.kind is Kind.SEED:
        return
    if not there:
        yield Deviation(path, Fault.MISSING)
    elif receipt.kind is Kind.BLOCK:
        text = read_file(absolute).decode("utf-8", "surrogateescape")
        if digest(find_block(text).encode()) != receipt.evidence:
            yield Deviation(path, Fault.ALTERED)
    elif there == receipt.evidence:
        return
    elif receipt.evidence.startswith("link"):
        yield Deviation(path, Fault.RETARGETED, there.removeprefix("link "))
    elif not _same_text(absolute, there, receipt):
        yield Deviation(path, Fault.ALTERED)


def _same_text(path: str, there: str, receipt: Receipt) -> bool:
    is_text = receipt.kind is Kind.TEXT and there.startswith("file")
    return is_text and digest(read_file(path)) == receipt.sha256


def _verify_source(path: str, receipt: Receipt) -> Iterator[Deviation]:
    if not receipt.source or not receipt.evidence.startswith("link"):
        # A copy or a hard link stands on its own: its source may go.
        return
    now = stamp_text(receipt.source)
    if not now:
        yield Deviation(path, Fault.SOURCE_GONE, receipt.source)
    elif now != receipt.stamp:
        yield Deviation(path, Fault.SOURCE_CHANGED, receipt.source)


def _extra(root: str, receipts: Receipts) -> Iterator[Deviation]:
    """Yield what lies in the folders of subjects but is not on record."""
    pending = sorted(name for name in os.listdir(root) if name.startswith("sub-"))
    while pending:
        path = pending.pop(0)
        absolute = f"{root}/{path}"
        if path in receipts:
            continue
        if os.path.isdir(absolute) and not os.path.islink(absolute):
            pending += [f"{path}/{name}" for name in sorted(os.listdir(absolute))]
        else:
            yield Deviation(path, Fault.EXTRA)
