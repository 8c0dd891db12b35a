"""A dataset and the dandiset that it goes to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Report
from spimpack_tasks.publishing.objects import find_items, require_packaged
from spimpack_tasks.publishing.portals.dandi_client import DandiClient
from spimpack_tasks.publishing.portals.dandi_errors import IngestError
from spimpack_tasks.publishing.portals.dandi_http import check_address, read_token
from spimpack_tasks.publishing.portals.dandi_records import read_records
from spimpack_tasks.publishing.publication import Publication
from spimpack_tasks.publishing.records.making import make_records
from spimpack_tasks.publishing.records.portals import PORTALS
from spimpack_tasks.publishing.target import NotADatasetError, Target, identify
from spimpack_tasks.remote.location import Location
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.publishing.objects import Item

EXAMPLE = "dandi:000123"
INSTANCE = "https://api.dandiarchive.org/api"
INSTANCES = {
    "dandi": INSTANCE,
    "dandi-sandbox": "https://api.sandbox.dandiarchive.org/api",
}
"""Archives that have a name, with the addresses of their APIs."""
_ADDRESS = re.compile(r"(?:dandi|DANDI):(\d{6})(?:/draft)?")


class DandiLocation(Location):
    """A dandiset of an archive."""

    def __str__(self) -> str:
        """Render as an address such as `dandi:000123`."""
        return f"dandi:{self.bucket}"


@dataclass(frozen=True, slots=True)
class DandiTarget:
    """A dataset and the dandiset that it goes to."""

    dataset: str
    """Absolute path."""
    address: str
    """Such as `dandi:000123`."""
    instance: str
    """Address of the API of the archive, or one of `INSTANCES`."""
    records_dir: str = ""
    """Folder with the two records; composed of the dataset and its publication block if empty."""
    prune: bool = False
    """Whether assets that we made and that the dataset no longer has are deleted."""

    def location(self) -> DandiLocation:
        """Return the dandiset.

        Raises
        ------
        IngestError
            The address is none of a dandiset.
        ConfigurationError
            The address of the archive is wrong.
        """
        found = _ADDRESS.fullmatch(self.address)
        if not found:
            message = f"{self.address!r} is no dandiset; write it as {EXAMPLE}, with six digits"
            raise IngestError(message)
        instance = INSTANCES.get(self.instance, self.instance).rstrip("/") or INSTANCE
        check_address(instance)
        return DandiLocation("dandi", found[1], "", instance)

    def publication(self) -> Publication:
        """Return the local records of what was brought to the dandiset."""
        location = self.location()
        where = f"{location} {location.endpoint_url}"
        name = blake2b(where.encode(), digest_size=8).hexdigest()
        return Publication(Store(self.dataset), location, f"dandi-{name}")

    def client(self) -> DandiClient:
        """Return a client with the token of the environment.

        Raises
        ------
        ConfigurationError
            There is no token.
        """
        location = self.location()
        return DandiClient(location.endpoint_url, location.bucket, read_token(os.environ))

    def items(self) -> list[Item]:
        """Return the outputs to bring.

        Raises
        ------
        NotADatasetError
            There is no dataset that was packaged.
        """
        store = Store(self.dataset)
        if not store.current_plan_id():
            message = f"{self.dataset} holds no dataset that was packaged; give its directory"
            raise NotADatasetError(message)
        return find_items(store)

    def sound_items(self) -> list[Item]:
        """Return the outputs to bring, of a dataset that is as it was packaged.

        Raises
        ------
        UnpackagedError
            It is not.
        NotADatasetError
            There is none.
        """
        items = self.items()
        require_packaged(Store(self.dataset))
        return items

    def records(self) -> dict[str, str]:
        """Return the texts of the two records by name.

        Raises
        ------
        IngestError
            One is not there.
        InputError
            A fact that DANDI wants is missing, in the manifest of the last run or in the tables.
        """
        if self.records_dir:
            return read_records(self.records_dir)
        made = make_records(Store(self.dataset), [PORTALS["dandi"]], "", Report())
        return {name.rpartition("/")[2]: text for name, text in made.items()}

    def identity(self, records: Mapping[str, str]) -> str:
        """Return a digest of the dataset, the texts of the records, and the dandiset."""
        location = self.location()
        where = f"{location} {location.endpoint_url} {self.prune}"
        digest = blake2b(identify(Target(self.dataset, where)).encode(), digest_size=16)
        for _, text in sorted(records.items()):
            digest.update(text.encode())
        return digest.hexdigest()
