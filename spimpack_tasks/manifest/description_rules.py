"""Rules on what the manifest says of the dataset as a whole, besides the schema's.

Facts: BIDS 1.10, dataset_description.json: a DOI should be a URI, and bare ones are deprecated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity
from spimpack_tasks.manifest.schema_check import dotted, shown_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.packaging.rules import RuleInput

_ROOT = "dataset_description"
_LISTS = (
    *("Authors", "Keywords", "Funding", "EthicsApprovals", "ReferencesAndLinks"),
    "RequiredMicroscopyFields",
)
_BARE_DOI = r"10\.[0-9]{4,9}(?:\.[0-9]+)*/\S+"
_URI = re.compile(rf"(?i:doi):{_BARE_DOI}|(?!(?i:doi):)[A-Za-z][A-Za-z0-9+.-]*:[^\s:]\S*")
_DOI_IN_TEXT = re.compile(rf"(?:(?i:doi)\s*[:.]?\s*|(?:dx\.)?doi\.org/)?({_BARE_DOI})")


def identifiers_are_uris(facts: RuleInput) -> Iterator[Problem]:
    """A DOI, or the address of code, is a URI, so that somebody can follow it."""
    for path, value in _identifiers(facts.inputs.description):
        text = value.strip() if isinstance(value, str) else ""
        if not isinstance(value, str) or _URI.fullmatch(value):
            continue
        is_doi = path[-1] != "CodeURL"
        found = _DOI_IN_TEXT.fullmatch(text)
        hint = "write it like doi:10.5281/zenodo.1234567" if is_doi else "begin with https://"
        if is_doi and (found or _URI.fullmatch(text)):
            hint = f"write doi:{found[1]}" if found else f"write {text}"
        whole = (_ROOT, *path)
        place = facts.inputs.document.place(whole)
        message = f"{shown_value(value)} is no {'DOI' if is_doi else 'URL'} that can be followed"
        yield Problem("description.uri", place, dotted(whole), message, hint, Severity.WARNING)


def _identifiers(description: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield each value that should be a URI, with its path."""
    if "DatasetDOI" in description:
        yield ("DatasetDOI",), description["DatasetDOI"]
    for name, key in (("SourceDatasets", "DOI"), ("GeneratedBy", "CodeURL")):
        items = description.get(name)
        for index, item in enumerate(items if isinstance(items, list) else []):
            if isinstance(item, dict) and key in item:
                yield (name, index, key), item[key]


def lists_are_filled_once(facts: RuleInput) -> Iterator[Problem]:
    """Each author is listed once, and so are keywords, grants and the like."""
    description, document = facts.inputs.description, facts.inputs.document
    for name in _LISTS:
        items = description.get(name)
        if not isinstance(items, list):
            continue
        if name == "Authors" and not items:
            place, key = document.place((_ROOT, name)), f"{_ROOT}.{name}"
            message, hint = "lists nobody", "name the authors, or leave the key out"
            yield Problem("description.authors", place, key, message, hint, Severity.WARNING)
        seen: dict[str, int] = {}
        for index, item in enumerate(items):
            plain = " ".join(item.split()).casefold() if isinstance(item, str) else ""
            if plain and seen.setdefault(plain, index) != index:
                path = (_ROOT, name, index)
                message = f"{shown_value(item)} is listed already, as item {seen[plain] + 1}"
                place, key, warning = document.place(path), dotted(path), Severity.WARNING
                yield Problem("description.twice", place, key, message, "keep one", warning)
