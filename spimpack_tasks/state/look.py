"""Looks at a dataset, by which it is compared with its plan now, and with itself later.

A comparison works with the very results that the digest of a look is made of. So what changes after
it was looked at makes a later look differ.
"""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.files.evidence import LINK, evidence_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Result = tuple[int | str, ...]

_BATCH = 1000
"""Results that are encoded at once: the encoder is called seldom, and memory stays small."""
_LINK_MARK = "link\t"
"""Beginning of the line of a link; no path of a dataset has it."""


class Look:
    """A look at paths below a folder, one after the other, that is remembered by a digest."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._paths: list[str] = []
        self._are_links = bytearray()
        self._digest = ResultDigest()

    def at(self, path: str) -> os.stat_result | None:
        """Return the `lstat` result of a path, `None` where nothing can be found."""
        try:
            status = os.lstat(f"{self.root}/{path}")
        except OSError:
            status = None
        self._remember(path, _result(status), is_link=False)
        return status

    def finds(self, path: str, evidence: str) -> bool:
        """Tell whether a path has evidence from `files.evidence`; of a link, its text is all."""
        if not evidence.startswith(LINK):
            status = self.at(path)
            return status is not None and evidence_in(status) == evidence
        try:
            text = os.readlink(f"{self.root}/{path}")
        except OSError:  # it is none
            self._remember(path, (), is_link=True)
            return False
        self._remember(path, (text,), is_link=True)
        return text == evidence[len(LINK) :]

    def _remember(self, path: str, result: Result, *, is_link: bool) -> None:
        self._paths.append(path)
        self._are_links.append(is_link)
        self._digest.add(result)

    def lines(self) -> Iterator[str]:
        """Yield a line for each path, from which the look can be repeated."""
        for path, is_link in zip(self._paths, self._are_links, strict=True):
            yield f"{_LINK_MARK}{path}" if is_link else path

    def trace(self) -> str:
        """Return the digest of all results so far."""
        return self._digest.text()


def trace_again(root: str, lines: Iterable[str]) -> str:
    """Return the digest of a look that is repeated from its lines."""
    digest = ResultDigest()
    for line in lines:
        try:
            if line.startswith(_LINK_MARK):
                digest.add((os.readlink(f"{root}/{line[len(_LINK_MARK) :]}"),))
            else:
                digest.add(_result(os.lstat(f"{root}/{line}")))
        except OSError:
            digest.add(())
    return digest.text()


def _result(status: os.stat_result | None) -> Result:
    if status is None:
        return ()
    # The inode tells a file from another one of equal size and time that was moved into its place.
    return status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns


class ResultDigest:
    """A digest of many small results."""

    def __init__(self) -> None:
        self._batch: list[Result] = []
        self._digest = blake2b(digest_size=16)

    def add(self, result: Result) -> None:
        """Add a result; their order counts."""
        self._batch.append(result)
        if len(self._batch) == _BATCH:
            self._encode()

    def _encode(self) -> None:
        self._digest.update(json.dumps(self._batch).encode())
        self._batch.clear()

    def text(self) -> str:
        """Return the digest of all results so far."""
        if self._batch:
            self._encode()
        return self._digest.hexdigest()
