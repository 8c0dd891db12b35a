"""The state directory `<output>/.spimpack/`: its layout, its locks and its plans.

    current            identity of the plan that writers may work for
    plan/<id>/         a plan: dataset.json, and one file for each bucket of assets
    validated/<id>     the report of the validation that led to a plan
    headers.json       values from the sources' headers (see `manifest.headers`)
    .gitignore, .gitattributes   rules for git and git-annex
    receipts/          records of our outputs and their sources (see `state.receipts`)
    checksums/         of images, on request (see `state.checksums`)
    thumbnails/        pictures of the images (see `report.thumbnails`)
    runs/              logs of runs (see `state.runs`)
    locks/             locks that the kernel frees when a process dies
    tmp/<lock>/        temporary files of the process that holds the lock
    working/           notes of the workers of a run (see `state.work_notes`)
    unfinished/        slow images before they are complete (see `state.staging`)

BIDS validators, pybids and DANDI ignore names that begin with a dot. If the directory is lost, one
rerun restores it and rewrites no output.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError, SupersededError
from spimpack_tasks.files.atomic import OpenTree, discard, write_new, write_pieces
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.model.plan import DATASET_PART, STATE_DIRECTORY, Plan
from spimpack_tasks.state.plan_files import PlanPart, part_of, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_LOCAL = [
    *("certify-equal", "certify-images", "certify-sources", "locks/", "runs/", "seal", "tmp/"),
    *("unfinished/", "verify", "verify-pixels", "working/"),
]
_FOR_GIT = {
    ".gitignore": "".join(f"/{name}\n" for name in _LOCAL),
    ".gitattributes": "* annex.largefiles=nothing\n",
}
"""Files that are useful on this machine only stay out of git. The others stay out of git-annex,
which would lock them."""


class Store:
    """State directory of one output directory; the constructor touches nothing."""

    def __init__(self, output_dir: str) -> None:
        self.output_dir = output_dir
        self.root = os.path.join(output_dir, STATE_DIRECTORY)

    def path(self, *parts: str) -> str:
        """Return an absolute path in the state directory."""
        return os.path.join(self.root, *parts)

    def path_in_dataset(self, *parts: str) -> str:
        """Return a path in the state directory, relative to the dataset."""
        return os.path.join(STATE_DIRECTORY, *parts)

    def create(self) -> None:
        """Make the output directory and the state directory."""
        for name in ("plan", "validated", "receipts", "locks", "tmp"):
            os.makedirs(self.path(name), exist_ok=True)

    @contextmanager
    def lock(self, name: str, *, shared: bool = False) -> Iterator[None]:
        """Hold a lock of the state directory; the kernel frees it if the process dies."""
        descriptor = self._open_lock(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(self.path("locks", name), flags, 0o666)
        except FileNotFoundError:
            # Git keeps no empty folder, and people tidy up.
            if not os.path.isdir(self.output_dir):
                raise
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            os.unlink(self.path("locks", name))  # git-annex has replaced the file by a link
        self.create()
        return os.open(self.path("locks", name), flags, 0o666)

    def is_busy(self) -> bool:
        """Tell whether a process holds a lock just now, without writing or delaying anybody."""
        with suppress(FileNotFoundError):
            return any(self._is_held(name) for name in os.listdir(self.path("locks")))
        return False

    def _is_held(self, name: str) -> bool:
        try:
            descriptor = os.open(self.path("locks", name), _LOOK)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link or a socket is no lock
                return False
            raise
        try:
            # A shared lock would not conflict with the shared ones of writers. On NFS, an exclusive
            # one needs a file that is open for writing (EBADF): the answer is unknown there.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def scratch_folder(self, name: str) -> Iterator[ScratchFolder]:
        """Hold a lock, and yield the folder for temporary files that belongs to it.

        The next process that gets the lock deletes files that a killed one has left in the folder.
        """
        with self.lock(name):
            scratch = ScratchFolder(self, self.path("tmp", name))
            scratch.make()
            try:
                yield scratch
            finally:
                scratch.close()

    @contextmanager
    def writing(self, plan_id: str) -> Iterator[None]:
        """Hold the right to write outputs of a plan.

        Writers of one plan work side by side. Another plan waits until they have finished; from
        then on they are refused. So the tree never ends as a mixture of two plans.

        Raises
        ------
        SupersededError
            Another run has made its plan the current one.
        """
        with self.lock("writers", shared=True):
            # Under the lock, which `make_current` needs for itself: so the plan stays current.
            self.require_current(plan_id)
            yield

    def require_current(self, plan_id: str) -> None:
        """Raise unless a plan is the current one.

        Raises
        ------
        SupersededError
            Another run has made its plan the current one.
        """
        if self.current_plan_id() != plan_id:
            message = "superseded: another run with other inputs took over this output"
            raise SupersededError(message)

    def current_plan_id(self) -> str:
        """Return the identity of the current plan, empty where there is none."""
        try:
            return read_regular(self.path("current")).decode("ascii").strip()
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            return ""

    def current_since(self) -> str:
        """Return a mark of the last change of the current plan, empty if there was none.

        The mark also changes when an earlier plan becomes the current one again.
        """
        try:
            status = os.stat(self.path("current"))
        except (FileNotFoundError, NotADirectoryError):
            return ""
        return f"{status.st_ino} {status.st_mtime_ns}"

    def make_current(self, plan: Plan, notes: Mapping[str, str] | None = None) -> None:
        """Save a plan and make it the current one, as soon as no process writes for another plan.

        `notes` are texts by file name that the next planning reads again.
        """
        with self.scratch_folder("writers") as scratch:
            for name, text in (_FOR_GIT | dict(notes or {})).items():
                scratch.write(name, text.encode())
            if not self.has_plan(plan.plan_id):
                self._save(plan, scratch)
            scratch.write("current", f"{plan.plan_id}\n".encode())

    def has_plan(self, plan_id: str) -> bool:
        """Tell whether a plan has been saved."""
        return os.path.isdir(self.path("plan", plan_id))

    def has_validated(self, plan_id: str) -> bool:
        """Tell whether the report of the validation that led to a plan is kept."""
        return os.path.isfile(self.path("validated", plan_id))

    def _save(self, plan: Plan, scratch: ScratchFolder) -> None:
        temporary = scratch.temporary()
        os.mkdir(temporary)
        names = sorted(plan.parts)
        for name, outputs in plan.parts.items():
            data = {
                "backend": plan.backend,
                "parts": names,
                "outputs": [values_of(output) for output in outputs],
            }
            text = json.dumps(data, ensure_ascii=False)
            write_new(os.path.join(temporary, f"{name}.json"), text.encode())
        os.makedirs(self.path("plan"), exist_ok=True)
        os.rename(temporary, self.path("plan", plan.plan_id))

    def find_plan(self, plan_id: str) -> Plan | None:
        """Return a saved plan, `None` if there is none or a part of it is lost or damaged."""
        first = self._read_part(plan_id, DATASET_PART)
        if first is None:
            return None
        outputs = [*first.outputs]
        for name in first.parts or self._listed_parts(plan_id):
            if name != DATASET_PART:
                part = self._read_part(plan_id, name)
                if part is None:
                    return None
                outputs.extend(part.outputs)
        return Plan(plan_id, first.backend, tuple(outputs))

    def _listed_parts(self, plan_id: str) -> list[str]:
        names = os.listdir(self.path("plan", plan_id))
        return sorted(name.removesuffix(".json") for name in names)

    def backend_of(self, plan_id: str) -> str:
        """Return the backend of a saved plan, empty where that is lost."""
        first = self._read_part(plan_id, DATASET_PART)
        return first.backend if first is not None else ""

    def load_plan(self, plan_id: str) -> Plan:
        """Return a saved plan.

        Raises
        ------
        SpimpackError
            There is no such plan, or a part of it is lost or damaged.
        """
        plan = self.find_plan(plan_id)
        if plan is None:
            message = (
                f"the record of the dataset ({self.root}) is damaged; package the dataset again, "
                "and unchanged outputs are kept"
            )
            raise SpimpackError(message)
        return plan

    def find_part(self, plan_id: str, name: str) -> Plan | None:
        """Return a part of a saved plan, without outputs if the plan has no such part.

        Returns `None` if the part is lost or damaged.
        """
        part = self._read_part(plan_id, name)
        if part is None:
            first = self._read_part(plan_id, DATASET_PART)
            if first is None or name in (first.parts or self._listed_parts(plan_id)):
                return None
            return Plan(plan_id, first.backend, ())
        return Plan(plan_id, part.backend, part.outputs)

    def _read_part(self, plan_id: str, name: str) -> PlanPart | None:
        return read_json(self.path("plan", plan_id, f"{name}.json"), part_of, None)

    def forget_damaged_plan(self, plan_id: str) -> None:
        """Delete a saved plan if a part of it is lost or damaged, so that it is saved again."""
        if not self.has_plan(plan_id) or self.find_plan(plan_id) is not None:
            return
        with self.scratch_folder("writers") as scratch:
            temporary = scratch.temporary()
            os.rename(self.path("plan", plan_id), temporary)
            discard(temporary)

    def forget_other_plans(self, plan_id: str, scratch: ScratchFolder) -> None:
        """Delete all saved plans and reports except those of `plan_id`."""
        for kind in ("plan", "validated"):
            with suppress(FileNotFoundError):
                for name in os.listdir(self.path(kind)):
                    if name != plan_id:
                        temporary = scratch.temporary()
                        os.rename(self.path(kind, name), temporary)
                        discard(temporary)


class ScratchFolder:
    """Folder for temporary files that only the holder of its lock uses."""

    def __init__(self, store: Store, folder: str) -> None:
        self.store = store
        self.folder = folder
        self._numbers = count()
        self._tree: OpenTree | None = None

    def temporary(self) -> str:
        """Return a free path."""
        return f"{self.folder}/{next(self._numbers)}"

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the state directory in one step."""
        self.write_pieces(path, [data])

    def write_pieces(self, path: str, pieces: Iterable[bytes]) -> None:
        """Write a large file of the state directory in one step."""
        if self._tree is None:
            self._tree = OpenTree(self.store.root)
        temporary = self.temporary()
        write_pieces(temporary, pieces)
        self._tree.move_in(temporary, path)

    def make(self) -> None:
        """Make the folder, without what a killed process has left in it."""
        try:
            os.mkdir(self.folder)
        except OSError:
            self._clear()
            os.makedirs(self.folder)

    def close(self) -> None:
        """Delete the folder with its content."""
        if self._tree is not None:
            self._tree.close()
        self._clear()

    def _clear(self) -> None:
        try:
            os.rmdir(self.folder)  # as a rule, all that was in it has got its name
        except OSError:
            with suppress(FileNotFoundError):
                discard(self.folder)
