"""Files of a dataset for our own checks: its description, its tables and JSON files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Place, Report
from spimpack_tasks.files.text import MAX_TABLE_BYTES, read_text
from spimpack_tasks.files.tsv import parse_tsv
from spimpack_tasks.model.entities import DATATYPE
from spimpack_tasks.validation.inventory import EntryKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.files.tsv import TsvTable
    from spimpack_tasks.validation.inventory import Entry


@dataclass(frozen=True, slots=True)
class JsonFile:
    """Content of a JSON file; empty if it is not an object, or cannot be read."""

    values: Mapping[str, Any]
    repeated: tuple[str, ...] = ()
    """Keys that occur more than once in one object."""


class DatasetFiles:
    """Files of one dataset. A text that cannot be read counts as empty.

    The official validator reports unreadable files.
    """

    def __init__(self, root: str, entries: tuple[Entry, ...]) -> None:
        self.root = root
        self.entries = entries
        self.kinds = {entry.path: entry.kind for entry in entries}
        self._json: dict[str, JsonFile] = {}
        self.description = self.read_json("dataset_description.json").values
        self.is_derivative = self.description.get("DatasetType") == "derivative" or (
            "DatasetType" not in self.description and "GeneratedBy" in self.description
        )
        """By the rule of the official validator."""
        self.images = tuple(entry for entry in entries if _is_image(entry))
        """The microscopy images in any format, including those behind broken links."""

    def path(self, path: str) -> str:
        """Return the absolute form of a path of the dataset."""
        return os.path.join(self.root, path)

    def read_json(self, path: str) -> JsonFile:
        """Return the content of a JSON file of the dataset, which is read once."""
        if path not in self._json:
            self._json[path] = _parse_json(self._read_text(path))
        return self._json[path]

    def read_table(self, path: str) -> TsvTable | None:
        """Return a table of the dataset, `None` where there is none."""
        text = self._read_text(path)
        return parse_tsv(text, path, Report()) if text else None

    def _read_text(self, path: str) -> str:
        if self.kinds.get(path) is not EntryKind.FILE:
            return ""
        place = Place(path)
        text = read_text(
            self.path(path), name=path, blame=place, limit=MAX_TABLE_BYTES, report=Report()
        )
        return text or ""


def _is_image(entry: Entry) -> bool:
    in_place = f"/{entry.path}".split("/")[-2] == DATATYPE
    return in_place and entry.kind is not EntryKind.FOLDER and not entry.path.endswith(".json")


def _parse_json(text: str) -> JsonFile:
    repeated: dict[str, None] = {}

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                repeated[key] = None
            values[key] = value
        return values

    try:
        values = json.loads(text, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return JsonFile({})
    return JsonFile(values if isinstance(values, dict) else {}, tuple(repeated))
