"""YAML with the place of every key and value, loaded without risk.

The loader works on the parser's events, so all limits hold before anything is built: no tags, a
bounded depth, and a bounded size after aliases are expanded (an alias bomb is a few lines long).
If possible it continues after a problem, so that a user sees all of them at once. Dates stay text.
Numbers, truth values and nulls keep their spelling: `01` is read as 1. Merge keys
(`<<: *defaults`) are followed.

This module knows nothing about manifests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from spimpack_tasks.errors import Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.errors import Report

Path = tuple["str | int", ...]

_SYNTAX_HINTS = {
    "expected key": "look above for a quotation mark that is not closed, or lines that begin in "
    "different columns",
    "expected ',' or ']'": "close the list with ]",
    "expected ',' or '}'": "close the mapping with }",
    "mapping values are not allowed": "put a value with a colon in quotation marks",
    "tab character": "indent with spaces",
    "cannot start any token": "indent with spaces, and put a value with this character in "
    "quotation marks",
}
"""The usual remedy, by words of the parser, which libyaml and PyYAML share. Where a version words
it otherwise, the message stands alone."""

MAX_DEPTH = 50
"""A manifest is nested about five levels deep; each level is a call in Python."""
MAX_VALUES = 2_000_000
"""100,000 inline images with 20 values each."""
MAX_ALIASED_VALUES = 100_000
"""Limit on the sum of all aliased values: an alias is short, but a reader visits each value."""

_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels"
_TAG = "tag:yaml.org,2002:"
_KEPT_AS_TEXT = {_TAG + "timestamp", _TAG + "value"}


@dataclass(slots=True)
class Document:
    """Data of one YAML document, and the place of each part."""

    file: str
    data: Any = None
    _values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _written: dict[Path, str] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """Return the place of the value at `path`, or of its nearest parent that has one."""
        return self._nearest(path, self._values)

    def key_place(self, path: Path) -> Place:
        """Return the place of the key at `path`; an item of a list is its own key."""
        if path and isinstance(path[-1], int):
            return self.place(path)
        return self._nearest(path, self._keys)

    def written(self, path: Path) -> str:
        """Return how the user wrote a value that YAML reads as no text, empty for others."""
        return self._written.get(path, "")

    def part(self, path: Path) -> Document:
        """Return the value at `path` as a document of its own, with the places of the whole one."""
        data: Any = self.data
        for key in path:
            data = data[key]
        places = (_below(path, each) for each in (self._values, self._keys, self._written))
        return Document(self.file, data, *places)

    def _nearest(self, path: Path, places: dict[Path, tuple[int, int]]) -> Place:
        while path and path not in places:
            path = path[:-1]
        line, column = places.get(path) or self._values.get(path, (1, 1))
        return Place(self.file, line, column)


T = TypeVar("T")


def _below(path: Path, values: dict[Path, T]) -> dict[Path, T]:
    """Return what is known at and below a path, by the rest of each path."""
    count = len(path)
    return {each[count:]: value for each, value in values.items() if each[:count] == path}


def load_yaml(text: str, file: str, report: Report) -> Document:
    """Load the one document in `text`; problems go to `report` and `data` stays `None` if fatal."""
    import yaml

    document = Document(file)
    builder = _Builder(document, report)
    try:
        # The C parser is five times as fast; wheels have it, a source build may not.
        events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        document.data = builder.build(builder.follow(events))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column, end = (mark.line + 1, mark.column + 1, mark.index) if mark else (1, 1, 0)
        if _count_opened(text[builder.parsed : end]) > MAX_DEPTH:
            report.add(Problem("yaml.depth", Place(file, line, column), "", _TOO_DEEP))
        else:
            report.add(_syntax_problem(error, Place(file, line, column)))
    except yaml.reader.ReaderError as error:
        report.add(_character_problem(text, file, error))
    except _RefusedError as refused:
        report.add(refused.problem)
    return document


def _syntax_problem(error: Any, place: Place) -> Problem:
    """Report what the parser says, at the beginning of what it does not find the end of."""
    begun = error.context_mark
    if begun is not None and begun.line + 1 < place.line and "quoted scalar" in str(error.context):
        message = "is not valid YAML: a quotation mark opens here and is never closed"
        hint = "close it at the end of the value"
        start = Place(place.file, begun.line + 1, begun.column + 1)
        return Problem("yaml.syntax", start, "", message, hint)
    said = str(error.problem or error.context)
    hint = next((hint for words, hint in _SYNTAX_HINTS.items() if words in said), "")
    return Problem("yaml.syntax", place, "", f"is not valid YAML: {said}", hint)


def _count_opened(text: str) -> int:
    """Count the lists and mappings that open in `text`.

    The C parser reads on behind its last event to find out whether a key begins there. It has a
    limit of its own for the depth, so it may give up before this module has seen how deep it goes.
    """
    import yaml

    opening = yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken
    count = 0
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            count += isinstance(token, opening)
    except yaml.YAMLError:
        pass  # the caller reports the problem
    return count


def _character_problem(text: str, file: str, error: Any) -> Problem:
    """Report the character that YAML does not allow; the C parser counts bytes, so we search it."""
    index = next((i for i, char in enumerate(text) if ord(char) == error.character), 0)
    line = text.count("\n", 0, index) + 1
    column = index - text.rfind("\n", 0, index)
    message = f"the character {chr(error.character)!r} is not allowed in YAML"
    return Problem("yaml.syntax", Place(file, line, column), "", message, "take it out")


class _RefusedError(Exception):
    """The document breaks a limit; loading stops."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Builder:
    """Builds data from events; one method per kind of event, recursion bounded by MAX_DEPTH."""

    def __init__(self, document: Document, report: Report) -> None:
        import yaml

        self.yaml = yaml
        self.document = document
        self.report = report
        self.scalars = yaml.SafeLoader("")
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.count = 0
        self.aliased = 0
        self.parsed = 0
        """Number of characters of the text that the events so far cover."""

    def follow(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            self.parsed = event.end_mark.index
            yield event

    def build(self, events: Iterator[Any]) -> Any:
        data, documents = None, 0
        for event in events:
            if isinstance(event, self.yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "yaml.documents", "has more than one document", "keep one")
            elif isinstance(event, self.yaml.NodeEvent):
                data = self._node(event, events, ())
        return data

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        self._mark(self.document._values, event, path)  # noqa: SLF001 - builder and document are one
        before = self.count
        self._grow(1, event)
        if len(path) > MAX_DEPTH:
            self._refuse(event, "yaml.depth", _TOO_DEEP, "")
        if isinstance(event, self.yaml.AliasEvent):
            return self._alias(event)
        tag = event.tag
        if tag not in {None, "!"} or (tag == "!" and not isinstance(event, self.yaml.ScalarEvent)):
            self._refuse(event, "yaml.tag", f"has the tag {tag!r}; tags are not allowed", "")
        if isinstance(event, self.yaml.ScalarEvent):
            data = self._scalar(event)
            if not isinstance(data, str):
                self.document._written[path] = event.value  # noqa: SLF001 - see above
        elif isinstance(event, self.yaml.SequenceStartEvent):
            data = self._sequence(events, path)
        else:
            data = self._mapping(events, path)
        if event.anchor:
            self.anchors[event.anchor] = (data, self.count - before)
        return data

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            message = f"*{event.anchor} refers to an anchor that is not defined above"
            self._refuse(event, "yaml.alias", message, "")
        data, size = self.anchors[event.anchor]
        self.aliased += size
        if self.aliased > MAX_ALIASED_VALUES:
            message = f"aliases stand for more than {MAX_ALIASED_VALUES:,} values"
            self._refuse(event, "yaml.alias", message, "write the values out, or use tables")
        self._grow(size, event)
        return data

    def _scalar(self, event: Any) -> Any:
        resolver_tag = self.scalars.resolve(self.yaml.ScalarNode, event.value, event.implicit)
        if resolver_tag in _KEPT_AS_TEXT:
            return event.value
        node = self.yaml.ScalarNode(resolver_tag, event.value, event.start_mark, event.end_mark)
        try:
            data = self.scalars.construct_object(node)
        except (ValueError, self.yaml.YAMLError):
            return event.value
        if isinstance(data, float) and not math.isfinite(data):
            self._add(event, "yaml.not-finite", f"{event.value} is not a number", "leave it out")
            return None
        return data

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, self.yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for event in events:
            if isinstance(event, self.yaml.MappingEndEvent):
                break
            key = self._key(event, events, path)
            place = (*path, key or "?")
            if key is None:
                self._node(next(events), events, place)
            elif key == "<<" and event.implicit[0]:
                merged += self._merged(event, self._node(next(events), events, place))
            elif key in data:
                first = self.document.key_place(place).line
                message = f"is given twice, first in line {first}"
                self._add(event, "yaml.duplicate-key", message, "keep one of them", key)
                self._node(next(events), events, (*path, "?"))
            else:
                self._mark(self.document._keys, event, place)  # noqa: SLF001 - see above
                data[key] = self._node(next(events), events, place)
        for defaults in merged:
            data = defaults | data
        return data

    def _merged(self, event: Any, value: Any) -> list[dict[str, Any]]:
        """Return the mappings under a merge key, those that count more first."""
        mappings = value if isinstance(value, list) else [value]
        if all(isinstance(mapping, dict) for mapping in mappings):
            return mappings
        hint = "write it like <<: *defaults"
        self._add(event, "yaml.merge", "must be the alias of a mapping", hint, "<<")
        return []

    def _key(self, event: Any, events: Iterator[Any], path: Path) -> str | None:
        """Return a key, `None` where it is no text."""
        key = self._node(event, events, (*path, "?"))
        if not isinstance(event, self.yaml.ScalarEvent | self.yaml.AliasEvent):
            self._refuse(event, "yaml.key-type", "a key must be plain text", "")
        if isinstance(key, str):
            return key
        shown = event.value if isinstance(event, self.yaml.ScalarEvent) else f"*{event.anchor}"
        hint = f"write it in quotes: '{shown}'"
        self._add(event, "yaml.key-type", f"the key {shown!r} is not text", hint)
        return None

    def _grow(self, size: int, event: Any) -> None:
        self.count += size
        if self.count > MAX_VALUES:
            self._refuse(event, "yaml.size", f"holds more than {MAX_VALUES:,} values", "use tables")

    def _mark(self, places: dict[Path, tuple[int, int]], event: Any, path: Path) -> None:
        places[path] = (event.start_mark.line + 1, event.start_mark.column + 1)

    def _problem(self, event: Any, code: str, message: str, hint: str, key: str = "") -> Problem:
        mark = event.start_mark
        place = Place(self.document.file, mark.line + 1, mark.column + 1)
        return Problem(code, place, key, message, hint)

    def _add(self, event: Any, code: str, message: str, hint: str, key: str = "") -> None:
        self.report.add(self._problem(event, code, message, hint, key))

    def _refuse(self, event: Any, code: str, message: str, hint: str) -> None:
        raise _RefusedError(self._problem(event, code, message, hint))
