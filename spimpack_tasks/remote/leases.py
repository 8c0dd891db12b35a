"""A lease: the right to change what is below a location, for a limited time.

The lease is one object. It is made only where there is none, and replaced only by who knows its
present entity tag, so of several publishers one gets it. A publisher that ends gives it back; one
that was killed loses it when it has not been renewed for `TTL_S`. Whether that time is over is
judged by the clock of the service alone: the time of the lease, and that of an object that is
written just now. That of a process of this machine that has ended is free at once.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from spimpack_tasks.errors import ExitCode, SpimpackError, SupersededError
from spimpack_tasks.files.processes import (
    has_ended,
    identify_processes,
    start_of_process,
)
from spimpack_tasks.remote.errors import ChangedError
from spimpack_tasks.remote.etags import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spimpack_tasks.remote.object_store import ObjectStore

TTL_S = 120.0
"""Seconds for which a lease holds without a renewal."""
NAME = ".spimpack/lock.json"
CLOCK = ".spimpack/clock.json"
_TRIES = 50
"""Attempts to renew a lease that other processes of ours renew as well."""


class LeaseHeldError(SpimpackError):
    """Another publisher holds the lease."""

    exit_code = ExitCode.NOT_RUN


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lease, as the object names it."""

    owner: str
    """Identity of the dataset that is published; empty for a lease that was given back."""
    host: str = ""
    process: int = 0
    round: int = 0
    """Number of the renewal, so that each makes another object."""
    started: str = ""
    """When the process began, as of `start_of_process`."""
    machine: str = ""
    """Identity of the machine that gave the number, as of `identify_processes`."""

    def here(self) -> Holder:
        """Return the holder with what others on this machine know its process by."""
        started = start_of_process(self.process)
        return replace(self, started=started, machine=identify_processes())

    @property
    def is_dead(self) -> bool:
        """Whether its process ran on this machine, and has ended."""
        return has_ended(self.process, self.started, self.machine)

    def dump(self) -> bytes:
        """Return the content of the object."""
        values: dict[str, str | int] = {"owner": self.owner, "host": self.host}
        values["process"] = self.process
        values |= {"round": self.round, "started": self.started, "machine": self.machine}
        return json.dumps(values, sort_keys=True).encode() + b"\n"


def _parse(data: bytes) -> Holder:
    try:
        values: dict[str, Any] = json.loads(data)
        return Holder(
            str(values["owner"]),
            str(values["host"]),
            int(values["process"]),
            int(values["round"]),
            str(values.get("started", "")),
            str(values.get("machine", "")),
        )
    except (ValueError, TypeError, LookupError, RecursionError):
        return Holder("unknown")


class Memory(Protocol):
    """Keeps the state of a lease for all processes of its owner."""

    def load(self) -> Mapping[str, Any]:
        """Return the state, empty where it is lost."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state."""


class Lease:
    """The lease of one owner, whose processes share it.

    Parameters
    ----------
    store
        The objects below the location.
    me
        The holder to be.
    memory
        Saves a request to each process that shares the lease.
    clock
        Returns seconds since 1970.
    """

    def __init__(
        self,
        store: ObjectStore,
        me: Holder,
        memory: Memory,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._me = me
        self._memory = memory
        self._clock = clock
        self._etag = ""
        self._renewed_at = 0.0
        self._round = time.time_ns()
        self._lock = threading.Lock()
        self._lost: SupersededError | None = None
        self.proves_by_etag = True
        """Whether the service computes entity tags from the bytes, as seen of the lease."""
        self.is_exclusive = True
        """Whether the service keeps conditions, so that of two publishers one is refused."""

    def take(self, seen: str) -> bool:
        """Get the lease, or share that of the same owner.

        Parameters
        ----------
        seen
            Entity tag of the object when the location was looked at; empty for none.

        Returns
        -------
        bool
            Whether nobody has had the lease since then, so that what was seen is still so.

        Raises
        ------
        LeaseHeldError
            Another owner holds it.
        """
        known = self._memory.load()
        replaced = self._take_over() if seen else self._create()
        if "is_exclusive" in known:
            self.is_exclusive = bool(known["is_exclusive"])
        else:
            self._try_conditions()
        self._save()
        return replaced == seen

    def _create(self) -> str:
        """Make the lease; return the entity tag of the one that was replaced, if there was one."""
        begin, content = self._clock(), self._content()
        try:
            self._note(content, self._store.create(NAME, content), begin)
        except ChangedError:
            return self._take_over()
        return ""

    def _try_conditions(self) -> None:
        """Find out whether the service keeps conditions: a second lease must not be made."""
        begin, content = self._clock(), self._content()
        try:
            self._note(content, self._store.create(NAME, content), begin)
            self.is_exclusive = False
        except ChangedError:
            self.is_exclusive = True

    def _take_over(self) -> str:
        for _ in range(_TRIES):
            begin = self._clock()
            found = self._store.read(NAME)
            if found is None:
                return self._create()
            data, etag = found
            holder = _parse(data)
            is_free = holder.owner in {"", self._me.owner} or holder.is_dead
            if not is_free and not self._is_over():
                break
            content = self._content()
            try:
                self._note(content, self._store.replace(NAME, content, etag), begin)
            except ChangedError:
                continue
            return etag
        who = f"process {holder.process} on {holder.host}" if holder.host else "another publisher"
        message = (
            f"{self._store.location} is being published by {who}; wait for it, or run it again "
            f"when it has ended (the place is free {TTL_S:.0f} s after it was killed)"
        )
        raise LeaseHeldError(message)

    def _is_over(self) -> bool:
        self._store.write(CLOCK, f"{self._round}\n".encode())
        times = {each.name: each.modified for each in self._store.list(".spimpack")}
        if NAME not in times or CLOCK not in times:
            return NAME not in times
        return (times[CLOCK] - times[NAME]).total_seconds() > TTL_S

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease by a thread while the context lasts, however long a request takes.

        Where another owner has taken it, `keep` raises that.
        """
        end = threading.Event()
        thread = threading.Thread(target=self._keep_until, args=(end,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _keep_until(self, end: threading.Event) -> None:
        while not end.wait(TTL_S / 6):
            try:
                self.keep()
            except SupersededError as error:
                self._lost = error
                return
            except SpimpackError:
                continue  # the service may answer before the time is over

    def keep(self) -> None:
        """Renew the lease if a third of its time is over.

        Raises
        ------
        SupersededError
            Another owner has taken it.
        """
        if self._lost is not None:
            raise self._lost
        with self._lock:
            if self._is_fresh():
                return
            self.recall()
            if not self._is_fresh():
                self._renew(self._content)

    def give_back(self) -> None:
        """Let the next publisher have it at once."""
        self.recall()
        with suppress(SupersededError):
            self._renew(lambda: Holder("", round=self._next()).dump())

    def _is_fresh(self) -> bool:
        return bool(self._etag) and abs(self._clock() - self._renewed_at) < TTL_S / 3

    def recall(self) -> None:
        """Take up what another process of ours has noted."""
        known = self._memory.load()
        self._etag = str(known.get("etag", ""))
        self._renewed_at = float(known.get("renewed_at", 0.0))
        self.proves_by_etag = bool(known.get("proves_by_etag", True))
        self.is_exclusive = bool(known.get("is_exclusive", True))

    def _renew(self, compose: Callable[[], bytes]) -> None:
        for _ in range(_TRIES):
            begin, content = self._clock(), compose()
            with suppress(ChangedError):
                if self._etag:
                    self._note(content, self._store.replace(NAME, content, self._etag), begin)
                    self._save()
                    return
            found = self._store.read(NAME)
            if found is None or _parse(found[0]).owner != self._me.owner:
                break
            self._etag = found[1]  # another process of ours has renewed it
        message = (
            f"superseded: another publisher has taken over {self._store.location}; nothing more "
            "was sent"
        )
        raise SupersededError(message)

    def _note(self, content: bytes, etag: str, begin: float) -> None:
        self._etag, self._renewed_at = etag, begin
        self.proves_by_etag = etag == digest_of(content).etag

    def _save(self) -> None:
        self._memory.save(
            {
                "etag": self._etag,
                "renewed_at": self._renewed_at,
                "proves_by_etag": self.proves_by_etag,
                "is_exclusive": self.is_exclusive,
            }
        )

    def _content(self) -> bytes:
        return replace(self._me, round=self._next()).dump()

    def _next(self) -> int:
        self._round += 1
        return self._round
