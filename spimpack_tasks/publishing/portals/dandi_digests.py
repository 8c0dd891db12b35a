"""Computes the digests by which the DANDI archive knows files and OME-Zarrs.

The entity tag of a file is that of an object which S3 gets in parts: the MD5 of the MD5s of the
parts, and their number. Parts have 64 MiB; a file that would need 10,000 of them or more has larger
parts. The checksum of a Zarr is a tree: for each folder the MD5 of a listing in JSON, with number
and bytes of all files below it (design documents of dandi-archive, "zarr-support").
"""

from __future__ import annotations

import json
from hashlib import md5
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.remote.etags import ObjectDigest

if TYPE_CHECKING:
    from collections.abc import Iterator

PART_BYTES = 64 * 2**20
"""Bytes of a part."""
MOST_PARTS = 10_000
"""Parts of an upload, at most (S3, "Multipart upload limits")."""
MOST_BYTES = 5 * 2**40
"""Bytes of the largest file."""


class Part(NamedTuple):
    """A part of a file that is sent by one request; numbers begin with 1."""

    number: int
    start: int
    size: int


def parts_of(size: int) -> Iterator[Part]:
    """Yield the parts of a file of a size in bytes."""
    step = part_bytes(size)
    for number, start in enumerate(range(0, size, step), start=1):
        yield Part(number, start, min(step, size - start))


def part_bytes(size: int) -> int:
    """Return the bytes of each part, except the last, of a file of a size in bytes."""
    if -(-size // PART_BYTES) < MOST_PARTS:
        return PART_BYTES
    return -(-size // MOST_PARTS)


class BlobDigest(ObjectDigest):
    """SHA-256 and entity tag of a file of a known size, in one read."""

    def __init__(self, size: int) -> None:
        super().__init__(with_etag=False)
        self._step = self._space = part_bytes(size)
        self._md5 = md5(usedforsecurity=False)
        self._tags: list[bytes] = []

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        super().update(data)
        rest = memoryview(data)
        while rest:
            if not self._space:
                self._tags.append(self._md5.digest())
                self._md5, self._space = md5(usedforsecurity=False), self._step
            piece = rest[: self._space]
            self._md5.update(piece)
            self._space -= len(piece)
            rest = rest[len(piece) :]

    @property
    def etag(self) -> str:
        """The entity tag, which always counts the parts."""
        tags = [*self._tags, self._md5.digest()]
        return f"{md5(b''.join(tags), usedforsecurity=False).hexdigest()}-{len(tags)}"


class ChunkDigest(ObjectDigest):
    """SHA-256 and MD5 of a file of a Zarr, in one read."""

    def __init__(self) -> None:
        super().__init__(with_etag=False)
        self._md5 = md5(usedforsecurity=False)

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        super().update(data)
        self._md5.update(data)

    @property
    def etag(self) -> str:
        """The MD5, which is the entity tag of an object that is sent by one request."""
        return self._md5.hexdigest()


class ZarrChecksum:
    """The checksum of a Zarr, whose files are added in the order of their paths' bytes."""

    def __init__(self) -> None:
        self._open = [_Folder("")]

    def add(self, path: str, size: int, tag: str) -> None:
        """Add a file, given its path in the Zarr, its bytes and its MD5."""
        *names, last = path.split("/")
        depth = 0
        opened = [folder.name for folder in self._open[1:]]
        while depth < min(len(names), len(opened)) and names[depth] == opened[depth]:
            depth += 1
        self._leave(depth)
        self._open += [_Folder(name) for name in names[depth:]]
        self._open[-1].add_file(last, size, tag)

    def _leave(self, depth: int) -> None:
        while len(self._open) > depth + 1:
            folder = self._open.pop()
            self._open[-1].add_folder(folder)

    @property
    def value(self) -> str:
        """The checksum; no more files can be added."""
        self._leave(0)
        return self._open[0].checksum


class _Folder:
    """The files and folders of one folder so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = self.count = 0
        self._files: list[dict[str, object]] = []
        self._folders: list[dict[str, object]] = []

    def add_file(self, name: str, size: int, tag: str) -> None:
        self.size += size
        self.count += 1
        self._files.append({"digest": tag, "name": name, "size": size})

    def add_folder(self, folder: _Folder) -> None:
        self.size += folder.size
        self.count += folder.count
        entry = {"digest": folder.checksum, "name": folder.name, "size": folder.size}
        self._folders.append(entry)

    @property
    def checksum(self) -> str:
        listing = {"directories": _by_name(self._folders), "files": _by_name(self._files)}
        text = json.dumps(listing, separators=(",", ":"))
        tag = md5(text.encode(), usedforsecurity=False).hexdigest()
        return f"{tag}-{self.count}--{self.size}"


def _by_name(entries: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(entries, key=lambda entry: str(entry["name"]))
