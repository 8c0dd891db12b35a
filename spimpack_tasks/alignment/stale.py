"""Removes a list of results that is no longer true: the GUI would show what it names.

A run that fails, or waits for a row to be put right, leaves no `datapackage.json` of other inputs.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.listed_paths import local_paths
from spimpack_tasks.alignment.recording import hold_step
from spimpack_tasks.files.json_files import read_json

if TYPE_CHECKING:
    from spimpack_tasks.alignment.chain import Chain

_STEP = "datapackage"


def is_listed(chain: Chain) -> bool:
    """Tell whether the list of results is there as the inputs want it, and all that it names."""
    return chain.is_made(_STEP, chain.package_id) and not _has_lost_files(chain)


def remove_stale(chain: Chain) -> None:
    """Remove the lists of results and of gaps that this program wrote, if they are not true.

    Files that were changed since by others stay.
    """
    if is_listed(chain) or not os.path.isfile(chain.state_path(_STEP)):
        return
    with hold_step(chain, "WriteDatapackage"):
        # Another process may have written them again meanwhile.
        if is_listed(chain):
            return
        record: dict[str, Any] = read_json(chain.state_path(_STEP), dict, {})
        sizes = record.get("files")
        for name in (names.DATAPACKAGE, names.COVERAGE):
            path = os.path.join(chain.folder, name)
            size = sizes.get(name) if isinstance(sizes, dict) else None
            with suppress(FileNotFoundError):
                if os.lstat(path).st_size == size:
                    os.unlink(path)


def _has_lost_files(chain: Chain) -> bool:
    """Tell whether the list names a result that is not there."""
    path = os.path.join(chain.folder, names.DATAPACKAGE)
    named: list[str] = read_json(path, lambda data: [*local_paths(data)], [])
    return not all(os.path.exists(os.path.join(chain.folder, name)) for name in named)
