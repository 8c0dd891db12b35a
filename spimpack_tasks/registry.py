"""The names a user can choose from, and where each is made. Modules are imported when chosen.

A package of someone else's adds a backend through the entry point group `spimpack_tasks.backends`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from spimpack_tasks.packaging.tasks.writing import LinkAssets

BACKENDS = {
    "symlink": "spimpack_tasks.packaging.backends.symlink:SymlinkAssets",
    "symlink-tree": "spimpack_tasks.packaging.backends.symlink_tree:SymlinkTreeAssets",
    "hardlink": "spimpack_tasks.packaging.backends.hardlink:HardlinkAssets",
    "copy": "spimpack_tasks.packaging.backends.copy:CopyAssets",
    "ome-zarr": "spimpack_tasks.packaging.backends.ome_zarr:OmeZarrAssets",
    "ome-tiff": "spimpack_tasks.packaging.backends.ome_tiff:OmeTiffAssets",
}
"""Backend name to `module:class`; those of other packages are added when they are chosen."""

OWN_BACKENDS = frozenset(BACKENDS)


def split_settings(choice: str) -> tuple[str, dict[str, str]]:
    """Return the name of a backend, and its settings, of a choice such as `ome-zarr:codec=blosc`.

    A setting without a value is empty.
    """
    name, _, text = choice.partition(":")
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return name, {key.strip(): value.strip() for key, _, value in pairs}


def has_backend(choice: str) -> bool:
    """Tell whether a backend of that name is there, here or in another package, and is usable."""
    name, _ = split_settings(choice)
    if name not in OWN_BACKENDS and name in _plug_ins() and not find_fault(name):
        BACKENDS.setdefault(name, _plug_ins()[name][0].value)
    return name in BACKENDS


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends, those of other installed packages last."""
    return tuple(dict.fromkeys((*BACKENDS, *_plug_ins())))


@cache
def find_fault(choice: str) -> str:
    """Return what is wrong with a backend of another package, nothing if it can be used."""
    name, _ = split_settings(choice)
    found = _plug_ins().get(name, ())
    who = " and ".join(sorted(entry.dist.name if entry.dist else "a package" for entry in found))
    if found and name in OWN_BACKENDS:
        return f"{name!r} is a backend of this program, and {who} brings another one of that name"
    if len(found) > 1:
        return f"{name!r} is brought by more than one package: {who}"
    fault = _fault_of_entry(found[0]) if found else ""
    return f"{name!r} of {who} {fault}" if fault else ""


@cache
def _plug_ins() -> dict[str, tuple[EntryPoint, ...]]:
    """Return the backends of other installed packages; to look through all packages is slow."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group="spimpack_tasks.backends"):
        # A package that is found by two paths is one package.
        if entry.value not in {known.value for known in found.get(entry.name, ())}:
            found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def _fault_of_entry(entry: EntryPoint) -> str:
    try:
        backend = entry.load()
    except Exception as error:  # noqa: BLE001  # it is somebody else's module that is imported
        return f"cannot be imported from {entry.value}: {type(error).__name__}: {error}"
    if not isinstance(backend, type) or not hasattr(backend, "describe_target"):
        return f"is not made right: {entry.value} is not a subclass of LinkAssets or MakeAssets"
    if getattr(backend, "name", "") != entry.name:
        return f"is not made right: `name` of {entry.value} is {getattr(backend, 'name', '')!r}"
    work = "resume" if hasattr(backend, "resume") else "make"
    left = [name for name in (work, "matches") if _is_of_ours(getattr(backend, name))]
    return f"is not made right: {entry.value} has no {' and no '.join(left)}" if left else ""


def _is_of_ours(method: Any) -> bool:
    """Tell whether a class has left a method as the bases of this package have it."""
    return str(method.__module__).startswith("spimpack_tasks.packaging.tasks.")


@cache
def load_backend(choice: str) -> type[LinkAssets]:
    """Return the task class of a backend that can be used; settings make no difference.

    Raises
    ------
    KeyError
        There is none of that name.
    """
    name, _ = split_settings(choice)
    if not has_backend(name):
        raise KeyError(name)
    module, _, attribute = BACKENDS[name].partition(":")
    backend: type[LinkAssets] = getattr(import_module(module), attribute)
    return backend
