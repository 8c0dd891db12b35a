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
}
"""Backend name to `module:class`."""


def has_backend(name: str) -> bool:
    """Tell whether a backend of that name is there, here or in another installed package."""
    if name not in BACKENDS:
        # Looking through all installed packages is slow, so it is done for strange names only.
        for entry in entry_points(group="spimpack_tasks.backends"):
            BACKENDS.setdefault(entry.name, entry.value)
    return name in BACKENDS


@cache
def load_backend(name: str) -> type[LinkAssets]:
    """Return the task class of a backend that is there.

    Raises
    ------
    KeyError
        There is none of that name.
    """
    if not has_backend(name):
        raise KeyError(name)
    module, _, attribute = BACKENDS[name].partition(":")
    backend: type[LinkAssets] = getattr(import_module(module), attribute)
    return backend
