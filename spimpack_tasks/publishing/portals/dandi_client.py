"""The requests of the DANDI archive, each a method, with values in place of JSON.

Source: the public API of dandi-archive. A request whose reply was lost is sent again, so each
method also understands the answer "it is there already" of a request that has been done before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from spimpack_tasks.publishing.portals.dandi_errors import (
    BusyZarrError,
    ExpiredAddressError,
    LostUploadError,
    PathTakenError,
)
from spimpack_tasks.publishing.portals.dandi_http import Body, Call, Connections, body_of
from spimpack_tasks.remote.errors import RefusedError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spimpack_tasks.publishing.portals.dandi_http import Answer

MOST_SIGNED = 255
"""Files of a Zarr that one request announces."""
MOST_DELETED = 100
"""Files of a Zarr that one request deletes."""
COMPLETE = "Complete"
PENDING = "Pending"
_BUSY_TEXTS = ("ingest", "does not exist")
"""In the refusal of changes of a Zarr: it is being ingested, or a file is deleted already."""
_THERE_TEXTS = ("already exists", "must make a unique set")


class RemoteAsset(NamedTuple):
    """An asset of the draft as the archive lists it."""

    path: str
    asset_id: str
    blob: str
    """Identity of the file, empty for a Zarr."""
    zarr: str
    """Identity of the Zarr, empty for a file."""
    size: int
    metadata: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Entity tag or checksum as far as the metadata name it."""
        digests = self.metadata.get("digest") or {}
        return str(digests.get("dandi:dandi-etag") or digests.get("dandi:dandi-zarr-checksum", ""))


class RemoteZarr(NamedTuple):
    """A Zarr of the archive."""

    zarr_id: str
    status: str
    checksum: str


class RemoteFile(NamedTuple):
    """A file of a Zarr of the archive."""

    size: int
    tag: str


class BegunUpload(NamedTuple):
    """An upload of a file in parts; each has its number, its size and its address."""

    upload_id: str
    parts: Sequence[tuple[int, int, str]]


class DandiClient:
    """The archive as one account sees one dandiset of it.

    Parameters
    ----------
    instance
        Address of the API, without a slash at its end.
    dandiset
        Number of the dandiset, such as 000123.
    token
        The token of the account.
    """

    def __init__(self, instance: str, dandiset: str, token: str) -> None:
        self._api = instance
        self._dandiset = dandiset
        self._draft = f"/dandisets/{dandiset}/versions/draft/"
        self._authorization = {"Authorization": f"token {token}"}
        self._connections = Connections(token)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def schema_versions(self) -> tuple[str, tuple[str, ...]]:
        """Return the version of the archive's schema, and all that it takes."""
        info = self._call("ask for the version", "GET", "/info/").json()
        if not isinstance(info, dict) or "schema_version" not in info:
            message = f"{self._api} is not the API of a DANDI archive; look at --instance"
            raise RefusedError(message)
        return str(info["schema_version"]), tuple(info.get("allowed_schema_versions", ()))

    def check_token(self) -> None:
        """Make sure that the archive knows the token."""
        self._call("show the token", "GET", "/auth/token")

    def draft(self) -> dict[str, Any]:
        """Return the metadata of the draft."""
        found = self._call(f"read dandiset {self._dandiset}", "GET", self._draft).json()
        return dict(found or {})

    def put_draft(self, name: str, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata of the draft."""
        value = {"name": name, "metadata": metadata}
        self._call(f"describe dandiset {self._dandiset}", "PUT", self._draft, value)

    def assets(self, prefix: str = "") -> Iterator[RemoteAsset]:
        """Yield the assets of the draft, page by page."""
        query = {"metadata": "true"} | ({"path": prefix} if prefix else {"page_size": "1000"})
        for each in self._pages("list the assets", f"{self._draft}assets/?{urlencode(query)}"):
            yield _asset_of(each)

    def find_asset(self, path: str) -> RemoteAsset | None:
        """Return the asset of a path, if there is one."""
        return next((asset for asset in self.assets(path) if asset.path == path), None)

    def add_asset(self, metadata: Mapping[str, Any], blob: str = "", zarr: str = "") -> str:
        """Make an asset, and return its identity.

        Raises
        ------
        PathTakenError
            There is one of this path.
        """
        return self._bring_asset("POST", f"{self._draft}assets/", metadata, blob, zarr)

    def replace_asset(
        self, asset_id: str, metadata: Mapping[str, Any], blob: str = "", zarr: str = ""
    ) -> str:
        """Replace an asset, and return the identity of the new one, empty if it is gone."""
        try:
            address = f"{self._draft}assets/{asset_id}/"
            return self._bring_asset("PUT", address, metadata, blob, zarr)
        except LostUploadError:
            return ""

    def _bring_asset(
        self, method: str, address: str, metadata: Mapping[str, Any], blob: str, zarr: str
    ) -> str:
        value = {"metadata": metadata} | ({"blob_id": blob} if blob else {"zarr_id": zarr})
        path = str(metadata["path"])
        accept = frozenset({409, 404} if method == "PUT" else {409})
        answer = self._call(f"bring the asset {path}", method, address, value, accept)
        if answer.status == 409:
            message = f"{path}: another asset has this path, or the path of a folder of it"
            raise PathTakenError(message)
        if answer.status == 404:
            message = f"{path}: its asset is gone"
            raise LostUploadError(message)
        return str(answer.json()["asset_id"])

    def delete_asset(self, asset_id: str, path: str) -> None:
        """Delete an asset from the draft, if it is still there."""
        address = f"{self._draft}assets/{asset_id}/"
        self._call(f"delete the asset {path}", "DELETE", address, accept=frozenset({404}))

    def begin_upload(self, path: str, size: int, etag: str) -> BegunUpload | str:
        """Begin to upload a file; return the identity of the file where the archive has it."""
        digest = {"algorithm": "dandi:dandi-etag", "value": etag}
        value = {"contentSize": size, "digest": digest, "dandiset": self._dandiset}
        doing, accept = f"begin to upload {path}", frozenset({409})
        answer = self._call(doing, "POST", "/uploads/initialize/", value, accept)
        if answer.status == 409:
            return str(answer.headers["Location"])
        data = answer.json()
        parts = [(p["part_number"], p["size"], p["upload_url"]) for p in data["parts"]]
        return BegunUpload(str(data["upload_id"]), parts)

    def put_part(self, path: str, address: str, body: Body) -> str:
        """Send a part of a file to its address; return the entity tag that the storage gives."""
        answer = self._store(f"upload {path}", "PUT", address, body, {})
        return (answer.headers.get("ETag") or "").strip('"')

    def complete_upload(
        self, path: str, upload_id: str, etag: str, parts: Iterable[tuple[int, int, str]]
    ) -> None:
        """Join the parts of a file, given number, size and entity tag of each."""
        value = {"parts": [{"part_number": n, "size": s, "etag": tag} for n, s, tag in parts]}
        answer = self._upload(path, upload_id, "complete", value).json()
        body = body_of(str(answer["body"]).encode())
        done = self._store(f"join the parts of {path}", "POST", answer["complete_url"], body, {})
        if etag not in done.text:
            # The storage answers 200 at once, and names an error at the end.
            message = f"{path}: the storage could not join its parts"
            raise LostUploadError(message)

    def validate_upload(self, path: str, upload_id: str) -> str:
        """Have the archive take a file that has arrived; return its identity."""
        return str(self._upload(path, upload_id, "validate").json()["blob_id"])

    def _upload(self, path: str, upload_id: str, step: str, value: Any = None) -> Answer:
        accept = frozenset({400, 404, 409})
        address = f"/uploads/{upload_id}/{step}/"
        answer = self._call(f"{step} the upload of {path}", "POST", address, value, accept)
        if answer.status in accept:
            message = f"{path}: the archive does not take the upload ({answer.status})"
            raise LostUploadError(message)
        return answer

    def zarr(self, zarr_id: str) -> RemoteZarr:
        """Return the state of a Zarr."""
        return _zarr_of(self._call("look at a Zarr", "GET", f"/zarr/{zarr_id}/").json())

    def find_zarr(self, name: str) -> RemoteZarr | None:
        """Return the Zarr of a name, if there is one."""
        query = urlencode({"dandiset": self._dandiset, "name": name})
        found = self._call(f"look for the Zarr {name}", "GET", f"/zarr/?{query}").json()
        return _zarr_of(found["results"][0]) if found["results"] else None

    def make_zarr(self, name: str) -> tuple[RemoteZarr, bool]:
        """Return the Zarr of a name, and whether it is new.

        Raises
        ------
        RefusedError
            It can neither be made nor found.
        """
        doing, accept = f"make the Zarr {name}", frozenset({400})
        value = {"name": name, "dandiset": self._dandiset}
        answer = self._call(doing, "POST", "/zarr/", value, accept)
        if answer.status < 300:
            return _zarr_of(answer.json()), True
        if any(text in answer.text for text in _THERE_TEXTS):
            found = self.find_zarr(name)
            if found:
                return found, False
        message = f"{doing} at {self._api}: 400: the archive refuses it ({answer.text[:100]})"
        raise RefusedError(message)

    def zarr_files(self, zarr_id: str) -> dict[str, RemoteFile]:
        """Return the files of a Zarr by path."""
        pages = self._pages("list the files of a Zarr", f"/zarr/{zarr_id}/files/")
        return {
            str(each["Key"]): RemoteFile(int(each["Size"]), str(each["ETag"]).strip('"'))
            for each in pages
        }

    def sign_files(self, zarr_id: str, files: Sequence[tuple[str, str]]) -> list[str]:
        """Return addresses for files of a Zarr, given the path and the MD5 in base 64 of each.

        Raises
        ------
        BusyZarrError
            The archive computes the checksum.
        """
        value = [{"path": path, "base64md5": tag} for path, tag in files]
        return list(self._change_files("send files of", "POST", zarr_id, value).json())

    def delete_files(self, zarr_id: str, paths: Sequence[str]) -> None:
        """Delete files of a Zarr.

        Raises
        ------
        BusyZarrError
            As of `sign_files`; also where a file is gone already.
        """
        value = [{"path": path} for path in paths]
        self._change_files("delete files of", "DELETE", zarr_id, value)

    def _change_files(self, doing: str, method: str, zarr_id: str, value: Any) -> Answer:
        accept = frozenset({400})
        address = f"/zarr/{zarr_id}/files/"
        answer = self._call(f"{doing} a Zarr", method, address, value, accept)
        if answer.status == 400 and any(text in answer.text for text in _BUSY_TEXTS):
            message = f"the archive takes no changes of the Zarr {zarr_id} now"
            raise BusyZarrError(message)
        if answer.status == 400:
            message = f"{doing} a Zarr at {self._api}: 400: refused ({answer.text[:100]})"
            raise RefusedError(message)
        return answer

    def put_file(self, path: str, address: str, tag: str, body: Body) -> None:
        """Send a file of a Zarr to its address, with its MD5 in base 64.

        Raises
        ------
        ExpiredAddressError
            The address is no longer good.
        """
        self._store(f"upload {path}", "PUT", address, body, {"Content-MD5": tag})

    def finalize_zarr(self, zarr_id: str) -> None:
        """Have the archive compute the checksum of a Zarr, unless it does so already."""
        address, accept = f"/zarr/{zarr_id}/finalize/", frozenset({400})
        self._call("finalize a Zarr", "POST", address, accept=accept)

    def _pages(self, doing: str, address: str) -> Iterator[dict[str, Any]]:
        while address:
            data = self._call(doing, "GET", address).json()
            yield from data["results"]
            # Of the address of the next page only the end is taken: the token stays at this host.
            rest = urlsplit(data.get("next") or "")
            path = rest.path.removeprefix(urlsplit(self._api).path)
            address = f"{path}?{rest.query}" if path else ""

    def _call(
        self,
        doing: str,
        method: str,
        address: str,
        value: Any = None,
        accept: frozenset[int] = frozenset(),
    ) -> Answer:
        headers = {"Accept": "application/json"}
        if address != "/info/":
            headers |= self._authorization
        data = b""
        if value is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(value).encode()
        url = f"{self._api}{address}"
        return self._connections.ask(Call(doing, method, url, body_of(data), headers), accept)

    def _store(
        self, doing: str, method: str, url: str, body: Body, headers: Mapping[str, str]
    ) -> Answer:
        """Send a request to a signed address, which gets no token."""
        if "x-amz-tagging" in urlsplit(url).query:
            headers = {**headers, "x-amz-tagging": "embargoed=true"}
        call = Call(doing, method, url, body, headers)
        answer = self._connections.ask(call, frozenset({400, 403, 404}))
        if answer.status == 403:
            raise ExpiredAddressError(doing)
        if answer.status == 404:
            raise LostUploadError(doing)
        if answer.status == 400:
            message = f"{doing}: the bytes were refused; the file has changed, or the network harms"
            raise RemoteError(message)
        return answer


def _asset_of(data: Mapping[str, Any]) -> RemoteAsset:
    return RemoteAsset(
        str(data["path"]),
        str(data["asset_id"]),
        str(data.get("blob") or ""),
        str(data.get("zarr") or ""),
        int(data.get("size") or 0),
        dict(data.get("metadata") or {}),
    )


def _zarr_of(data: Mapping[str, Any]) -> RemoteZarr:
    return RemoteZarr(str(data["zarr_id"]), str(data["status"]), str(data.get("checksum") or ""))
