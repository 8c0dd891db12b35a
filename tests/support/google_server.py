"""A stand-in for Google Cloud Storage on loopback: its XML API, as its pages describe it.

There is no server of Google's to run here. This one keeps objects in memory, and follows "XML API
overview": generations and `x-goog-if-generation-match`, listings of version 2 in pages, multipart
uploads (whose entity tags are no MD5), and 404 for deleting what is not there. Requests need a
token where they change something, as every bucket that is not public for writing does.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from object_server import BUCKET

PAGE = 1000


class Stored(NamedTuple):
    data: bytes
    etag: str
    generation: int


@dataclass
class GoogleServer:
    """The running stand-in with one bucket."""

    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def __post_init__(self):
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        handler = type("Handler", (_Handler,), {"store": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client that was killed
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.http.server_address[1]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """Return the variables with which the service is found and used."""
        account = {
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        return {
            "STORAGE_EMULATOR_HOST": endpoint or self.endpoint,
            "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account),
        }

    def url(self, prefix: str) -> str:
        return f"gs://{BUCKET}/{prefix}"

    def prefix(self, url: str) -> str:
        return url.removeprefix(self.url(""))

    def files(self, prefix: str) -> dict[str, bytes]:
        """Return the objects below a prefix, by their path below it."""
        start = f"{prefix}/"
        return {k[len(start) :]: o.data for k, o in self.objects.items() if k.startswith(start)}

    def read(self, key: str) -> bytes:
        return self.objects[key].data

    def write(self, key: str, data: bytes) -> None:
        self.put(key, data, hashlib.md5(data).hexdigest())

    def remove(self, key: str) -> None:
        del self.objects[key]

    def put(self, key: str, data: bytes, etag: str) -> Stored:
        stored = Stored(data, etag, next(self.numbers))
        self.objects[key] = stored
        return stored

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: GoogleServer

    def log_message(self, *_):
        pass

    def _begin(self) -> tuple[str, dict[str, str], bytes]:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
        if bucket != BUCKET:
            self._refuse(404, "NoSuchBucket")
            return "", {}, b""
        return key, query, body

    def do_GET(self):
        key, query, _ = self._begin()
        if "list-type" in query:
            self._list(query)
        elif key:
            self._get(key)

    do_HEAD = do_GET  # noqa: N815  # the name that http.server asks for

    def _get(self, key: str) -> None:
        found = self.store.objects.get(key)
        if found is None:
            self._refuse(404, "NoSuchKey")
            return
        data, code = found.data, 200
        if "Range" in self.headers:
            start, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
            last = min(int(end or len(data) - 1), len(data) - 1)
            more = {"Content-Range": f"bytes {start}-{last}/{len(data)}"}
            data, code = data[int(start) : last + 1], 206
        else:
            more = {}
        self._answer(code, data, found, more)

    def _list(self, query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        with self.store.lock:
            every = sorted(self.store.objects.items())
        keys = [(k, o) for k, o in every if k.startswith(prefix) and k > after]
        text = "".join(
            f'<Contents><Key>{escape(k)}</Key><Size>{len(o.data)}</Size><ETag>"{o.etag}"</ETag>'
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for k, o in keys[:PAGE]
        )
        if len(keys) > PAGE:
            last = escape(keys[PAGE - 1][0])
            text += f"<NextContinuationToken>{last}</NextContinuationToken>"
        self._answer(200, f"<ListBucketResult>{text}</ListBucketResult>".encode())

    def do_PUT(self):
        key, query, body = self._begin()
        if not key or self._lacks_token():
            return
        if "uploadId" in query:
            self.store.uploads[query["uploadId"]][int(query["partNumber"])] = body
            self._answer(200, more={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
            return
        wanted = self.headers.get("x-goog-if-generation-match")
        with self.store.lock:
            found = self.store.objects.get(key)
            if wanted is not None and int(wanted) != (found.generation if found else 0):
                self._refuse(412, "PreconditionFailed")
                return
            stored = self.store.put(key, body, hashlib.md5(body).hexdigest())
        self._answer(200, stored=stored)

    def do_POST(self):
        key, query, body = self._begin()
        if not key or self._lacks_token():
            return
        if "uploads" in query:
            upload = str(next(self.store.numbers))
            self.store.uploads[upload] = {}
            text = f"<Bucket>{BUCKET}</Bucket><Key>{quote(key)}</Key><UploadId>{upload}</UploadId>"
            answer = f"<InitiateMultipartUploadResult>{text}</InitiateMultipartUploadResult>"
            self._answer(200, answer.encode())
            return
        parts = self.store.uploads.pop(query["uploadId"])
        named = [int(e.text) for e in ET.fromstring(body).iter("PartNumber")]
        data = b"".join(parts[number] for number in named)
        with self.store.lock:
            stored = self.store.put(key, data, f"composed{next(self.store.numbers)}")
        text = f'<CompleteMultipartUploadResult><ETag>"{stored.etag}"</ETag>'
        self._answer(200, f"{text}</CompleteMultipartUploadResult>".encode(), stored)

    def do_DELETE(self):
        key, query, _ = self._begin()
        if not key or self._lacks_token():
            return
        if "uploadId" in query:
            self.store.uploads.pop(query["uploadId"], None)
        elif self.store.objects.pop(key, None) is None:
            self._refuse(404, "NoSuchKey")
            return
        self._answer(204)

    def _lacks_token(self) -> bool:
        # The client sends no token with the last request of an upload in parts.
        if "Authorization" in self.headers or "uploadId" in self.path:
            return False
        self._refuse(401, "AuthenticationRequired")
        return True

    def _refuse(self, code: int, word: str) -> None:
        self._answer(code, f"<Error><Code>{word}</Code><Message>{word}</Message></Error>".encode())

    def _answer(
        self, code: int, data: bytes = b"", stored: Stored | None = None, more: dict | None = None
    ) -> None:
        headers = {"Last-Modified": formatdate(usegmt=True), **(more or {})}
        if stored is not None:
            headers |= {"ETag": f'"{stored.etag}"', "x-goog-generation": str(stored.generation)}
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def start_google() -> GoogleServer:
    """Start the stand-in."""
    return GoogleServer()
