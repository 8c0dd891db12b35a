"""Writes the choices of a run into a manifest, so that every later run means the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.yaml_edit import set_value
from spimpack_tasks.packaging.backends.registry import find_choice
from spimpack_tasks.packaging.options import OPEN_FLAGS
from spimpack_tasks.packaging.resolved_options import find_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.packaging.options import Options


def effective_settings(text: str) -> dict[str, str]:
    """Return the settings of a backend that a text such as `ome-zarr:codec=blosc` names.

    Defaults stand where the text has none; an unknown backend has no settings.
    """
    choice = find_choice(text) if text else None
    if choice is None:
        return {}
    return {name: known[0] for name, known in choice.backend.settings.items()} | dict(
        choice.settings
    )


def backend_text(name: str, settings: dict[str, str]) -> str:
    """Return a backend with those of its settings that are no defaults, as `--backend` has it."""
    defaults = effective_settings(name)
    pairs = [f"{key}={value}" for key, value in settings.items() if value != defaults.get(key)]
    return f"{name}:{','.join(pairs)}" if pairs else name


def keep_choices(editor: ManifestEditor, options: Options) -> bool:
    """Write backend, settings and switches of a run into the manifest, as one edit.

    Keys that mean the same already stay as they are written. A switch that is off is written only
    if the manifest has it on.

    Parameters
    ----------
    editor
        The open manifest.
    options
        Resolved options: nothing is open.

    Returns
    -------
    Whether the manifest has changed.

    Raises
    ------
    EditRefusedError
        The manifest is written in a way that cannot be edited here.
    """
    before = text = editor.files.text(editor.manifest)
    for key, value in _changes(find_options(editor.data), options):
        text = set_value(text, (key,), value)
    editor.edit(editor.manifest, text)
    return text != before


def _changes(present: dict[str, Any], options: Options) -> Iterator[tuple[str, Any]]:
    """Yield the keys to be set, and their values; `None` takes a key out."""
    name = options.backend.partition(":")[0]
    wanted = effective_settings(options.backend)
    written = str(present.get("backend", ""))
    if (written.partition(":")[0], effective_settings(written)) != (name, wanted):
        defaults = effective_settings(name)
        yield "backend", name
        yield "settings", {k: v for k, v in wanted.items() if v != defaults.get(k)} or None
    for flag in OPEN_FLAGS:
        is_on = bool(getattr(options, flag))
        if present.get(flag, False) != is_on:
            yield flag, is_on
