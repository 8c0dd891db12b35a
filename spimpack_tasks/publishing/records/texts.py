"""The form of the files: JSON and tables, equal bytes for equal facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def json_text(value: Any) -> str:
    """Return a value as JSON in its own order, with a final line end."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def table_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as tab-separated text; blanks within a cell are made one space."""
    return "".join("\t".join(_cell(value) for value in row) + "\n" for row in rows)


def _cell(value: object) -> str:
    return " ".join(str(value).split())


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping without values that are empty; 0 and false stay."""
    return {k: v for k, v in values.items() if v is not None and v not in ("", [], {}, ())}
