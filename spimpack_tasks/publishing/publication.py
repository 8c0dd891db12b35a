"""Records of one publication, of one dataset at one location.

    publications/<digest of the location>/
        target.json       the address, without credentials
        owner.json        our identity as the holder of leases
        lease.json        our lease
        current           identity of the publication that may send now
        journal/<bucket>  acknowledged objects (see `journal`)
        remote/<bucket>   the objects that were there when the run began
        opened.json       the run that has looked at the location, and what it found
        committed.json    the last inventory that we have made the current one
        to-prune.json     objects to remove when the new inventory stands
        strangers.json    objects that are not ours, as the last look has found
        included.json     what is sent beside the outputs, until the user chooses otherwise
        progress          bytes, a line for each task that has ended
        counts            objects that were sent, adopted and deleted, a line for each task

All of it may be lost: the next run looks at the location, and adopts the objects that are equal.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.errors import ExitCode, SpimpackError, SupersededError
from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.model.plan import STATE_DIRECTORY
from spimpack_tasks.publishing.counts import Counts
from spimpack_tasks.remote.credentials import find_region
from spimpack_tasks.remote.inventory import Listed
from spimpack_tasks.remote.lease_memory import LeaseMemory
from spimpack_tasks.remote.leases import Lease
from spimpack_tasks.remote.location import RECORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spimpack_tasks.remote.location import Location
    from spimpack_tasks.remote.object_store import ObjectStore
    from spimpack_tasks.state.store import Store


_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class ReadOnlyError(SpimpackError):
    """The dataset cannot be written."""

    exit_code = ExitCode.FAILED


class Found(NamedTuple):
    """An object that was there when a run began."""

    size: int
    etag: str
    is_ours: bool
    """Whether an inventory or a journal of ours names it as it is."""
    sha256: str
    """Of its bytes, as the current inventory has it; empty where that does not name it."""
    is_written: bool = True
    """Whether we have written it, so that it may be deleted."""


class Publication:
    """The records of one dataset at one location; the constructor touches nothing."""

    def __init__(self, store: Store, location: Location, name: str = "") -> None:
        self.store = store
        self.location = location
        self.name = name or location.digest
        self._memory = LeaseMemory(store.root, self.name)

    def path(self, *parts: str) -> str:
        """Return a path in the folder of the publication."""
        return self.store.path(RECORDS, self.name, *parts)

    def journal(self, bucket: str) -> str:
        """Return the path of a part of the journal."""
        return self.path("journal", bucket)

    def create(self) -> None:
        """Make the folder, and note the location.

        Raises
        ------
        ReadOnlyError
            The dataset cannot be written.
        """
        try:
            os.makedirs(self.path("remote"), exist_ok=True)
            os.makedirs(self.path("journal"), exist_ok=True)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            raise self._read_only() from error
        if not os.access(self.path(), os.W_OK):
            raise self._read_only()
        target = {
            "url": str(self.location),
            "endpoint_url": self.location.endpoint_url,
            "region": find_region(self.location),
        }
        if self.read("target") != target:
            self.write("target", target)

    def _read_only(self) -> ReadOnlyError:
        return ReadOnlyError(
            f"{self.path()} cannot be written: publishing keeps records in {STATE_DIRECTORY} of "
            "the dataset; make it writable, or publish a copy"
        )

    def read(self, name: str) -> dict[str, Any]:
        """Return one of the small records, empty where it is lost."""
        return read_json(self.path(f"{name}.json"), dict, {})

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Replace one of the small records."""
        with replacing(self.path(f"{name}.json"), Durability.WHOLE) as aside:
            aside.file.write(json.dumps(values, indent=1, sort_keys=True).encode() + b"\n")

    def read_objects(self, name: str) -> dict[str, Listed]:
        """Return one of the records of objects, empty where it is lost."""
        return read_json(self.path(f"{name}.json"), _objects_of, {})

    def write_objects(self, name: str, objects: Mapping[str, Listed]) -> None:
        """Replace one of the records of objects."""
        self.write(name, {"objects": objects})

    @property
    def owner(self) -> str:
        """Our identity as the holder of leases, and the author of announcements."""
        return self._memory.holder().owner

    def load(self) -> dict[str, Any]:
        """Return the state of our lease."""
        return self._memory.load()

    def lease(self, store: ObjectStore) -> Lease:
        """Return the lease of the location."""
        return Lease(store, self._memory.holder(), self._memory)

    def current(self) -> str:
        """Return the identity of the publication that may send, empty where there is none."""
        with suppress(FileNotFoundError, UnicodeDecodeError):
            return read_regular(self.path("current")).decode("ascii").strip()
        return ""

    @contextmanager
    def opening(self, publication_id: str) -> Iterator[None]:
        """Make an identity the current one, and hold the publication alone.

        Processes that send another state see it within a moment, and end.

        Raises
        ------
        SupersededError
            A later run has taken over meanwhile.
        """
        self.create()
        if self.current() != publication_id:
            with (
                self.store.lock(f"{self._lock}-current"),
                replacing(self.path("current"), Durability.WHOLE) as aside,
            ):
                aside.file.write(f"{publication_id}\n".encode())
        with self.store.lock(self._lock):
            self.require_current(publication_id)
            yield

    @contextmanager
    def sending(self, publication_id: str, unit: str) -> Iterator[None]:
        """Hold the right to send a unit; another process that wants the same one waits.

        Raises
        ------
        SupersededError
            Another run with other inputs has taken over.
        """
        with self.store.lock(self._lock, shared=True):
            self.require_current(publication_id)
            name = blake2b(unit.encode(), digest_size=8).hexdigest()
            with self.store.lock(f"{self._lock}-{name}"):
                yield

    def require_current(self, publication_id: str) -> None:
        """Raise unless an identity is the current one.

        Raises
        ------
        SupersededError
            It is not.
        """
        if self.current() != publication_id:
            message = f"superseded: another run publishes another state to {self.location}"
            raise SupersededError(message)

    @property
    def _lock(self) -> str:
        return f"publication-{self.name}"

    def write_remote(self, parts: Mapping[str, Mapping[str, Found]]) -> None:
        """Replace the record of the objects that are there, by bucket."""
        for name in os.listdir(self.path("remote")):
            if name not in parts:
                os.unlink(self.path("remote", name))
        for name, found in parts.items():
            with replacing(self.path("remote", name), Durability.WHOLE) as aside:
                aside.file.write(b"".join(_line(key, each) for key, each in sorted(found.items())))

    def read_remote(self, bucket: str) -> dict[str, Found]:
        """Return the objects of a bucket that were there when the run began."""
        try:
            data = read_regular(self.path("remote", bucket))
        except FileNotFoundError:
            return {}
        lines = (json.loads(line) for line in data.splitlines())
        return {name: Found(*values) for name, *values in lines}

    def add_progress(self, count: int) -> None:
        """Note the bytes of a task that has ended."""
        with suppress(OSError), open(self.path("progress"), "ab", buffering=0) as file:
            file.write(b"%d\n" % count)

    def read_progress(self) -> int:
        """Return the bytes of all tasks of the run that have ended."""
        with suppress(OSError, ValueError):
            return sum(map(int, read_regular(self.path("progress")).split()))
        return 0

    def add_counts(self, counts: Counts) -> None:
        """Note the objects of a task that has ended."""
        with suppress(OSError), open(self.path("counts"), "ab", buffering=0) as file:
            file.write(f"{' '.join(map(str, counts))}\n".encode())

    def read_counts(self) -> Counts:
        """Return the objects of all tasks of the run that have ended."""
        counts = Counts()
        with suppress(OSError, ValueError, TypeError):
            for line in read_regular(self.path("counts")).splitlines():
                counts = counts.plus(Counts(*map(int, line.split())))
        return counts

    def begin_progress(self) -> None:
        """Forget the bytes and objects of earlier runs."""
        for name in ("progress", "counts"):
            with suppress(FileNotFoundError):
                os.unlink(self.path(name))


def _objects_of(data: Any) -> dict[str, Listed]:
    return {name: Listed(*values) for name, values in data["objects"].items()}


def _line(name: str, values: Iterable[object]) -> bytes:
    return json.dumps([name, *values], ensure_ascii=False).encode() + b"\n"
