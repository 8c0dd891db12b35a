"""Options of a run in the fields of the page Run, and the check of a manifest by them.

The manifest decides what the fields leave as it is, so an edit of it counts in the next run.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.editing.run_choices import backend_text, effective_settings
from spimpack_tasks.files.roots import OutsideRootsError, check_within
from spimpack_tasks.packaging.backends.registry import name_of, require_choice, usable_backends
from spimpack_tasks.packaging.options import OPEN_FLAGS, Options
from spimpack_tasks.packaging.prepare import read_resolved_options
from spimpack_tasks.running.preview import why_no_validator
from spimpack_tasks.running.process import RUNS
from spimpack_tasks.running.request import RunRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.packaging.prepared_run import PreparedRun

SWITCHES = {
    "relative_symlinks": "run-relative",
    "keep_source_links": "run-sources",
    "previews": "run-previews",
    "strict": "run-strict",
    "checksum": "run-checksum",
}
"""Fields of the options that a manifest may choose."""
OUTPUT, BACKEND, WORKERS, SETTING = "run-output", "run-backend", "run-workers", "run-setting-"
VALIDATES, OVERWRITE, REPLACE = "run-validates", "run-overwrite", "run-replace"
SUBJECTS, IMAGES = "run-subjects", "run-images"
_KEPT = "run-kept"


def setting_key(backend: str, setting: str) -> str:
    """Return the key of the field of a backend's setting."""
    return f"{SETTING}{backend}-{setting}"


def restore_fields(editor: ManifestEditor) -> bool:
    """Fill the fields as they were on this page before, or from the last run of the manifest.

    Returns
    -------
    Whether the page is of the same manifest as before.
    """
    kept = st.session_state.get(_KEPT, {})
    is_same = bool(kept.get("manifest") == editor.manifest)
    if not is_same:
        kept = _first(editor)
    for name, value in kept.items():
        if name.startswith("run-") and (not is_same or name not in st.session_state):
            st.session_state[name] = value
    st.session_state[_KEPT] = kept
    return is_same


def keep_fields(editor: ManifestEditor) -> None:
    """Keep the fields; Streamlit forgets them when another page is shown."""
    kept = st.session_state[_KEPT]
    settings = {name for name in st.session_state if str(name).startswith(SETTING)}
    names = {name for name in kept if name.startswith("run-")} | settings
    st.session_state[_KEPT] = {"manifest": editor.manifest} | {
        name: st.session_state.get(name, kept.get(name)) for name in names
    }


def set_output(path: str) -> None:
    """Let the field of the output folder have another path when the page is shown next."""
    st.session_state[_KEPT][OUTPUT] = st.session_state[OUTPUT] = path


def _first(editor: ManifestEditor) -> dict[str, Any]:
    """Return the initial content of the fields."""
    run = RUNS.find_last(editor.manifest)
    output = os.path.join(editor.folder, "bids")
    open_options = Options(editor.manifest, output, roots=editor.roots)
    request = run.request if run else RunRequest(open_options, validates=not why_no_validator())
    options = read_resolved_options(request.options)
    name = name_of(options.backend)
    known = usable_backends()
    backend = name if name in known else next(iter(known))
    settings = effective_settings(options.backend)
    return {
        "manifest": editor.manifest,
        OUTPUT: request.options.output_dir,
        BACKEND: backend,
        WORKERS: request.workers,
        **{key: bool(getattr(options, name)) for name, key in SWITCHES.items()},
        **{setting_key(backend, setting): value for setting, value in settings.items()},
        OVERWRITE: request.options.overwrite,
        REPLACE: request.options.replace,
        VALIDATES: request.validates,
        SUBJECTS: list(request.options.subjects),
        IMAGES: list(request.options.images),
    }


def kept_output(editor: ManifestEditor) -> str:
    """Return the absolute path of the output folder in the fields.

    Raises
    ------
    OutsideRootsError
        It is outside the roots.
    """
    kept = _fields(editor)
    typed = os.path.expanduser(kept[OUTPUT].strip())
    output = os.path.normpath(os.path.join(editor.folder, typed))
    check_within(output, editor.roots)
    return output


def request_of_fields(editor: ManifestEditor) -> RunRequest:
    """Return the request in the fields.

    Raises
    ------
    OutsideRootsError
        The output folder is outside the roots.
    """
    kept = _fields(editor)
    options = Options(
        manifest=editor.manifest,
        output_dir=kept_output(editor),
        overwrite=kept[OVERWRITE],
        replace=kept[REPLACE],
        roots=editor.roots,
        subjects=tuple(kept[SUBJECTS]),
        images=tuple(kept[IMAGES]),
    )
    return RunRequest(_choose(options, kept), kept[WORKERS], kept[VALIDATES])


def _fields(editor: ManifestEditor) -> dict[str, Any]:
    """Return the content of the fields, also where they are not shown."""
    kept: dict[str, Any] = st.session_state.get(_KEPT, {})
    return kept if kept.get("manifest") == editor.manifest else _first(editor)


def _choose(options: Options, kept: Mapping[str, Any]) -> Options:
    """Return options in which those choices are given that are not made without."""
    name = kept[BACKEND]
    backend = require_choice(name).backend
    settings = {
        setting: kept.get(setting_key(name, setting), known[0])
        for setting, known in backend.settings.items()
    }
    given = read_resolved_options(options)
    is_same = name_of(given.backend) == name and effective_settings(given.backend) == settings
    if not is_same:
        options = replace(options, backend=backend_text(name, settings))
        given = read_resolved_options(options)
    has_effect = {
        "relative_symlinks": backend.makes_symlinks,
        "keep_source_links": bool(backend.makes),
    }
    changes: dict[str, Any] = {}
    for flag, key in SWITCHES.items():
        is_on = bool(kept[key]) and has_effect.get(flag, True)
        if is_on != getattr(given, flag):
            changes[flag] = is_on
    return replace(options, **changes)


def check(editor: ManifestEditor) -> PreparedRun:
    """Return the prepared run of the edited files, by the backend and switches of the page Run.

    Choices of the manifest stay open, so that an edit of them that is not saved counts.
    """
    asked = Options(editor.manifest, "", roots=editor.roots, writes=False)
    kept, output = _fields(editor), ""
    with suppress(OutsideRootsError):  # the page Run says so; no dataset is looked at there
        output = kept_output(editor)
    wanted = read_resolved_options(_choose(replace(asked, output_dir=output), kept))
    without = read_resolved_options(asked)
    names = ("backend", *OPEN_FLAGS)
    differing = {n: v for n in names if (v := getattr(wanted, n)) != getattr(without, n)}
    return editor.check(replace(asked, **differing))
