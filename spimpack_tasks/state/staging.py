"""Working folders for slow images. Their content survives a killed process.

    unfinished/<digest>/lock      held by the process that makes the image, or by all that share it
    unfinished/<digest>/<inode>   the image so far

The digest covers the image's path, its fingerprint and its source; the inode is that of the source.
So the next run that needs the same image resumes it, and an image started from another source is
never resumed. A process that leaves a folder without an image removes the folder.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import discard
from spimpack_tasks.files.noted_parts import parts_within
from spimpack_tasks.model.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.state.store import Store

_FOLDER = "unfinished"
_LOCK = "lock"
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def hold_unfinished(store: Store, output: Output, *, is_shared: bool = False) -> Iterator[str]:
    """Lock the working folder of an image, waiting for its turn, and yield the image's path in it.

    Parameters
    ----------
    store
        The state directory of the dataset.
    output
        The image.
    is_shared
        Whether others may make further parts of the same image meanwhile.

    Raises
    ------
    OSError
        The source is not there, or the disk does not take a new folder.
    """
    path = find_unfinished(store, output)
    folder = os.path.dirname(path)
    lock = _take_lock(folder, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX)
    try:
        for name in () if is_shared else os.listdir(folder):
            if name not in {_LOCK, os.path.basename(path)}:
                discard(os.path.join(folder, name))
        yield path
    finally:
        if os.listdir(folder) == [_LOCK] and (not is_shared or _is_last(lock)):
            os.unlink(os.path.join(folder, _LOCK))
            with suppress(OSError):  # another process has just entered
                os.rmdir(folder)
        os.close(lock)


def find_unfinished(store: Store, output: Output) -> str:
    """Return the path of an image in its working folder, whether anything is there or not.

    Raises
    ------
    OSError
        The source is not there.
    """
    return store.path(_FOLDER, _name(output), str(os.stat(output.source).st_ino))


def has_part(store: Store, output: Output, number: int) -> bool:
    """Tell whether a part of an unfinished image is noted; without its source it is not."""
    with suppress(FileNotFoundError):
        return parts_within(find_unfinished(store, output), output.part_count).has(number)
    return False


def _name(output: Output) -> str:
    made_from = f"{output.path}\0{output.fingerprint}\0{output.source}"
    return blake2b(made_from.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _take_lock(folder: str, kind: int) -> int:
    """Make a folder if need be, and return the descriptor of its lock, which is held."""
    path = os.path.join(folder, _LOCK)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    while True:
        with suppress(FileExistsError):
            os.mkdir(folder)
        with suppress(FileNotFoundError):  # the folder was removed, now or while we waited
            lock = os.open(path, _FLAGS | os.O_CREAT, 0o666)
            fcntl.flock(lock, kind)
            # The previous holder may have removed the folder, and a third process may have made a
            # new one. A lock counts only if its file still is the one at the path.
            if _is_at(lock, path):
                return lock
            os.close(lock)


def _is_last(lock: int) -> bool:
    """Tell whether no other process shares a lock; then this one has it alone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def idle_unfinished(store: Store) -> Iterator[str]:
    """Yield the names of the working folders that no process holds."""
    with suppress(FileNotFoundError):
        for name in os.listdir(store.path(_FOLDER)):
            with _idle(store.path(_FOLDER, name)) as is_idle:
                if is_idle:
                    yield name


@contextmanager
def _idle(folder: str) -> Iterator[bool]:
    """Lock a folder that no process holds, and yield whether that succeeded."""
    try:
        lock = os.open(os.path.join(folder, _LOCK), _FLAGS)
    except FileNotFoundError:
        yield True
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(lock)


def remove_unfinished(store: Store, plan_id: str, wanted: Plan | None = None) -> None:
    """Delete unfinished images that no process works on, except those that a plan still needs.

    Raises
    ------
    SupersededError
        Another plan has become the current one.
    """
    if next(idle_unfinished(store), None) is None:
        return
    images = (o for o in wanted.outputs if o.kind is Kind.IMAGE) if wanted else ()
    kept = {_name(output) for output in images}
    with store.writing(plan_id), store.scratch_folder(_FOLDER) as trash:
        for name in idle_unfinished(store):
            if name not in kept:
                # The generator holds the lock of the folder until the next iteration.
                temporary = trash.temporary()
                os.rename(store.path(_FOLDER, name), temporary)
                discard(temporary)
