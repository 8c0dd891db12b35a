"""The JSON Schemas of manifest, tables, sidecar and report: for checks, editors and docs."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Return the schema `manifest`, `scans`, `photos`, `participants`, `sidecar` or `report`."""
    text = files(__name__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
