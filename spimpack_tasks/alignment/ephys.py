"""Extracts recordings for the alignment GUI by another Python, in an environment of its own.

The public converter needs zarr 2, and this program needs zarr 3, so they cannot share one. The
other Python writes into a folder aside; files move to their places when it has ended well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.clusters import has_several_shanks, renumber_clusters
from spimpack_tasks.alignment.recording import record
from spimpack_tasks.errors import OutputError, Place, Problem
from spimpack_tasks.files.json_files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.alignment.chain import Chain
    from spimpack_tasks.alignment.manifest import ProbeRow

_PROGRAM = """\
import sys
from pathlib import Path
from aind_ephys_ibl_gui_conversion.ephys import extract_continuous
from aind_ephys_ibl_gui_conversion.spikes import extract_spikes
sorting, results, session, finding = (Path(each) if each else None for each in sys.argv[1:])
extract_continuous(sorting, results, session_folder=session, probe_surface_finding=finding)
extract_spikes(sorting, results, session_folder=session)
"""
"""Program of the other Python, which gets four paths."""
_ASIDE = ".making-ephys-"
"""Begin of the name of a folder that the other Python writes into; the recording ends it."""
CHANNEL_TABLE = {
    "local_coordinates": "channels.localCoordinates.npy",
    "raw_ind": "channels.rawInd.npy",
    "contact_id": "channels.contactId.npy",
    "shank_ind": "channels.shankInd.npy",
}
"""Channels and their places by their keys in `datapackage.json`."""
_SPIKES = "spikes.times.npy"
_NEEDED = (_SPIKES, CHANNEL_TABLE["local_coordinates"])
"""A collection without these files was not sorted; the GUI opens the second first."""
_SORTING_ERROR = "sorting_error.txt"
_TOLD_LINES = 5
"""Lines of what the other Python said that are told: the last ones name its error."""


def check_recordings(chain: Chain) -> Iterator[Problem]:
    """Yield the folders of recordings that are missing, where they are to be extracted."""
    if not chain.choices.wants_ephys:
        return
    for row in _first_rows(chain):
        for name in (row.sorted_recording, row.recording_id):
            if not os.path.isdir(os.path.join(chain.choices.data_root, name)):
                place = Place(chain.choices.manifest, row.line)
                message = f"no folder {name!r} is in {chain.choices.data_root}"
                hint = "copy the recording there, or give --skip-ephys"
                yield Problem("alignment.ephys", place, "sorted_recording", message, hint)


def _first_rows(chain: Chain) -> list[ProbeRow]:
    """Return the first row of each recording."""
    return [
        next(row for row in chain.wanted_rows if row.sorted_recording == name)
        for name in chain.recordings
    ]


def extract_recording(chain: Chain, recording: str) -> None:
    """Extract one recording, and record its files and what became of each collection.

    Raises
    ------
    OutputError
        No interpreter is given, or it ended with an error.
    """
    choices = chain.choices
    if not choices.wants_ephys:
        message = "recordings are extracted by another Python only; give ephys_python"
        raise OutputError(message)
    rows = [row for row in chain.wanted_rows if row.sorted_recording == recording]
    finding = next((row.surface_finding for row in rows if row.surface_finding), "")
    root, recording_id = choices.data_root, rows[0].recording_id
    with _aside(os.path.join(chain.folder, f"{_ASIDE}{recording}")) as aside:
        paths = [os.path.join(root, recording), aside, os.path.join(root, recording_id)]
        paths.append(os.path.join(root, finding) if finding else "")
        _run([choices.ephys_python, "-I", "-c", _PROGRAM, *paths])
        several = [name for name in sorted(os.listdir(aside)) if _is_of_several(aside, name)]
        for name in several if choices.renumber_clusters else ():
            renumber_clusters(os.path.join(aside, name))
        files = [
            _moved(chain.folder, aside, recording_id, name) for name in sorted(_files_in(aside))
        ]
    _remove_older(chain, f"ephys_{recording}", files)
    overlapping = () if choices.renumber_clusters else several
    collections = {row.collection: _describe(chain, row, overlapping) for row in rows}
    identity, step = chain.ephys_id(recording), f"ephys_{recording}"
    record(chain, step, identity, files, collections=collections)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the user chose the interpreter
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            errors="replace",
        )  # fmt: skip
    except OSError as error:
        message = f"{command[0]}: cannot be started: {error.strerror or error}"
        raise OutputError(f"{message}; give the bin/python of an environment") from error
    if done.returncode:
        told = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_TOLD_LINES:])
        message = f"{command[0]} ended with code {done.returncode}:\n{told}"
        if "aind_ephys_ibl_gui_conversion" in told:
            message += "\ninstall aind-ephys-ibl-gui-conversion into its environment"
        raise OutputError(message)


@contextmanager
def _aside(folder: str) -> Iterator[str]:
    """Make an empty folder, in which a killed attempt may have left files, and remove it."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files_in(folder: str) -> Iterator[str]:
    for path, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(path, name), folder)


def _moved(folder: str, aside: str, recording_id: str, name: str) -> str:
    """Move a file to its place, and return that, below the folder of the brain."""
    path = f"{recording_id}/{name}"
    target = os.path.join(folder, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.rename(os.path.join(aside, name), target)
    return path


def _remove_older(chain: Chain, step: str, files: list[str]) -> None:
    """Remove what an earlier extraction has made and this one has not, such as its errors."""
    older: dict[str, Any] = read_json(chain.state_path(step), dict, {})
    recorded = older.get("files")
    for name in set(recorded if isinstance(recorded, dict) else ()) - set(files):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(chain.folder, name))


def _is_of_several(folder: str, name: str) -> bool:
    """Tell whether a collection is sorted, and has clusters of more than one shank."""
    path = os.path.join(folder, name)
    return os.path.isfile(os.path.join(path, _SPIKES)) and has_several_shanks(path)


def _describe(chain: Chain, row: ProbeRow, overlapping: Sequence[str]) -> dict[str, Any]:
    """Return whether a collection was sorted, and whether its shanks number clusters alike."""
    folder = os.path.join(chain.folder, row.recording_id, row.collection)
    has_error = os.path.isfile(os.path.join(folder, _SORTING_ERROR))
    is_sorted = not has_error and all(os.path.isfile(os.path.join(folder, n)) for n in _NEEDED)
    overlap = is_sorted and row.collection in overlapping
    return {"sorted": is_sorted, "multishank_cluster_ids_overlap": overlap}


def channel_table(chain: Chain, row: ProbeRow) -> dict[str, str] | None:
    """Return the files on the channels of a row's recording, below the folder of the brain."""
    if not chain.choices.wants_ephys:
        return None
    folder = f"{row.recording_id}/{row.collection}"
    paths = {key: f"{folder}/{name}" for key, name in CHANNEL_TABLE.items()}
    # Recordings of older probes have no contacts with names.
    if not os.path.isfile(os.path.join(chain.folder, paths["contact_id"])):
        del paths["contact_id"]
    return paths


def is_left_out(chain: Chain, row: ProbeRow) -> bool:
    """Tell whether a row has a recording without sorting, so that the GUI cannot show it."""
    if not chain.choices.wants_ephys:
        return False
    found: dict[str, Any] = read_json(chain.state_path(f"ephys_{row.sorted_recording}"), dict, {})
    collections = found.get("collections")
    known = collections.get(row.collection) if isinstance(collections, dict) else None
    return not (isinstance(known, dict) and known.get("sorted"))


def unsorted_rows(chain: Chain) -> list[str]:
    """Return the keys of rows with a track that have a recording without sorting."""
    return [row.key for row in chain.good_rows if is_left_out(chain, row)]
