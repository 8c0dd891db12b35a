"""A manifest that is open for editing, with its tables.

The state is the texts of the files, and every edit maps texts to texts. So the texts to be saved
are the ones that are checked, by the function that `spimpack validate` calls too, and lines without
an edit keep every byte.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spimpack_tasks.editing.files import OpenFiles
from spimpack_tasks.editing.mapping import cells_of
from spimpack_tasks.errors import ConflictError, Place, Problem, Report, SpimpackError
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.files.roots import check_within
from spimpack_tasks.files.text import is_spreadsheet
from spimpack_tasks.files.tsv_edit import TsvText
from spimpack_tasks.files.yaml_edit import set_value
from spimpack_tasks.files.yaml_marks import load_yaml
from spimpack_tasks.manifest.headers import Headers
from spimpack_tasks.manifest.load import SCANS_KEYS, table_paths
from spimpack_tasks.manifest.merges import AXIS_COLUMN, split_paths
from spimpack_tasks.manifest.records import CANONICAL
from spimpack_tasks.manifest.rows import AXES_COLUMN, READER_COLUMN, SCENE_COLUMN, source_path
from spimpack_tasks.manifest.template import compose_manifest, compose_scans_header
from spimpack_tasks.model.selection import WHOLE, Selection
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import prepare_edited
from spimpack_tasks.state.store import Store
from spimpack_tasks.volumes.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from spimpack_tasks.editing.files import FileChange
    from spimpack_tasks.editing.mapping import Merge
    from spimpack_tasks.packaging.prepared_run import PreparedRun

MOST_UNDONE = 100
"""Number of edits that can be undone."""


@dataclass(frozen=True, slots=True)
class ScanRow:
    """One row of the scans table."""

    cells: dict[str, str]
    """By canonical name of the column."""
    source: str
    """Absolute path of the image, links not resolved; empty where the row names none."""
    line: int
    """Line of the row in its file, from 1."""
    selection: Selection = WHOLE
    """The choice in the source."""


@dataclass(slots=True)
class ManifestEditor:
    """One manifest, open for editing."""

    manifest: str
    """Absolute path."""
    files: OpenFiles
    headers: Headers = field(default_factory=lambda: Headers(Store("")), repr=False)
    _past: list[tuple[dict[str, str], dict[str, bytes | None]]] = field(default_factory=list)

    @property
    def roots(self) -> tuple[str, ...]:
        """Absolute paths of the folders that may be seen and written to."""
        return self.files.roots

    @property
    def folder(self) -> str:
        """The manifest's folder, where relative paths start."""
        return os.path.dirname(self.manifest)

    @property
    def data(self) -> dict[str, Any]:
        """The content of the manifest; empty if it is not valid."""
        data = load_yaml(self.files.text(self.manifest), "", Report()).data
        return data if isinstance(data, dict) else {}

    @property
    def is_saved(self) -> bool:
        """Whether all edits are saved."""
        return not self.files.edited

    # --- the tables

    @property
    def scans_tables(self) -> list[str]:
        """Absolute paths of the tables of images; the first one is edited."""
        paths = table_paths(self.data, self.folder, SCANS_KEYS, "scans.tsv")
        return [path for _, path in paths] or [os.path.join(self.folder, "scans.tsv")]

    @property
    def participants_table(self) -> str:
        """Absolute path of the table of participants, which need not be there."""
        paths = table_paths(self.data, self.folder, ("participants_tsv",), "participants.tsv")
        return next((path for _, path in paths), os.path.join(self.folder, "participants.tsv"))

    def table(self, path: str, columns: Iterable[str] = ()) -> TsvText:
        """Return the table at a path, for editing; `columns` are for one that is not there yet.

        Raises
        ------
        SpimpackError
            It is no tab-separated text.
        """
        if is_spreadsheet(path):
            name = os.path.basename(path)
            message = f"{name} is edited in a spreadsheet only; to edit it here, save it as tsv"
            raise SpimpackError(message)
        return TsvText(self.files.text(path), list(columns))

    @property
    def scans(self) -> TsvText:
        """The table of images."""
        return self.table(self.scans_tables[0], compose_scans_header().split())

    @property
    def rows(self) -> list[ScanRow]:
        """The rows of the table of images."""
        table = self.scans.table
        names = [CANONICAL.get(column, column) for column in table.columns]
        rows = []
        for row in table.rows:
            cells = dict(zip(names, row.cells, strict=True))
            path = cells.get("spim_path", "").strip()
            if cells.get(AXIS_COLUMN, "").strip():  # the first of several files stands for all
                path = split_paths(path)[0]
            whole, selection = self._source_of(path, cells) if path else ("", WHOLE)
            rows.append(ScanRow(cells, whole, row.line, selection))
        return rows

    def _source_of(self, path: str, cells: Mapping[str, str]) -> tuple[str, Selection]:
        """Return the path of an image and the choice in it; one of an OME-Zarr is a folder."""
        columns = (SCENE_COLUMN, AXES_COLUMN, READER_COLUMN)
        scene, axes, reader = (cells.get(name, "").strip() for name in columns)
        whole, form = os.path.normpath(source_path(self.folder, path)), format_of(path)
        if scene and not reader and (form is None or not form.has_scenes):
            return os.path.normpath(os.path.join(whole, scene)), Selection(axes=axes.lower())
        return whole, Selection(scene, axes.lower(), reader)

    # --- edits

    def edit(self, path: str, text: str) -> None:
        """Let a file of the manifest have another text."""
        before = dict(self.files.edited), self.files.base()
        self.files.edit(path, text)
        if self.files.edited != before[0]:
            self._past = [*self._past[1 - MOST_UNDONE :], before]

    @contextmanager
    def editing(self, path: str, table: TsvText) -> Iterator[TsvText]:
        """Yield a table, and let its file have the text that it has afterwards."""
        yield table
        self.edit(path, table.text)

    def editing_scans(self) -> AbstractContextManager[TsvText]:
        """Return the table of images, for one edit."""
        return self.editing(self.scans_tables[0], self.scans)

    def set_value(self, path: tuple[str, ...], value: Any) -> None:
        """Put a value into the manifest; `None` takes its key out.

        Raises
        ------
        EditRefusedError
            The manifest is written in a way that cannot be edited here.
        """
        self.edit(self.manifest, set_value(self.files.text(self.manifest), path, value))

    def set_cells(self, cells: Mapping[tuple[int, str], str]) -> None:
        """Put texts into cells of the scans table, by number of the row and name of the column.

        A column goes by its own name, or its canonical one.
        """
        with self.editing_scans() as table:
            own = {CANONICAL.get(column, column): column for column in table.table.columns}
            own |= {column: column for column in table.table.columns}
            table.set_cells({(row, own.get(n, n)): text for (row, n), text in cells.items()})

    def add_rows(self, rows: Iterable[Mapping[str, str]], after: int | None = None) -> None:
        """Add rows of canonical columns to the scans table, behind a row or the last one."""
        with self.editing_scans() as table:
            own = {CANONICAL.get(column, column): column for column in table.table.columns}
            renamed = [{own.get(name, name): text for name, text in row.items()} for row in rows]
            table.add_rows(renamed, after)

    def take_over(self, merge: Merge) -> None:
        """Apply the new and changed rows of an imported table, in one edit."""
        with self.editing_scans() as table:
            table.set_cells(cells_of(merge))
            table.add_rows(merge.new)

    def remove_rows(self, numbers: Collection[int]) -> None:
        """Take rows out of the scans table."""
        with self.editing_scans() as table:
            table.remove_rows(numbers)

    def add_column(self, name: str) -> None:
        """Add a column of empty cells to the scans table."""
        with self.editing_scans() as table:
            table.add_columns([name.strip()])

    def remove_column(self, name: str) -> None:
        """Remove a column from the scans table, with its cells."""
        with self.editing_scans() as table:
            table.remove_column(name)

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return bool(self._past)

    def undo(self) -> None:
        """Take the last edit back."""
        self.files.restore(*self._past.pop())

    def discard(self) -> None:
        """Take all edits back; that can be undone as well."""
        self._past.append((dict(self.files.edited), self.files.base()))
        self.files.restore({}, {})

    # --- checking and saving

    def check(self, options: Options | None = None) -> PreparedRun:
        """Return the prepared run of the edited files, with all problems.

        Parameters
        ----------
        options
            Of a run that writes nothing; without them the manifest chooses the backend.
        """
        options = options or Options(self.manifest, "", roots=self.roots, writes=False)
        return prepare_edited(options, self.files.edited, self.headers)

    def changes(self) -> list[FileChange]:
        """Return the changes that saving would make."""
        return self.files.changes()

    def save(self) -> list[str]:
        """Write the edited files, and return their paths.

        Raises
        ------
        SpimpackError
            Another program has changed a file, or a file lies outside the roots. Nothing was
            written.
        OSError
            The disk refuses the write.
        """
        saved = self.files.save()
        self._past = []
        return saved


def open_manifest(manifest: str, roots: tuple[str, ...]) -> ManifestEditor:
    """Open an existing manifest.

    Raises
    ------
    SpimpackError
        It lies outside the roots, does not exist, or is not a text file.
    """
    check_within(manifest, roots)
    if not os.path.exists(manifest):
        message = f"{shown(manifest)} does not exist; choose another one, or start a new one"
        raise SpimpackError(message)
    editor = ManifestEditor(manifest, OpenFiles(roots))
    editor.files.text(manifest)
    return editor


def new_manifest(manifest: str, roots: tuple[str, ...]) -> ManifestEditor:
    """Begin a manifest, and a scans table if there is none; nothing is written before it is saved.

    Raises
    ------
    ConflictError
        The path of the manifest is occupied.
    SpimpackError
        The path lies outside the roots.
    """
    check_within(manifest, roots)
    if os.path.lexists(manifest):
        hint = "open it, or choose another name"
        place, report = Place(shown(manifest)), Report()
        report.add(Problem("conflict.exists", place, "", "is there already", hint))
        raise ConflictError(report)
    editor = ManifestEditor(manifest, OpenFiles(roots))
    editor.files.edit(manifest, compose_manifest())
    scans = os.path.join(editor.folder, "scans.tsv")
    if not os.path.lexists(scans):
        editor.files.edit(scans, compose_scans_header())
    return editor
