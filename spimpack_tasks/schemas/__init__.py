"""The JSON Schemas of manifest, tables, sidecar, report, streams: for checks, editors and docs."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

_OF_A_BLOCK = ("additionalProperties", "properties")


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Return a schema: `manifest`, `publication`, `sidecar`, `report`, `stream`, or of a table.

    That of the manifest holds the one of its key `publication`, which has a file of its own.
    """
    path = os.path.join(os.path.dirname(__file__), f"{name}.schema.json")
    with open(path, encoding="utf-8") as file:
        schema: dict[str, Any] = json.load(file)
    if name == "manifest":
        block = load_schema("publication")
        schema["properties"]["publication"] |= {key: block[key] for key in _OF_A_BLOCK}
    return schema
