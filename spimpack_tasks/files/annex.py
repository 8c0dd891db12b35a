"""Recognises files whose content git-annex (and so DataLad) or Git LFS keeps elsewhere.

A locked file of git-annex is a relative link into `.git/annex/objects` of its own repository. The
name of the target, the key, contains the size of the content (git-annex, "key format"). An unlocked
file without its content, and any such file of Git LFS, is a short text: the pointer (git-annex,
"pointer file"; Git LFS, "spec").
"""

from __future__ import annotations

import os
import re
from shlex import quote

_OBJECTS = re.compile(r"(?:\A|/)\.git/(?:.+/)?annex/objects/")
_KEY_SIZE = re.compile(r"\A[A-Z0-9_]+(?:-[a-zA-Z][^-]*)*?-s(\d+)(?:-[a-zA-Z][^-]*)*--")
_ANNEX_POINTER = b"/annex/objects/"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

POINTERS = (_ANNEX_POINTER, _LFS_POINTER)
"""First bytes of pointer files, whose content is elsewhere."""
LONGEST_POINTER = 32 * 2**10
"""Bytes; git-annex never writes a longer one, and those of Git LFS are below 1,024."""


def is_annexed(path: str) -> bool:
    """Tell whether a path is a link to content that git-annex keeps for the path's repository."""
    return _annexed(path) is not None


def annexed_size(path: str) -> int | None:
    """Return the size in bytes of an annexed path's content, whether it is present or not.

    Returns `None` for a path that is not annexed, or whose key has no size.
    """
    text = _annexed(path)
    told = _KEY_SIZE.match(text.rpartition("/")[2]) if text else None
    return int(told[1]) if told else None


def _annexed(path: str) -> str | None:
    """Return the text of a link into the annex of its own repository."""
    try:
        text = os.readlink(path)
    except OSError:
        return None
    found = _OBJECTS.search(text)
    if found is None or os.path.isabs(text):
        return None
    folder = os.path.realpath(os.path.dirname(path))
    repository = os.path.normpath(os.path.join(folder, text[: found.start()]))
    return text if folder == repository or folder.startswith(f"{repository}/") else None


def content_command(path: str, beginning: bytes = b"") -> str:
    """Return the command that fetches the content of a path, empty if none is known.

    Parameters
    ----------
    path
        A link that leads nowhere, or a file.
    beginning
        The first bytes of the file.
    """
    is_dangling = os.path.islink(path) and not os.path.exists(path)
    if beginning.startswith(_ANNEX_POINTER) or (is_dangling and _OBJECTS.search(os.readlink(path))):
        return f"datalad get {quote(path)}"
    if beginning.startswith(_LFS_POINTER):
        folder, name = os.path.split(path)
        return f"git -C {quote(folder)} lfs pull --include {quote(name)}"
    return ""
