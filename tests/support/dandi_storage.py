"""The storage behind the fake of the DANDI archive: signed addresses, uploads in parts, blobs."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from hashlib import md5
from secrets import token_hex
from urllib.parse import quote, unquote

MIB = 2**20


class Refused(Exception):  # noqa: N818
    """An answer that is no success."""

    def __init__(self, status: int, body: object = "", headers: dict[str, str] | None = None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


def etag_of(data: bytes, part_size: int) -> str:
    """Return the entity tag of an object that is sent in parts, as S3 computes it."""
    parts = [data[start : start + part_size] for start in range(0, len(data), part_size)]
    whole = md5(b"".join(md5(part).digest() for part in parts))
    return f"{whole.hexdigest()}-{len(parts)}"


def zarr_checksum_of(files: dict[str, tuple[int, str]]) -> str:
    """Return the checksum of a Zarr, given size and MD5 by path (design of the archive: a tree)."""
    folders: dict[str, dict[str, tuple[int, str]]] = {}
    plain = []
    for path, (size, tag) in files.items():
        first, _, rest = path.partition("/")
        if rest:
            folders.setdefault(first, {})[rest] = (size, tag)
        else:
            plain.append({"digest": tag, "name": first, "size": size})
    inner = []
    for name, below in folders.items():
        digest = zarr_checksum_of(below)
        inner.append({"digest": digest, "name": name, "size": int(digest.rpartition("--")[2])})
    listing = {
        "directories": sorted(inner, key=lambda each: each["name"]),
        "files": sorted(plain, key=lambda each: each["name"]),
    }
    text = json.dumps(listing, separators=(",", ":"))
    size = sum(size for size, _ in files.values())
    return f"{md5(text.encode()).hexdigest()}-{len(files)}--{size}"


@dataclass
class Blob:
    """A file that the archive has, by its digest and size."""

    blob_id: str
    etag: str
    data: bytes


@dataclass
class Upload:
    """An upload in parts that has begun."""

    upload_id: str
    size: int
    etag: str
    sizes: list[int]
    parts: dict[int, bytes] = field(default_factory=dict)
    data: bytes | None = None

    @property
    def count(self) -> int:
        return len(self.sizes)


class Storage:
    """Signed addresses and the bytes behind them."""

    def __init__(self, server) -> None:
        self.server = server
        self.blobs: dict[str, Blob] = {}
        self.uploads: dict[str, Upload] = {}
        self.signed: dict[str, tuple[str, float, str]] = {}

    def sign(self, name: str, tag: str = "") -> str:
        """Return an address that is good for a while, for one object, with one MD5."""
        signature = token_hex(8)
        self.signed[signature] = (name, time.monotonic() + self.server.expiry_s, tag)
        return f"{self.server.url}/storage/{quote(name)}?X-Amz-Signature={signature}"

    def find_blob(self, etag: str, size: int) -> str:
        found = (b for b in self.blobs.values() if (b.etag, len(b.data)) == (etag, size))
        return next((blob.blob_id for blob in found), "")

    def begin_upload(self, size: int, etag: str, part_size: int) -> dict:
        sizes = [min(part_size, size - start) for start in range(0, size, part_size)]
        upload = Upload(str(uuid.uuid4()), size, etag, sizes)
        self.uploads[upload.upload_id] = upload
        parts = [
            {
                "part_number": number,
                "size": each,
                "upload_url": self.sign(f"part/{upload.upload_id}/{number}"),
            }
            for number, each in enumerate(sizes, start=1)
        ]
        return {"upload_id": upload.upload_id, "parts": parts}

    def validate(self, upload: Upload) -> dict:
        if upload.data is None:
            raise Refused(400, "Object does not exist.")
        etag = etag_of(upload.data, self.server.part_size)
        if (etag, len(upload.data)) != (upload.etag, upload.size):
            raise Refused(400, f"ETag {etag} does not match expected value {upload.etag}.")
        del self.uploads[upload.upload_id]
        blob_id = self.find_blob(etag, len(upload.data)) or str(uuid.uuid4())
        self.blobs[blob_id] = Blob(blob_id, etag, upload.data)
        return {"blob_id": blob_id, "etag": etag, "sha256": None, "size": len(upload.data)}

    def handle(self, request, parts, query, headers, body: bytes):
        """Answer a request to a signed address, as S3 does."""
        request.kind = {"part": "part", "zarr": "chunk"}.get(parts[0], "complete")
        if "Authorization" in headers:
            raise Refused(400, "<Error><Code>InvalidArgument</Code>Only one auth mechanism allowed")
        name = "/".join(unquote(part) for part in parts)
        signed, until, tag = self.signed.get(query.get("X-Amz-Signature", ""), ("", 0, ""))
        if signed != name:
            raise Refused(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if time.monotonic() > until:
            raise Refused(403, "<Error><Code>AccessDenied</Code>Request has expired</Error>")
        if request.kind == "chunk":
            return self._take_chunk(name, tag, headers, body)
        upload = self.uploads.get(parts[1])
        if upload is None:
            raise Refused(404, "<Error><Code>NoSuchUpload</Code></Error>")
        if request.kind == "part":
            number = int(parts[2])
            if len(body) != upload.sizes[number - 1]:
                raise Refused(400, "<Error><Code>EntityTooSmall</Code></Error>")
            upload.parts[number] = body
            return 200, "", {"ETag": f'"{md5(body).hexdigest()}"'}
        upload.data = b"".join(data for _, data in sorted(upload.parts.items()))
        etag = etag_of(upload.data, self.server.part_size)
        xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
        text = f'<CompleteMultipartUploadResult xmlns="{xmlns}"><ETag>"{etag}"</ETag>'
        return 200, f"{text}</CompleteMultipartUploadResult>"

    def _take_chunk(self, name: str, tag: str, headers, body: bytes):
        expected = base64.b64encode(md5(body).digest()).decode()
        if headers.get("Content-MD5") != tag:
            raise Refused(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if expected != tag:
            raise Refused(400, "<Error><Code>BadDigest</Code></Error>")
        _, zarr_id, path = name.split("/", 2)
        return 200, "", {"ETag": f'"{self.server.put_chunk(zarr_id, path, body)}"'}
