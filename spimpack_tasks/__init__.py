"""Package light-sheet microscopy (SPIM) files into a valid BIDS dataset, as a Luigi task graph.

The tasks stand here because `luigi --module spimpack_tasks` finds them by importing this package.
Heavy libraries are imported where they are used.
Where the process is the command `spimpack`, the tasks are imported when the first one is asked for,
because most subcommands run none and need no Luigi. Where it is the command `luigi` with one of
`_STAGES`, the others are left out: Luigi makes arguments of all parameters of all tasks it knows.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from spimpack_tasks.version import __version__

_BACKENDS = "packaging.tasks.backends"
_STAGES: dict[str, tuple[str, ...]] = {
    "ConvertImage": ("conversion.tasks.image",),
    "IngestDataset": ("publishing.tasks.ingest",),
    "PackageAndValidate": ("joined_tasks", _BACKENDS),
    "PackageDataset": ("packaging.tasks.dataset", _BACKENDS),
    "PrepareAlignment": ("alignment.tasks.results",),
    "PublishDataset": ("publishing.tasks.dataset",),
    "StitchChannel": ("stitching.tasks.volume",),
    "ValidateDataset": ("validation.tasks.dataset",),
    "WriteFrames": ("streams.tasks.write_frames",),
    "WriteQcReport": ("qc.tasks.page",),
}
"""Tasks by which a stage is run, with the modules that have all the tasks that it may need."""
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


def _modules_of_stage() -> tuple[str, ...]:
    """Return the modules with all tasks that this process, the command `luigi`, will ask for.

    There are none where that is not certain. `--help-all`, and an option of another task, which
    begins with a capital letter, need all tasks.
    """
    is_luigi = os.path.basename(sys.argv[0] if sys.argv else "") == "luigi"
    first, further = sys.argv[1:3], sys.argv[4:]
    if not is_luigi or first != ["--module", __name__] or "luigi" not in sys.modules:
        return ()
    if any(word == "--help-all" or word[2:3].isupper() for word in further if word[:2] == "--"):
        return ()
    return _STAGES.get("".join(sys.argv[3:4]), ())


if not _is_our_command():
    for _name in (_modules := _modules_of_stage()):
        import_module(f"spimpack_tasks.{_name}")
    if not _modules:
        _import_tasks()
