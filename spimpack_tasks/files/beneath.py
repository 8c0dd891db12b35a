"""Opens folders below an open one and follows no link on the way, by one system call if possible.

Linux has had `openat2` since 5.6. Older kernels, and containers that forbid it, take an `open` for
each folder of the path.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_OPENAT2 = 437
"""The number of the call on all processors that this program runs on; Python has no name for it."""
_RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x04, 0x08
"""Flags of linux/openat2.h: follow no link, and never leave the open folder."""


def open_beneath(folder: int, path: str, *, create: bool = False) -> int:
    """Return a descriptor of the folder `path` below an open folder.

    Parameters
    ----------
    folder
        Descriptor of the open folder; it stays open.
    path
        Relative, with forward slashes; empty for the folder itself.
    create
        Whether folders that are missing are made.

    Raises
    ------
    OSError
        A component is missing (unless `create`), no directory, or a link (ELOOP or ENOTDIR).
    """
    call = _find_openat2()
    if call is None:
        return _walk(folder, path, create=create)
    try:
        return call(folder, path or ".")
    except OSError as error:
        # The kernel asks to try again where a folder is renamed just now.
        if error.errno != errno.EAGAIN and not (create and error.errno == errno.ENOENT):
            raise
        return _walk(folder, path, create=create)


def _walk(folder: int, path: str, *, create: bool) -> int:
    descriptor = os.open(".", ENTER, dir_fd=folder)
    try:
        for part in path.split("/") if path else ():
            inner = _step(descriptor, part, create=create)
            os.close(descriptor)
            descriptor = inner
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _step(descriptor: int, part: str, *, create: bool) -> int:
    try:
        return os.open(part, ENTER, dir_fd=descriptor)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(part, dir_fd=descriptor)
    return os.open(part, ENTER, dir_fd=descriptor)


@cache
def _find_openat2() -> Callable[[int, str], int] | None:
    """Return a function that calls `openat2`, `None` where the system has none."""
    if sys.platform != "linux" or os.uname().machine == "alpha":
        return None
    import ctypes  # noqa: PLC0415 - needed only where something is written

    how = (ctypes.c_uint64 * 3)(ENTER, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH)
    function = ctypes.CDLL(None, use_errno=True).syscall
    function.restype = ctypes.c_long
    arguments = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    function.argtypes = arguments
    address, size = ctypes.addressof(how), ctypes.sizeof(how)

    def call(folder: int, path: str, _kept: object = how) -> int:
        descriptor = int(function(_OPENAT2, folder, os.fsencode(path), address, size))
        if descriptor < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
        return descriptor

    return call if _works(call) else None


def _works(call: Callable[[int, str], int]) -> bool:
    """Try the call: a kernel may not know it, and a container may forbid it."""
    root = os.open("/", ENTER)
    try:
        descriptor = call(root, ".")
        try:
            return os.path.samestat(os.fstat(descriptor), os.fstat(root))
        finally:
            os.close(descriptor)
    except OSError:
        return False
    finally:
        os.close(root)
