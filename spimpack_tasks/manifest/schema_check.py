"""Checks data against a JSON Schema and reports problems in the user's words."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity, closest, suggestion
from spimpack_tasks.schemas import load_schema

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

_RANGES = {
    "minItems": "must have {wanted} items or more, not {count}",
    "maxItems": "must have {wanted} items or fewer, not {count}",
    "exclusiveMinimum": "must be greater than {wanted}, not {value!r}",
}

DATE_TIME = "bids-date-time"
"""Format of a date and time that may lack a time zone, which JSON Schema's own date-time wants."""


@cache
def _validator_class() -> Any:
    """Return a validator class whose patterns with `^` and `$` do not allow a last line end."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def full_pattern(
        _validator: Any, pattern: str, instance: Any, _schema: Any
    ) -> Iterator[ValidationError]:
        # `$` would match before a last line end, \Z does not.
        strict = re.sub(r"\$\Z", r"\\Z", pattern)
        if isinstance(instance, str) and not re.search(strict, instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    return extend(Draft202012Validator, {"pattern": full_pattern})


def make_validator(schema: dict[str, Any]) -> Any:
    """Return a validator that also knows our formats."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    checker.checks(DATE_TIME, raises=ValueError)(_is_date_time)
    return _validator_class()(schema, format_checker=checker)


@cache
def property_validator(schema: str, name: str) -> Any:
    """Return the validator for one property of a shipped schema; it allows all if not listed."""
    return make_validator(load_schema(schema)["properties"].get(name, {}))


_TYPES_OF: dict[type, frozenset[str]] = {
    str: frozenset({"string"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"number"}),
    list: frozenset({"array"}),
}
_QUICK = frozenset(
    {
        *("type", "items", "minItems", "maxItems", "exclusiveMinimum"),
        *("description", "examples", "title"),
    }
)
"""Keys of a schema that `is_surely_valid` understands, or that say nothing about values."""


def is_surely_valid(schema: dict[str, Any], value: Any) -> bool:
    """Tell that a value is valid, in a hundredth of the time that the validator takes.

    False means that the validator has to be asked.
    """
    types = schema.get("type")
    if types is None:
        return not schema
    names = {types} if isinstance(types, str) else types
    if not schema.keys() <= _QUICK or _TYPES_OF.get(type(value), frozenset()).isdisjoint(names):
        return False
    if isinstance(value, list):
        is_long_enough = schema.get("minItems", 0) <= len(value)
        is_short_enough = len(value) <= schema.get("maxItems", len(value))
        items = schema.get("items")
        fit = items is None or all(is_surely_valid(items, item) for item in value)
        return is_long_enough and is_short_enough and fit
    least = schema.get("exclusiveMinimum")
    return least is None or isinstance(value, str) or bool(value > least)


def _is_date_time(text: object) -> bool:
    return bool(datetime.fromisoformat(str(text)))


def schema_problems(document: Document, schema: dict[str, Any]) -> Iterator[Problem]:
    """Yield the problems that the schema finds in a document."""
    reported = set()
    for error in make_validator(schema).iter_errors(document.data):
        for problem in _translate(error, document):
            # A text may break several rules at once; one message for one mistake.
            if (problem.place, problem.key) not in reported:
                reported.add((problem.place, problem.key))
                yield problem


def _translate(error: ValidationError, document: Document) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    properties: dict[str, Any] = error.schema.get("properties", {})  # type: ignore[union-attr]
    given: Any = error.instance
    required: Any = error.validator_value
    if error.validator == "required":
        for name in required:
            if name not in given:
                yield _missing(name, path, given, properties, document)
    elif error.validator == "additionalProperties":
        for name in given:
            if name not in properties:
                place = document.key_place((*path, name))
                hint = suggestion(name, properties) or f"known keys: {', '.join(properties)}"
                key = dotted((*path, name))
                yield Problem("key.unknown", place, key, "is not a known key", hint)
    else:
        code, message, hint = explain(error, document.written(path))
        yield Problem(code, document.place(path), dotted(path), message, hint)


def _missing(
    name: str,
    path: tuple[str | int, ...],
    given: dict[str, Any],
    properties: dict[str, Any],
    document: Document,
) -> Problem:
    hint = first_sentence(properties.get(name, {}).get("description", ""))
    place = document.key_place(path)
    unknown = [key for key in given if key not in properties]
    if name == closest(closest(name, unknown), properties):
        misspelt = closest(name, unknown)
        place, hint = document.key_place((*path, misspelt)), f"rename {misspelt!r}"
    return Problem("key.missing", place, dotted((*path, name)), "is missing", hint)


def explain(error: ValidationError, written: str = "") -> tuple[str, str, str]:
    """Return code, message and hint for an error in one value.

    Parameters
    ----------
    error
        Error of the validator.
    written
        The user's spelling of the value, if it differs from Python's.
    """
    value: Any = error.instance
    wanted: Any = error.validator_value
    rule = str(error.validator)
    if isinstance(value, str) and not value.strip():
        return "value.empty", "is empty", first_sentence(error.schema.get("description", ""))  # type: ignore[union-attr]
    if rule == "type":
        return _explain_type(value, wanted, written)
    if rule == "enum":
        hint = suggestion(str(value), wanted) or f"one of: {', '.join(map(str, wanted))}"
        if value is None:
            return "value.empty", "is empty", hint
        return "value.choice", f"{written or shown_value(value)} is not allowed", hint
    if rule in {"pattern", "format"}:
        examples = error.schema.get("examples", [])  # type: ignore[union-attr]
        hint = f"write it like {examples[0]!r}" if examples else f"it must match {wanted}"
        return "value.form", f"{shown_value(value)} is not well formed", hint
    count = len(value) if isinstance(value, list) else 0
    message = _RANGES.get(rule, "{reason}")
    values = {"wanted": wanted, "value": value, "count": count, "reason": error.message}
    return "value.range", message.format(**values), ""


def _explain_type(value: Any, wanted: str | list[str], written: str) -> tuple[str, str, str]:
    names = [wanted] if isinstance(wanted, str) else wanted
    expected = " or ".join(_TYPE_NAMES[name] for name in names)
    if value is None:
        return "value.empty", f"is empty; it must be {expected}", ""
    hint = ""
    if written and "string" in names:
        hint = "put quotes around it"
    elif isinstance(value, str) and names == ["array"]:
        hint = f"write [{value}]"
    given = written or shown_value(value)
    return "value.type", f"must be {expected}, not {given}", hint


def shown_value(value: Any) -> str:
    """Return a value as messages show it, in quotes if it is text, and not longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def first_sentence(description: str) -> str:
    """Return the first sentence of a description, as a hint: `name of the dataset`."""
    sentence = description.split(". ", maxsplit=1)[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def unlisted_key_problems(document: Document, schema: dict[str, Any]) -> Iterator[Problem]:
    """Yield keys of dataset_description that BIDS does not list: typing errors, or additions."""
    described = schema["properties"]["dataset_description"]
    properties = described["properties"]
    data = document.data.get("dataset_description") if isinstance(document.data, dict) else None
    given = data if isinstance(data, dict) else {}
    missing = set(described["required"]) - given.keys()
    for name in given:
        # The problem of the missing key already advises to rename this one.
        if name not in properties and closest(name, properties) not in missing:
            path = ("dataset_description", name)
            place, key = document.key_place(path), dotted(path)
            hint = suggestion(name, properties)
            if hint:
                yield Problem("key.unknown", place, key, "is not a known key", hint)
            else:
                message = "is not a key that BIDS lists; it is written as it is"
                yield Problem("key.unlisted", place, key, message, severity=Severity.WARNING)


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as a user reads it, such as `datasets[0].assets`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
