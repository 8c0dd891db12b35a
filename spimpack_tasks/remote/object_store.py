"""The objects below one location: list, read, write with proof, delete. Used in a child only.

A small object is written by one request. A large one is written in parts of `PART_BYTES`, so that
its entity tag can be computed from its bytes (see `etags`). Several threads may make all calls.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.remote.credentials import find_credentials
from spimpack_tasks.remote.errors import ChangedError, RefusedError, told, translate
from spimpack_tasks.remote.etags import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from spimpack_tasks.remote.credentials import Credentials
    from spimpack_tasks.remote.location import Location

PARTS_AT_ONCE = 3
"""Parts of one object that are sent at a time, while another one is read."""
DELETED_AT_ONCE = 1000
"""Objects that one request deletes, at most (S3, "DeleteObjects")."""
_RETRIES = 6
"""Times that a request is sent again after a fault that may pass."""
_RETRY_S = 20
"""Seconds after which a request is not sent again: a user waits for an answer of some kind."""
_TYPES = {
    ".json": "application/json",
    ".zattrs": "application/json",
    ".zgroup": "application/json",
    ".zarray": "application/json",
    ".zmetadata": "application/json",
    ".tsv": "text/tab-separated-values",
    ".md": "text/markdown",
    ".xml": "application/xml",
    ".tif": "image/tiff",
    ".btf": "image/tiff",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".html": "text/html",
}
_UNSIGNED = "AWS_UNSIGNED_PAYLOAD"
"""The client's own setting, which a user may have chosen."""
_SETTINGS = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
_OTHER_TYPE = "application/octet-stream"


class RemoteObject(NamedTuple):
    """One object of a listing."""

    name: str
    """Below the prefix of the location."""
    size: int
    etag: str
    """Without quotes; empty where the service gives none."""
    modified: datetime


class ObjectStore:
    """The objects below a location.

    Parameters
    ----------
    location
        Of a bucket and a prefix.
    credentials
        By default those of the environment, a profile, or a role.
    proves_by_etag
        Whether the caller compares entity tags with the content. Then a request to S3 carries no
        digest of its content, unless it goes through a network without TLS: a digest costs as much
        as the rest of the request ("Signature Calculations for the Authorization Header", S3).

    Raises
    ------
    MissingExtraError
        The client library is not installed.
    CredentialsError
        There are no credentials.
    """

    def __init__(
        self,
        location: Location,
        credentials: Credentials | None = None,
        *,
        proves_by_etag: bool = False,
    ) -> None:
        if find_spec("obstore") is None:
            raise MissingExtraError("obstore", "publish")
        self.location = location
        found = credentials or find_credentials(location)
        signs_content = not (proves_by_etag and is_tamper_proof(found.endpoint_url))
        self._store = _open(location, found, signs_content=signs_content)
        self.needs_versions = location.scheme == "gs"
        """Whether an object is replaced by its version, which must be read before."""
        self._versions: dict[tuple[str, str], str] = {}
        """Version by name and entity tag, of objects that were read or written whole."""

    def list(self, below: str = "") -> Iterator[RemoteObject]:
        """Yield the objects below a name, in the order of the service; one request for 1,000.

        Raises
        ------
        RemoteError
            The service refuses it or cannot be reached.
        """
        import obstore  # an optional library

        prefix = self.location.key(below) if below else self.location.prefix
        with told(self.location, "listing"):
            for page in obstore.list(self._store, prefix or None, chunk_size=1000):
                for each in page:
                    name = each["path"]
                    if self.location.prefix:
                        name = name.removeprefix(f"{self.location.prefix}/")
                    etag = (each["e_tag"] or "").strip('"')
                    yield RemoteObject(name, each["size"], etag, each["last_modified"])

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return content and entity tag of an object, `None` where there is none."""
        pieces = self.read_pieces(name)
        if pieces is None:
            return None
        etag, content = pieces
        with told(self.location, f"reading {name}"):
            return b"".join(map(bytes, content)), etag

    def read_pieces(self, name: str) -> tuple[str, Iterator[Any]] | None:
        """Return the entity tag and pieces of an object, `None` where there is none."""
        import obstore  # an optional library

        with told(self.location, f"reading {name}"):
            try:
                found = obstore.get(self._store, self.location.key(name))
            except FileNotFoundError as error:
                refusal = translate(error, self.location, f"reading {name}")
                if "NoSuchBucket" in str(refusal):
                    raise refusal from None
                return None
            etag = self._keep(name, found.meta)
            return etag, iter(found.stream(min_chunk_size=2**20))

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Return a range of an object."""
        import obstore  # an optional library

        with told(self.location, f"reading {name}"):
            key = self.location.key(name)
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

    def write(self, name: str, data: Any) -> str:
        """Write a small object by one request, and return its entity tag."""
        return self._put(name, data, mode=None)

    def create(self, name: str, data: bytes) -> str:
        """Write an object where there is none, and return its entity tag.

        Raises
        ------
        ChangedError
            There is one.
        """
        return self._put(name, data, mode="create")

    def replace(self, name: str, data: bytes, etag: str) -> str:
        """Write an object in place of the one with an entity tag, and return the new tag.

        Raises
        ------
        ChangedError
            The object has another tag, or there is none.
        """
        condition = {"e_tag": f'"{etag}"'}
        if self.needs_versions and (name, etag) not in self._versions:
            self.read(name)  # another process may have learned the tag
            if (name, etag) not in self._versions:
                message = f"{name} has another entity tag"
                raise ChangedError(message)
        if (name, etag) in self._versions:
            condition["version"] = self._versions[name, etag]
        return self._put(name, data, mode=condition)

    def write_parts(self, name: str, pieces: Iterable[bytes]) -> str:
        """Write a large object in parts of `PART_BYTES`; return its entity tag."""
        return self._put(
            *(name, iter(pieces)), mode=None, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )

    def _put(self, name: str, data: Any, **options: Any) -> str:
        import obstore  # an optional library

        attributes = {"Content-Type": content_type(name)}
        if is_watched(name):
            attributes["Cache-Control"] = "no-cache"
        if "chunk_size" not in options:
            options["use_multipart"] = False
        key = self.location.key(name)
        with told(self.location, f"writing {name}"):
            done = obstore.put(self._store, key, data, attributes=attributes, **options)
        return self._keep(name, done)

    def _keep(self, name: str, answer: Any) -> str:
        """Return the entity tag of an answer, and remember its version."""
        etag: str = (answer["e_tag"] or "").strip('"')
        if answer["version"]:
            self._versions[name, etag] = answer["version"]
        return etag

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; one that is gone already counts as deleted."""
        import obstore  # an optional library

        keys = [self.location.key(name) for name in names]
        for first in range(0, len(keys), DELETED_AT_ONCE):
            some = keys[first : first + DELETED_AT_ONCE]
            with told(self.location, f"deleting {len(some)} objects"):
                try:
                    obstore.delete(self._store, some)
                except FileNotFoundError:  # the client has stopped there
                    for key in some:
                        with suppress(FileNotFoundError):
                            obstore.delete(self._store, key)


def content_type(name: str) -> str:
    """Return the media type of an object."""
    last = name.rpartition("/")[2]
    return _TYPES.get(f".{last.rpartition('.')[2]}", _OTHER_TYPE) if "." in last else _OTHER_TYPE


def is_watched(name: str) -> bool:
    """Tell whether an object is replaced in place, so that a cache must ask for it each time."""
    last = name.rpartition("/")[2]
    return last in {"zarr.json", ".zattrs", ".zgroup"} or name == ".spimpack/inventory.json"


def is_tamper_proof(endpoint_url: str) -> bool:
    """Tell whether nobody can change requests on their way: by TLS, or within this machine."""
    parts = urlsplit(endpoint_url or "https:")
    return parts.scheme == "https" or parts.hostname in {"localhost", "127.0.0.1", "::1"}


def _open(location: Location, credentials: Credentials, *, signs_content: bool) -> Any:
    from obstore import exceptions  # an optional library

    retries = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)}
    client: dict[str, Any] = {"connect_timeout": "5s", "timeout": "10m", "read_timeout": "60s"}
    if credentials.endpoint_url.startswith("http://"):
        client["allow_http"] = True
    try:
        if location.scheme == "s3":
            options = {} if signs_content or _UNSIGNED in os.environ else {"unsigned_payload": True}
            return _open_s3(location, credentials, client, retries, options)
        return _open_other(location, credentials, client, retries)
    except (exceptions.BaseError, ValueError):
        # Its text may hold a value of the environment.
        message = (
            f"{location}: the settings of the client in the environment are wrong; look at the "
            f"variables {_SETTINGS[location.scheme]}*"
        )
        raise RefusedError(message) from None


def _open_s3(
    location: Location, credentials: Credentials, client: Any, retries: Any, options: dict[str, Any]
) -> Any:
    from obstore.store import S3Store  # an optional library

    options["region"] = credentials.region or "us-east-1"
    if credentials.endpoint_url:
        options["endpoint"] = credentials.endpoint_url
    if credentials.is_anonymous:
        options["skip_signature"] = True
    elif credentials.keys:
        # A provider, and not options: those of the environment would be mixed in.
        keys = {**credentials.keys, "expires_at": None}
        options["credential_provider"] = lambda: keys
    return S3Store(bucket=location.bucket, client_options=client, retry_config=retries, **options)


def _open_other(location: Location, credentials: Credentials, client: Any, retries: Any) -> Any:
    from obstore import store  # an optional library

    options: dict[str, Any] = {"client_options": client, "retry_config": retries}
    if credentials.is_anonymous:
        options["skip_signature"] = True
    if location.scheme == "gs":
        if credentials.endpoint_url:
            options["base_url"] = credentials.endpoint_url
        return store.GCSStore(bucket=location.bucket, **options)
    if credentials.endpoint_url:
        options["endpoint"] = credentials.endpoint_url
    return store.AzureStore(container_name=location.bucket, **options)
