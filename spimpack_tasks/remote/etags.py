"""Computes the entity tag that an object store gives to an object.

S3 calls it the MD5 of an object written by one request; of one written in parts it is the MD5 of
the MD5s of the parts, with their number (S3, "Checking object integrity"). With encryption by keys
of the service, and at other services, it is something else.
"""

from __future__ import annotations

from hashlib import md5, sha256

PART_BYTES = 16 * 2**20
"""Bytes of each part of a large object, and the largest object that is written by one request. A
part of the format of an inventory: the entity tags in it depend on it."""


class ObjectDigest:
    """Digests of an object while its bytes are read: SHA-256, and the entity tag if wanted."""

    def __init__(self, *, with_etag: bool = True) -> None:
        self._with_etag = with_etag
        self._sha256 = sha256()
        self._part = md5(usedforsecurity=False)
        self._left_of_part = PART_BYTES
        self._parts: list[bytes] = []
        self.size = 0

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        self._sha256.update(data)
        self.size += len(data)
        rest = memoryview(data if self._with_etag else b"")
        while rest:
            if not self._left_of_part:
                self._end_part()
            piece = rest[: self._left_of_part]
            self._part.update(piece)
            self._left_of_part -= len(piece)
            rest = rest[len(piece) :]

    def _end_part(self) -> None:
        self._parts.append(self._part.digest())
        self._part = md5(usedforsecurity=False)
        self._left_of_part = PART_BYTES

    @property
    def sha256(self) -> str:
        """The SHA-256 of all bytes."""
        return self._sha256.hexdigest()

    @property
    def etag(self) -> str:
        """The entity tag: of one request up to `PART_BYTES`, of parts beyond."""
        if not self._parts:
            return self._part.hexdigest()
        whole = md5(b"".join([*self._parts, self._part.digest()]), usedforsecurity=False)
        return f"{whole.hexdigest()}-{len(self._parts) + 1}"


def digest_of(data: bytes) -> ObjectDigest:
    """Return the digests of bytes in memory."""
    digest = ObjectDigest()
    digest.update(data)
    return digest
