"""Where the identity of a dataset is kept, which stands in its inventories.

.spimpack/publications/dataset.json    {"dataset": "<random hexadecimal digits>"}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.remote.location import RECORDS

if TYPE_CHECKING:
    from typing import Any

IDENTITY_FILE = f"{RECORDS}/dataset.json"
"""Path in a state directory."""


def identity_in(state: str) -> str:
    """Return the identity of the dataset with a state directory, empty where it has none yet."""
    known: dict[str, Any] = read_json(f"{state}/{IDENTITY_FILE}", dict, {})
    found = known.get("dataset")
    return found if isinstance(found, str) else ""
