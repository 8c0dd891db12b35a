"""The backends that a user can choose from: those of this program, and those of other packages.

A package of someone else's adds a backend through the entry point group `spimpack_tasks.backends`,
which names a task class. Looking through the installed packages takes as long as a rerun that finds
nothing to do, so it is done only where a name is not ours, or where all names are listed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Problem, suggestion
from spimpack_tasks.packaging.backends.base import Choice
from spimpack_tasks.packaging.backends.bugs import MEND
from spimpack_tasks.packaging.backends.classes import fault_of_class, record_of
from spimpack_tasks.packaging.backends.copy import COPY
from spimpack_tasks.packaging.backends.hardlink import HARDLINK
from spimpack_tasks.packaging.backends.ome_tiff import OME_TIFF
from spimpack_tasks.packaging.backends.ome_zarr import OME_ZARR
from spimpack_tasks.packaging.backends.symlink import SYMLINK
from spimpack_tasks.packaging.backends.symlink_tree import SYMLINK_TREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

    from spimpack_tasks.errors import Place
    from spimpack_tasks.packaging.backends.base import Backend

    Where = Callable[[str, str], tuple[Place, str]]

BACKENDS = {
    backend.name: backend for backend in (SYMLINK, SYMLINK_TREE, HARDLINK, COPY, OME_ZARR, OME_TIFF)
}
"""The backends of this program by name, in the order in which users see them."""


_BETWEEN_SETTINGS = re.compile(r",(?!\s*[-+.\d])")
"""A comma, unless a number follows it, as in `chunk=64,128,128`."""


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends, those of other installed packages last."""
    return tuple(dict.fromkeys((*BACKENDS, *_plug_ins())))


def usable_backends() -> dict[str, Backend]:
    """Return all backends that can be used, by name; those of other packages are imported."""
    found = {name: _find(name) for name in backend_names()}
    return {name: backend for name, backend in found.items() if backend is not None}


def find_choice(text: str) -> Choice | None:
    """Return the backend and settings that a text such as `ome-zarr:codec=blosc` names.

    A setting without a value is empty. `None` stands for a backend that is unknown or broken.
    """
    name, _, rest = text.partition(":")
    parts = _BETWEEN_SETTINGS.split(rest)
    pairs = (part.partition("=") for part in parts if part.strip())
    settings = {key.strip(): value.strip() for key, _, value in pairs}
    backend = _find(name)
    if backend is None:
        return None
    return Choice(text, backend, settings, is_foreign=name not in BACKENDS)


def read_choice(text: str, where: Where) -> tuple[Choice | None, list[Problem]]:
    """Return the backend and settings that a text names, and what is wrong with it.

    The choice collects bugs; it is `None` where the backend is unknown or broken.

    Parameters
    ----------
    text
        The name, and behind it the settings.
    where
        Returns the place of an option and, if there is a second argument, of a setting.
    """
    name, (place, key) = name_of(text), where("backend", "")
    fault = find_fault(name)
    if fault:
        return None, [Problem("backend.broken", place, key, fault, MEND)]
    choice = find_choice(text)
    if choice is None:
        known = backend_names()
        hint = suggestion(name, known) or f"one of: {', '.join(known)}"
        return None, [Problem("option.backend", place, key, f"{name!r} is not a backend", hint)]
    return choice.collecting_bugs(), [*_faults_of_settings(choice, where)]


def _faults_of_settings(choice: Choice, where: Where) -> Iterator[Problem]:
    name, known, is_sound = choice.backend.name, choice.backend.settings, True
    for setting, value in choice.settings.items():
        line, key = where("backend", setting)
        if setting not in known:
            hint = suggestion(setting, known) or f"{name} has {', '.join(known) or 'none'}"
            message = f"{setting!r} is not a setting of {name}"
            yield Problem("option.setting", line, key, message, hint)
            is_sound = False
        elif value not in known[setting] and (message := choice.backend.fault_of(setting, value)):
            message = f"{message} of {name}"
            # Where only the default has a name, any other value is a text of its own.
            first, *others = known[setting]
            hint = (
                f"one of: {', '.join(known[setting])}" if others else f"leave it out for {first!r}"
            )
            yield Problem("option.setting", line, key, message, hint)
            is_sound = False
    for setting, message in choice.backend.misfits(choice.settings) if is_sound else ():
        what, _, hint = message.partition("; ")
        yield Problem("option.setting", *where("backend", setting), what, hint)


def require_choice(text: str) -> Choice:
    """Return the backend and settings that a text names.

    Raises
    ------
    KeyError
        There is no such backend, or it cannot be used.
    """
    choice = find_choice(text)
    if choice is None:
        raise KeyError(text)
    return choice


def name_of(text: str) -> str:
    """Return the name of the backend that a text such as `ome-zarr:codec=blosc` names."""
    return text.partition(":")[0]


@cache
def find_fault(name: str) -> str:
    """Return what is wrong with a backend of another package, nothing if it can be used."""
    found = _plug_ins().get(name, ())
    who = " and ".join(sorted(entry.dist.name if entry.dist else "a package" for entry in found))
    if found and name in BACKENDS:
        return f"{name!r} is a backend of this program, and {who} brings another one of that name"
    if len(found) > 1:
        return f"{name!r} is brought by more than one package: {who}"
    fault = _fault_of_entry(found[0]) if found else ""
    return f"{name!r} of {who} {fault}" if fault else ""


def _find(name: str) -> Backend | None:
    if name in BACKENDS:
        return BACKENDS[name]
    found = _plug_ins().get(name, ())
    return record_of(found[0].load()) if found and not find_fault(name) else None


@cache
def _plug_ins() -> dict[str, tuple[EntryPoint, ...]]:
    """Return the backends of other installed packages."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - it imports all of email

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group="spimpack_tasks.backends"):
        # A package that is found by two paths is one package.
        if entry.value not in {known.value for known in found.get(entry.name, ())}:
            found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def _fault_of_entry(entry: EntryPoint) -> str:
    try:
        backend = entry.load()
    except Exception as error:  # noqa: BLE001  # it is someone else's module that is imported
        return f"cannot be imported from {entry.value}: {type(error).__name__}: {error}"
    fault = fault_of_class(backend, entry.name, entry.value)
    return f"is not made right: {fault}" if fault else ""
