"""Resolves options that the command line leaves open, by the manifest and the last run.

The choice of the last run counts where nobody chooses, so that a dataset of copies does not become
one of links because an option was forgotten. Each choice that a user may not expect is told by a
note.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Place, Problem, Severity
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.packaging.options import OPEN_FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.files.yaml_marks import Document
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.state.store import Store

OPTIONS_FILE = "options.json"
"""Name of the file of the state that holds the options of the run of the current plan."""

_DEFAULT_BACKEND = "symlink"
_OPEN = ("backend", *OPEN_FLAGS)
_OF_BACKEND = ("relative_symlinks", "keep_source_links")
"""Options that have an effect with some backends only."""
_LASTING = ("backend", *_OF_BACKEND, "previews")
"""Options that decide what a dataset is, so that another choice would change all of it."""


@dataclass(frozen=True, slots=True)
class ChosenOptions:
    """The options of a run, nothing open, and where they come from."""

    options: Options
    asked: Options
    """The options as the command line gave them."""
    in_manifest: Mapping[str, Any]
    last: Mapping[str, Any]
    """Those of the last run."""
    document: Document | None = None
    """The manifest, if it was read."""

    def where(self, name: str, setting: str = "") -> tuple[Place, str]:
        """Return the place and the name of an option, or a backend's setting, as a user gave it."""
        if self.document is None or not self._is_of_manifest(name):
            return Place("command line"), f"--{name.replace('_', '-')}"
        settings = self.document.data.get("settings") if setting else None
        if isinstance(settings, dict) and setting in settings:
            return self.document.place(("settings", setting)), f"settings.{setting}"
        return self.document.place((name,)), name

    def _is_of_manifest(self, name: str) -> bool:
        return _is_open(self.asked, name) and name in self.in_manifest

    def notes(self) -> Iterator[Problem]:
        """Yield a note for each option that is not as the manifest, or the default, has it."""
        for name in _OPEN:
            value, option = getattr(self.options, name), f"--{name.replace('_', '-')}"
            if name in self.in_manifest and self.document is not None:
                wanted = self.in_manifest[name]
                if value != wanted:
                    message = (
                        f"{shown(wanted)} does not count: the command line says {shown(value)}"
                    )
                    place = self.document.place((name,))
                    yield Problem("option.overridden", place, name, message, "", Severity.NOTE)
            elif _is_open(self.asked, name) and name in _LASTING and value != _default(name):
                line = Place("command line")
                message = f"is not given, so it is {shown(value)} as in the last run"
                hint = f"write {name}: {shown(value)} into the manifest, or give another"
                yield Problem("option.last-run", line, option, message, hint, Severity.NOTE)


def shown(value: Any) -> str:
    """Return a text, a number, or whether something is on, as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def resolve_options(
    asked: Options, in_manifest: Mapping[str, Any], last: Mapping[str, Any]
) -> Options:
    """Return options of which nothing is open.

    Parameters
    ----------
    asked
        The options as the command line, or a caller, gave them.
    in_manifest
        The choices of the manifest, from `find_options`.
    last
        The options of the last run, from `read_last_options`; empty where there was none. Those of
        another backend do not count.
    """
    backend = asked.backend or in_manifest.get("backend") or last.get("backend", _DEFAULT_BACKEND)
    is_same = _name(backend) == _name(last.get("backend", ""))
    values: dict[str, Any] = {"backend": backend}
    for name in OPEN_FLAGS:
        value = getattr(asked, name)
        if value is None:
            value = in_manifest.get(name)
        if value is None and name in _LASTING and (is_same or name not in _OF_BACKEND):
            value = last.get(name)
        values[name] = bool(value)
    return replace(asked, **values)


def _name(backend: str) -> str:
    return backend.partition(":")[0]


def find_options(data: Any) -> dict[str, Any]:
    """Return the choices in a manifest, JSON-ready; what the schema refuses is left out.

    The settings of a backend stand behind its name, as on the command line.
    """
    if not isinstance(data, dict):
        return {}
    found: dict[str, Any] = {n: data[n] for n in OPEN_FLAGS if isinstance(data.get(n), bool)}
    backend, settings = data.get("backend"), data.get("settings")
    if isinstance(backend, str) and backend.strip():
        pairs = settings.items() if isinstance(settings, dict) else ()
        behind = ",".join(f"{key}={value}" for key, value in _scalars(pairs))
        joint = "," if ":" in backend else ":"
        found["backend"] = f"{backend.strip()}{joint}{behind}" if behind else backend.strip()
    return found


def _scalars(pairs: Any) -> Iterator[tuple[str, str]]:
    yield from ((str(k), str(v)) for k, v in pairs if isinstance(v, str | int | float))


def settings_problems(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with settings that belong to no backend."""
    data = document.data
    if isinstance(data, dict) and "settings" in data and "backend" not in data:
        place = document.key_place(("settings",))
        message = "belong to a backend, and the manifest names none"
        hint = "add, for example, backend: ome-zarr"
        yield Problem("option.setting", place, "settings", message, hint)


def options_text(options: Options) -> str:
    """Return the text of `OPTIONS_FILE` for a run."""
    return json.dumps({name: getattr(options, name) for name in _LASTING}) + "\n"


def read_last_options(store: Store) -> dict[str, Any]:
    """Return the options of the run that made the current plan, empty where there is none."""
    if not store.output_dir or not store.current_plan_id():
        return {}
    known: dict[str, Any] = read_json(store.path(OPTIONS_FILE), _checked, {})
    return known or {"backend": store.backend_of(store.current_plan_id())}


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _LASTING}


def _is_open(options: Options, name: str) -> bool:
    return not options.backend if name == "backend" else getattr(options, name) is None


def _default(name: str) -> Any:
    return _DEFAULT_BACKEND if name == "backend" else False
