"""The file of tiles that a task finds in a recording, for the steps behind it.

It has a digest of its content: a file that a person has edited since is not replaced.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.stitching.discovery.layouts import discover_tiles
from spimpack_tasks.stitching.tile_files import FORM, write_json

if TYPE_CHECKING:
    from spimpack_tasks.stitching.discovery.found import TileChoices

_DIGEST = "found_digest"


class EditedTilesError(SpimpackError):
    """The file of tiles is not as it was written; the message says what to do."""

    exit_code = ExitCode.CONFLICT


def has_found(recording: str, choices: TileChoices, path: str) -> bool:
    """Tell whether a file has the tiles of a recording as they are found now.

    Raises
    ------
    InputError
        There are no tiles, or something is wrong with them.
    EditedTilesError
        Another program has written the file, or a person has edited it.
    """
    _require_own(path)
    return _read(path) == _compose(recording, choices, path)


def write_found(recording: str, choices: TileChoices, path: str) -> int:
    """Find the tiles of a recording, write their file, and return their number.

    Raises
    ------
    InputError
        There are no tiles, or something is wrong with them.
    EditedTilesError
        Another program has written the file, or a person has edited it.
    OSError
        The disk does not take it.
    """
    _require_own(path)
    content = _compose(recording, choices, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_json(path, content)
    return len(content["tiles"])


def _require_own(path: str) -> None:
    present = _read(path)
    if os.path.lexists(path) and (not present or present.get(_DIGEST) != _digest(present)):
        message = (
            f"{path}: was edited, or is not of this program; give it another name, and name it by "
            "tiles in place of recording"
        )
        raise EditedTilesError(message)


def _compose(recording: str, choices: TileChoices, path: str) -> dict[str, Any]:
    tiles, folder = discover_tiles(recording, choices), os.path.dirname(path)
    whole = {
        "form": FORM,
        "geometry": asdict(tiles.geometry),
        # Relative paths, so that a folder with recording and file can be moved.
        "tiles": [
            asdict(tile) | {"path": os.path.relpath(tile.path, folder)} for tile in tiles.tiles
        ],
    }
    content: dict[str, Any] = json.loads(json.dumps(whole))  # with lists for tuples, as files have
    return content | {_DIGEST: _digest(content)}


def _digest(content: dict[str, Any]) -> str:
    told = {key: value for key, value in content.items() if key != _DIGEST}
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
