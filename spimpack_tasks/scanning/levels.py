"""Levels of a folder tree: a short way to write the patterns of a project in folders.

`session=TP` stands for names in which `TP` and a number stand at the end, behind a boundary:
`TP001`, `exp_TP001`, `day1-TP_001`, but never `TPX1` or `XTP1`. Levels follow one another from the
top. The last one may also be the name of the files; otherwise these may have any names. A level of
the axis `T`, `C` or `Z` may be missing, as images that are whole need none.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.scanning.patterns import (
    ENTITY_BY_NAME,
    EXPRESSION,
    PatternError,
    read_pattern,
)
from spimpack_tasks.volumes.merged.request import AXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.scanning.patterns import Pattern

ANY = "*"
"""Stands for any name, all of which is the label."""
_HINT = "write it like session=TP, or T=TAG_ for parts of an image"
_LABEL = re.compile(r"(?P<word>[A-Za-z][A-Za-z0-9_-]*?)(?P<separator>[_-]?)(?P<number>[0-9]*)")
_BOUNDARY = "(?:[^/]*[_-])?"
_SEPARATORS = "_-"
_FILE = "(?:/[^/]+)?"


def read_levels(texts: Sequence[str]) -> list[Pattern]:
    """Return the pattern that levels stand for, and one of images that need no axis.

    Raises
    ------
    PatternError
        A level is none, or comes twice, or an axis is not the last.
    """
    if not texts:
        return []
    levels = [_read_level(text) for text in texts]
    names = [name for name, _ in levels]
    if len(set(names)) < len(names):
        raise PatternError("names a level twice", "name each level once, from the top")
    if any(name in AXES for name in names[:-1]):
        raise PatternError("has an axis above other levels", "name the axis last")
    whole = _compose([expression for _, expression in levels], texts)
    if names[-1] not in AXES or len(levels) == 1:
        return [whole]
    plain = _compose([expression for _, expression in levels[:-1]], texts[:-1])
    return [whole, plain]


def _compose(expressions: Sequence[str], texts: Sequence[str]) -> Pattern:
    pattern = read_pattern(f"{EXPRESSION}{'/'.join(expressions)}{_FILE}")
    return replace(pattern, text="/".join(texts), is_of_levels=True)


def _read_level(text: str) -> tuple[str, str]:
    """Return the name of a level and the expression for names of its folders."""
    given, equals, label = (part.strip() for part in text.partition("="))
    entity = ENTITY_BY_NAME.get(given)
    name = entity.name if entity else given
    if not equals or (entity is None and name not in AXES):
        raise PatternError("is no level of an entity or axis", _HINT)
    if label == ANY:
        return name, f"(?P<{name}>[^/]+)"
    match = _LABEL.fullmatch(label)
    if match is None:
        raise PatternError("has other characters than letters, digits, _ and -", _HINT)
    word, separator, number = match["word"], match["separator"], match["number"]
    between = re.escape(separator) if separator else f"[{_SEPARATORS}]?"
    # Behind a separator that is given, a label may have letters, as in sub-A1.
    rest = number or ("[A-Za-z0-9]+" if separator else "[0-9]+")
    is_name = name in AXES or ENTITY_BY_NAME.get(word.lower()) is entity
    before = re.escape(word) + between
    label_of = f"{before}(?P<{name}>{rest})" if is_name else f"(?P<{name}>{before}{rest})"
    return name, _BOUNDARY + label_of
