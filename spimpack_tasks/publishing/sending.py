"""Sends the objects of a unit, in an order that never leaves a mixture that can be opened.

Of each image, objects that are equal at the location are adopted. If others must be sent, the
metadata at the root of an OME-Zarr are deleted first, so it cannot be opened while it is a mixture
of old and new. Then its stale objects are deleted, and the rest is sent: chunks, metadata inside,
and last the metadata at the root. Each object is proven by the entity tag of the answer, and its
file is looked at again when it was read.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError, SupersededError
from spimpack_tasks.publishing.counts import Counts
from spimpack_tasks.publishing.failures import all_failed, occupied_by
from spimpack_tasks.publishing.journal import Entry, Journal, entry_of, read_journal
from spimpack_tasks.publishing.objects import Rank, check_links, find_objects
from spimpack_tasks.publishing.reading import (
    DamagedError,
    digest_for,
    is_equal,
    read_pieces,
    read_whole,
)
from spimpack_tasks.remote.errors import ChangedError, RefusedError
from spimpack_tasks.remote.etags import PART_BYTES, ObjectDigest
from spimpack_tasks.remote.rate import ByteBudget, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spimpack_tasks.publishing.journal import Entries
    from spimpack_tasks.publishing.objects import Item, LocalObject
    from spimpack_tasks.publishing.publication import Found, Publication
    from spimpack_tasks.remote.leases import Lease
    from spimpack_tasks.remote.object_store import ObjectStore

THREADS = 16
"""Requests in flight; a store answers a small object after a few milliseconds."""
BYTES_IN_FLIGHT = 4 * PART_BYTES
"""Bytes that all threads hold at a time."""
_CHECK_S = 0.25
"""Seconds between two looks whether another run has taken over."""
_BATCH = 8
"""Objects that a thread takes at once: handing one over takes as long as sending a small one."""
_UNCERTAIN = (0, 0)
"""Stands for time and inode of a file in the entry of an object that may or may not be there."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends outputs of one publication."""

    publication: Publication
    publication_id: str
    store: ObjectStore
    lease: Lease
    limit: RateLimit = field(default_factory=lambda: RateLimit(0))
    begin: Callable[[str, int], None] = lambda _name, _size: None
    """Receives name and bytes of the output that comes next."""
    advance: Callable[[int], None] = lambda _count: None
    """Receives bytes that have arrived."""

    def send(self, items: Iterable[Item]) -> Counts:
        """Send outputs, and return how many objects; one that fails does not stop the others.

        Raises
        ------
        SendingError
            Some failed.
        RefusedError, SupersededError
            Nothing more can be sent.
        """
        by_bucket: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            by_bucket[item.bucket].append(item)
        failures: list[tuple[str, Exception]] = []
        counts = Counts()
        for bucket, some in by_bucket.items():
            journal = Journal(self.publication.journal(bucket))
            try:
                with ThreadPoolExecutor(THREADS) as pool:
                    part = _Part(self, journal, bucket, pool)
                    failures += part.send_files([item for item in some if not item.is_store])
                    failures += part.send_stores([item for item in some if item.is_store])
                    counts = counts.plus(part.counts)
            finally:
                journal.close()
        if failures:
            raise all_failed(failures)
        return counts


class _Part:
    """Sends outputs whose records are in one part of the journal."""

    def __init__(
        self, sender: Sender, journal: Journal, bucket: str, pool: ThreadPoolExecutor
    ) -> None:
        self._sender = sender
        self._store = sender.store
        self._root = sender.publication.store.output_dir
        self._journal = journal
        self._known: Entries = read_journal(sender.publication.journal(bucket))
        self._remote: dict[str, Found] = sender.publication.read_remote(bucket)
        self._pool = pool
        self._budget = ByteBudget(BYTES_IN_FLIGHT)
        self._next_check = 0.0
        self._counting = threading.Lock()
        self.counts = Counts()

    def send_files(self, items: list[Item]) -> Iterator[tuple[str, Exception]]:
        """Send outputs that are one object each, by rank; yield failures."""
        failures: list[tuple[str, Exception]] = []
        locals_: list[LocalObject] = []
        for item in items:
            try:
                locals_ += find_objects(self._root, item)
            except (SpimpackError, OSError) as error:
                failures.append((item.name, error))
        todo = self._lacking(locals_)
        for rank in sorted({local.rank for local in todo}):
            if rank is Rank.DESCRIPTION and failures:
                break
            self._sender.begin(f"{rank.name.lower()} objects", _size(todo))
            failures += self._all([local for local in todo if local.rank is rank])
        return iter(failures)

    def send_stores(self, items: list[Item]) -> Iterator[tuple[str, Exception]]:
        """Send outputs that are directories, one after the other; yield failures."""
        for item in items:
            try:
                self._send_store(item)
            except (RefusedError, SupersededError):
                raise
            except (SpimpackError, OSError) as error:
                yield item.name, error

    def _send_store(self, item: Item) -> None:
        locals_ = find_objects(self._root, item)
        todo = self._lacking(locals_)
        names = {local.name for local in locals_}
        beside = [n for n in self._remote if item.owns(n) and n not in names]
        if not todo and not beside:
            return
        if any(local.found for local in locals_):
            self._tidy_up(beside)
            return
        check_links(self._root, item)
        self._sender.begin(item.name, _size(todo))
        todo = self._adopt(todo)
        occupied = [n for n in beside if not self._remote[n].is_ours]
        occupied += [each.name for each in todo if self._is_occupied(each.name)]
        if occupied:
            raise occupied_by(occupied)
        if not todo and not beside:
            return
        if beside or [local.rank for local in todo] != [Rank.ROOT]:
            todo = self._close(locals_, todo, beside)
        for rank in (Rank.DATA, Rank.ARRAY, Rank.ROOT):
            for _, error in self._all([local for local in todo if local.rank is rank]):
                raise error

    def _tidy_up(self, beside: list[str]) -> None:
        """Delete what a writer of an image that lies there has left beside it."""
        occupied = [name for name in beside if not self._remote[name].is_ours]
        if occupied:
            raise occupied_by(occupied)
        self._check()
        self._store.delete(beside)
        self.counts = self.counts.plus(Counts(deleted=len(beside)))

    def _lacking(self, locals_: Iterable[LocalObject]) -> list[LocalObject]:
        """Return the objects that are not known to be there."""
        lacking = []
        for local in locals_:
            entry = self._known.get(local.name)
            if entry is None or not entry.fits(local):
                lacking.append(local)
        return lacking

    def _is_occupied(self, name: str) -> bool:
        return name in self._remote and not self._remote[name].is_ours

    def _close(
        self, locals_: list[LocalObject], todo: list[LocalObject], stale: list[str]
    ) -> list[LocalObject]:
        """Make a store unreadable while it changes; return all that is to be sent then."""
        roots = [local for local in locals_ if local.rank is Rank.ROOT]
        gone = [local.name for local in roots if local.name in self._remote] + [
            name for name in stale if "/" not in name.removeprefix(_folder_of(locals_))
        ]
        self._check()
        for name in (*gone, *stale):  # first: the journal must name nothing that is gone
            self._journal.forget(name)
        if gone:
            self._store.delete(gone)
        self._store.delete([name for name in stale if name not in gone])
        self.counts = self.counts.plus(Counts(deleted=len(stale)))
        for name in (*gone, *stale):
            self._known.pop(name, None)
            self._remote.pop(name, None)
        sent = {local.name for local in todo}
        return [*todo, *(local for local in roots if local.name not in sent)]

    def _adopt(self, locals_: list[LocalObject]) -> list[LocalObject]:
        """Note objects that are there with equal content; return the others."""
        some = [each for each in locals_ if self._may_be_equal(each)]
        # Reading and computing gain nothing from more threads than there are cores.
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            are_equal = chain.from_iterable(pool.map(self._adopt_some, _batches(some)))
            equal = {each.name for each, is_equal in zip(some, are_equal, strict=True) if is_equal}
        return [local for local in locals_ if local.name not in equal]

    def _may_be_equal(self, local: LocalObject) -> bool:
        found = self._remote.get(local.name)
        return found is not None and found.size == local.size

    def _adopt_some(self, locals_: list[LocalObject]) -> list[bool]:
        return [self._adopt_one(local) for local in locals_]

    def _adopt_one(self, local: LocalObject) -> bool:
        found = self._remote.get(local.name)
        return found is not None and self._note_if_equal(local, digest_for(local, found))

    def _note_if_equal(self, local: LocalObject, digest: ObjectDigest) -> bool:
        """Note an object if it is there with this content."""
        found = self._remote.get(local.name)
        if found is None or found.size != local.size:
            return False
        # Another program may have sent it in parts of another size.
        is_told = found.sha256 or (self._sender.lease.proves_by_etag and "-" not in found.etag)
        if is_told:
            if not is_equal(digest, found):
                return False
        elif not is_equal(digest, found) and not self._has_content(local.name, digest.sha256):
            return False
        is_adopted = not found.is_written
        self._note(local, digest.sha256, found.etag, is_there=True, is_adopted=is_adopted)
        return True

    def _has_content(self, name: str, sha256: str) -> bool:
        there = self._store.read_pieces(name)
        if there is None:
            return False
        digest = ObjectDigest()
        for piece in there[1]:
            digest.update(bytes(piece))
        return digest.sha256 == sha256

    def _all(self, locals_: list[LocalObject]) -> list[tuple[str, Exception]]:
        """Send objects at the same time; return failures."""
        failures: list[tuple[str, Exception]] = []
        batches = _batches(locals_)
        errors = chain.from_iterable(self._pool.map(self._try_all, batches))
        for local, error in zip(locals_, errors, strict=True):
            if isinstance(error, (RefusedError, SupersededError)):
                self._pool.shutdown(wait=True, cancel_futures=True)
                raise error
            if error is not None:
                failures.append((local.name, error))
        return failures

    def _try_all(self, locals_: list[LocalObject]) -> list[Exception | None]:
        return [self._try(local) for local in locals_]

    def _try(self, local: LocalObject) -> Exception | None:
        try:
            self._send(local)
        except (SpimpackError, OSError) as error:
            return error
        return None

    def _check(self) -> None:
        """Make sure that we may still send; a look at the disk is not worth it for each object."""
        now = time.monotonic()
        if now < self._next_check:
            return
        self._sender.publication.require_current(self._sender.publication_id)
        self._sender.lease.keep()
        self._next_check = now + _CHECK_S

    def _send(self, local: LocalObject) -> None:
        digest = ObjectDigest()
        if local.size > PART_BYTES:
            if self._may_be_equal(local) and self._adopt_one(local):
                return
            self._refuse_occupied(local)
            self._check()
            with self._budget.holding(BYTES_IN_FLIGHT):
                pieces = self._limited(read_pieces(local, digest))
                etag = self._store.write_parts(local.name, pieces)
        else:
            with self._budget.holding(local.size):
                data = read_whole(local, digest)
                if self._note_if_equal(local, digest):
                    return
                self._refuse_occupied(local)
                self._sender.limit.wait(len(data))
                self._check()
                etag = self._write(local, data)
                self._sender.advance(len(data))
        if self._sender.lease.proves_by_etag and etag != digest.etag:
            self._journal.note(local.name, Entry(local.size, *_UNCERTAIN, "", etag))
            message = (
                f"{local.name} has not arrived as it was sent (its entity tag is {etag}, not "
                f"{digest.etag}); run it again, and look at the network"
            )
            raise DamagedError(message)
        self._note(local, digest.sha256, etag)

    def _write(self, local: LocalObject, data: bytes) -> str:
        """Write a small object where it is as it was when the run began; return its entity tag."""
        found = self._remote.get(local.name)
        is_free = found is None
        if not self._sender.lease.is_exclusive or (self._store.needs_versions and not is_free):
            return self._store.write(local.name, data)
        try:
            if found is None:
                return self._store.create(local.name, data)
            return self._store.replace(local.name, data, found.etag)
        except ChangedError:
            # The answer to our own request may have been lost, and it was sent again.
            there = self._store.read(local.name)
            if there is not None and there[0] == data:
                return there[1]
            raise occupied_by([local.name]) from None

    def _limited(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._sender.limit.wait(len(piece))
            self._check()
            yield piece
            self._sender.advance(len(piece))

    def _refuse_occupied(self, local: LocalObject) -> None:
        if self._is_occupied(local.name):
            raise occupied_by([local.name])

    def _note(
        self,
        local: LocalObject,
        sha256: str,
        etag: str,
        *,
        is_there: bool = False,
        is_adopted: bool = False,
    ) -> None:
        entry = entry_of(local, sha256, etag, is_adopted=is_adopted)
        self._journal.note(local.name, entry)
        with self._counting:
            self.counts = self.counts.plus(Counts(int(not is_there), int(is_there)))


def _batches(locals_: list[LocalObject]) -> list[list[LocalObject]]:
    """Divide objects among threads: few of them one by one, and many in batches."""
    size = _BATCH if len(locals_) > _BATCH * THREADS else 1
    return [locals_[at : at + size] for at in range(0, len(locals_), size)]


def _folder_of(locals_: list[LocalObject]) -> str:
    root = next(local for local in locals_ if local.rank is Rank.ROOT)
    return root.name.rpartition("/")[0] + "/"


def _size(locals_: Iterable[LocalObject]) -> int:
    return sum(local.size for local in locals_)
