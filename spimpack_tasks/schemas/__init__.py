"""The JSON Schemas of manifest, tables, sidecar and report: for checks, editors and docs."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Return the schema `manifest`, `scans`, `photos`, `participants`, `sidecar` or `report`."""
    path = os.path.join(os.path.dirname(__file__), f"{name}.schema.json")
    with open(path, encoding="utf-8") as file:
        schema: dict[str, Any] = json.load(file)
    return schema
