"""Turns the text of a cell into the JSON value that BIDS wants for a sidecar key.

The types come from the sidecar schema; a key it does not list stays text.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

from spimpack_tasks.manifest.schema_check import (
    explain,
    is_surely_valid,
    property_validator,
    shown_value,
)
from spimpack_tasks.model.entities import MISSING
from spimpack_tasks.schemas import load_schema

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_MAY_BE_DECIMAL = re.compile(r"[+-]?\d+,\d+")
"""One number with a decimal comma, or two whole numbers."""
_DECIMAL_HINT = "write a point, not a comma, in a number, and semicolons between numbers"
_LENGTH_UNITS = {
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre"), "um"),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), "mm"),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), "nm"),
}


class ValueRefusedError(Exception):
    """A value does not fit its key; the arguments are a problem code, a message and a hint."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


@lru_cache(4096)
def coerce_text(key: str, text: str) -> Any:
    """Return the JSON value for the text of a cell, `None` where the cell says nothing.

    Raises
    ------
    ValueRefusedError
        The text is not of the type that BIDS wants for `key`.
    """
    schema = load_schema("sidecar")["properties"].get(key, {})
    text = text.strip()
    types = _types(schema)
    is_any_text = "string" in types and "enum" not in schema
    if not text or (text == MISSING and not is_any_text):
        return None
    if "number" in types:
        value: Any = _number(key, text)
    elif types == ["array"]:
        value = _array(key, text, schema["items"])
    elif "array" in types:
        value = _split(text) if ";" in text else text
    else:
        value = _LENGTH_UNITS.get(text.lower(), text) if key == "PixelSizeUnits" else text
    return check_value(key, value)


def check_value(key: str, value: Any, written: str = "") -> Any:
    """Return a value that is no text of a cell, if it fits its key.

    `written` is how the user wrote it, where that is not how Python shows it.

    Raises
    ------
    ValueRefusedError
        The value is not of the type that BIDS wants for `key`.
    """
    if is_surely_valid(load_schema("sidecar")["properties"].get(key, {}), value):
        return value
    for error in property_validator("sidecar", key).iter_errors(value):
        raise ValueRefusedError(*explain(error, written))
    return value


def _types(schema: dict[str, Any]) -> list[str]:
    types = schema.get("type", "string")
    return [types] if isinstance(types, str) else types


@lru_cache(4096)
def _number(key: str, text: str) -> float:
    # Objectives are labelled 4x or 4X; any other unit would be a guess.
    digits = text[:-1].rstrip() if key == "Magnification" and text[-1] in "xX" else text
    if not _NUMBER.fullmatch(digits):
        hint = "write a point, not a comma" if "," in text else "write digits only, without a unit"
        raise ValueRefusedError("value.type", f"must be a number, not {shown_value(text)}", hint)
    number = float(digits)
    if not math.isfinite(number):
        raise ValueRefusedError("value.range", f"{shown_value(text)} is too large a number")
    return plain_number(number)


def plain_number(number: float) -> float:
    """Return a whole number without its `.0`, so that one value is written in one way."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _array(key: str, text: str, items: dict[str, Any]) -> list[Any]:
    if items.get("type") == "array":
        return _json_array(text)
    is_bracketed = text.startswith("[") and text.endswith("]")
    inner = text[1:-1] if is_bracketed else text
    is_of_numbers = items.get("type") == "number"
    refuse_mixed_separators(inner, _DECIMAL_HINT if is_of_numbers else "")
    if is_of_numbers and not is_bracketed and _MAY_BE_DECIMAL.fullmatch(inner):
        message = f"{shown_value(text)} may be one number or two"
        hint = f"write {inner.replace(',', '.')!r} or {inner.replace(',', ';')!r}"
        raise ValueRefusedError("value.separator", message, hint)
    parts = [part.strip().strip("\"'") for part in re.split(r"[;,]", inner)]
    return [_number(key, part) if is_of_numbers else part for part in parts]


def refuse_mixed_separators(text: str, hint: str = "") -> None:
    """Refuse a list with both commas and semicolons: only one of them can be the separator.

    Raises
    ------
    ValueRefusedError
        It has both.
    """
    if "," in text and ";" in text:
        message = f"{shown_value(text)} has commas and semicolons"
        hint = hint or "write semicolons between items, and no commas in them"
        raise ValueRefusedError("value.separator", message, hint)


def _json_array(text: str) -> list[Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list):
        return value
    hint = "write it as in JSON: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]"
    raise ValueRefusedError("value.type", f"must be a list of lists, not {shown_value(text)}", hint)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _split(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(";")]
    if "" in parts:
        hint = "put one name between two semicolons"
        raise ValueRefusedError("value.empty", f"{shown_value(text)} has an empty item", hint)
    return parts
