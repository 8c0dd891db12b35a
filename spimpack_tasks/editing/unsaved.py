"""Unsaved edits, kept in the user's state directory in one file for each manifest.

They include the original texts, so that saving still detects changes by other programs.
"""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.editing.files import OpenFiles
from spimpack_tasks.files.atomic import write_at
from spimpack_tasks.files.roots import check_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.editing.editor import ManifestEditor

VERSION = 1
"""The form of the file of unsaved edits; another form is ignored."""


def state_folder(environment: Mapping[str, str] = os.environ) -> str:
    """Return where a user's state is kept, as the XDG base directory specification has it."""
    state = environment.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.expanduser("~/.local/state")
    return os.path.join(state, "spimpack")


def unsaved_folder(environment: Mapping[str, str] = os.environ) -> str:
    """Return where drafts are kept."""
    return os.path.join(state_folder(environment), "drafts")


def _name(manifest: str) -> str:
    return blake2b(os.path.realpath(manifest).encode(), digest_size=16).hexdigest() + ".json"


def keep_unsaved(editor: ManifestEditor) -> None:
    """Keep the unsaved edits of a manifest; a disk that refuses the write is ignored."""
    base = {
        path: None if data is None else base64.b64encode(data).decode()
        for path, data in editor.files.base().items()
    }
    data = {
        "version": VERSION,
        "manifest": editor.manifest,
        "texts": editor.files.edited,
        "base": base,
    }
    text = json.dumps(data, sort_keys=True).encode()
    folder = unsaved_folder()
    with suppress(OSError):
        if _read(editor.manifest) != text:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            write_at(os.path.join(folder, _name(editor.manifest)), text)


def find_unsaved(manifest: str, roots: tuple[str, ...]) -> OpenFiles | None:
    """Return the files of a manifest with its unsaved edits, `None` if there are none.

    Raises
    ------
    OutsideRootsError
        It lies outside the roots.
    """
    check_within(manifest, roots)
    try:
        data = json.loads(_read(manifest))
        if data["version"] != VERSION:
            return None
        base = {
            path: None if text is None else base64.b64decode(text)
            for path, text in data["base"].items()
        }
        texts: dict[str, str] = data["texts"]
    except (ValueError, KeyError, TypeError):  # it is of another version, or damaged
        return None
    files = OpenFiles(roots)
    files.restore(texts, base)
    return files


def drop_unsaved(manifest: str) -> None:
    """Delete the unsaved edits of a manifest."""
    with suppress(OSError):
        os.unlink(os.path.join(unsaved_folder(), _name(manifest)))


def _read(manifest: str) -> bytes:
    try:
        with open(os.path.join(unsaved_folder(), _name(manifest)), "rb") as file:
            return file.read()
    except OSError:
        return b""
