"""Converts texts from paths to BIDS labels, and finds labels in BIDS-like names.

A label holds letters and digits only, so a text such as `mouse 01-a` becomes `mouse01a`. Two texts
that would become one label are two things for their owner, and an error here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import normalize

from spimpack_tasks.errors import Place, Problem
from spimpack_tasks.model.entities import OTHER_SUFFIXES, PHOTO_SUFFIX
from spimpack_tasks.scanning.patterns import ENTITY_BY_NAME, without_ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.errors import Report

_TOKEN = re.compile(r"([a-z]+)-(.+)", re.DOTALL)


def as_label(entity: str, text: str) -> str:
    """Return the label of a text, empty if it cannot become one.

    The entity's short name in front and accents are removed, and so are all characters other than
    letters and digits. The text of an index must consist of digits: `1.5` is not 15.
    """
    text = text.removeprefix(f"{ENTITY_BY_NAME[entity].short}-")
    if ENTITY_BY_NAME[entity].form == "index":
        return text if re.fullmatch("[0-9]+", text) else ""
    return re.sub("[^A-Za-z0-9]", "", normalize("NFKD", text))


def wanted_form(entity: str) -> tuple[str, str]:
    """Return the problem code for a text that is not a label of an entity, and the right form."""
    if ENTITY_BY_NAME[entity].form == "index":
        return "value.index", "digits only"
    return "value.label", "letters A to Z or digits"


def tokens_of(path: str) -> tuple[dict[str, str], list[str]]:
    """Return the texts that BIDS-like names on a path give, and notes on ambiguous ones.

    A token such as `sub-01` counts if it is a whole name, or is separated by underscores. An entity
    with two different texts, or with a text that makes no label, is left out.
    """
    texts: dict[str, list[str]] = {}
    for name, text in _tokens(path):
        entity = ENTITY_BY_NAME.get(name)
        if entity is not None and text not in texts.setdefault(entity.name, []):
            texts[entity.name].append(text)
    found, notes = {}, []
    for entity_name, given in texts.items():
        shown = " and ".join(map(repr, given))
        if len(given) > 1:
            notes.append(f"names on its path give the {entity_name} as {shown}, so it is left open")
        elif as_label(entity_name, given[0]):
            found[entity_name] = given[0]
        else:
            notes.append(f"{shown} is no {entity_name}, so it is left open")
    return found, notes


def suffix_of(name: str) -> str:
    """Return the BIDS suffix of a file's name if it is that of a photo or another microscope.

    The suffix alone identifies a photo. Other suffixes, which may be ordinary words, count only in
    a name with a BIDS entity.
    """
    start, _, rest = name.rpartition("_")
    suffix = rest.partition(".")[0]
    if suffix == PHOTO_SUFFIX:
        return suffix
    tokens = (_TOKEN.fullmatch(token) for token in start.split("_"))
    is_bids = any(token and token[1] in ENTITY_BY_NAME for token in tokens)
    return suffix if is_bids and suffix in OTHER_SUFFIXES else ""


def _tokens(path: str) -> Iterator[tuple[str, str]]:
    for name in without_ending(path).split("/"):
        for token in name.split("_"):
            match = _TOKEN.fullmatch(token)
            if match:
                yield match[1], match[2]


class Labels:
    """The labels given so far, each to one text."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._text_of: dict[tuple[str, str], str] = {}
        self._told: set[tuple[str, str]] = set()

    def give(self, entity: str, text: str, where: Place) -> str:
        """Return the label for a text; a problem is reported once for each text."""
        label = as_label(entity, text)
        first = self._text_of.setdefault((entity, label), text)
        if (label and first == text) or (entity, text) in self._told:
            return label
        self._told.add((entity, text))
        if label:
            message = f"{text!r} and {first!r} would both become {label!r}"
            hint = "rename one, or capture more of the path"
            self.report.add(Problem("scan.same-label", where, entity, message, hint))
        else:
            code, wanted = wanted_form(entity)
            hint = "capture another part of the path, or rename it"
            self.report.add(Problem(code, where, entity, f"{text!r} has no {wanted}", hint))
        return label
