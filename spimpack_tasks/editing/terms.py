"""Words of the tables that a term may be given for, and edits of the terms in the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.editing.participants import participants_of
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.manifest.records import OWN_COLUMN
from spimpack_tasks.model.publication import TERM_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.model.plan import Dataset

_SIDECAR_KEYS = {
    "anatomy": ("BodyPart",),
    "stains": ("SampleStaining", "SamplePrimaryAntibody", "SampleSecondaryAntibody"),
}
"""Keys of sidecars with words of each kind."""
_COLUMNS = {"species": "species", "strains": "strain"}
"""Columns of the table of participants with words of each kind."""
_ABSENT = frozenset({"", "n/a"})


class Word(NamedTuple):
    """A word that a term may be given for."""

    text: str
    """As the manifest has it; as the tables have it where the manifest has no term."""
    is_used: bool
    """Whether the tables have it."""


def words_of_tables(editor: ManifestEditor, dataset: Dataset | None) -> dict[str, list[str]]:
    """Return the words of the tables by the kind of their terms.

    Parameters
    ----------
    editor
        The open manifest.
    dataset
        Its dataset with the edits that are not saved; `None` where the inputs have errors, and
        then the cells of the tables are read.
    """
    people = list(_people(editor, dataset))
    images = [asset.sidecar for asset in dataset.assets] if dataset else list(_rows(editor))
    found: dict[str, set[str]] = {kind: set() for kind in TERM_KINDS}
    for kind, column in _COLUMNS.items():
        found[kind].update(row.get(column, "").strip() for row in people)
    for kind, keys in _SIDECAR_KEYS.items():
        found[kind].update(word for image in images for key in keys for word in _words(image, key))
    return {kind: sorted(words - _ABSENT, key=natural) for kind, words in found.items()}


def _people(editor: ManifestEditor, dataset: Dataset | None) -> Iterator[dict[str, str]]:
    """Yield the rows of participants."""
    if dataset and dataset.participants:
        table = dataset.participants
        yield from (dict(zip(table.columns, row, strict=True)) for row in table.rows)
        return
    try:
        read = participants_of(editor).table
    except SpimpackError:  # a spreadsheet, of inputs with errors
        return
    yield from (dict(zip(read.columns, row.cells, strict=True)) for row in read.rows)


def _rows(editor: ManifestEditor) -> Iterator[dict[str, Any]]:
    """Yield the cells of each image, by the key of the sidecar, and then what all images share."""
    keys = [key for keys in _SIDECAR_KEYS.values() for key in keys]
    for row in editor.rows:
        cells = {key: row.cells.get(OWN_COLUMN.get(key, key), "") for key in keys}
        yield {key: text.split(";") for key, text in cells.items()}
    shared = editor.data.get("sidecar_defaults")
    yield shared if isinstance(shared, dict) else {}


def _words(image: Mapping[str, Any], key: str) -> Iterator[str]:
    value = image.get(key)
    for word in value if isinstance(value, list | tuple) else [value]:
        if word is not None:
            yield str(word).strip()


def words_with_terms(words: Iterable[str], terms: object) -> list[Word]:
    """Return words of the tables, and then words of the manifest that no table has.

    Upper and lower case do not matter.
    """
    given = {str(key).casefold(): str(key) for key in terms} if isinstance(terms, dict) else {}
    used = {word.casefold(): given.get(word.casefold(), word) for word in words}
    others = [given[key] for key in given.keys() - used.keys()]
    return [
        *(Word(text, is_used=True) for text in used.values()),
        *(Word(text, is_used=False) for text in sorted(others, key=natural)),
    ]


def value_of_term(term: object, key: str) -> str:
    """Return a part of a term, such as its `id`; a term that is a text is its identifier."""
    if isinstance(term, dict):
        return str(term.get(key, ""))
    return str(term) if key == "id" and term is not None else ""


def with_part(term: object, key: str, text: str) -> Any:
    """Return a term with one part changed: a text where it has an identifier alone, or `None`."""
    parts = dict(term) if isinstance(term, dict) else {"id": str(term)} if term else {}
    parts[key] = text.strip()
    left = {name: value for name, value in parts.items() if value}
    return left.get("id") if left.keys() <= {"id"} else left
