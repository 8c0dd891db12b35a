"""The files of a dataset with their digests, which are kept for as long as a file is the same.

A file is read once for SHA-256 and the digest of the archive; a later run reads it only if its
size, time or inode are others.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.publishing.journal import Journal, entry_of, read_journal
from spimpack_tasks.publishing.objects import check_links, find_objects
from spimpack_tasks.publishing.portals.dandi_digests import (
    MOST_BYTES,
    BlobDigest,
    ChunkDigest,
    ZarrChecksum,
)
from spimpack_tasks.publishing.reading import read_pieces
from spimpack_tasks.publishing.wholeness import damage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Self

    from spimpack_tasks.publishing.journal import Entries, Entry
    from spimpack_tasks.publishing.objects import Item, LocalObject
    from spimpack_tasks.publishing.publication import Publication

MOST_DEPTH = 7
"""Parts of the longest path in a Zarr, the name of the file included."""
MOST_CHUNK_BYTES = 5 * 2**30
"""Bytes of the largest file of a Zarr, which is sent by one request."""
_THREADS = 8
"""Files looked at, or read, at a time."""
_BATCH = 512
"""Files whose digests are computed at a time: a Zarr can have millions."""


class LocalAsset(NamedTuple):
    """A file or a Zarr of the dataset as it is now."""

    path: str
    is_zarr: bool
    size: int
    digest: str
    """Entity tag or checksum."""
    sha256: str
    """Of a file; empty for a Zarr."""


class ZarrFile(NamedTuple):
    """A file of a local Zarr."""

    local: LocalObject
    size: int
    tag: str
    """MD5."""


class DigestedFiles:
    """Computes digests, and keeps them where the records of the publication may be written.

    Parameters
    ----------
    publication
        The local records.
    root
        The directory of the dataset.
    keep
        Whether digests are written down.
    advance
        Receives the bytes of files whose digests are known.
    """

    def __init__(
        self,
        publication: Publication,
        root: str,
        *,
        keep: bool,
        advance: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._publication = publication
        self._root = root
        self._keep = keep
        self._advance = advance
        self._known: dict[str, Entries] = {}
        self._journals: dict[str, Journal] = {}
        self._pool = ThreadPoolExecutor(_THREADS)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._pool.shutdown()
        for journal in self._journals.values():
            journal.close()

    def refusals(self, item: Item) -> Iterator[str]:
        """Yield a line for each reason for which the archive does not take an output."""
        check_links(self._root, item)
        locals_ = find_objects(self._root, item)
        damage = damage_of(self._root, item, locals_)
        if damage:
            yield f"{item.name} is not as packaged: {damage}"
        for local in locals_:
            if local.found is not None:
                yield f"{item.name} lies in an object store, and not here; package it without place"
                return
            inner = local.name.removeprefix(f"{item.name}/")
            if not item.is_store and not local.size:
                yield f"{local.name} is empty, which DANDI does not take; remove it"
            elif not item.is_store and local.size > MOST_BYTES:
                yield f"{local.name} is larger than 5 TiB, which DANDI does not take"
            elif item.is_store and inner.count("/") >= MOST_DEPTH:
                yield f"{local.name} lies more than {MOST_DEPTH} levels deep in its Zarr"
            elif item.is_store and local.size > MOST_CHUNK_BYTES:
                yield f"{local.name} is larger than 5 GiB; make smaller shards"

    def asset(self, item: Item) -> LocalAsset:
        """Return an output with its digest."""
        if not item.is_store:
            [(local, entry)] = self.files(item)
            return LocalAsset(item.name, item.is_store, local.size, entry.etag, entry.sha256)
        checksum, size = ZarrChecksum(), 0
        for local, entry in self.files(item):
            checksum.add(local.name.removeprefix(f"{item.name}/"), local.size, entry.etag)
            size += local.size
        return LocalAsset(item.name, item.is_store, size, checksum.value, "")

    def zarr_files(self, item: Item) -> dict[str, ZarrFile]:
        """Return the files of a Zarr by their path in it; errors as of `files`."""
        return {
            local.name.removeprefix(f"{item.name}/"): ZarrFile(local, local.size, entry.etag)
            for local, entry in self.files(item)
        }

    def files(self, item: Item) -> Iterator[tuple[LocalObject, Entry]]:
        """Yield the files of an output, in the order of their names, with their digests.

        Raises
        ------
        DamagedError
            A file changes meanwhile.
        OSError
            A file cannot be read.
        """
        known = self._entries(item.bucket)
        files = iter(find_objects(self._root, item))
        while some := list(islice(files, _BATCH)):
            new = [local for local in some if not _fits(known.get(local.name), local)]
            self._take(item, new, self._pool.map(_digest_of(item), new))
            self._advance(sum(local.size for local in some))
            yield from ((local, known[local.name]) for local in some)

    def _take(self, item: Item, new: Iterable[LocalObject], entries: Iterable[Entry]) -> None:
        for local, entry in zip(new, entries, strict=True):
            self._entries(item.bucket)[local.name] = entry
            if self._keep:
                self._journal(item.bucket).note(local.name, entry)

    def _entries(self, bucket: str) -> Entries:
        if bucket not in self._known:
            self._known[bucket] = read_journal(self._path(bucket))
        return self._known[bucket]

    def _journal(self, bucket: str) -> Journal:
        if bucket not in self._journals:
            self._journals[bucket] = Journal(self._path(bucket))
        return self._journals[bucket]

    def _path(self, bucket: str) -> str:
        return self._publication.path("digests", bucket)


def checksum_of(files: Mapping[str, ZarrFile]) -> str:
    """Return the checksum of a Zarr, given its files in the order of their paths' bytes."""
    checksum = ZarrChecksum()
    for name, file in files.items():
        checksum.add(name, file.size, file.tag)
    return checksum.value


def _fits(entry: Entry | None, local: LocalObject) -> bool:
    return entry is not None and entry.fits(local)


def _digest_of(item: Item) -> Callable[[LocalObject], Entry]:
    def compute(local: LocalObject) -> Entry:
        digest = ChunkDigest() if item.is_store else BlobDigest(local.size)
        for _ in read_pieces(local, digest):
            pass
        return entry_of(local, digest.sha256, digest.etag)

    return compute
