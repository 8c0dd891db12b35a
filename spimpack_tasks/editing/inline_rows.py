"""Moving the images that a manifest holds itself into its scans table, where they can be edited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Report, SpimpackError, count_of
from spimpack_tasks.manifest.load import load_inputs
from spimpack_tasks.manifest.records import InlineRecord

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.packaging.prepared_run import PreparedRun


def inline_rows(editor: ManifestEditor) -> list[dict[str, str]]:
    """Return the images that the manifest holds itself, as rows of a table."""
    inputs = load_inputs(editor.manifest, Report(), editor.files.edited)
    return [
        {name: _cell(value, record.written(name)) for name, value in record.values.items()}
        for record in inputs.records
        if isinstance(record, InlineRecord)
    ]


def move_inline_rows(editor: ManifestEditor) -> None:
    """Move the images of the manifest into the scans table.

    Raises
    ------
    SpimpackError
        A table cannot say the same of them. Nothing was changed then.
    """
    before = _assets(editor.check())
    rows = inline_rows(editor)
    editor.add_rows(rows)
    editor.set_value(("datasets",), None)
    if before and _assets(editor.check()) != before:
        editor.undo()
        editor.undo()
        images = count_of(len(rows), "image")
        message = f"a table cannot say the same of the {images}; edit them in the manifest"
        raise SpimpackError(message)


def _assets(draft: PreparedRun) -> Any:
    return draft.dataset.assets if draft.dataset is not None else ()


def _cell(value: Any, written: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ";".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict | list) else written or str(value)
