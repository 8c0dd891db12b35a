"""Checks data against a JSON Schema and says what is wrong in the user's words."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.exceptions import ValidationError

    from spimpack_tasks.files.yaml_marks import Document

_TYPE_NAMES = {
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "empty",
}


def make_validator(schema: dict[str, Any]) -> Any:
    """Return a validator whose `pattern` must match in full, not even a line end aside."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def full_pattern(
        _validator: Any, pattern: str, instance: Any, _schema: Any
    ) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not re.fullmatch(pattern.removesuffix("$"), instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    return extend(Draft202012Validator, {"pattern": full_pattern})(schema)


def schema_problems(document: Document, schema: dict[str, Any]) -> Iterator[Problem]:
    """Yield what the schema finds wrong with a document."""
    for error in make_validator(schema).iter_errors(document.data):
        yield from _translate(error, document)


def _translate(error: ValidationError, document: Document) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    properties: dict[str, Any] = error.schema.get("properties", {})  # type: ignore[union-attr]
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                hint = properties.get(name, {}).get("description", "")
                key = dotted((*path, name))
                yield Problem("key.missing", document.key_place(path), key, "is missing", hint)
    elif error.validator == "additionalProperties":
        for name in error.instance:
            if name not in properties:
                place = document.key_place((*path, name))
                hint = suggestion(name, properties) or f"known keys: {', '.join(properties)}"
                key = dotted((*path, name))
                yield Problem("key.unknown", place, key, "is not a known key", hint)
    else:
        code, message, hint = explain(error)
        yield Problem(code, document.place(path), dotted(path), message, hint)


def explain(error: ValidationError) -> tuple[str, str, str]:
    """Return code, message and hint for an error in one value."""
    value, wanted = error.instance, error.validator_value
    if error.validator == "type":
        names = [wanted] if isinstance(wanted, str) else wanted
        expected = " or ".join(_TYPE_NAMES[name] for name in names)
        given = "empty" if value is None else repr(value)
        quote = isinstance(value, (int, float)) and "string" in names
        return (
            "value.type",
            f"must be {expected}, not {given}",
            "put quotes around it" if quote else "",
        )
    if error.validator == "enum":
        hint = suggestion(str(value), wanted) or f"one of: {', '.join(map(str, wanted))}"
        return "value.choice", f"{value!r} is not allowed", hint
    if error.validator in {"minLength", "minItems"} and not value:
        return "value.empty", "is empty", ""
    if error.validator == "pattern":
        examples = error.schema.get("examples", [])  # type: ignore[union-attr]
        hint = f"write it like {examples[0]!r}" if examples else f"it must match {wanted}"
        return "value.form", f"{value!r} is not well formed", hint
    return "value.range", error.message, ""


def unlisted_key_problems(document: Document, schema: dict[str, Any]) -> Iterator[Problem]:
    """Yield keys of dataset_description that BIDS does not list: typing errors, or additions."""
    properties = schema["properties"]["dataset_description"]["properties"]
    data = document.data.get("dataset_description") if isinstance(document.data, dict) else None
    for name in data if isinstance(data, dict) else ():
        if name not in properties:
            path = ("dataset_description", name)
            place, key = document.key_place(path), dotted(path)
            hint = suggestion(name, properties)
            if hint:
                yield Problem("key.unknown", place, key, "is not a known key", hint)
            else:
                message = "is not a key that BIDS lists; it is written as it is"
                yield Problem("key.unlisted", place, key, message, severity=Severity.WARNING)


def suggestion(name: str, known: Any) -> str:
    """Return `did you mean …?` for a likely typing error, or nothing."""
    lower = {str(candidate).lower(): str(candidate) for candidate in known}
    near = get_close_matches(name.lower(), lower, n=1, cutoff=0.75)
    return f"did you mean {lower[near[0]]!r}?" if near else ""


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as a user reads it, such as `datasets[0].assets`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
