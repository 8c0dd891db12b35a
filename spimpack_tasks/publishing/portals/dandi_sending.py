"""Brings the bytes of assets to the DANDI archive: files in parts, and Zarrs until complete.

No asset is made here. An asset whose Zarr is to change is deleted from the draft first, and made
again when the archive has finished with the Zarr: no asset ever has a Zarr that is a mixture.
"""

from __future__ import annotations

import base64
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from spimpack_tasks.publishing.portals.dandi_client import (
    COMPLETE,
    MOST_DELETED,
    MOST_SIGNED,
    PENDING,
    RemoteZarr,
)
from spimpack_tasks.publishing.portals.dandi_digests import parts_of
from spimpack_tasks.publishing.portals.dandi_errors import (
    BusyZarrError,
    ExpiredAddressError,
    LostUploadError,
)
from spimpack_tasks.publishing.portals.dandi_http import Body
from spimpack_tasks.publishing.portals.dandi_look import is_whole
from spimpack_tasks.publishing.reading import DamagedError
from spimpack_tasks.remote.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spimpack_tasks.publishing.journal import Entry
    from spimpack_tasks.publishing.objects import LocalObject
    from spimpack_tasks.publishing.portals.dandi_client import BegunUpload, DandiClient, RemoteFile
    from spimpack_tasks.publishing.portals.dandi_digests import Part
    from spimpack_tasks.publishing.portals.dandi_files import ZarrFile
    from spimpack_tasks.publishing.portals.dandi_look import Planned

THREADS = 8
"""Requests in flight."""
_PIECE = 2**20
"""Bytes read at once: few system calls, little memory."""
_ROUNDS = 6
"""Tries of an upload, and of a Zarr: each sends only what is not there."""
_FIRST_WAIT_S = 0.1
"""Seconds before the archive is asked again whether it has taken up a Zarr."""
_LONGEST_WAIT_S = 10.0
"""Seconds between two such questions, at most."""
_PATIENCE_S = 12 * 3600.0
"""Seconds to wait for the checksum of a Zarr; of millions of files the archive takes hours."""


class Bringer:
    """Brings bytes, several requests at a time.

    Parameters
    ----------
    client
        The archive.
    advance
        Receives bytes that are there.
    """

    def __init__(self, client: DandiClient, advance: Callable[[int], None]) -> None:
        self._client = client
        self._advance = advance

    def bring_blob(self, local: LocalObject, entry: Entry) -> str:
        """Bring a file, unless the archive has it; return its identity there.

        Raises
        ------
        RemoteError
            The archive does not take it.
        DamagedError
            It changes meanwhile.
        """
        for number in range(_ROUNDS):
            try:
                begun = self._client.begin_upload(local.name, local.size, entry.etag)
                if isinstance(begun, str):
                    self._advance(local.size)
                    return begun
                return self._send_parts(local, entry, begun)
            except (ExpiredAddressError, LostUploadError):
                _refuse_changed(local)
                time.sleep(_FIRST_WAIT_S * 2**number)
        message = f"{local.name}: the archive took no upload in {_ROUNDS} tries; run it again later"
        raise RemoteError(message)

    def _send_parts(self, local: LocalObject, entry: Entry, begun: BegunUpload) -> str:
        parts = list(parts_of(local.size))
        if [(p.number, p.size) for p in parts] != [(n, size) for n, size, _ in begun.parts]:
            message = f"{local.name}: the archive divides it otherwise than this version does"
            raise RemoteError(message)

        def send(part: Part, address: str) -> tuple[int, int, str]:
            body = Body(part.size, lambda: _read(local.path, part.start, part.size))
            tag = self._client.put_part(local.name, address, body)
            self._advance(part.size)  # again, if it must be sent again
            return part.number, part.size, tag

        if len(parts) == 1:
            sent = [send(parts[0], begun.parts[0][2])]
        else:
            with ThreadPoolExecutor(THREADS) as pool:
                sent = list(pool.map(send, parts, [address for *_, address in begun.parts]))
        _refuse_changed(local)
        self._client.complete_upload(local.name, begun.upload_id, entry.etag, sent)
        return self._client.validate_upload(local.name, begun.upload_id)

    def bring_zarr(
        self,
        planned: Planned,
        files: dict[str, ZarrFile],
        prepare: Callable[[str], None],
    ) -> str:
        """Bring a Zarr until it is complete at the archive; return its identity there.

        Parameters
        ----------
        planned
            The asset; its path names a new Zarr.
        files
            The files by their path in the Zarr.
        prepare
            Receives the identity of the Zarr before it is changed.

        Raises
        ------
        RemoteError
            The archive does not take it, or computes another checksum.
        DamagedError
            A file changes meanwhile.
        """
        path, checksum = planned.path, planned.digest
        if planned.content_id:
            zarr, is_new = self._client.zarr(planned.content_id), False
        else:
            zarr, is_new = self._client.make_zarr(path)
        for _ in range(_ROUNDS):
            zarr = self._wait(path, zarr)
            if is_whole(zarr, checksum):
                self._advance(sum(file.size for file in files.values()))
                return zarr.zarr_id
            prepare(zarr.zarr_id)
            try:
                there = {} if is_new else self._client.zarr_files(zarr.zarr_id)
                has_changed = self._bring_files(zarr.zarr_id, files, there)
            except BusyZarrError:
                zarr, is_new = self._look_again(zarr), False
                continue
            if zarr.status == COMPLETE and not has_changed:
                message = f"{path}: the checksum of the archive is another one for equal files"
                raise RemoteError(message)
            self._client.finalize_zarr(zarr.zarr_id)
            zarr = self._wait(path, self._client.zarr(zarr.zarr_id))
            if is_whole(zarr, checksum):
                return zarr.zarr_id
            is_new = False
        message = f"{path}: the checksum of the archive stays another one; run it again later"
        raise RemoteError(message)

    def _look_again(self, zarr: RemoteZarr) -> RemoteZarr:
        time.sleep(_FIRST_WAIT_S)
        return self._client.zarr(zarr.zarr_id)

    def _wait(self, path: str, zarr: RemoteZarr) -> RemoteZarr:
        """Wait until the archive does not work on a Zarr."""
        pause, until = _FIRST_WAIT_S, time.monotonic() + _PATIENCE_S
        while zarr.status not in {COMPLETE, PENDING}:
            if time.monotonic() > until:
                message = f"{path}: the archive has no checksum of it yet; run it again later"
                raise RemoteError(message)
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_WAIT_S)
            zarr = self._client.zarr(zarr.zarr_id)
        return zarr

    def _bring_files(
        self, zarr_id: str, files: dict[str, ZarrFile], there: dict[str, RemoteFile]
    ) -> bool:
        """Delete files that are not wanted, and send those that lack; tell if there were any."""
        extra, lacking = differences(files, there)
        for start in range(0, len(extra), MOST_DELETED):
            self._client.delete_files(zarr_id, extra[start : start + MOST_DELETED])
        some = set(lacking)
        self._advance(sum(file.size for name, file in files.items() if name not in some))
        self._send_files(zarr_id, [(name, files[name]) for name in lacking])
        return bool(extra or lacking)

    def _send_files(self, zarr_id: str, files: list[tuple[str, ZarrFile]]) -> None:
        threads, stuck = THREADS, 0
        while files:
            # With fewer threads fewer addresses are asked for, since they expire.
            count = max(1, MOST_SIGNED * threads // THREADS)
            batch, files = files[:count], files[count:]
            names = [(name, _base64(file.tag)) for name, file in batch]
            addresses = self._client.sign_files(zarr_id, names)
            with ThreadPoolExecutor(threads) as pool:
                expired = [each for each in pool.map(self._send_file, batch, addresses) if each]
            if expired:
                threads = max(1, threads // 2)
                stuck = stuck + 1 if len(expired) == len(batch) else 0
                if stuck >= _ROUNDS:
                    message = "the storage refuses each address that the archive gives"
                    raise RemoteError(message)
            files = expired + files

    def _send_file(self, named: tuple[str, ZarrFile], address: str) -> tuple[str, ZarrFile] | None:
        """Send a file; return it where its address has expired."""
        _, file = named
        local = file.local
        body = Body(file.size, lambda: _read(local.path, 0, file.size))
        try:
            self._client.put_file(local.name, address, _base64(file.tag), body)
        except ExpiredAddressError:
            return named
        except (RemoteError, LostUploadError):
            _refuse_changed(local)
            raise
        _refuse_changed(local)
        self._advance(file.size)
        return None


def differences(
    files: dict[str, ZarrFile], there: dict[str, RemoteFile]
) -> tuple[list[str], Sequence[str]]:
    """Return the files of a Zarr that are there and not wanted, and those to send."""
    lacking = [
        name
        for name, file in files.items()
        if name not in there or (there[name].size, there[name].tag) != (file.size, file.tag)
    ]
    return sorted(there.keys() - files.keys()), lacking


def _base64(tag: str) -> str:
    return base64.b64encode(bytes.fromhex(tag)).decode("ascii")


def _read(path: str, start: int, size: int) -> Iterator[bytes]:
    """Yield a range of a file; an error of the disk must not pass for one of the network."""
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            while size and (piece := file.read(min(size, _PIECE))):
                size -= len(piece)
                yield piece
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise DamagedError(message) from error
    if size:
        message = f"{path} has become shorter while it was read"
        raise DamagedError(message)


def _refuse_changed(local: LocalObject) -> None:
    try:
        status = os.stat(local.path)
    except OSError as error:
        message = f"{local.path} cannot be read: {error.strerror}"
        raise DamagedError(message) from error
    if (status.st_size, status.st_mtime_ns, status.st_ino) != local.stamp:
        message = f"{local.path} has changed while it was uploaded; run it again"
        raise DamagedError(message)
