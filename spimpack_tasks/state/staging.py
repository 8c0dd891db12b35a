"""Places for images that take long to make; what is in one survives whoever works in it.

    unfinished/<digest>/lock      held by the process that makes the image
    unfinished/<digest>/<inode>   the image so far

The digest is that of the image's path, its fingerprint and its source, the inode that of the
source. So what was begun from something else is not gone on with, and another run that wants the
same goes on with it. Whoever leaves a place in which there is no image takes it away.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import discard
from spimpack_tasks.model.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.state.store import Store

_FOLDER = "unfinished"
_LOCK = "lock"
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def hold_unfinished(store: Store, output: Output) -> Iterator[str]:
    """Hold the place of an image, waiting for whoever does, and yield the image's path in it.

    Raises
    ------
    OSError
        The source is not there, or the disk does not take a new folder.
    """
    source = os.stat(output.source)
    folder = store.path(_FOLDER, _name(output))
    lock = _take_lock(folder)
    try:
        path = os.path.join(folder, str(source.st_ino))
        for name in os.listdir(folder):
            if name not in {_LOCK, os.path.basename(path)}:
                discard(os.path.join(folder, name))
        yield path
    finally:
        if os.listdir(folder) == [_LOCK]:
            os.unlink(os.path.join(folder, _LOCK))
            with suppress(OSError):  # somebody else has just come
                os.rmdir(folder)
        os.close(lock)


def _name(output: Output) -> str:
    made_from = f"{output.path}\0{output.fingerprint}\0{output.source}"
    return blake2b(made_from.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _take_lock(folder: str) -> int:
    """Make a place if need be, and return the descriptor of its lock, which is held."""
    path = os.path.join(folder, _LOCK)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    while True:
        with suppress(FileExistsError):
            os.mkdir(folder)
        with suppress(FileNotFoundError):  # the place was taken away, now or while we waited
            lock = os.open(path, _FLAGS | os.O_CREAT, 0o666)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock, path):
                return lock
            os.close(lock)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def idle_unfinished(store: Store) -> Iterator[str]:
    """Yield the names of the places in which nobody is at work."""
    with suppress(FileNotFoundError):
        for name in os.listdir(store.path(_FOLDER)):
            with _idle(store.path(_FOLDER, name)) as is_idle:
                if is_idle:
                    yield name


@contextmanager
def _idle(folder: str) -> Iterator[bool]:
    """Hold a place if nobody does, and tell whether that is so."""
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
    """Delete what lies in places where nobody is at work, but what a plan still wants.

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
                # The place is held until `idle_unfinished` goes on.
                temporary = trash.temporary()
                os.rename(store.path(_FOLDER, name), temporary)
                discard(temporary)
