"""Harm that is done to a process in the middle of a conversion, and what it leaves."""

import errno
import os
import signal
import sys


class Killer:
    """Harms its process at the k-th change of a file below a folder."""

    def __init__(self, below, k, harm):
        self.below, self.k, self.harm, self.count = str(below), k, harm, 0

    def watch(self):
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if (writes or event == "os.rename") and str(arguments[0]).startswith(self.below):
            self.count += 1
            if self.count == self.k:
                self.harm()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tree_of(path):
    """Return the bytes of all files below a folder."""
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}
