"""The names a user can choose from, and where each is made. Modules are imported when chosen.

A package of someone else's adds a backend through the entry point group `spimpack_tasks.backends`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spimpack_tasks.packaging.tasks.writing import LinkAssets

BACKENDS = {
    "symlink": "spimpack_tasks.packaging.backends.symlink:SymlinkAssets",
    "symlink-tree": "spimpack_tasks.packaging.backends.symlink_tree:SymlinkTreeAssets",
    "hardlink": "spimpack_tasks.packaging.backends.hardlink:HardlinkAssets",
    "copy": "spimpack_tasks.packaging.backends.copy:CopyAssets",
    "ome-zarr": "spimpack_tasks.packaging.backends.ome_zarr:OmeZarrAssets",
    "ome-tiff": "spimpack_tasks.packaging.backends.ome_tiff:OmeTiffAssets",
}
"""Backend name to `module:class`."""


def split_settings(choice: str) -> tuple[str, dict[str, str]]:
    """Return the name of a backend, and its settings, of a choice such as `ome-zarr:codec=blosc`.

    A setting without a value is empty.
    """
    name, _, text = choice.partition(":")
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return name, {key.strip(): value.strip() for key, _, value in pairs}


def has_backend(choice: str) -> bool:
    """Tell whether a backend of that name is there, here or in another installed package."""
    name, _ = split_settings(choice)
    if name not in BACKENDS:
        # Looking through all installed packages is slow, so it is done for strange names only.
        for entry in entry_points(group="spimpack_tasks.backends"):
            BACKENDS.setdefault(entry.name, entry.value)
    return name in BACKENDS


@cache
def load_backend(choice: str) -> type[LinkAssets]:
    """Return the task class of a backend that is there; settings make no difference.

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
