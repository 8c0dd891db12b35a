"""Patterns that select the images of a dataset, and capture labels from their paths.

A pattern is a path relative to the scanned folder, read name by name. `*` stands for any text
within a name, `**` as a whole name for any number of folders, and `{session}` for the text that
becomes the label of the session, and `{T}`, `{C}` or `{Z}` for that of a part of an image, whose
files are merged along this axis. `{session:TP[0-9]+}` also requires that the whole text matches a
regular expression. A name fits as a whole or not at all. The text between a capture and the next
`*` or capture cannot be part of the capture. A path that still has two readings is reported, not
guessed. The ending of an image, such as `.ome.tif`, need not be written.

A pattern that begins with `re:` is a regular expression for the whole path, without the ending of
the image; its named groups are the captures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import suggestion
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.volumes.formats import FORMATS, PHOTO_FORMATS
from spimpack_tasks.volumes.merged.request import AXES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ENTITY_BY_NAME = {name: entity for entity in ENTITIES for name in entity.columns}
"""Entities by their long and short names."""

FOLDERS = "**"
EXPRESSION = "re:"
"""Begins a pattern that is a regular expression."""

PARTICIPANT_COLUMNS = frozenset(
    {*load_schema("participants")["properties"], "genotype", "group", "treatment"}
) - {"participant_id"}
"""Captures that become columns of the participants table: those that BIDS knows, and usual ones."""

ENDINGS = tuple(ending for form in (*FORMATS, *PHOTO_FORMATS) for ending in form.endings)

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
    """Expression in which earlier captures take as little text as possible; its groups are named
    as the user has them."""
    longest: re.Pattern[str]
    forms: tuple[tuple[str, re.Pattern[str]], ...]
    """Regular expression for the text of an entity, if the pattern gives one."""
    is_of_levels: bool = False
    """Whether it stands for levels of folders, in which files may have any names."""

    def readings(self, path: str) -> list[dict[str, str]]:
        """Return the texts captured from a path by entity: none, one, or two that differ."""
        match = self.match(path)
        if match is None:
            return []
        first = _by_entity(match)
        last = _by_entity(self.longest.fullmatch(match.string) or match)
        readings = [first] if last == first else [first, last]
        return [
            texts
            for texts in readings
            if all(form.fullmatch(texts[entity]) for entity, form in self.forms)
        ]

    def match(self, path: str) -> re.Match[str] | None:
        """Match a path without the ending of an image, or as it is."""
        found = self.shortest.fullmatch(without_ending(path))
        return found or self.shortest.fullmatch(path)


def without_ending(path: str) -> str:
    """Return a path without the ending of an image."""
    lower = path.lower()
    ending = max((e for e in ENDINGS if lower.endswith(e)), key=len, default="")
    return path[: len(path) - len(ending)]


def _by_entity(match: re.Match[str]) -> dict[str, str]:
    """Return the texts of the groups that took part."""
    found = {name: text for name, text in match.groupdict().items() if text is not None}
    return {_capture_name(name): text for name, text in found.items()}


def _capture_name(name: str) -> str:
    return ENTITY_BY_NAME[name].name if name in ENTITY_BY_NAME else name


def surroundings(pattern: Pattern, path: str) -> tuple[str, str]:
    """Return the folder or file whose name holds the subject, and the words around the label.

    Both are empty if the pattern captures no subject. Digits, punctuation and upper case in the
    words are ignored: `Mouse 04` and `mouse-4` are alike, `brain4` is different.
    """
    match = pattern.match(path) if "subject" in pattern.entities else None
    names = match.re.groupindex if match else {}
    subject = next((name for name in names if _capture_name(name) == "subject"), "")
    if match is None or match.start(subject) < 0:
        return "", ""
    begin, end = match.span(subject)
    shown = path[: path.find("/", end)] if "/" in path[end:] else path
    spans = sorted(match.span(name) for name in names if match.start(name) >= 0)
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
    if text.startswith(EXPRESSION):
        return _read_expression(text, further)
    names = [[] if name == FOLDERS else _read_name(name, further) for name in _split(text)]
    parts = [part for name in names for part in name if part.entity]
    _check_axes({part.entity for part in parts})
    return Pattern(
        text=text,
        entities=frozenset(part.entity for part in parts),
        shortest=_compile(names, lazy="?"),
        longest=_compile(names, lazy=""),
        forms=tuple((part.entity, part.form) for part in parts if part.form),
    )


def _read_expression(text: str, further: frozenset[str]) -> Pattern:
    form = _read_form(text[len(EXPRESSION) - 1 :])
    if form is None or not form.groupindex:
        hint = r"write it like 're:(?P<subject>[A-Z]+\d+)/.*'"
        raise PatternError("captures nothing by named groups", hint)
    for name in form.groupindex:
        _check_capture(name, further)
    entities = frozenset(map(_capture_name, form.groupindex))
    _check_axes(entities)
    return Pattern(text, entities, shortest=form, longest=form, forms=())


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
    _check_capture(name, further)
    return _Part("{" + name + "}", _capture_name(name), _read_form(match["form"] or ""))


def _check_capture(name: str, further: frozenset[str]) -> None:
    known = {**ENTITY_BY_NAME, **dict.fromkeys((*PARTICIPANT_COLUMNS, *AXES))}
    if name not in known and name not in further:
        hint = suggestion(name, known) or f"known are {', '.join(known)}"
        hint += "; a part of a label is named in --label"
        message = f"captures {name!r}, which is no entity, and no column of participants or axis"
        raise PatternError(message, hint)


def _check_axes(names: Collection[str]) -> None:
    axes = [axis for axis in AXES if axis in names]
    if len(axes) > 1:
        message = f"captures {axes[0]} and {axes[1]}, and files are merged along one axis"
        raise PatternError(message, "merge along one first, and the results along the other")


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
