"""Our identity as the holder of a lease, and our lease, in files that all our processes share."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.remote.isolated import process_of_run
from spimpack_tasks.remote.leases import Holder
from spimpack_tasks.remote.location import RECORDS

if TYPE_CHECKING:
    from collections.abc import Mapping


class LeaseMemory:
    """Keeps identity and lease of one dataset at one location.

    Parameters
    ----------
    state
        The state directory of the dataset.
    name
        `Location.digest`.
    """

    def __init__(self, state: str, name: str) -> None:
        self._state = state
        self._folder = f"{state}/{RECORDS}/{name}"

    def holder(self) -> Holder:
        """Return our identity, the same for all runs in this folder, on any host.

        A copy of the dataset is another folder, and another holder.
        """
        here = [os.path.realpath(self._state), os.stat(self._state).st_ino]
        known = self._read("owner")
        if known.get("here") != here or not isinstance(known.get("owner"), str):
            new = {"here": here, "owner": uuid4().hex}
            if os.path.exists(f"{self._folder}/owner.json"):  # of another folder, or damaged
                self._write("owner", new)
            else:
                self._create("owner", new)
            known = self._read("owner")
        return Holder(known["owner"], socket.gethostname(), process_of_run()).here()

    def load(self) -> dict[str, Any]:
        """Return the state of our lease."""
        return self._read("lease")

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state of our lease."""
        self._write("lease", state)

    def _create(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a record where there is none; of several processes one does."""
        aside = f"{name}-{uuid4().hex}"
        self._write(aside, values)
        with suppress(FileExistsError):
            os.link(f"{self._folder}/{aside}.json", f"{self._folder}/{name}.json")
        os.unlink(f"{self._folder}/{aside}.json")

    def _read(self, name: str) -> dict[str, Any]:
        return read_json(f"{self._folder}/{name}.json", dict, {})

    def _write(self, name: str, values: Mapping[str, Any]) -> None:
        os.makedirs(self._folder, exist_ok=True)
        with replacing(f"{self._folder}/{name}.json", Durability.WHOLE) as aside:
            aside.file.write(json.dumps(values, indent=1, sort_keys=True).encode() + b"\n")
