"""Patterns that select the images of a dataset, and capture labels from their paths.

A pattern is a path relative to the scanned folder, read name by name. `*` stands for any text
within a name, `**` as a whole name for any number of folders, and `{session}` for the text that
becomes the label of the session. `{session:TP[0-9]+}` also requires that the whole text matches a
regular expression. A name fits as a whole or not at all. The text between a capture and the next
`*` or capture cannot be part of the capture. A path that still has two readings is reported, not
guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import suggestion
from spimpack_tasks.model.entities import ENTITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTITY_BY_NAME = {name: entity for entity in ENTITIES for name in entity.columns}
"""Entities by their long and short names."""

FOLDERS = "**"

_PART = re.compile(
    r"\{(?P<capture>[^{}:]*)(?P<form>:(?:[^{}]|\{[0-9,]*\})*)?\}"
    r"|(?P<stars>\*+)|(?P<text>[^{}*]+)|(?P<stray>[{}])"
)


class PatternError(ValueError):
    """A pattern cannot be understood; the arguments are a message and a hint."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class _Part(NamedTuple):
    """A piece of a name: literal text, `*`, or a capture."""

    text: str
    entity: str = ""
    form: re.Pattern[str] | None = None
    """Regular expression that the captured text must match."""

    @property
    def is_open(self) -> bool:
        """Whether the piece is not literal."""
        return bool(self.entity) or self.text == "*"

    def __str__(self) -> str:
        """Return the piece as the user wrote it."""
        return self.text


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that has been understood."""

    text: str
    entities: frozenset[str]
    """Names of the entities that it captures, and of further parts of labels."""
    shortest: re.Pattern[str]
    """Expression in which earlier captures take as little text as possible."""
    longest: re.Pattern[str]
    forms: tuple[tuple[str, re.Pattern[str]], ...]
    """Regular expression for the text of an entity, if the pattern gives one."""

    def readings(self, path: str) -> list[dict[str, str]]:
        """Return the texts captured from a path by entity: none, one, or two that differ."""
        match = self.shortest.fullmatch(path)
        if match is None:
            return []
        first = match.groupdict()
        last = (self.longest.fullmatch(path) or match).groupdict()
        readings = [first] if last == first else [first, last]
        return [
            texts
            for texts in readings
            if all(form.fullmatch(texts[entity]) for entity, form in self.forms)
        ]


def surroundings(pattern: Pattern, path: str) -> tuple[str, str]:
    """Return the folder or file whose name holds the subject, and the words around the label.

    Both are empty if the pattern captures no subject. Digits, punctuation and upper case in the
    words are ignored: `Mouse 04` and `mouse-4` are alike, `brain4` is different.
    """
    match = pattern.shortest.fullmatch(path) if "subject" in pattern.entities else None
    if match is None:
        return "", ""
    begin, end = match.span("subject")
    shown = path[: path.find("/", end)] if "/" in path[end:] else path
    spans = sorted(match.span(name) for name in pattern.entities)
    words, at = "", 0
    for start, stop in spans:
        if stop <= begin:
            words, at = words + path[at:start], stop
    words += path[at:begin]
    return shown, re.sub(r"[\W\d_]+", " ", words.casefold()).strip()


def read_pattern(text: str, further: frozenset[str] = frozenset()) -> Pattern:
    """Return the pattern that a text is.

    Parameters
    ----------
    text
        As the user wrote it.
    further
        Names of captures that are no entities, but parts of labels.

    Raises
    ------
    PatternError
        It leaves the folder, names an entity that there is not, or does not say where a capture
        ends.
    """
    names = [[] if name == FOLDERS else _read_name(name, further) for name in _split(text)]
    parts = [part for name in names for part in name if part.entity]
    return Pattern(
        text=text,
        entities=frozenset(part.entity for part in parts),
        shortest=_compile(names, lazy="?"),
        longest=_compile(names, lazy=""),
        forms=tuple((part.entity, part.form) for part in parts if part.form),
    )


def read_glob(text: str) -> re.Pattern[str]:
    """Return the expression for a pattern without captures.

    Raises
    ------
    PatternError
        It has captures, or is no pattern.
    """
    pattern = read_pattern(text)
    if pattern.entities:
        raise PatternError("captures a label", "write * for what may be any text")
    return pattern.shortest


def _split(text: str) -> list[str]:
    names = text.removesuffix("/").split("/")
    if text.startswith("/"):
        raise PatternError("begins with a slash", "it starts at the scanned folder")
    for name in names:
        if name in {"", ".", ".."}:
            hint = "write names of folders and files, with one slash between two"
            raise PatternError(f"has {name!r} for a name", hint)
    # A pattern selects images, so folders at its end mean any image in them.
    return [*names, "*"] if names[-1] == FOLDERS else names


def _read_name(name: str, further: frozenset[str]) -> list[_Part]:
    """Return the pieces of one name, checked so that each capture has an end."""
    parts = [_read_part(match, further) for match in _PART.finditer(name)]
    for first, second in pairwise(parts):
        if first.is_open and second.is_open:
            message = f"does not say where {first} ends and {second} begins in {name!r}"
            raise PatternError(message, "put a text between them, such as _")
    return parts


def _read_part(match: re.Match[str], further: frozenset[str]) -> _Part:
    if match["stray"]:
        raise PatternError(f"has a {match['stray']} without its other half", "write {subject}")
    if match["stars"]:
        if match["stars"] != "*":
            raise PatternError("has ** within a name", "write *, or /**/ for folders")
        return _Part("*")
    if match["text"]:
        return _Part(match["text"])
    name = match["capture"]
    if name not in ENTITY_BY_NAME and name not in further:
        hint = suggestion(name, ENTITY_BY_NAME) or f"known are {', '.join(ENTITY_BY_NAME)}"
        hint += "; a part of a label is named in --label"
        raise PatternError(f"captures {name!r}, which is not an entity", hint)
    entity = ENTITY_BY_NAME[name].name if name in ENTITY_BY_NAME else name
    return _Part("{" + name + "}", entity, _read_form(match["form"] or ""))


def _read_form(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text[1:]) if text else None
    except (re.error, OverflowError, RecursionError) as error:
        message = f"has {text[1:]!r}, which is not a regular expression: {error}"
        raise PatternError(message, "see docs.python.org/3/library/re.html") from None


def _compile(names: list[list[_Part]], lazy: str) -> re.Pattern[str]:
    """Return the expression for whole paths.

    A name without parts is any number of folders; `lazy` is the suffix of lazy repetitions.
    """
    seen: set[str] = set()
    pieces: list[str] = []
    for position, name in enumerate(names):
        if name:
            pieces += _name_pieces(name, seen, lazy)
            pieces.append("/" if position < len(names) - 1 else "")
        else:
            pieces.append(f"(?:[^/]+/)*{lazy}")
    return re.compile("".join(pieces))


def _name_pieces(parts: list[_Part], seen: set[str], lazy: str) -> Iterator[str]:
    for position, part in enumerate(parts):
        if part.entity in seen:
            yield f"(?P={part.entity})"
        elif part.entity:
            seen.add(part.entity)
            stop = "|".join(_separators(parts, position))
            character = f"(?:(?!{stop})[^/])" if stop else "[^/]"
            yield f"(?P<{part.entity}>{character}+{lazy})"
        else:
            yield f"[^/]*{lazy}" if part.is_open else re.escape(part.text)


def _separators(parts: list[_Part], position: int) -> Iterator[str]:
    """Yield the texts between a capture and the next open piece of its name."""
    if position >= 2:
        yield re.escape(parts[position - 1].text)
    if position + 2 < len(parts):
        yield re.escape(parts[position + 1].text)
