"""Tries whether anybody, and a viewer in a browser, can read what is published.

A viewer of another site asks for ranges of objects, and for objects that are not there: a chunk of
zeros has none. The browser shows it an answer, also the one that there is none, only if the answer
allows that site (CORS, "Fetch Standard" of WHATWG). No credentials are used.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

ORIGIN = "https://neuroglancer-demo.appspot.com"
_TIMEOUT_S = 20
"""Seconds to wait for an answer; a viewer would have given up."""
_RANGE = "bytes=0-0"
_ABSENT = "no-such-object-of-spimpack"
_CORS = (
    "allow the methods GET and HEAD and the header Range for all origins in the CORS rules of the "
    "bucket"
)
_PUBLIC = "allow anybody to read in the policy of the bucket"


class Trial(NamedTuple):
    """One question that a reader of the dataset asks, and the answer."""

    what: str
    is_right: bool
    remedy: str = ""


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    size: int


def try_as_public(address: str, name: str) -> list[Trial]:
    """Ask for an object as a viewer in a browser does.

    Parameters
    ----------
    address
        Of the dataset, from `links.public_address`.
    name
        Of an object that is there and not empty.

    Raises
    ------
    OSError
        The service cannot be reached.
    """
    url = f"{address}/{quote(name)}"
    plain = _ask(url, {})
    trials = [Trial("anybody can read", plain.status == 200, _PUBLIC)]
    part = _ask(url, {"Range": _RANGE})
    is_part = (part.status, part.size) == (206, 1)
    trials.append(Trial("ranges can be read", is_part, "use a store that serves ranges"))
    trials.append(Trial("a browser may read (CORS)", _allows(part), _CORS))
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    before = _ask(url, asked, method="OPTIONS")
    may_range = before.status < 300 and _allows(before) and "range" in _listed(before)
    trials.append(Trial("a browser may ask for ranges (preflight)", may_range, _CORS))
    absent = _ask(f"{address}/{_ABSENT}", {})
    remedy = f"{_PUBLIC}, also to list, so that an absent chunk is 404 and not 403"
    trials.append(Trial("an absent object is told as 404", absent.status == 404, remedy))
    trials.append(Trial("a browser may see that it is absent", _allows(absent), _CORS))
    return trials


def _allows(answer: _Answer) -> bool:
    return answer.headers.get("access-control-allow-origin", "") in {"*", ORIGIN}


def _listed(answer: _Answer) -> set[str]:
    text = answer.headers.get("access-control-allow-headers", "").lower()
    names = {name.strip() for name in text.split(",")}
    return names | ({"range"} if "*" in names else set())


def _ask(url: str, headers: Mapping[str, str], method: str = "GET") -> _Answer:
    every = {"Origin": ORIGIN, **headers}
    request = urllib.request.Request(url, headers=every, method=method)  # noqa: S310  # as below
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            size = len(answer.read(2))
            return _Answer(answer.status, _lower(answer.headers), size)
    except urllib.error.HTTPError as error:
        with error:
            return _Answer(error.code, _lower(error.headers), 0)


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
