"""JSON and TSV as this program writes them: UTF-8, LF, and equal bytes for equal data."""

from __future__ import annotations

import json
import math
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.entities import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WHOLE = "Description"
"""Key that describes the table as a whole."""


def json_text(data: Any) -> str:
    """Return strict, indented JSON; the order of keys is the caller's."""
    return _indented(data, "\n") + "\n"


def _indented(data: Any, line_end: str) -> str:
    """Return what `json.dumps` returns with an indent of 2, in a quarter of its time.

    `line_end` is a line end with the indent of what surrounds the value.
    """
    inner = f"{line_end}  "
    if type(data) is dict and data and all(type(key) is str for key in data):
        items = (f"{encode_basestring(k)}: {_indented(v, inner)}" for k, v in data.items())
        return f"{{{inner}{f',{inner}'.join(items)}{line_end}}}"
    if type(data) is list and data:
        return f"[{inner}{f',{inner}'.join(_indented(v, inner) for v in data)}{line_end}]"
    if type(data) is str:
        return str(encode_basestring(data))
    if type(data) is int or (type(data) is float and math.isfinite(data)):
        return repr(data)
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    return text.replace("\n", line_end)  # a line end within a text is written as two characters


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
