"""Tells where credentials for publishing would come from; a secret is never shown or sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.doctor.answer import note, ok
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.publishing.portals.dandi_http import read_token
from spimpack_tasks.remote.credentials import find_credentials
from spimpack_tasks.remote.location import SCHEMES, Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.doctor.answer import Answer


def check_credentials() -> Iterator[Answer]:
    """Yield for each kind of object store, and for DANDI, where credentials were found."""
    for scheme in SCHEMES:
        yield check_location(Location(scheme, "bucket", ""))
    yield _dandi()


def check_location(location: Location) -> Answer:
    """Return where credentials for a location were found."""
    check, service = f"credentials {location.scheme}", SCHEMES[location.scheme]
    try:
        found = find_credentials(location)
    except SpimpackError as error:
        return note(check, f"{service}: {error}")
    where = f", at {found.endpoint_url}" if found.endpoint_url else ""
    tell = ok if found.is_certain else note
    return tell(check, f"{service}: from {found.source}{where}")


def _dandi() -> Answer:
    check = "credentials dandi"
    try:
        read_token(os.environ)
    except SpimpackError as error:
        return note(check, f"DANDI: {error}")
    return ok(check, "DANDI: from DANDI_API_KEY")
