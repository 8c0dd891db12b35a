"""Checks a disk with the operations of a run, in a temporary folder that is removed again."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import tempfile
from typing import TYPE_CHECKING

from spimpack_tasks.doctor.answer import note, ok, problem
from spimpack_tasks.files.copying import share_data
from spimpack_tasks.packaging.backends.copy import COPY
from spimpack_tasks.packaging.backends.registry import usable_backends
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spimpack_tasks.doctor.answer import Answer
    from spimpack_tasks.packaging.backends.base import Backend

LEAST_FREE = 100 * 2**20
"""Free bytes that metadata and temporary files should find."""
LEAST_FILES = 256
"""Open files for a run with several workers, with a reserve."""


def check_output(output_dir: str) -> Iterator[Answer]:
    """Yield whether a dataset can be written to a directory, and by which backends.

    Parameters
    ----------
    output_dir
        Absolute path; where it is not there yet, the folder that it would be made in is tried.
    """
    if os.path.lexists(output_dir) and not os.path.isdir(output_dir):
        yield problem("output", f"{output_dir} is no directory; name another one")
        return
    where = _nearest_folder(output_dir)
    try:
        folder = tempfile.mkdtemp(prefix=".spimpack-doctor-", dir=where)
    except OSError as error:
        yield problem("output", f"{where} cannot be written to: {error.strerror}")
        return
    try:
        yield ok("output", f"{where} can be written to")
        yield from _check_links(folder)
        yield _check_lock(folder)
        yield _check_space("free space", where)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _nearest_folder(output_dir: str) -> str:
    """Return the state directory, or the nearest folder above it that is there."""
    folder = Store(output_dir).root
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _check_links(folder: str) -> Iterator[Answer]:
    source = os.path.join(folder, "source")
    with open(source, "wb") as file:
        file.write(b"spimpack")
    backends = usable_backends().values()
    for name, make, describe in _WAYS:
        refusal = _try(make, source, os.path.join(folder, name))
        works, else_ = describe(backends)
        yield note(name, f"{refusal}: {else_}") if refusal else ok(name, works)


def _named(backends: list[str]) -> str:
    return f"backend{'s' if backends[1:] else ''} {' and '.join(backends)}"


def _reflink(source: str, path: str) -> None:
    with open(source, "rb") as reader, open(path, "xb") as writer:
        share_data(reader.fileno(), writer.fileno())


def _about_symlinks(backends: Iterable[Backend]) -> tuple[str, str]:
    names = [b.name for b in backends if b.makes_symlinks and not b.makes]
    return f"{_named(names)} work", f"use another backend than {' or '.join(names)}"


def _about_hard_links(backends: Iterable[Backend]) -> tuple[str, str]:
    named = _named([b.name for b in backends if b.same_disk])
    return f"{named} works for sources on this disk", f"{named} does not work"


def _about_reflinks(_: Iterable[Backend]) -> tuple[str, str]:
    named = _named([COPY.name])
    works = f"{named} takes no space for sources on this disk"
    return works, f"{named} takes the space of the images"


_WAYS: tuple[
    tuple[str, Callable[[str, str], None], Callable[[Iterable[Backend]], tuple[str, str]]], ...
] = (
    ("symbolic link", os.symlink, _about_symlinks),
    ("hard link", os.link, _about_hard_links),
    ("reflink", _reflink, _about_reflinks),
)
"""Operation of a backend on a file, with the answers if it works and if it does not."""


def _try(make: Callable[[str, str], None], source: str, path: str) -> str:
    """Return why a thing cannot be made, empty where it can."""
    try:
        make(source, path)
    except OSError as error:
        unsupported = error.errno in {errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.ENOSYS}
        return "this disk has none" if unsupported else (error.strerror or str(error))
    return ""


def _check_lock(folder: str) -> Answer:
    """Try a lock as writers hold one; some network disks have none."""
    with open(os.path.join(folder, "lock"), "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"{error.strerror}; runs cannot be kept apart here, use another disk"
            return problem("locks", message)
    return ok("locks", "runs are kept apart")


def check_temporary() -> Iterator[Answer]:
    """Yield whether there is a folder for temporary files, which validation needs."""
    try:
        folder = tempfile.gettempdir()
    except OSError:
        yield problem("temporary files", "there is no folder for them; set TMPDIR to one")
        return
    yield _check_space("temporary files", folder)


def check_open_files() -> Iterator[Answer]:
    """Yield the number of files that a process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        yield note("open files", f"at most {soft:,}; raise it with: ulimit -n 1024")
    else:
        most = "no limit" if soft == resource.RLIM_INFINITY else f"at most {soft:,}"
        yield ok("open files", most)


def _check_space(check: str, folder: str) -> Answer:
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:,.1f} GB free in {folder}"
    return ok(check, text) if free >= LEAST_FREE else problem(check, f"{text}; make room")
