"""A folder of an object store as a place that an image is written to, without a copy here.

Acknowledged objects are noted in a local file, line by line, so that an interrupted writer goes on
where it was. An object counts if it is noted, and there as it was noted.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from hashlib import md5
from typing import TYPE_CHECKING

from spimpack_tasks.errors import OutputError, SupersededError
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.files.store_files import is_metadata_key
from spimpack_tasks.remote.errors import ChangedError
from spimpack_tasks.remote.etags import PART_BYTES, digest_of
from spimpack_tasks.remote.inventory import Listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spimpack_tasks.files.atomic import Durability
    from spimpack_tasks.files.places import Parts, Ranges
    from spimpack_tasks.remote.announcements import Claim
    from spimpack_tasks.remote.leases import Lease
    from spimpack_tasks.remote.object_store import ObjectStore

_CHECK_S = 2.0
"""Seconds between two looks whether another writer has taken over."""


SINGLE_BYTES = 128 * 2**20
"""Largest object that is written by one request, on the condition that it is as it was."""


WHOLE = ""
"""Key of the note that the others are of the voxels of a whole image."""


class ObjectPlace:
    """The objects of an image.

    Parameters
    ----------
    store
        The objects of the location.
    folder
        Name of the image, without a slash at its end.
    notes
        Path of the local file of what was acknowledged.
    lease
        Ours, of the location.
    before_root
        Called before the metadata at the root are written; it raises if they must not be.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        notes: str,
        lease: Lease,
        before_root: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._folder, self._lease = store, folder, lease
        self._before_root = before_root
        self._claim: Claim | None = None
        self._lock = threading.Lock()
        self._next_check = time.monotonic() + _CHECK_S
        self._notes = open(notes, "ab", buffering=0)  # noqa: SIM115  # as long as the place
        self._notes.write(b"\n")  # a line that a kill has torn must not swallow the next one
        self.listed = self._list()
        """Size and entity tag of all objects below the folder when it was opened."""
        noted = read_notes(notes)
        is_whole = noted.pop(WHOLE, None)
        self.objects = {
            key: each
            for key, each in noted.items()
            if self.listed.get(key) == (each.size, each.etag)
        }
        """The objects that were written and are there, by key."""
        self.is_whole = bool(is_whole) and len(self.objects) == len(noted)
        """Whether the voxels of a whole image were noted, and all of them are there."""

    def _list(self) -> dict[str, tuple[int, str]]:
        cut = len(self._folder) + 1
        return {e.name[cut:]: (e.size, e.etag) for e in self._store.list(self._folder)}

    def hold(self, claim: Claim) -> None:
        """Write under an announcement; `put` fails when it has become that of another writer."""
        self._claim = claim

    def close(self) -> None:
        """Close the notes."""
        self._notes.close()

    def has(self, key: str) -> bool:
        """Tell whether there is an object that a writer of this image has written."""
        # By the last of its metadata an image of many files tells that its voxels are there.
        return key in self.objects or (self.is_whole and key == ".zattrs")

    def read(self, key: str) -> bytes | None:
        """Return the content of an object, `None` where there is none."""
        found = self._store.read(self._name(key)) if key in self.objects else None
        return found[0] if found else None

    def read_ranges(self, key: str, tail: int, ranges: Ranges) -> Iterable[bytes | None]:
        """Yield ranges of an object that its last bytes name."""
        name, size = self._name(key), self.objects[key].size
        for found in ranges(self._store.read_range(name, size - tail, tail)):
            yield None if found is None else self._store.read_range(name, *found)

    def put(self, key: str, pieces: Iterable[Parts], _durability: Durability) -> bool:
        """Write an object, or none where there is no piece.

        Raises
        ------
        OutputError
            It has not arrived as it was sent.
        SupersededError
            Another writer has taken over.
        """
        parts = [part for some in pieces for part in some]
        if not parts:
            return False
        data = b"".join(parts)
        del parts
        if "/" not in key:
            self._require_all()
        self._require_claim()
        digest = digest_of(data)
        etag, expected = self._write(key, data, digest.etag)
        if self._lease.proves_by_etag and etag != expected:
            message = f"{self._name(key)} has not arrived as it was sent; run it again"
            raise OutputError(message)
        self._note(key, Listed(len(data), digest.sha256, etag))
        return True

    def _write(self, key: str, data: bytes, etag: str) -> tuple[str, str]:
        """Write an object; return its entity tag, and the one that is expected."""
        name = self._name(key)
        if len(data) > SINGLE_BYTES:
            return self._store.write_parts(name, _split(data)), etag
        if len(data) > PART_BYTES:
            etag = md5(data, usedforsecurity=False).hexdigest()
        if not self._lease.is_exclusive or self._store.needs_versions:
            return self._store.write(name, data), etag
        known = self.objects.get(key)
        try:
            return self._write_in_place_of(name, data, known.etag if known else ""), etag
        except ChangedError:
            # The answer to our own request was lost, or a request of a killed run came late.
            self._require_claim(at_once=True)
            there = self._store.read(name)
            if there is not None and there[0] == data:
                return there[1], etag
            return self._write_in_place_of(name, data, there[1] if there else ""), etag

    def _write_in_place_of(self, name: str, data: bytes, etag: str) -> str:
        """Write an object in place of the one with an entity tag, or where there is none."""
        return self._store.replace(name, data, etag) if etag else self._store.create(name, data)

    def _require_all(self) -> None:
        """Make sure that all is there as it was written, before the image can be opened.

        Raises
        ------
        SupersededError
            Another run has written something else meanwhile.
        """
        self._before_root()
        self._require_claim(at_once=True)
        now = self._list()
        for key, each in self.objects.items():
            if now.get(key) != (each.size, each.etag):
                message = f"superseded: {self._name(key)} is not as it was written; run it again"
                raise SupersededError(message)

    def names(self, key: str) -> list[str]:
        """Return the names below a key, nothing where there are none."""
        start = f"{key}/" if key else ""
        with self._lock:
            found = {k[len(start) :].partition("/")[0] for k in self.objects if k.startswith(start)}
        return sorted(found - {""})

    def remove(self, key: str) -> None:
        """Delete an object, or all below a key."""
        with self._lock:
            gone = [k for k in self.objects if k == key or k.startswith(f"{key}/") or not key]
        self._delete(gone)

    def remove_others(self) -> None:
        """Delete objects that no writer of this image has written."""
        self._delete([key for key in self.listed if key not in self.objects])

    def clear(self) -> None:
        """Delete all objects that are there."""
        self._note(WHOLE, None)
        self.is_whole = False
        self._delete({*self.listed, *self.objects})

    def _delete(self, keys: Iterable[str]) -> None:
        """Delete objects: metadata first, from the root on, so that nothing opens with holes."""
        some = sorted(keys, key=lambda key: (key.count("/"), key))
        parts = (
            [key for key in some if "/" not in key],
            [key for key in some if "/" in key and is_metadata_key(key)],
            [key for key in some if "/" in key and not is_metadata_key(key)],
        )
        self._require_claim()
        for key in some:  # first: notes must name nothing that is gone, or that is about to go
            self._note(key, None)
        for gone in parts:
            self._store.delete([self._name(each) for each in gone])

    def sync(self) -> None:
        """Do nothing: what the service has acknowledged is safe."""

    def _name(self, key: str) -> str:
        return f"{self._folder}/{key}"

    def _note(self, key: str, found: Listed | None) -> None:
        self._notes.write(_line(key, found))
        with self._lock:
            if found is None:
                self.objects.pop(key, None)
                self.listed.pop(key, None)
            else:
                self.objects[key] = found

    def _require_claim(self, *, at_once: bool = False) -> None:
        self._lease.keep()
        with self._lock:
            now = time.monotonic()
            if self._claim is None or (now < self._next_check and not at_once):
                return
            self._next_check = now + _CHECK_S
        found = self._store.read(self._claim.name)
        if found is None or found[1] != self._claim.etag:
            message = f"superseded: another run writes {self._folder} at {self._store.location}"
            raise SupersededError(message)


def read_notes(path: str) -> dict[str, Listed]:
    """Return the objects that notes name, nothing where there are none."""
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return {}
    noted: dict[str, Listed] = {}
    for line in data.splitlines():
        with suppress(ValueError, TypeError):
            key, *values = json.loads(line)
            if values:
                noted[key] = Listed(*values)
            else:
                noted.pop(key, None)
    return noted


def write_notes(path: str, objects: Iterable[tuple[str, Listed]]) -> None:
    """Write notes, in place of any that are there."""
    with open(path, "wb") as file:
        file.write(b"".join(_line(key, found) for key, found in objects))


def _line(key: str, found: Listed | None) -> bytes:
    return json.dumps([key, *(found or ())], ensure_ascii=False).encode() + b"\n"


def _split(data: bytes) -> Iterable[bytes]:
    whole = memoryview(data)
    return (bytes(whole[at : at + PART_BYTES]) for at in range(0, len(data), PART_BYTES))
