"""Doubts about the machine: the space on the disk, the memory, and the folder of the results.

The public package refuses machines with less than 10 GiB of disk or 8 GiB of memory, and warns
below 50 and 16. Here volumes are made in pieces, so much smaller machines do; what is needed
follows from the image and the atlas. Below it there is an error, and below twice of it a warning.
"""

from __future__ import annotations

import math
import os
import shutil
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.errors import Place, Problem, Severity, size_in_words
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.limits import free_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.alignment.chain import Chain

VOXEL_BYTES = 8
"""Bytes of a voxel on the disk, before compression: two channels and template of 2, labels of 4,
less what compression saves."""
_CCF_VOXEL_BYTES = 2
"""Bytes of a voxel of a channel in the space of the atlas."""
STEP_BYTES = 400 * 10**6
"""Memory of a step beside the atlas: Python with its libraries takes half of it, tiles the rest."""
ATLAS_VOXEL_BYTES = 4
"""Memory of a voxel of the atlas: one volume of it is held whole, of at most 4 bytes."""
REGISTRATION_BYTES = 10**9
"""Memory of a registration at 100 µm, by ANTs."""


def find_machine_doubts(chain: Chain) -> Iterator[Problem]:
    """Yield what the machine lacks for results that are still to be made."""
    folder = chain.choices.results_root
    in_the_way = [*check_folder(folder), *check_owner(chain.folder)]
    if chain.choices.image:
        in_the_way += check_dataset(os.path.join(folder, names.DESCRIPTION))
    yield from in_the_way
    if not in_the_way and not chain.is_made("datapackage", chain.package_id):
        yield from check_disk(free_disk(folder), needed_disk(chain), folder)
        yield from check_memory(free_memory(), needed_memory(chain), folder)


def check_folder(folder: str) -> Iterator[Problem]:
    """Yield why a folder cannot be made, or nothing be written into it."""
    there = existing_part(folder)
    if not os.path.isdir(there) or not os.access(there, os.W_OK | os.X_OK):
        is_folder = os.path.isdir(there)
        message = f"cannot be {'written to' if there == folder else 'made'}: {there} is "
        message += "read-only for you" if is_folder else "no folder"
        hint = "choose another folder"
        yield Problem("alignment.machine", Place(folder), "results_root", message, hint)


def check_owner(folder: str) -> Iterator[Problem]:
    """Yield that a folder of a brain has files, and none of this program's notes on them.

    The notes are the first that is written, so a run that was killed has them as well.
    """
    if os.path.isdir(folder) and names.STATE not in (there := os.listdir(folder)) and there:
        message = f"holds {min(there)!r} and no {names.STATE}, so another program made it"
        hint = "choose another folder of results, or move this one away"
        yield Problem("alignment.machine", Place(folder), "results_root", message, hint)


def check_dataset(path: str) -> Iterator[Problem]:
    """Yield that a description of a dataset would be replaced that is not ours."""
    known: dict[str, Any] = read_json(path, dict, {})
    programs = known.get("GeneratedBy")
    made_by = [
        each.get("Name")
        for each in (programs if isinstance(programs, list) else ())
        if isinstance(each, dict)
    ]
    is_ours = made_by == [names.PROGRAM] and known.get("DatasetType") == "derivative"
    if os.path.lexists(path) and not is_ours:
        message = "is that of another dataset, which results would replace"
        hint = "choose another folder of results, such as derivatives/alignment"
        yield Problem("alignment.machine", Place(path), "results_root", message, hint)


def check_disk(free: int, needed: int, folder: str) -> Iterator[Problem]:
    """Yield an error where less is free than the results need, a warning below twice of it."""
    message = f"has {size_in_words(free)} free, the volumes need {size_in_words(needed)}"
    hint = "choose another disk, or a larger desired_voxel_size_um"
    yield from _judge(free, needed, Place(folder), message, hint)


def check_memory(free: int, needed: int, folder: str) -> Iterator[Problem]:
    """Yield an error where less memory is free than a step needs, a warning below twice of it."""
    message = f"needs {size_in_words(needed)} of memory for a step, {size_in_words(free)} are free"
    hint = "end other programs, take a machine with more, or a coarser atlas"
    yield from _judge(free, needed, Place(folder), message, hint)


def _judge(free: int, needed: int, place: Place, message: str, hint: str) -> Iterator[Problem]:
    if free < 2 * needed:
        severity = Severity.ERROR if free < needed else Severity.WARNING
        yield Problem("alignment.machine", place, "results_root", message, hint, severity)


def needed_disk(chain: Chain) -> int:
    """Return an upper estimate of the bytes of all volumes."""
    brain = chain.brain
    extra = max(len(brain.channels) - 2, 0)
    needed = math.prod(brain.base().size_xyz) * (VOXEL_BYTES + 2 * extra)
    if chain.choices.qc:
        needed += math.prod(chain.atlas_grid.size_xyz) * _CCF_VOXEL_BYTES * len(brain.channels)
    return needed


def needed_memory(chain: Chain) -> int:
    """Return the bytes of memory that the largest step takes."""
    needed = STEP_BYTES + math.prod(chain.atlas_grid.size_xyz) * ATLAS_VOXEL_BYTES
    return max(needed, REGISTRATION_BYTES) if chain.choices.is_registered_here else needed


def free_disk(folder: str) -> int:
    """Return the free bytes of the disk that a folder is on, or will be made on."""
    there = existing_part(folder)
    return shutil.disk_usage(there).free


def existing_part(folder: str) -> str:
    """Return a path, or the nearest one above it that is there."""
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder
