r"""SHA-256 of files and directory trees, in little memory, resumable after an interruption.

The checksum of a tree is the SHA-256 of the list that `sha256sum` prints of its files: a line
`<sha256>  <path>` for each, paths relative to the tree and sorted by their bytes. Links are
followed. So it can be had without this program, in the folder of the tree:

    find -L . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import IO, TYPE_CHECKING, Any

from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.trees import files_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

_PIECE = 2**20
"""Bytes read at once: few system calls, little memory."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """Checksum of a file or a tree."""

    is_tree: bool
    sha256: str
    """Of the content of a file, or of the list of a tree."""
    size: int
    """Bytes of content."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One file that has been read, as it was then."""

    name: str
    stamp: list[int]
    sha256: str


class DigestLog:
    """Log of the digest of each file, so that an interrupted run can resume.

    A log is a file with a line for each file read. The next run asks for the files in the same
    order, so the log is read in step and never as a whole. A line counts as long as size, times and
    inode of its file are unchanged; a file without a line is read and appended. Lines that are torn
    or out of order cost no more than reading a file once more.

    Parameters
    ----------
    path
        Path of the log, `None` for no log. Its folder must exist. If the log cannot be written,
        the work goes on without it.
    on_read
        Receives the number of bytes after each piece that was read, and of each file skipped.
    """

    def __init__(self, path: str | None, on_read: Callable[[int], None] | None = None) -> None:
        self.path = path
        self.on_read = on_read or (lambda _: None)
        self._old: Iterator[_Entry] = iter(())
        self._next: _Entry | None = None
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Open the log."""
        if self.path:
            self._old = _read_entries(self.path)
            self._next = next(self._old, None)
            with suppress(OSError):
                # One write for each line: two processes may append, and a kill tears none.
                self._file = open(self.path, "a", buffering=1, encoding="ascii")
                self._file.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the log, and keep it."""
        self._close()

    def _close(self) -> None:
        if self._file:
            with suppress(OSError):
                self._file.close()
        self._file = None

    def forget(self) -> None:
        """Delete the log: all that it was for is done."""
        self._close()
        if self.path:
            with suppress(OSError):
                os.unlink(self.path)

    def checksum(self, path: str, name: str) -> Checksum:
        """Return the checksum of a file or directory; `name` identifies it in the log.

        Raises
        ------
        OSError
            Something cannot be read, or is neither a file nor a directory.
        """
        if not os.path.isdir(path):
            digest, size = self._digest(path, name)
            return Checksum(is_tree=False, sha256=digest, size=size)
        listed, total = sha256(), 0
        for inner in files_below(path):
            # NUL sorts before all that a name may hold, so the order is that of names alone.
            digest, size = self._digest(f"{path}/{inner}", f"{name}\0{inner}")
            listed.update(checksum_line(digest, inner))
            total += size
        return Checksum(is_tree=True, sha256=listed.hexdigest(), size=total)

    def _digest(self, path: str, name: str) -> tuple[str, int]:
        status = os.stat(path)
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        known = self._look_up(name)
        if known and known.stamp == stamp:
            self.on_read(status.st_size)
            return known.sha256, status.st_size
        digest = sha256_of(path, self.on_read)
        self._note(_Entry(name, stamp, digest))
        return digest, status.st_size

    def _look_up(self, name: str) -> _Entry | None:
        """Read the log up to a name; a name that sorts before the next line is not in it."""
        wanted = os.fsencode(name)
        while self._next and os.fsencode(self._next.name) < wanted:
            self._next = next(self._old, None)
        return self._next if self._next and self._next.name == name else None

    def _note(self, entry: _Entry) -> None:
        if self._file:
            try:
                self._file.write(json.dumps([entry.name, entry.stamp, entry.sha256]) + "\n")
            except OSError:
                self._close()


def _read_entries(path: str) -> Iterator[_Entry]:
    """Yield the entries that are in a log now, and none that are appended meanwhile."""
    try:
        with open_regular(path) as file:
            left = os.fstat(file.fileno()).st_size
            for line in file:
                left -= len(line)
                if left < 0:
                    return
                with suppress(ValueError, TypeError):
                    yield _Entry(*json.loads(line))
    except OSError:
        return


def sha256_of(path: str, on_read: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 of a file, links followed.

    Raises
    ------
    OSError
        The file cannot be read, or is a pipe or a device, at which one would wait for ever.
    """
    digest = sha256()
    with open_regular(path) as file:
        piece = memoryview(bytearray(_PIECE))
        while count := file.readinto(piece):  # type: ignore[attr-defined]
            digest.update(piece[:count])
            if on_read:
                on_read(count)
    return digest.hexdigest()


def checksum_line(digest: str, path: str) -> bytes:
    r"""Return the line that `sha256sum` prints of a file.

    A name with a backslash or a line end in it is written with escapes, and a backslash goes in
    front of the line (GNU coreutils, "md5sum invocation").
    """
    name = os.fsencode(path)
    escaped = name.replace(b"\\", rb"\\").replace(b"\n", rb"\n").replace(b"\r", rb"\r")
    mark = b"\\" if escaped != name else b""
    return mark + digest.encode() + b"  " + escaped + b"\n"


def digest_values(*parts: Any) -> str:
    """Return the digest of values that have one text each, as identities of steps are made."""
    text = json.dumps(parts, sort_keys=True, default=repr)
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
