"""Templates of labels: `subject={cohort}{number:02}` makes a label of several parts of a path."""

from __future__ import annotations

import re
from dataclasses import dataclass

from spimpack_tasks.scanning.patterns import ENTITY_BY_NAME, PatternError

_FIELD = re.compile(r"\{(?P<name>[a-z][a-z0-9_]*)(?::0(?P<width>[1-9]))?\}")
_HINT = "write it like subject='{cohort}{number:02}', with captures of --pattern"


@dataclass(frozen=True, slots=True)
class Template:
    """Template that makes the label of an entity."""

    text: str
    entity: str
    pieces: tuple[tuple[str, int], ...]
    """Names of captures, each with the number of digits to fill up to, 0 for none; a piece whose
    name is no name of a capture is text."""
    names: frozenset[str]

    def fill(self, texts: dict[str, str]) -> str:
        """Return the label, empty where a part of it is absent."""
        if not all(texts.get(name) for name in self.names):
            return ""
        return "".join(
            _padded(texts[name], width) if name in self.names else name
            for name, width in self.pieces
        )


def _padded(text: str, width: int) -> str:
    """Return a number with leading zeros; other text unchanged."""
    return text.lstrip("0").zfill(width) if width and text.isdecimal() else text


def read_template(text: str) -> Template:
    """Return the template that `ENTITY=TEXT` is.

    Raises
    ------
    PatternError
        It is not of this form, names no entity, or uses no capture.
    """
    name, _, label = text.partition("=")
    entity = ENTITY_BY_NAME.get(name.strip())
    if entity is None:
        raise PatternError("is not ENTITY=TEMPLATE", _HINT)
    pieces: list[tuple[str, int]] = []
    names = set()
    at = 0
    for match in _FIELD.finditer(label):
        known = ENTITY_BY_NAME.get(match["name"])
        capture = known.name if known else match["name"]
        names.add(capture)
        pieces += [(label[at : match.start()], 0), (capture, int(match["width"] or 0))]
        at = match.end()
    pieces.append((label[at:], 0))
    fixed = "".join(piece for piece, _ in pieces if piece not in names)
    if not names or not re.fullmatch("[A-Za-z0-9]*", fixed):
        raise PatternError("holds other things than captures, letters and digits", _HINT)
    return Template(text, entity.name, tuple(pieces), frozenset(names))
