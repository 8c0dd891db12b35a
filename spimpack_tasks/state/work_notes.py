"""Notes of the workers of a run: what each makes at present, for those who watch.

    working/<host>-<process>-<time>.json     one file for each worker that is at slow work

A worker writes its note when its work has lasted for `FIRST_S`, then at most once in `EVERY_S`,
and removes it at the end. So quick work writes none. The note of a worker that was killed stays:
readers on its host see that the process is gone, and others that the note has become old. The next
worker on the host, or the end of a run there, removes it. No decision of a run depends on a note:
where one cannot be written, the work goes on without it.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.model.meter import Amount, clock_text, log_interval, rate_in_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from spimpack_tasks.state.store import Store

FOLDER = "working"
FIRST_S = 1.0
"""Seconds of work before the first note."""
EVERY_S = 1.0
"""Least time between two notes: often enough for an eye, and no load for a network disk."""
SILENT_S = 120.0
"""Age of a note from which a worker of another host counts as silent. A disk may hold a worker up
for long, and clocks of hosts differ."""
FORGOTTEN_S = 86_400.0
"""Age of a note from which any host may remove it."""
_PART = ".part"


@dataclass(frozen=True, slots=True)
class WorkNote:
    """One worker and its present work. Times are seconds since 1970."""

    host: str
    process: int
    plan_id: str
    task: str
    unit: str
    since: float
    """When the task began."""
    heard: float
    """When the note was written."""
    path: str = ""
    """The image that is made or read, relative to the dataset; behind it the part, if it has some.
    """
    path_since: float = 0
    path_done: int = 0
    path_total: int = 0
    """Bytes of this image, 0 where they are not known."""
    done: int = 0
    total: int = 0
    """Bytes of all images of the task."""

    @property
    def image(self) -> Amount:
        """The bytes of the present image."""
        return Amount(self.path_done, self.path_total)

    def is_heard(self, host: str, now: float) -> bool:
        """Tell whether the worker is alive, as far as a process on `host` can know."""
        if self.host == host:
            return _is_alive(self.process)
        return now - self.heard < SILENT_S


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Tell whether a process has ended and is only waited for; where there is no /proc, no."""
    with suppress(OSError), open(f"/proc/{process}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    return False


class Worker:
    """Notes what this process does for one task; a context that removes the note at its end.

    Parameters
    ----------
    store
        The state directory of the dataset.
    plan_id
        Identity of the plan that it works for.
    task, unit
        Name and unit of the task.
    log
        Receives a line once a minute.
    """

    def __init__(
        self, store: Store, plan_id: str, task: str, unit: str, log: Callable[[str], None]
    ) -> None:
        now = time.time()
        self._store = store
        self._note = WorkNote(host_name(), os.getpid(), plan_id, task, unit, now, now)
        self._log = log
        self._due = time.monotonic() + FIRST_S
        self._log_due = time.monotonic() + log_interval()
        self._path = ""

    def __enter__(self) -> Self:
        """Begin; nothing is written yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the note."""
        if self._path:
            with suppress(OSError):
                os.unlink(self._path)
            with suppress(OSError):
                os.rmdir(os.path.dirname(self._path))

    def begin_image(self, path: str, size: int) -> None:
        """Begin with an image of a number of bytes, 0 where that is not known."""
        self._note = replace(
            self._note, path=path, path_since=time.time(), path_done=0, path_total=size
        )

    def expect(self, total: int) -> None:
        """Set the number of bytes of all images."""
        self._note = replace(self._note, total=total)

    @property
    def done(self) -> int:
        """The number of bytes that are done."""
        return self._note.done

    def advance(self, amount: int) -> None:
        """Add finished bytes, and write the note if it is due."""
        note = self._note
        self._note = replace(note, done=note.done + amount, path_done=note.path_done + amount)
        if time.monotonic() < self._due:
            return
        with suppress(OSError):
            self._write()
        self._due = time.monotonic() + EVERY_S
        if self._due >= self._log_due:
            self._log(describe_worker(self._note, self._note.host, time.time()))
            self._log_due = time.monotonic() + log_interval()

    def _write(self) -> None:
        self._note = replace(self._note, heard=time.time())
        folder = self._store.path(FOLDER)
        if not self._path:
            remove_silent(self._store)
            note = self._note
            self._path = os.path.join(
                folder, f"{note.host}-{note.process}-{time.time_ns()}.json".replace("/", "_")
            )
        with suppress(FileExistsError):  # each time: another worker may have removed it
            os.mkdir(folder)
        aside = f"{self._path}{_PART}"
        with open(aside, "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(self._note)))
        os.replace(aside, self._path)


def describe_worker(note: WorkNote, host: str, now: float) -> str:
    """Return where a worker runs, its image, how far that is, and since when.

    Parameters
    ----------
    note
        Of the worker.
    host
        The host that asks.
    now
        Seconds since 1970.
    """
    where = f"{note.host}, process {note.process}"
    if not note.is_heard(host, now):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(note.heard))
        return f"{where}: not heard of since {when}; it was at {note.path or note.task}"
    spent = note.heard - note.path_since if note.path else 0
    speed = rate_in_words(note.path_done / spent) if spent >= 1 else ""
    since = clock_text(now - (note.path_since if note.path else note.since))
    parts = [note.path or note.task, str(note.image), speed, f"for {since}"]
    return f"{where}: {', '.join(filter(None, parts))}"


def host_name() -> str:
    """Return the name of this host."""
    return socket.gethostname()


def read_notes(store: Store) -> list[WorkNote]:
    """Return the notes of all workers, also of silent ones; the oldest first."""
    notes = (_read(store.path(FOLDER, name)) for name in _names(store))
    return sorted((note for note in notes if note), key=lambda note: (note.since, note.process))


def heard_notes(store: Store, plan_id: str = "") -> list[WorkNote]:
    """Return the notes of the workers that are alive, of one plan if it is given."""
    host, now = host_name(), time.time()
    notes = (note for note in read_notes(store) if note.is_heard(host, now))
    return [note for note in notes if not plan_id or note.plan_id == plan_id]


def remove_silent(store: Store) -> None:
    """Delete the notes of processes of this host that are gone, and old ones of other hosts."""
    host, now = host_name(), time.time()
    for name in _names(store):
        note = _read(store.path(FOLDER, name))
        if note is None or note.is_heard(host, now):
            continue
        if note.host == host or now - note.heard > FORGOTTEN_S:
            with suppress(OSError):
                os.unlink(store.path(FOLDER, name))
    with suppress(OSError):  # there is none, or it has notes
        os.rmdir(store.path(FOLDER))


def _names(store: Store) -> list[str]:
    try:
        names = os.listdir(store.path(FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if name.endswith(".json")]


def _read(path: str) -> WorkNote | None:
    return read_json(path, _note_of, None)


def _note_of(data: dict[str, Any]) -> WorkNote:
    return WorkNote(**data)
