"""Turns an error of an object store into one line that tells the remedy, without secrets.

The client's errors hold the request and the answer, so their text is never shown. Two facts are
taken from it: the code in the answer (the element `Code` of an S3 error) and the HTTP status.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.remote.credentials import name_means

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.remote.location import Location


class RemoteError(SpimpackError):
    """A request was refused or failed; another try may succeed."""

    exit_code = ExitCode.FAILED


class RefusedError(RemoteError):
    """The object store refuses us: wrong bucket, credentials, or rights."""

    exit_code = ExitCode.BAD_INPUT


class ExpiredError(RefusedError):
    """The credentials have expired."""


class ChangedError(SpimpackError):
    """The object is there already, or is not as it was (412); no failure by itself."""


_CODE = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_REMEDIES = {
    "ExpiredToken": "the credentials have expired; get new ones and run it again",
    "RequestExpired": "the credentials have expired; get new ones and run it again",
    "InvalidAccessKeyId": "the access key is unknown there; look which credentials are used with "
    "spimpack doctor",
    "SignatureDoesNotMatch": "the secret does not belong to the access key; set it again",
    "InvalidToken": "the session token is wrong; get new credentials",
    "AccessDenied": "the credentials that were sent, if any, may not do that; ask the owner of the "
    "bucket for the right",
    "NoSuchBucket": "there is no such bucket; look at its name and at --endpoint-url (no bucket is "
    "ever made)",
    "ContainerNotFound": "there is no such container; look at its name (none is ever made)",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set AWS_REGION",
    "IllegalLocationConstraintException": "the bucket is in another region; set AWS_REGION",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION",
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
    "BadDigest": "the bytes were damaged on the way; run it again, and look at the network",
    "XAmzContentSHA256Mismatch": "the bytes were damaged on the way; run it again, and look at the "
    "network",
    "EntityTooLarge": "the object is larger than the store takes",
    "AuthenticationFailed": "the key of the storage account is wrong; set it again",
}
_BY_STATUS = {
    "301": _REMEDIES["PermanentRedirect"],
    "400": "the service calls the request wrong; look at --endpoint-url and AWS_REGION",
    "401": "the credentials are wrong; look which are used with spimpack doctor",
    "403": _REMEDIES["AccessDenied"],
    "404": _REMEDIES["NoSuchBucket"],
    "503": "the service is busy and asks to slow down; run it again later, or with --limit-rate",
}
_EXPIRED = {"ExpiredToken", "RequestExpired"}
_PASSING = {"500", "502", "503", "504", "429"}
_UNREACHABLE = (
    "the service cannot be reached; look at the network and at its address (--endpoint-url of "
    "publish, or AWS_ENDPOINT_URL), and run it again"
)
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch"}


@contextmanager
def told(location: Location, doing: str) -> Iterator[None]:
    """Raise one of the errors above for one of the client's.

    Parameters
    ----------
    location
        Where the request goes.
    doing
        The request in words, with its object.

    Raises
    ------
    ChangedError
        A condition of the request did not hold.
    ExpiredError, RefusedError, RemoteError
        All else.
    """
    from obstore import exceptions  # an optional library

    try:
        yield
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        message = f"{doing}: it is not as it was"
        raise ChangedError(message) from None
    except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
        raise translate(error, location, doing) from None


def translate(error: Exception, location: Location, doing: str) -> RemoteError:
    """Return the error that a user reads for one of the client's."""
    text = str(error)
    code, status = _first(_CODE, text), _first(_STATUS, text)
    remedy = _REMEDIES.get(code) or _BY_STATUS.get(status)
    means = name_means(location) if remedy == _REMEDIES["AccessDenied"] else ""
    if means:
        remedy = f"{remedy}, or {means}"
    known = " ".join(filter(None, [status, code]))
    where = f"{doing} at {location}"
    if code in _EXPIRED:
        return ExpiredError(f"{where}: {known}: {remedy}")
    if status in _PASSING or code in _DAMAGED:
        return RemoteError(f"{where}: {known}: {remedy or 'run it again later'}")
    if status:
        return RefusedError(f"{where}: {known}: {remedy or 'the service refuses it'}")
    if "instance" in text.lower() and "169.254" in text:
        return RefusedError(f"{where}: there are no credentials; {name_means(location)}")
    return RemoteError(f"{where}: {_UNREACHABLE}")


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
