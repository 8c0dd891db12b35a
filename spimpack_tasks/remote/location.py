"""Addresses in object stores, such as `s3://bucket/prefix`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError, suggestion
from spimpack_tasks.model.plan import STATE_DIRECTORY

if TYPE_CHECKING:
    from typing import Self

SCHEMES = {"s3": "Amazon S3 and look-alikes", "gs": "Google Cloud Storage", "az": "Azure"}
"""Each scheme of an address, with the service that it stands for."""
EXAMPLE = "s3://bucket/prefix"
RECORDS = "publications"
"""Folder of the records of locations in a state directory, one folder a location."""
_S3_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_OTHER_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{1,221}")


class LocationError(SpimpackError):
    """An address of an object store is wrong; the message never repeats what may be a secret."""

    exit_code = ExitCode.BAD_INPUT


class SecretInAddressError(LocationError):
    """An address holds what may be a secret; nothing may show or keep it."""


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket and a prefix in it, and how the service is reached."""

    scheme: str
    bucket: str
    prefix: str
    """Without slashes at its ends; empty for the whole bucket."""
    endpoint_url: str = ""
    """Address of the service; empty for that of the environment or the scheme."""
    profile: str = ""
    """Name of a profile of the user's configuration; empty for none."""

    def __str__(self) -> str:
        """Render as an address, without a slash at its end."""
        return f"{self.scheme}://{self.bucket}{f'/{self.prefix}' if self.prefix else ''}"

    @property
    def digest(self) -> str:
        """Name of the folder of local records of the location."""
        return blake2b(f"{self} {self.endpoint_url}".encode(), digest_size=8).hexdigest()

    def key(self, name: str) -> str:
        """Return the key of an object, given its name below the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    @classmethod
    def parse(cls, url: str, endpoint_url: str = "", profile: str = "") -> Self:
        """Return the location that an address names.

        Raises
        ------
        LocationError
            It is none, or holds more than an address should.
        """
        scheme, separator, rest = url.partition("://")
        if not separator:
            message = f"the address of an object store is missing its scheme; write it as {EXAMPLE}"
            raise LocationError(message)
        refuse_secrets(rest)
        if scheme not in SCHEMES:
            near = suggestion(scheme, SCHEMES)
            known = ", ".join(f"{name}:// ({service})" for name, service in SCHEMES.items())
            message = f"{scheme}:// is no object store; {near or f'there are {known}'}"
            raise LocationError(message)
        bucket, _, prefix = rest.partition("/")
        _check_bucket(scheme, bucket)
        prefix = prefix.rstrip("/")
        if any(part in {"", ".", ".."} for part in prefix.split("/")) and prefix:
            message = f"the prefix {prefix!r} has an empty part, '.' or '..'; leave it out"
            raise LocationError(message)
        if not prefix.isprintable():
            message = f"the prefix {prefix!r} holds signs that cannot be printed; leave them out"
            raise LocationError(message)
        if "\\" in prefix:
            message = f"the prefix {prefix!r} holds a backslash; write / in its place"
            raise LocationError(message)
        if STATE_DIRECTORY in prefix.split("/"):
            message = f"{STATE_DIRECTORY} is where records of publications are; write the address "
            message += "of the dataset above it"
            raise LocationError(message)
        _check_endpoint(endpoint_url)
        return cls(scheme, bucket, prefix, endpoint_url.rstrip("/"), profile)


def is_remote(text: str) -> bool:
    """Tell whether a text is an address, and not a path."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.\-]*://", text))


def refuse_secrets(rest: str) -> None:
    """Refuse an address, given without its scheme, that holds what may be a secret.

    Raises
    ------
    SecretInAddressError
        It does.
    """
    # The secret of a user may hold a slash.
    if "@" in rest.partition("/")[0] or re.match(r"[^/@]*:[^@]*@", rest):
        message = (
            "the address holds a user or a secret before '@'; put credentials into the "
            f"environment or a profile, and write {EXAMPLE}"
        )
        raise SecretInAddressError(message)
    if re.search(r"\?|[?&](X-Amz-|sig=|token=)", rest):
        message = (
            "the address holds a query, which may be a signature; put credentials into the "
            f"environment or a profile, and write {EXAMPLE}"
        )
        raise SecretInAddressError(message)


def _check_bucket(scheme: str, bucket: str) -> None:
    pattern = _S3_BUCKET if scheme == "s3" else _OTHER_BUCKET
    if not pattern.fullmatch(bucket):
        what = f"{bucket!r} is no name of a bucket" if bucket else "the bucket is missing"
        message = f"{what}; write {EXAMPLE.replace('s3', scheme)}, in lower case"
        raise LocationError(message)


def _check_endpoint(url: str) -> None:
    if not url:
        return
    rest = url.partition("://")[2]
    refuse_secrets(rest)
    if not url.startswith(("http://", "https://")) or not rest:
        message = "--endpoint-url is no address of a service; write it as https://s3.example.org"
        raise LocationError(message)
