"""Which further columns of tables go into sidecars, and which stay with their owner.

Keys of BIDS sidecars begin with a capital letter. A further column that does not is taken for a
working column, such as `notes`, and is not published unless the manifest lists it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, Severity, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.files.yaml_marks import Document

KEY = "sidecar_columns"
"""Key of the manifest that lists working columns to publish."""


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """Use of the further columns of one table, or of the inline assets."""

    file: str
    published: tuple[str, ...]
    working: tuple[str, ...]


@dataclass(slots=True)
class FurtherColumns:
    """Use of the further columns of one manifest."""

    is_decided: bool
    """Whether the manifest says which working columns are published."""
    declared: frozenset[str]
    uses: list[ColumnUse] = field(default_factory=list)
    _places: list[Place] = field(default_factory=list)
    """Of the first working column of each."""

    @classmethod
    def of(cls, document: Document) -> FurtherColumns:
        """Return the rules of a manifest, before a table is read."""
        data = document.data if isinstance(document.data, dict) else {}
        given = data.get(KEY)
        names = given if isinstance(given, list) else []
        return cls(KEY in data, frozenset(name for name in names if isinstance(name, str)))

    def is_working(self, name: str) -> bool:
        """Tell whether a further column stays out of the sidecars."""
        return not name[:1].isupper() and name not in self.declared

    def note(self, file: str, names: dict[str, Place]) -> None:
        """Note the further columns of a table, each with its place."""
        working = [name for name in names if self.is_working(name)]
        published = tuple(name for name in names if name not in working)
        if names:
            self.uses.append(ColumnUse(file, published, tuple(working)))
            self._places.append(names[working[0]] if working else Place(file))

    def problems(self, document: Document, reported: Iterable[Problem]) -> Iterator[Problem]:
        """Yield warnings about the columns, after all tables were read.

        A column that `reported` calls misspelt gets no second warning.
        """
        known = {name for use in self.uses for name in (*use.published, *use.working)}
        for index, name in enumerate(document.data[KEY] if self.declared else ()):
            if isinstance(name, str) and name not in known:
                place, key = document.place((KEY, index)), f"{KEY}[{index}]"
                message = f"{name!r} is no further column of a table of this manifest"
                hint = suggestion(name, known) or "leave it out"
                yield Problem("column.undeclared", place, key, message, hint, Severity.WARNING)
        codes = {problem.code for problem in reported}
        misspelt = {problem.key for problem in reported if problem.code in _MISSPELT}
        if self.is_decided or "column.missing" in codes:
            return
        for use, place in zip(self.uses, self._places, strict=True):
            names = ", ".join(name for name in use.working if name not in misspelt)
            if names:
                message = f"not published, as working columns: {names}"
                hint = f"to publish some, list them in the manifest: {KEY}: [{names}]"
                hint += f"; for none, write {KEY}: []"
                yield Problem("column.working", place, "", message, hint, Severity.WARNING)


_MISSPELT = frozenset(["column.unlisted", "column.misspelt"])
