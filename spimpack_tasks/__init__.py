"""Package light-sheet microscopy (SPIM) files into a valid BIDS dataset, as a Luigi task graph.

The tasks stand here because `luigi --module spimpack_tasks` finds them by importing this package.
Importing it costs little more than Luigi itself: heavy libraries are imported where they are used.
Where the process is the command `spimpack`, the tasks are imported when the first one is asked for,
because most subcommands run none and need no Luigi.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from spimpack_tasks.version import __version__

_FUNCTIONS = frozenset({"open_image", "probe_image"})
"""Functions of `spimpack_tasks.api` that stand here as well."""

if TYPE_CHECKING:
    from spimpack_tasks import all_tasks
    from spimpack_tasks.all_tasks import *  # noqa: F403
    from spimpack_tasks.api import open_image, probe_image  # noqa: F401

    __all__ = ["__version__"]
    __all__ += all_tasks.__all__
else:

    def __getattr__(name: str) -> object:
        """Import the tasks when one is asked for; their names begin with a capital letter."""
        if name == "__all__" or name[:1].isupper():
            _import_tasks()
        elif name in _FUNCTIONS:
            return getattr(import_module("spimpack_tasks.api"), name)
        if name in globals():
            return globals()[name]
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)


def _import_tasks() -> None:
    """Import all tasks, which makes them known to Luigi."""
    tasks = import_module("spimpack_tasks.all_tasks")
    globals().update({name: getattr(tasks, name) for name in tasks.__all__})
    globals()["__all__"] = ["__version__", *tasks.__all__]


def _is_our_command() -> bool:
    """Tell whether this process is `spimpack`, and not a flow that asks Luigi for its tasks."""
    is_module = "spimpack_tasks.cli.main" in sys.orig_argv  # python -m
    is_program = [os.path.basename(path) for path in sys.argv[:1]] == ["spimpack"]
    return (is_module or is_program) and "luigi" not in sys.modules


if not _is_our_command():
    _import_tasks()
