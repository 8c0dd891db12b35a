"""The state directory `<output>/.spimpack/`: where things lie in it, its locks and its plans.

    current            identity of the plan that writers may work for
    plan/<id>/         a plan: dataset.json, and one file for each bucket of assets
    validated/<id>     the report of the validation that led to a plan
    headers.json       what was read in the sources' headers (see `packaging.headers`)
    receipts/          what we wrote, from what (see `state.receipts`)
    checksums/         of images, where they were asked for (see `state.checksums`)
    thumbnails/        pictures of the images (see `report.thumbnails`)
    runs/              what runs did, and when (see `state.runs`)
    locks/             locks that the kernel frees when a process dies
    tmp/<lock>/        things on the way to their place, by whoever holds the lock
    unfinished/        images that take long to make (see `state.unfinished`)

BIDS validators, pybids and DANDI pass over names that begin with a dot. Losing the directory costs
one rerun that rewrites nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import fields
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import SupersededError
from spimpack_tasks.files.atomic import discard, write_atomically, write_new
from spimpack_tasks.model.plan import ASSET_STEPS, KINDS, Output, Plan, Step, bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STATE_DIRECTORY = ".spimpack"

_STEPS = {step.value: step for step in Step}

_values = attrgetter(*(field.name for field in fields(Output)))


DATASET_PART = "dataset"
"""The part of a plan that is of no single image; the others are named by their buckets."""


def parts_of(plan: Plan) -> dict[str, list[Output]]:
    """Return the parts in which a plan is saved."""
    parts: dict[str, list[Output]] = {DATASET_PART: []}
    for output in plan.outputs:
        name = bucket_of(output.asset) if output.step in ASSET_STEPS else DATASET_PART
        parts.setdefault(name, []).append(output)
    return parts


class Store:
    """The state directory of one output directory; making one touches nothing."""

    def __init__(self, output_dir: str) -> None:
        self.output_dir = output_dir
        self.root = os.path.join(output_dir, STATE_DIRECTORY)

    def path(self, *parts: str) -> str:
        """Return an absolute path in the state directory."""
        return os.path.join(self.root, *parts)

    def create(self) -> None:
        """Make the output directory and the state directory."""
        for name in ("plan", "validated", "receipts", "locks", "tmp"):
            os.makedirs(self.path(name), exist_ok=True)

    @contextmanager
    def lock(self, name: str, *, shared: bool = False) -> Iterator[None]:
        """Hold a lock of the state directory; the kernel frees it if the process dies."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path("locks", name), flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def is_busy(self) -> bool:
        """Tell whether a process holds a lock just now; nothing is written, nobody is kept."""
        with suppress(FileNotFoundError):
            return any(self._is_held(name) for name in os.listdir(self.path("locks")))
        return False

    def _is_held(self, name: str) -> bool:
        descriptor = os.open(self.path("locks", name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # A shared lock would not meet the shared ones of writers. On NFS, an exclusive one
            # needs a file that is open for writing (EBADF): there one cannot tell.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def workplace(self, name: str) -> Iterator[Workplace]:
        """Hold a lock, and a folder for temporaries that goes with it.

        What a killed process left in the folder is thrown away by the next one that gets the lock.
        """
        with self.lock(name):
            place = Workplace(self, self.path("tmp", name))
            place.clear()
            os.mkdir(place.folder)
            try:
                yield place
            finally:
                place.clear()

    @contextmanager
    def writing(self, plan_id: str) -> Iterator[None]:
        """Hold the right to write outputs of a plan.

        Writers of one plan work side by side; another plan waits until they have finished, and
        from then on they are refused, so the tree never ends as a mixture of two plans.

        Raises
        ------
        SupersededError
            Another run has made its plan the current one.
        """
        with self.lock("writers", shared=True):
            self.require_current(plan_id)
            yield

    def require_current(self, plan_id: str) -> None:
        """Do nothing where a plan is the current one.

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
            with open(self.path("current"), encoding="ascii") as file:
                return file.read().strip()
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def current_since(self) -> str:
        """Return what tells when a plan was last made the current one, empty if none ever was.

        It differs also where a plan became the current one again, after another had been.
        """
        try:
            status = os.stat(self.path("current"))
        except (FileNotFoundError, NotADirectoryError):
            return ""
        return f"{status.st_ino} {status.st_mtime_ns}"

    def make_current(self, plan: Plan, notes: Mapping[str, str] | None = None) -> None:
        """Save a plan and make it the current one, when no writer of another plan is at work.

        `notes` are texts by file name that planning wants to find again.
        """
        with self.workplace("writers") as place:
            for name, text in (notes or {}).items():
                place.write(name, text.encode())
            if not self.has_plan(plan.plan_id):
                self._save(plan, place)
            place.write("current", f"{plan.plan_id}\n".encode())

    def has_plan(self, plan_id: str) -> bool:
        """Tell whether a plan has been saved."""
        return os.path.isdir(self.path("plan", plan_id))

    def has_validated(self, plan_id: str) -> bool:
        """Tell whether the report of the validation that led to a plan is kept."""
        return os.path.isfile(self.path("validated", plan_id))

    def _save(self, plan: Plan, place: Workplace) -> None:
        temporary = place.temporary()
        os.mkdir(temporary)
        for name, outputs in parts_of(plan).items():
            data = {"backend": plan.backend, "outputs": [_values(output) for output in outputs]}
            text = json.dumps(data, ensure_ascii=False)
            write_new(os.path.join(temporary, f"{name}.json"), text.encode())
        os.rename(temporary, self.path("plan", plan.plan_id))

    def load_plan(self, plan_id: str, part: str | None = None) -> Plan:
        """Return a saved plan, or only a part of it."""
        folder = self.path("plan", plan_id)
        names = [f"{part}.json"] if part else sorted(os.listdir(folder))
        outputs: list[Output] = []
        backend = ""
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                data: dict[str, Any] = json.load(file)
            backend = data["backend"]
            outputs.extend(
                Output(path, _STEPS[step], KINDS[kind], *rest)
                for path, step, kind, *rest in data["outputs"]
            )
        return Plan(plan_id, backend, tuple(outputs))

    def forget_other_plans(self, plan_id: str, place: Workplace) -> None:
        """Delete the saved plans and reports but those of `plan_id`."""
        for kind in ("plan", "validated"):
            for name in os.listdir(self.path(kind)):
                if name != plan_id:
                    temporary = place.temporary()
                    os.rename(self.path(kind, name), temporary)
                    discard(temporary)


class Workplace:
    """A folder for temporaries that only the holder of its lock uses."""

    def __init__(self, store: Store, folder: str) -> None:
        self.store = store
        self.folder = folder
        self._numbers = count()

    def temporary(self) -> str:
        """Return a free path."""
        return os.path.join(self.folder, str(next(self._numbers)))

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the state directory in one step."""
        write_atomically(self.store.root, self.temporary(), path, data)

    def clear(self) -> None:
        """Throw away the folder with all that is in it."""
        with suppress(FileNotFoundError):
            discard(self.folder)
