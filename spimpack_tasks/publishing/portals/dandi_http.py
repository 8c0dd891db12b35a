"""Connections to the DANDI archive and its storage: kept open, repeated on passing errors.

The token goes to the archive only, in a header. It is in no address, no message and no log. Over
plain HTTP it goes to this machine only.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from spimpack_tasks.errors import printable
from spimpack_tasks.publishing.portals.dandi_errors import ConfigurationError
from spimpack_tasks.remote.errors import RefusedError, RemoteError
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TRIES = 8
"""Tries of a request, with longer and longer pauses: 25 seconds in all."""
_FIRST_PAUSE_S = 0.1
"""Seconds before the second try; each further pause is twice as long."""
_LONGEST_PAUSE_S = 30.0
"""Seconds between two tries, at most: a user waits."""
_TIMEOUT_S = 120.0
"""Seconds without an answer, after which a request counts as lost."""
_PASSING = {429, 500, 502, 503, 504}
_PASSING_TEXTS = {
    400: "was not read from or written to within the timeout",
    501: "functionality that is not implemented",
}
"""Errors of the storage that pass, although their status says otherwise."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_SHOWN = 200
"""Characters of an answer that a message has."""


class Answer(NamedTuple):
    """An answer of a server."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """Return the content, `None` where it is none.

        Raises
        ------
        RefusedError
            It is no JSON.
        """
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            message = "the answer is none of an archive's API; look at --instance"
            raise RefusedError(message) from None

    @property
    def text(self) -> str:
        """The content as text."""
        return self.body.decode("utf-8", "replace")


class Body(NamedTuple):
    """Bytes to send, which can be read again for another try."""

    size: int
    read: Callable[[], Iterator[bytes]]


_EMPTY = Body(0, lambda: iter(()))


class Call(NamedTuple):
    """A request, and what it does in words for messages."""

    doing: str
    method: str
    url: str
    body: Body = _EMPTY
    headers: Mapping[str, str] = MappingProxyType({})


def body_of(data: bytes) -> Body:
    """Return bytes in memory as a body."""
    return Body(len(data), lambda: iter((data,) if data else ()))


def read_token(environment: Mapping[str, str]) -> str:
    """Return the token of the user's account.

    Raises
    ------
    ConfigurationError
        There is none, or a part of it cannot be one.
    """
    token = environment.get("DANDI_API_KEY", "").strip()
    if not token:
        message = "there is no token; set DANDI_API_KEY to the API key that your account shows"
        raise ConfigurationError(message)
    if not (token.isascii() and token.isprintable() and " " not in token):
        message = "DANDI_API_KEY holds characters that no API key has; copy it again"
        raise ConfigurationError(message)
    return token


def check_address(url: str) -> None:
    """Refuse an address that would reveal the token.

    Raises
    ------
    ConfigurationError
        It is no address of a service, holds a secret, or is not encrypted.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = "--instance is no address; write it as https://api.dandiarchive.org/api"
        raise ConfigurationError(message)
    if "@" in parts.netloc or parts.query or parts.fragment:
        message = "--instance holds a user, a query or a fragment; give the plain address"
        raise ConfigurationError(message)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        message = f"http://{parts.hostname} would get the token unencrypted; write it as https://"
        raise ConfigurationError(message)


class Connections:
    """Open connections by host; several threads may use them.

    Parameters
    ----------
    token
        Text that no message may hold.
    sleep
        Waits for some seconds.
    """

    def __init__(self, token: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._token = token
        self._sleep = sleep
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = defaultdict(list)
        self._lock = threading.Lock()
        self._reached: set[str] = set()
        self._proxies = getproxies()

    def close(self) -> None:
        """Close all connections that are not in use."""
        with self._lock:
            for some in self._idle.values():
                for connection in some:
                    connection.close()
            self._idle.clear()

    def ask(self, call: Call, accept: frozenset[int] = frozenset()) -> Answer:
        """Send a request, again while its error may pass, and return the answer.

        Parameters
        ----------
        call
            The request.
        accept
            Statuses of errors that the caller understands.

        Raises
        ------
        RefusedError
            Another try would not help.
        RemoteError
            The service does not answer, or not well.
        """
        host = urlsplit(call.url).netloc
        for number in itertools.count(1):
            pause = min(_FIRST_PAUSE_S * 2**number, _LONGEST_PAUSE_S)
            try:
                answer = self._ask_once(call)
            except (OSError, http.client.HTTPException) as error:
                most = TRIES if host in self._reached else TRIES // 2
                if number >= most or _is_distrust(error):
                    raise _unreachable(call.doing, host, error) from None
            else:
                self._reached.add(host)
                if not _is_passing(answer) or number >= TRIES:
                    if answer.status < 300 or answer.status in accept:
                        return answer
                    raise self._refusal(call.doing, host, answer)
                pause = max(pause, _wanted_pause(answer))
            self._sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  # spreads retries
        raise AssertionError

    def _ask_once(self, call: Call) -> Answer:
        parts = urlsplit(call.url)
        key = (parts.scheme, parts.netloc)
        connection, is_new = self._take(key)
        try:
            answer = _exchange(connection, call)
        except (OSError, http.client.HTTPException):
            connection.close()
            if is_new:
                raise
            # The server may close a connection that was idle.
            return self._ask_once(call)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle[key].append(connection)
        return answer

    def _take(self, key: tuple[str, str]) -> tuple[http.client.HTTPConnection, bool]:
        """Return a connection, and whether it is a new one."""
        with self._lock:
            if self._idle[key]:
                return self._idle[key].pop(), False
        return self._connect(*key), True

    def _connect(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(netloc, timeout=_TIMEOUT_S)
        import ssl  # noqa: PLC0415 - some Pythons have none, and need it only here

        proxy = urlsplit(self._proxies.get("https", "")).netloc
        through = proxy if proxy and not proxy_bypass(netloc) else ""
        connection = http.client.HTTPSConnection(
            through or netloc, timeout=_TIMEOUT_S, context=ssl.create_default_context()
        )
        if through:
            connection.set_tunnel(netloc)
        return connection

    def _refusal(self, doing: str, host: str, answer: Answer) -> RemoteError:
        said = printable(" ".join(answer.text.split()))[:_SHOWN].replace(self._token, "***")
        where = f"{doing} at {host}: {answer.status}"
        if answer.status in _PASSING:
            return RemoteError(f"{where}: the service is busy; run it again later")
        remedy = _REMEDIES.get(answer.status, "the service refuses it")
        return RefusedError(f"{where}: {remedy}{f' ({said})' if said else ''}")


def _is_distrust(error: Exception) -> bool:
    """Tell whether a certificate is the reason, which no further try makes better."""
    return type(error).__name__ == "SSLCertVerificationError"


def _exchange(connection: http.client.HTTPConnection, call: Call) -> Answer:
    parts = urlsplit(call.url)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    headers = {"User-Agent": f"spimpack/{__version__}", **call.headers}
    if call.method != "GET":
        headers["Content-Length"] = str(call.body.size)
    connection.request(call.method, path, call.body.read() if call.body.size else None, headers)
    answer = connection.getresponse()
    return Answer(answer.status, answer.headers, answer.read())


def _unreachable(doing: str, host: str, error: Exception) -> RemoteError:
    if _is_distrust(error):
        message = f"{doing} at {host}: its certificate is not trusted; set SSL_CERT_FILE"
        return RefusedError(message)
    kind = type(error).__name__
    return RemoteError(
        f"{doing} at {host}: the service cannot be reached ({kind}); look at the network and at "
        "--instance, and run it again"
    )


_REMEDIES = {
    301: "the service has another address; give it as --instance",
    302: "the service has another address; give it as --instance",
    401: "the token is wrong; set DANDI_API_KEY to the API key that your account shows",
    403: "this account may not do that; ask an owner of the dandiset",
    404: "there is no such thing; look at the number of the dandiset and at --instance",
    409: "something else is there already",
}


def _is_passing(answer: Answer) -> bool:
    text = _PASSING_TEXTS.get(answer.status)
    return answer.status in _PASSING or bool(text and text in answer.text)


def _wanted_pause(answer: Answer) -> float:
    """Return the seconds that an answer asks to wait, up to a limit."""
    wanted = answer.headers.get("Retry-After") or ""
    return min(float(wanted), 2 * _LONGEST_PAUSE_S) if wanted.isdecimal() else 0.0
