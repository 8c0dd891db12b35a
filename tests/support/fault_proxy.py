"""A proxy in front of an object server: counts requests, keeps their order, and injects faults."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from object_server import BUCKET

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ExpiredToken</Code>'
    b"<Message>The provided token has expired.</Message></Error>"
)
DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code>'
    b"<Message>Access Denied.</Message></Error>"
)


ANSWERS = {
    "slow": (503, {"Content-Type": "application/xml"}, SLOW_DOWN),
    "deny": (403, {"Content-Type": "application/xml"}, DENIED),
    "expire": (403, {"Content-Type": "application/xml"}, EXPIRED),
}


@dataclass
class Request:
    """One request: its kind is LIST, GET, PUT, DELETE, HEAD or POST."""

    number: int
    kind: str
    key: str
    body: bytes = b""
    status: int = 0
    written: bool = False
    """Whether it changes something at the server."""
    content_digest: str = ""
    """Digest of the body that the signature covers, or a word in its place."""


@dataclass
class FaultProxy:
    """The running proxy; `faults` are asked in turn for each request."""

    server_port: int
    faults: list = field(default_factory=list)
    """Each takes a request, and returns nothing or one of: slow, drop, lose, deny, expire, flip."""
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self):
        self._lock = threading.Lock()
        self.http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self})
        )
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def begin(self, *faults) -> None:
        """Forget the requests so far, and inject other faults."""
        self.requests, self.faults = [], list(faults)

    def counts(self) -> Counter[str]:
        return Counter(request.kind for request in self.requests)

    def keys(self, *kinds: str) -> list[str]:
        return [request.key for request in self.requests if request.kind in kinds]

    def take(self, method: str, path: str, body: bytes) -> Request:
        parts = urlsplit(path)
        query = parse_qs(parts.query, keep_blank_values=True)
        key = unquote(parts.path).partition(f"/{BUCKET}/")[2]
        kind = method
        if method == "GET" and ("list-type" in query or query.get("comp") == ["list"]):
            kind = "LIST"
        if method == "POST":
            is_many = "delete" in query or query.get("comp") == ["batch"]
            kind = "DELETE" if is_many else "PUT"
        with self._lock:
            request = Request(len(self.requests) + 1, kind, key, body)
            request.written = method in {"PUT", "POST", "DELETE"}
            self.requests.append(request)
        return request


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def log_message(self, *_):
        pass

    def _forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = self.proxy.take(self.command, self.path, body)
        request.content_digest = self.headers.get("x-amz-content-sha256", "")
        found = next(filter(None, (fault(request) for fault in list(self.proxy.faults))), "")
        if found in ANSWERS:
            self._answer(request, *ANSWERS[found])
            return
        if found == "flip" and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        answer = (0, {}, b"") if found == "drop" else self._ask_server(body)
        if found in {"drop", "lose"}:
            self.close_connection = True
            self.connection.close()
            return
        self._answer(request, *answer)

    def _ask_server(self, body):
        there = http.client.HTTPConnection("127.0.0.1", self.proxy.server_port, timeout=60)
        there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name != "Connection":
                there.putheader(name, value)
        there.endheaders(body)
        answer = there.getresponse()
        data = answer.read()
        there.close()
        return answer.status, dict(answer.getheaders()), data

    def _answer(self, request, status, headers, data):
        request.status = status
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


for _method in ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler._forward)
