"""The journal of a stream: which of its frames are safe, for a stream that was killed.

A line is written when its frames are. Lines survive the death of the process. The identifier of
the boot shows a power cut: then only lines before the last sync count.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.errors import StreamClosedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.slabs import SlabKey

_BOOT = "/proc/sys/kernel/random/boot_id"
_UNKNOWN = "-"


class LineFile:
    """A file to which whole lines are added; a line that a killed process has torn is cut off."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._lock = Lock()

    def hold(self) -> None:
        """Keep other processes from writing.

        Raises
        ------
        StreamClosedError
            Another process writes already.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{os.path.dirname(self.path)} is being written by another process"
            raise StreamClosedError(message) from error
        except OSError:  # some network disks have no locks
            return

    def cut(self) -> None:
        """Cut a torn line off."""
        size = os.fstat(self._file).st_size
        content = os.pread(self._file, size, 0)
        os.ftruncate(self._file, content.rfind(b"\n") + 1)

    def add(self, line: bytes) -> None:
        """Add a line.

        Raises
        ------
        OSError
            The disk does not take it; nothing is left of it, which would spoil the next one.
        """
        data = line + b"\n"
        rest = data
        with self._lock:
            try:
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError:
                if len(rest) < len(data):
                    size = os.fstat(self._file).st_size
                    os.ftruncate(self._file, size - len(data) + len(rest))
                raise

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file. Its number may become that of another one, so it is forgotten."""
        os.close(self._file)
        self._file = -1


def read_lines(path: str) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a file of JSON lines, nothing where there is none."""
    with suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                with suppress(ValueError):
                    yield json.loads(line)


@dataclass(slots=True)
class Recorded:
    """The content of a journal."""

    slabs: dict[tuple[int, int], dict[SlabKey, list[int]]] = field(default_factory=dict)
    """By image and level: slabs that are written, and the numbers of planes that they lack."""
    spooled: dict[int, set[PlaneAt]] = field(default_factory=dict)
    """By image: planes that are in the spool."""
    planes: list[dict[str, Any]] = field(default_factory=list)
    """Entries of planes of an OME-TIFF."""
    skipped: set[int] = field(default_factory=set)
    """Numbers of frames that were skipped."""
    names: dict[int, str] = field(default_factory=dict)
    """Names of the files from which frames were taken, by their numbers."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Global metadata by namespace."""
    finished: list[Any] | None = None
    """The result, where the image is whole and about to be moved to its place."""
    is_same_boot: bool = False
    """Whether the machine has run on since the stream began, so that files which are
    not recorded are whole as well. It is not known on systems that do not name their boots."""


class Journal:
    """The journal of a stream that is open."""

    def __init__(self, path: str) -> None:
        self.lines = LineFile(path)
        self.lines.hold()
        self.lines.cut()
        self.note({"boot": _boot()})

    def slab(self, image: int, level: int, key: SlabKey, lacks: list[int]) -> None:
        """Note that a slab is written."""
        t, c, z = key
        lacking = f',"lacks":{lacks}' if lacks else ""
        self.lines.add(f'{{"slab":[{image},{level},{t},{c},{z}]{lacking}}}'.encode())

    def forget(self, image: int, level: int, key: SlabKey) -> None:
        """Note that a slab counts as not written."""
        self.note({"forgotten": [image, level, *key]})

    def spooled(self, image: int, at: PlaneAt) -> None:
        """Note that a plane is in the spool."""
        self.lines.add(f'{{"spooled":[{image},{at[0]},{at[1]},{at[2]}]}}'.encode())

    def note(self, entry: dict[str, Any]) -> None:
        """Note something else."""
        self.lines.add(json.dumps(entry).encode())

    def synced(self) -> None:
        """Note that all before is on the disk."""
        self.lines.add(b'{"synced":1}')
        self.lines.sync()


def read_journal(path: str) -> Recorded:
    """Return what is safe after the death of a process, or after a power cut."""
    boots = {entry["boot"] for entry in read_lines(path) if "boot" in entry}
    recorded = Recorded(is_same_boot=boots == {_boot()} != {_UNKNOWN})
    for entry in _safe_entries(path):
        note_entry(recorded, entry)
    return recorded


def note_entry(recorded: Recorded, entry: dict[str, Any]) -> None:
    """Add an entry of a journal to what is recorded; others are no news."""
    if "slab" in entry:
        image, level, *key = entry["slab"]
        slabs = recorded.slabs.setdefault((image, level), {})
        slabs[key[0], key[1], key[2]] = entry.get("lacks", [])
    elif "forgotten" in entry:
        image, level, *key = entry["forgotten"]
        recorded.slabs.get((image, level), {}).pop((key[0], key[1], key[2]), None)
    elif "spooled" in entry:
        image, t, c, z = entry["spooled"]
        recorded.spooled.setdefault(image, set()).add((t, c, z))
    elif "plane" in entry:
        recorded.planes.append(entry)
    elif "skipped" in entry:
        first, count = entry["skipped"]
        recorded.skipped.update(range(first, first + count))
    elif "taken" in entry:
        number, name = entry["taken"]
        recorded.names[number] = name
    elif "attributes" in entry:
        recorded.attributes.update(entry["attributes"])
    elif "finished" in entry:
        recorded.finished = entry["finished"]


def _safe_entries(path: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    safe, boot = 0, ""
    for entry in [*read_lines(path), {"boot": _boot()}]:
        if "boot" in entry:
            if boot and entry["boot"] != boot:
                del entries[safe:]
            boot = entry["boot"]
        elif "synced" in entry:
            safe = len(entries)
        else:
            entries.append(entry)
    return entries


def _boot() -> str:
    """Return what the kernel calls the time since the machine was started, `_UNKNOWN` elsewhere."""
    try:
        with open(_BOOT, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return _UNKNOWN
