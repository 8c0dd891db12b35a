"""The lease of a location, on a store in memory that keeps conditions."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spimpack_tasks.errors import SupersededError
from spimpack_tasks.remote import leases
from spimpack_tasks.remote.errors import ChangedError
from spimpack_tasks.remote.leases import CLOCK, NAME, Holder, Lease, LeaseHeldError
from spimpack_tasks.remote.object_store import RemoteObject


@dataclass
class StoreInMemory:
    """Objects with conditional writes; `now` is the clock of the service."""

    location: str = "s3://lab/data"
    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def read(self, name: str) -> tuple[bytes, str] | None:
        return (self.objects[name][0], self.etag(name)) if name in self.objects else None

    def etag(self, name: str) -> str:
        data = self.objects[name][0] if name in self.objects else None
        return "" if data is None else hashlib.md5(data).hexdigest()

    def write(self, name: str, data: bytes) -> str:
        self.objects[name] = data, self.now
        return self.etag(name)

    def create(self, name: str, data: bytes) -> str:
        return self.replace(name, data, "")

    def replace(self, name: str, data: bytes, etag: str) -> str:
        if self.etag(name) != etag:
            raise ChangedError(name)
        return self.write(name, data)

    def list(self, below: str):
        for name, (data, time_) in self.objects.items():
            if name.startswith(below):
                yield RemoteObject(name, len(data), self.etag(name), time_)


@dataclass
class Memory:
    state: dict[str, Any] = field(default_factory=dict)

    def load(self):
        return self.state

    def save(self, state):
        self.state = dict(state)


def lease_of(store: StoreInMemory, owner: str, memory: Memory | None = None) -> Lease:
    return Lease(store, Holder(owner, "a-host", 7), memory or Memory())


@pytest.mark.parametrize(
    ("between", "as_seen"),
    [
        pytest.param([], True, id="nobody"),
        pytest.param(["other"], False, id="another owner"),
        pytest.param(["me"], False, id="another run of ours"),
    ],
)
@pytest.mark.parametrize("was_there", [False, True])
def test_a_lease_tells_whether_others_had_it_since_the_look(between, as_seen, was_there):
    store = StoreInMemory()
    if was_there:
        first = lease_of(store, "earlier")
        first.take("")
        first.give_back()
    seen = store.etag(NAME)
    for owner in between:
        one = lease_of(store, owner)
        one.take(seen)
        one.give_back()
    assert lease_of(store, "me").take(seen) is as_seen


def test_a_lease_of_another_holds_until_its_time_is_over():
    store = StoreInMemory()
    lease_of(store, "other").take("")
    with pytest.raises(LeaseHeldError, match="process 7 on a-host"):
        lease_of(store, "me").take(store.etag(NAME))
    store.now += timedelta(seconds=leases.TTL_S + 1)
    assert lease_of(store, "me").take(store.etag(NAME))
    assert CLOCK in store.objects


@pytest.mark.parametrize("data", [b"", b"[]", b"no json", b'{"owner": 1}'])
def test_a_lease_that_cannot_be_read_is_that_of_another(data):
    store = StoreInMemory()
    store.write(NAME, data)
    with pytest.raises(LeaseHeldError, match="by another publisher; wait"):
        lease_of(store, "me").take(store.etag(NAME))


def test_a_lease_is_renewed_while_a_request_lasts(monkeypatch):
    monkeypatch.setattr(leases, "TTL_S", 0.3)
    store = StoreInMemory()
    mine = lease_of(store, "me")
    mine.take("")
    seen = {store.etag(NAME)}
    with mine.kept():
        end = time.monotonic() + 30
        while len(seen) < 3 and time.monotonic() < end:
            time.sleep(0.01)
            seen.add(store.etag(NAME))
    assert len(seen) == 3


def test_a_lease_that_was_lost_meanwhile_is_told(monkeypatch):
    monkeypatch.setattr(leases, "TTL_S", 0.3)
    store = StoreInMemory()
    mine = lease_of(store, "me")
    mine.take("")
    store.write(NAME, Holder("other", "b", 8).dump())
    with mine.kept(), pytest.raises(SupersededError):
        keep_for(mine, 30)


def keep_for(lease: Lease, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lease.keep()
        time.sleep(0.01)
