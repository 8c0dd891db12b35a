"""Reads the publication block of a manifest, and knows where each of its values stands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import InputError, Place, Problem, Report
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.manifest.load import load_inputs
from spimpack_tasks.model.plan import MANIFEST_FILE
from spimpack_tasks.model.publication import PublicationBlock, block_of
from spimpack_tasks.publishing.objects import DESCRIPTION
from spimpack_tasks.publishing.read_facts import PARTICIPANTS, read_table

if TYPE_CHECKING:
    from spimpack_tasks.files.tsv import TsvTable
    from spimpack_tasks.files.yaml_marks import Document, Path
    from spimpack_tasks.state.store import Store

KEY = "publication"


@dataclass(frozen=True, slots=True)
class Places:
    """Where values stand: in the manifest, or in the tables beside it."""

    document: Document | None
    """The manifest, `None` where there is none."""
    last_line: int
    """Of the manifest."""
    participants: tuple[TsvTable, ...] = ()

    def find(self, path: Path) -> Place:
        """Return the place of a value of the manifest, or of the nearest one around it.

        Where a block is missing, it belongs at the end of the manifest.
        """
        if self.document is None:
            return Place(DESCRIPTION)
        if path[0] not in self.document.data:
            return Place(self.document.file, self.last_line, 1)
        found: object = self.document.data
        for key in path:
            try:
                found = found[key]  # type: ignore[index]  # any other value has no item, see below
            except (LookupError, TypeError):
                return self.document.key_place(path)
        return self.document.place(path)

    def find_cell(self, label: str, column: str) -> Place | None:
        """Return the place of a cell of a participant, `None` where there is no row or column."""
        for table in self.participants:
            if column not in table.columns or "participant_id" not in table.columns:
                continue
            index, key = table.columns.index(column), table.columns.index("participant_id")
            for row in table.rows:
                if row.cells[key].strip().removeprefix("sub-") == label:
                    return table.place(row, index)
        return None


def read_block(store: Store, manifest: str = "") -> tuple[PublicationBlock, Places]:
    """Return the block of a manifest, and the places of its values.

    Parameters
    ----------
    store
        The state directory of the dataset.
    manifest
        Path of the manifest; if empty, that of the last run, if it is still there.

    Raises
    ------
    InputError
        The manifest or its block is malformed.
    """
    path = os.path.abspath(os.path.expanduser(manifest)) if manifest else find_manifest(store)
    report = Report()
    if not path:
        return PublicationBlock(), Places(None, 0, _own_tables(store))
    inputs = load_inputs(path, report)
    document = inputs.document
    faults = [problem for problem in report.errors if _concerns(problem, document.file)]
    if not isinstance(document.data, dict) or faults:
        raise InputError(Report(faults or report.errors))
    tables = tuple(inputs.participant_tables) or _own_tables(store)
    lines = read_regular(path).count(b"\n")
    return block_of(document.data.get(KEY) or {}), Places(document, max(lines, 1), tables)


def _own_tables(store: Store) -> tuple[TsvTable, ...]:
    """Return the table of the dataset, where none of the user's is known."""
    table = read_table(store, PARTICIPANTS, Report())
    return (table,) if table else ()


def _concerns(problem: Problem, manifest: str) -> bool:
    """Tell whether a problem stands against reading the block; rows do not matter here."""
    if problem.place.file != manifest:
        return False
    family = problem.code.partition(".")[0]
    return family in {"yaml", "file", "manifest"} or problem.key.startswith(KEY)


def find_manifest(store: Store) -> str:
    """Return the path of the manifest of the last run, empty where it is not there any more."""
    try:
        lines = read_regular(store.path(MANIFEST_FILE)).decode(errors="surrogateescape")
    except OSError:
        return ""
    for line in lines.splitlines():
        path = os.path.normpath(os.path.join(store.output_dir, line))
        if os.path.isfile(path):
            return path
    return ""
