"""Paths in messages: how they are shown, and a guess of the path that was meant.

The guess for a path that does not exist is one of Windows, or one in another Unicode form.
"""

from __future__ import annotations

import os
import re
from unicodedata import normalize

MOST_NAMES = 100_000
"""A folder with more names is not searched."""


def shown(path: str) -> str:
    """Return a path as messages show it: relative where it lies below the working directory."""
    try:
        relative = os.path.relpath(path)
    except OSError:  # the working directory is gone
        relative = os.pardir
    name = path if relative.startswith(os.pardir) else relative
    # A name that is not UTF-8 can be opened, but not printed.
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def path_hint(path: str, listings: dict[str, dict[str, str]] | None = None) -> str:
    """Return a suggestion for a path that does not exist, empty if there is none.

    Parameters
    ----------
    path
        Absolute, or relative to the working directory.
    listings
        Earlier listings by folder; new ones are added.
    """
    if "\\" in path or _DRIVE.search(path):
        return _windows_hint(path)
    found = _find_alike(path, {} if listings is None else listings)
    if normalize("NFC", found) != normalize("NFC", path):
        return f"did you mean {found!r}?" if found else ""
    form = "NFD" if normalize("NFD", found) == found else "NFC"
    return f"one of this name is there, with accents in the Unicode form {form}; {_COPY}"


def _windows_hint(path: str) -> str:
    if os.path.exists(path.replace("\\", "/")):
        return "write slashes, not backslashes"
    if _DRIVE.search(path):
        return "it is a path of Windows; give the one on this machine, with slashes"
    return "write slashes, not backslashes, if these separate folders"


_DRIVE = re.compile(r"(?:\A|/)(?:[A-Za-z]:[\\/]|\\\\)")
_COPY = "copy the path from a listing of the folder"


def _find_alike(path: str, listings: dict[str, dict[str, str]]) -> str:
    """Return the path that is there apart from Unicode form and letter case, or nothing."""
    found, names = ("/", path.split("/")[1:]) if path.startswith("/") else ("", path.split("/"))
    for name in names:
        whole = os.path.join(found, name)
        if name and not os.path.lexists(whole):
            if found not in listings:
                listings[found] = _listing(found)
            other = listings[found].get(_plain(name), "")
            if not other:
                return ""
            whole = os.path.join(found, other)
        found = whole
    return found


def _listing(folder: str) -> dict[str, str]:
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return {}
    return {_plain(name): name for name in sorted(names)} if len(names) <= MOST_NAMES else {}


def _plain(name: str) -> str:
    return normalize("NFC", name).casefold()
