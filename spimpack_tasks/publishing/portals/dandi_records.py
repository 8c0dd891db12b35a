"""The records that describe a dandiset and its assets: two texts in JSON, composed elsewhere.

`assets.json` has for each path in the dataset the metadata of the asset, without size, digest and
identities, which the ingest adds.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.publishing.portals.dandi_errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping

DANDISET_TEXT, ASSETS_TEXT = "dandiset.json", "assets.json"
"""Names of the two records: metadata of the dandiset, and of each asset by its path."""


@dataclass(frozen=True, slots=True)
class Records:
    """The metadata of a dandiset and of its assets."""

    dandiset: Mapping[str, Any]
    assets: Mapping[str, Mapping[str, Any]]
    """By path in the dataset; without digest, size and identity."""

    @property
    def schema_version(self) -> str:
        """Version of the schema that they are written for, empty where they do not say it."""
        return str(self.dandiset.get("schemaVersion", ""))


def read_records(folder: str) -> dict[str, str]:
    """Return the texts of the two records by name, from a folder or from `dandi` in it.

    Raises
    ------
    IngestError
        One is not there.
    """
    inner = f"{folder}/dandi"
    folder = inner if os.path.isdir(inner) else folder
    texts = {}
    for name in (DANDISET_TEXT, ASSETS_TEXT):
        try:
            texts[name] = read_regular(f"{folder}/{name}").decode()
        except FileNotFoundError:
            message = f"there is no {name} in {folder}; give the folder of the records"
            raise IngestError(message) from None
        except UnicodeDecodeError:
            message = f"{folder}/{name} is no text in UTF-8"
            raise IngestError(message) from None
    return texts


def parse_records(texts: Mapping[str, str]) -> Records:
    """Return the two records, given their texts by name.

    Raises
    ------
    IngestError
        One is no JSON, or has another form.
    """
    values = {}
    for name in (DANDISET_TEXT, ASSETS_TEXT):
        try:
            values[name] = json.loads(texts[name])
        except (KeyError, ValueError) as error:
            message = f"{name} is missing, or no JSON ({error})"
            raise IngestError(message) from None
        if not isinstance(values[name], dict):
            message = f"{name} is no object of JSON"
            raise IngestError(message)
    dandiset, assets = values[DANDISET_TEXT], values[ASSETS_TEXT]
    if not isinstance(dandiset.get("name"), str):
        message = f"{DANDISET_TEXT} has no name, which is the title of the dandiset"
        raise IngestError(message)
    wrong = [path for path, each in assets.items() if not isinstance(each, dict)]
    if wrong:
        message = f"{ASSETS_TEXT}: {wrong[0]} is no object of JSON"
        raise IngestError(message)
    return Records(dandiset, assets)
