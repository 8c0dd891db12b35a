"""JSON and TSV as this program writes them: UTF-8, LF, and equal bytes for equal data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.entities import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WHOLE = "Description"
"""Key that describes the table as a whole."""


def json_text(data: Any) -> str:
    """Return strict, indented JSON; the order of keys is the caller's."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def tsv_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; an empty cell becomes `n/a`, as BIDS wants it."""
    lines = ["\t".join(columns)]
    lines.extend("\t".join(cell.strip() or MISSING for cell in row) for row in rows)
    return "\n".join(lines) + "\n"


def describe_column(column: str, told: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return what is written of a column: the user's words, and ours where these lack some.

    Parameters
    ----------
    column
        Its name.
    told
        The user's descriptions of all columns.
    known
        Properties of the schema of the table.
    """
    own = told.get(column, {})
    if "Description" in own:
        return dict(own)
    text = known.get(column, {}).get("description")
    if column == "age" and own.get("Units", "year") != "year":
        text = "Age of the participant."  # in years would be ours to say, and wrong
    return {**own, "Description": text or f"{column} of the participant, as given by the authors."}
