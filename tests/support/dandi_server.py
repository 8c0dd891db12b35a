"""A fake of the DANDI archive on loopback, which enforces the protocol of its API and its storage.

It computes all digests itself from the bytes that it gets, and refuses what the archive refuses:
an asset of a path that there is, a Zarr of a name that there is, files of a Zarr that is being
ingested, too many files at once, expired addresses, parts of a wrong size, a wrong MD5, and a token
that is sent to the storage. After each request it notes assets whose Zarr is not complete.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from dandi_storage import MIB, Refused, Storage, Upload, etag_of, zarr_checksum_of

TOKEN = "0123456789abcdef-secret-of-a-test"
DANDISET = "000123"
SCHEMA_VERSION = "0.8.0"
COMPUTED = ("id", "path", "identifier", "contentUrl", "contentSize", "digest", "access")
"""Keys of an asset's metadata that the archive replaces."""


@dataclass
class Request:
    """One request, with a short name of its kind such as `asset-post`."""

    number: int
    kind: str
    method: str
    path: str
    size: int = 0
    """Bytes of the body."""
    status: int = 0


@dataclass
class Zarr:
    """A Zarr of the archive."""

    zarr_id: str
    name: str
    status: str = "Pending"
    checksum: str | None = None
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Bytes and MD5 by path."""


@dataclass
class Asset:
    """An asset of the draft."""

    asset_id: str
    path: str
    metadata: dict
    blob: str | None
    zarr: str | None
    modified: str


def now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass
class DandiServer:
    """The running server. `faults` are asked in turn for each request; see `begin`."""

    faults: list = field(default_factory=list)
    part_size: int = 64 * MIB
    page: int = 100
    """Assets of a page of a listing."""
    lists_digests: bool = True
    """Whether a listing of assets has what the archive computes, as its newer versions do."""
    file_page: int = 1000
    """Files of a page of a listing of a Zarr."""
    expiry_s: float = 3600
    """Seconds for which an address of the storage is good."""
    polls: tuple[str, ...] = ("Ingesting", "Complete")
    """What the first looks at a finalized Zarr find; the last one stays."""

    def __post_init__(self):
        self.lock = threading.RLock()
        self.requests: list[Request] = []
        self.assets: dict[str, Asset] = {}
        self.zarrs: dict[str, Zarr] = {}
        self.pending: dict[str, list[str]] = {}
        self.storage = Storage(self)
        self.metadata = {"name": "a draft", "schemaKey": "Dandiset", "keepMe": "set online"}
        self.unfinished: list[tuple[int, str]] = []
        """Number of a request, and path of an asset whose Zarr was not complete after it."""
        handler = type("Handler", (_Handler,), {"server_": self})
        self.http = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def environment(self) -> dict[str, str]:
        return {"DANDI_API_KEY": TOKEN}

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def begin(self, *faults) -> None:
        """Forget the requests so far, and inject other faults.

        Each takes a request, and returns nothing or one of: busy (503), drop (no answer, nothing
        done), lose (done, but no answer), expire (403 of the storage), ingesting (400), and the
        errors of the storage that pass: idle (400), chunked (501).
        """
        with self.lock:
            self.requests, self.faults, self.unfinished = [], list(faults), []

    def counts(self) -> Counter[str]:
        return Counter(request.kind for request in self.requests)

    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.method != "GET"]

    def sent_bytes(self) -> int:
        """Return the bytes of files that came."""
        return sum(r.size for r in self.requests if r.kind in {"part", "chunk"})

    def paths(self) -> list[str]:
        return sorted(asset.path for asset in self.assets.values())

    def content(self) -> dict[str, object]:
        """Return the bytes of each asset, by its path; of a Zarr those of each file."""
        found = {}
        for asset in self.assets.values():
            if asset.blob:
                found[asset.path] = self.storage.blobs[asset.blob].data
            else:
                files = self.zarrs[asset.zarr].files
                found[asset.path] = {path: data for path, (data, _) in files.items()}
        return found

    def handle(self, request: Request, query: dict, headers, body: bytes):
        """Return status, answer and headers."""
        parts = urlsplit(request.path).path.strip("/").split("/")
        if parts[0] == "storage":
            return self.storage.handle(request, parts[1:], query, headers, body)
        if parts[0] != "api":
            raise Refused(404)
        parts = parts[1:]
        if parts != ["info"] and headers.get("Authorization") != f"token {TOKEN}":
            raise Refused(401, {"detail": "Invalid token."})
        value = json.loads(body) if body else None
        route = getattr(self, f"_{parts[0]}", None)
        if route is None:
            raise Refused(404)
        return route(request, parts[1:], query, value)

    def _info(self, request, _parts, _query, _value):
        request.kind = "info"
        return 200, {
            "schema_version": SCHEMA_VERSION,
            "allowed_schema_versions": [SCHEMA_VERSION],
            "version": "0.0.1",
            "cli-minimal-version": "0.60.0",
            "cli-bad-versions": [],
            "services": {"api": {"url": self.api}, "webui": {"url": self.url}},
        }

    def _auth(self, request, _parts, _query, _value):
        request.kind = "token"
        return 200, {"token": TOKEN}

    def _dandisets(self, request, parts, query, value):
        if parts[0] != DANDISET:
            raise Refused(404, {"detail": "Not found."})
        if len(parts) == 1:
            request.kind = "dandiset"
            return 200, {
                "identifier": DANDISET,
                "created": now(),
                "modified": now(),
                "contact_person": "One, A",
                "embargo_status": "OPEN",
                "draft_version": self._version(),
            }
        if parts[1:3] != ["versions", "draft"]:
            raise Refused(404)
        if len(parts) == 3:
            if request.method == "PUT":
                request.kind = "draft-put"
                self.metadata = {**value["metadata"], "name": value["name"]}
                return 200, self._version() | {"metadata": self._full_draft()}
            request.kind = "draft"
            return 200, self._full_draft()
        if parts[3] == "info":
            request.kind = "draft-info"
            return 200, self._version() | {"metadata": self._full_draft()}
        return self._assets(request, parts[4:], query, value)

    def _version(self) -> dict:
        return {
            "version": "draft",
            "name": self.metadata["name"],
            "asset_count": len(self.assets),
            "size": 0,
            "created": now(),
            "modified": now(),
            "status": "Pending",
        }

    def _full_draft(self) -> dict:
        computed = {
            "id": f"DANDI:{DANDISET}/draft",
            "identifier": f"DANDI:{DANDISET}",
            "version": "draft",
            "citation": f"{self.metadata['name']} (2026)",
            "assetsSummary": {
                "schemaKey": "AssetsSummary",
                "numberOfBytes": sum(self._content(asset)[0] for asset in self.assets.values()),
                "numberOfFiles": len(self.assets),
            },
            "manifestLocation": [f"{self.api}/dandisets/{DANDISET}/versions/draft/assets/"],
            "url": f"{self.url}/dandiset/{DANDISET}/draft",
        }
        return self.metadata | computed

    def _assets(self, request, parts, query, value):
        if not parts:
            if request.method == "POST":
                request.kind = "asset-post"
                return self._add_asset(value, None)
            request.kind = "assets"
            return self._list_assets(query)
        asset = self.assets.get(parts[0])
        if asset is None:
            raise Refused(404, {"detail": "No Asset matches the given query."})
        if request.method == "PUT":
            request.kind = "asset-put"
            return self._add_asset(value, asset)
        if request.method == "DELETE":
            request.kind = "asset-delete"
            del self.assets[asset.asset_id]
            return 204, None
        request.kind = "asset"
        return 200, self._full_metadata(asset)

    def _list_assets(self, query):
        chosen = [a for a in self.assets.values() if a.path.startswith(query.get("path", ""))]
        chosen.sort(key=lambda asset: asset.modified)
        size = min(int(query.get("page_size", self.page)), self.page)
        page = int(query.get("page", 1))
        some = chosen[(page - 1) * size : page * size]
        following = dict(query) | {"page": page + 1}
        link = "&".join(f"{key}={value}" for key, value in following.items())
        base = f"{self.api}/dandisets/{DANDISET}/versions/draft/assets/?{link}"
        with_metadata = query.get("metadata") == "true"
        return 200, {
            "count": len(chosen),
            "next": base if page * size < len(chosen) else None,
            "previous": None,
            "results": [self._asset_data(asset, with_metadata=with_metadata) for asset in some],
        }

    def _add_asset(self, value, old: Asset | None):
        metadata, blob, zarr = value["metadata"], value.get("blob_id"), value.get("zarr_id")
        if bool(blob) == bool(zarr):
            raise Refused(400, "Exactly one of blob_id or zarr_id must be specified.")
        if blob not in self.storage.blobs if blob else zarr not in self.zarrs:
            raise Refused(400, {"detail": "No such data."})
        path = metadata["path"]
        taken = [a for a in self.assets.values() if a.path == path and a is not old]
        if taken:
            raise Refused(409, "An asset with that path already exists")
        for name in ("schemaKey", "encodingFormat"):
            if name not in metadata:
                raise Refused(400, {"metadata": f"{name} is missing"})
        if old is not None:
            del self.assets[old.asset_id]
        kept = {key: each for key, each in metadata.items() if key not in COMPUTED}
        asset = Asset(str(uuid.uuid4()), path, kept, blob, zarr, now())
        self.assets[asset.asset_id] = asset
        return 200, self._asset_data(asset, with_metadata=True)

    def _asset_data(self, asset: Asset, *, with_metadata: bool) -> dict:
        data = {
            "asset_id": asset.asset_id,
            "path": asset.path,
            "size": self._content(asset)[0],
            "created": asset.modified,
            "modified": asset.modified,
            "blob": asset.blob,
            "zarr": asset.zarr,
        }
        metadata = self._full_metadata(asset) if self.lists_digests else asset.metadata
        return data | {"metadata": metadata} if with_metadata else data

    def _content(self, asset: Asset) -> tuple[int, dict[str, str | None]]:
        if asset.blob:
            blob = self.storage.blobs[asset.blob]
            digest = {
                "dandi:dandi-etag": etag_of(blob.data, self.part_size),
                "dandi:sha2-256": sha256(blob.data).hexdigest(),
            }
            return len(blob.data), digest
        zarr = self.zarrs[asset.zarr]
        size = sum(len(data) for data, _ in zarr.files.values())
        return size, {"dandi:dandi-zarr-checksum": zarr.checksum}

    def _full_metadata(self, asset: Asset) -> dict:
        size, digest = self._content(asset)
        return asset.metadata | {
            "id": f"dandiasset:{asset.asset_id}",
            "identifier": asset.asset_id,
            "path": asset.path,
            "contentSize": size,
            "digest": digest,
            "contentUrl": [f"{self.api}/assets/{asset.asset_id}/download/"],
            "access": [{"schemaKey": "AccessRequirements", "status": "dandi:OpenAccess"}],
        }

    def _uploads(self, request, parts, _query, value):
        request.kind = f"upload-{parts[-1]}"
        if parts == ["initialize"]:
            if value["dandiset"] != DANDISET:
                raise Refused(404)
            size, digest = value["contentSize"], value["digest"]
            if size <= 0:
                raise Refused(400, {"contentSize": ["Ensure this value is greater than 0."]})
            known = self.storage.find_blob(digest["value"], size)
            if known:
                message = "Blob with the given digest already exists."
                raise Refused(409, message, {"Location": known})
            return 200, self.storage.begin_upload(size, digest["value"], self.part_size)
        upload = self.storage.uploads.get(parts[0])
        if upload is None:
            raise Refused(404, {"detail": "No Upload matches the given query."})
        if parts[1] == "complete":
            _check_parts(upload, value["parts"])
            url = self.storage.sign(f"complete/{upload.upload_id}")
            return 200, {"complete_url": url, "body": "<CompleteMultipartUpload/>"}
        return 200, self.storage.validate(upload)

    def _zarr(self, request, parts, query, value):
        request.kind = "-".join(["zarr", *parts[1:]])
        request.kind += "" if request.method == "GET" else f"-{request.method.lower()}"
        if not parts:
            return self._zarrs_by_name(request, query, value)
        zarr = self.zarrs.get(parts[0])
        if zarr is None:
            raise Refused(404, {"detail": "No ZarrArchive matches the given query."})
        if len(parts) == 1:
            pending = self.pending.get(zarr.zarr_id)
            data = self._zarr_data(zarr)
            if pending:
                self._advance(zarr, pending)
            return 200, data
        if parts[1] == "finalize":
            if zarr.status != "Pending":
                message = "Cannot ingest zarr archive that's not in the PENDING state."
                raise Refused(400, [message])
            zarr.status, self.pending[zarr.zarr_id] = "Uploaded", list(self.polls)
            return 204, None
        if request.method == "GET":
            return self._list_files(zarr, query)
        return self._change_files(request, zarr, value)

    def _advance(self, zarr: Zarr, pending: list[str]) -> None:
        zarr.status = pending.pop(0)
        if zarr.status == "Complete":
            files = {path: (len(data), tag) for path, (data, tag) in zarr.files.items()}
            zarr.checksum = zarr_checksum_of(files)

    def _zarrs_by_name(self, request, query, value):
        if request.method == "GET":
            request.kind = "zarr-by-name"
            found = [z for z in self.zarrs.values() if z.name == query.get("name", z.name)]
            data = [self._zarr_data(zarr) for zarr in found]
            return 200, {"count": len(data), "next": None, "previous": None, "results": data}
        if any(zarr.name == value["name"] for zarr in self.zarrs.values()):
            raise Refused(400, ["Zarr already exists"])
        zarr = Zarr(str(uuid.uuid4()), value["name"])
        self.zarrs[zarr.zarr_id] = zarr
        return 200, self._zarr_data(zarr)

    def _zarr_data(self, zarr: Zarr) -> dict:
        return {
            "name": zarr.name,
            "dandiset": DANDISET,
            "zarr_id": zarr.zarr_id,
            "status": zarr.status,
            "checksum": zarr.checksum,
            "file_count": len(zarr.files),
            "size": sum(len(data) for data, _ in zarr.files.values()),
        }

    def _list_files(self, zarr: Zarr, query):
        limit, after = int(query.get("limit", self.file_page)), query.get("after", "")
        names = sorted(n for n in zarr.files if n > after and n.startswith(query.get("prefix", "")))
        some = names[:limit]
        link = f"{self.api}/zarr/{zarr.zarr_id}/files/?after={some[-1]}" if some else None
        results = [
            {
                "Key": name,
                "LastModified": now(),
                "ETag": zarr.files[name][1],
                "Size": len(zarr.files[name][0]),
            }
            for name in some
        ]
        return 200, {"next": link if len(names) > limit else None, "results": results}

    def _change_files(self, request, zarr: Zarr, value):
        if zarr.status in {"Uploaded", "Ingesting"}:
            raise Refused(400, ["Cannot upload files while a zarr is being ingested."])
        if request.method == "POST":
            if len(value) > 255 or not all(len(each["path"].split("/")) <= 7 for each in value):
                raise Refused(400, "too many, or too deep")
            zarr.status, zarr.checksum = "Pending", None
            return 200, [
                self.storage.sign(f"zarr/{zarr.zarr_id}/{each['path']}", each["base64md5"])
                for each in value
            ]
        if len(value) > 100:
            raise Refused(400, "too many")
        gone = [each["path"] for each in value if each["path"] not in zarr.files]
        if gone:
            raise Refused(400, [f"File zarr/{zarr.zarr_id}/{gone[0]} does not exist."])
        zarr.status, zarr.checksum = "Pending", None
        for each in value:
            del zarr.files[each["path"]]
        return 204, None

    def put_chunk(self, zarr_id: str, path: str, data: bytes) -> str:
        """Take the bytes of a file of a Zarr; return their entity tag."""
        tag = md5(data).hexdigest()
        self.zarrs[zarr_id].files[path] = (data, tag)
        return tag

    def note_unfinished(self, number: int) -> None:
        for asset in self.assets.values():
            if asset.zarr and self.zarrs[asset.zarr].status != "Complete":
                self.unfinished.append((number, asset.path))


def _check_parts(upload: Upload, parts: list[dict]) -> None:
    for part in parts:
        data = upload.parts.get(part["part_number"])
        if data is None or (len(data), md5(data).hexdigest()) != (part["size"], part["etag"]):
            raise Refused(400, {"parts": "a part is not as it was sent"})
    if len(parts) != upload.count:
        raise Refused(400, {"parts": "a part is missing"})


IDLE = "Your socket was not read from or written to within the timeout period."
CHUNKED = "A header you provided implies functionality that is not implemented"
FAULTS = {
    "busy": (503, "please slow down", {"Retry-After": "0"}),
    "expire": (403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message>", {}),
    "idle": (400, f"<Error><Code>RequestTimeout</Code><Message>{IDLE}</Message></Error>", {}),
    "chunked": (501, f"<Error><Code>NotImplemented</Code><Message>{CHUNKED}</Message></Error>", {}),
    "ingesting": (400, ["Cannot upload files while a zarr is being ingested."], {}),
}


class _Server(ThreadingHTTPServer):
    """Takes no notice of clients that are killed."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server_: DandiServer

    def log_message(self, *_):
        pass

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server_
        with server.lock:
            request = Request(len(server.requests) + 1, "", self.command, self.path, len(body))
            server.requests.append(request)
        request.kind = kind_of(request)
        fault = next(filter(None, (each(request) for each in list(server.faults))), "")
        if fault in FAULTS:
            self._answer(request, *FAULTS[fault])
            return
        answer = (0, None, {}) if fault == "drop" else self._handle(request, body)
        if fault in {"drop", "lose"}:
            self.close_connection = True
            self.connection.close()
            return
        self._answer(request, *answer)

    def _handle(self, request, body):
        query = dict(parse_qsl(urlsplit(self.path).query))
        with self.server_.lock:
            try:
                status, value, *more = self.server_.handle(request, query, self.headers, body)
                return status, value, more[0] if more else {}
            except Refused as error:
                return error.status, error.body, error.headers
            finally:
                self.server_.note_unfinished(request.number)

    def _answer(self, request, status, value, headers):
        request.status = status
        is_json = not isinstance(value, str)
        data = b"" if value is None else (json.dumps(value) if is_json else value).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json" if is_json else "text/plain")
        for name, each in headers.items():
            self.send_header(name, each)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if status != 204 else b"")


def kind_of(request: Request) -> str:
    """Return a first name of the kind, for faults; handling a request makes it more exact."""
    parts = urlsplit(request.path).path.strip("/").split("/")
    names = {"part": "part", "zarr": "chunk", "complete": "complete"}
    return names.get(parts[1], "") if parts[0] == "storage" else "/".join(parts[1:])


for _method in ("GET", "PUT", "POST", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)


def wait_quiet(server: DandiServer) -> None:
    """Wait until a killed client's last requests are handled."""
    seen = -1
    while seen != len(server.requests):
        seen = len(server.requests)
        time.sleep(0.02)
