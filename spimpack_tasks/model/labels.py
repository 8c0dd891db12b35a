"""Guesses the intended label of a text that is not a BIDS label.

Spreadsheets write numbers and dates in their own way: a label `1` comes back as `1.0`, `1-5` as
`5-Jan`. Characters with a meaning are never just removed: `1.5` is not 15.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Literal
from unicodedata import normalize

from spimpack_tasks.model.entities import ENTITIES, entities_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LabelForm = Literal["label", "index"]
ALLOWED: dict[str, str] = {"label": "A-Za-z0-9", "index": "0-9"}
"""Characters allowed, by the form of an entity."""

_PREFIX = re.compile(f"({'|'.join(entity.short for entity in ENTITIES)})-")
_WHOLE = re.compile(r"([0-9]+)[.,](0{1,2}|0{4,})")
"""A whole number with decimals; three zeros may also be thousands."""
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})([T ]00:00(:00(\.0+)?)?)?")
_LEADING_ZEROS = re.compile("(?<![0-9])0+(?=[0-9])")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_MEANING = re.compile(
    r"[0-9][.,][0-9]|[.,][0-9]+\Z|\A[-+][0-9.]|[0-9]e[-+][0-9]"  # a number
    r"|[0-9]+[./-][0-9]+[./-][0-9]+|[0-9]:[0-9]"  # a date in an unknown order, a time
    rf"|\A[0-9]+[- ]({_MONTHS})[a-z]*\b|\A({_MONTHS})[a-z]*[- ][0-9]",
    re.IGNORECASE,
)
"""A text in which signs between digits mean something that is lost without them."""


def probable_label(form: LabelForm, text: str) -> str:
    """Return the label that a text was probably meant to be, empty where that is not clear."""
    cleaned = _PREFIX.sub("", normalize("NFKD", text.strip()))
    whole = _WHOLE.fullmatch(cleaned)
    if whole:
        return whole[1]
    if form == "label":
        day = _DAY.fullmatch(cleaned)
        if day:
            return "".join(day.group(1, 2, 3))
        if _MEANING.search(cleaned):
            return ""
        cleaned = re.sub(f"[^{ALLOWED[form]}]", "", cleaned)
    return cleaned if re.fullmatch(f"[{ALLOWED[form]}]+", cleaned) else ""


def looks_recast(text: str) -> bool:
    """Tell whether a text looks like a label that a spreadsheet turned into a number or a date."""
    text = text.strip()
    return bool(_WHOLE.fullmatch(text) or _DAY.fullmatch(text) or _MEANING.search(text))


def without_zeros(label: str) -> str:
    """Return a label without zeros in front of its numbers: `01` and `1` are one for a person."""
    return _LEADING_ZEROS.sub("", label) if "0" in label else label


def differ_in_zeros(keys: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield the entities of which labels differ in leading zeros only.

    Parameters
    ----------
    keys
        File name of each image without its extension, as `model.entities.stem` makes it.

    Yields
    ------
    tuple
        Name of the entity, and number of an image of each of the two labels, the earlier first.
        Other entities than the subject are compared within a subject.
    """
    distinct = {piece for key in keys for piece in key.split("_")[:-1]}
    pairs = (pair for piece in distinct for pair in entities_in(f"{piece}_").items())
    counts = Counter((name, without_zeros(label)) for name, label in pairs)
    ambiguous = {pair for pair, count in counts.items() if count > 1}
    if not ambiguous:
        return
    firsts: dict[tuple[str, str, str], tuple[str, int]] = {}
    reported = set()
    for number, given in enumerate(map(entities_in, keys)):
        for name, label in given.items():
            without = without_zeros(label)
            if (name, without) not in ambiguous:
                continue  # no other label differs in zeros alone
            subject = "" if name == "subject" else without_zeros(given.get("subject", ""))
            key = (subject, name, without)
            other, first = firsts.setdefault(key, (label, number))
            if other != label and (key, label) not in reported:
                reported.add((key, label))
                yield name, first, number
