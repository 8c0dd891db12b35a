"""Runs work in a forked process of its own, and returns its result.

The client of object stores has a runtime of threads. A process that has used it must not fork any
more: the threads are missing in the child, which then waits for ever. Luigi forks its workers, and
so may the flow that our tasks are part of. A child that ends with its work leaves no threads.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
import threading
import time
import traceback
import warnings
from contextlib import suppress
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from spimpack_tasks.errors import SpimpackError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

R = TypeVar("R")

_LOOK_S = 0.5
"""Seconds between two looks whether the parent is there."""
_LENGTH = struct.Struct("<cQ")
_MESSAGE, _RESULT, _ERROR, _REFUSAL = b"m", b"r", b"e", b"f"


class IsolatedWorkError(RuntimeError):
    """The child has ended without a result, or with a bug, whose traceback is the message."""


_RUNNING: list[int] = []
"""In a child: the process that waits for its result."""


def process_of_run() -> int:
    """Return the process that a run lasts as long as: not a child of it that does a part."""
    parent = parent_process()
    if parent is not None and parent.pid is not None:
        return parent.pid  # this is a worker of Luigi
    return _RUNNING[0] if _RUNNING else os.getpid()


def run_isolated(
    work: Callable[[Callable[[Any], None]], R], on_message: Callable[[Any], None] | None = None
) -> R:
    """Run work in a child, and return its result.

    The child inherits the memory and the locks of this process. It ends within a second after this
    process has ended.

    Parameters
    ----------
    work
        Takes a function that sends a message to this process, which several threads may call.
    on_message
        Receives the messages, in this process.

    Raises
    ------
    SpimpackError, OSError
        As the work has raised it.
    IsolatedWorkError
        The child was killed, or has a bug.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # From 3.12 on, Python warns of a fork beside threads. The child uses none of their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(reading)
        _work_in_child(work, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            result: R = _receive(pipe, on_message or (lambda _: None))
            return result
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        raise
    finally:
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _receive(pipe: BinaryIO, on_message: Callable[[Any], None]) -> Any:
    while head := pipe.read(_LENGTH.size):
        kind, length = _LENGTH.unpack(head)
        data = pipe.read(length)
        if len(data) < length:
            break
        value = pickle.loads(data)  # noqa: S301  # our own child has written it
        if kind == _MESSAGE:
            on_message(value)
        elif kind == _RESULT:
            return value
        else:
            raise value if kind == _ERROR else _rebuild(*value)
    message = "the process that talks to the object store was killed; run it again"
    raise IsolatedWorkError(message)


def _rebuild(
    kind: type[SpimpackError], args: tuple[Any, ...], values: dict[str, Any]
) -> SpimpackError:
    """Return an error of ours, whose constructor may want other arguments than it has kept."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(values)
    return error


def _work_in_child(work: Callable[[Callable[[Any], None]], Any], writing: int) -> NoReturn:
    """Work, send the result, and end at once: nothing of the parent's is flushed or cleaned up."""
    code, sending = 1, threading.Lock()

    def tell(message: Any) -> None:
        with sending:
            _send(writing, _MESSAGE, message)

    try:
        _RUNNING[:] = _RUNNING or [os.getppid()]
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _send(writing, _RESULT, work(tell))
        code = 0
    except BrokenPipeError:  # the parent is gone
        pass
    except SpimpackError as error:
        _send(writing, _REFUSAL, (type(error), error.args, error.__dict__))
    except OSError as error:
        _send(writing, _ERROR, error)
    except BaseException:  # noqa: BLE001  # a bug ends the child, and is told by the parent
        _send(writing, _ERROR, IsolatedWorkError(traceback.format_exc()))
    finally:
        os._exit(code)


def _end_with(parent: int) -> NoReturn:
    """End this process when its parent has ended: nobody would hear of the work any more."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def _send(writing: int, kind: bytes, value: Any) -> None:
    data = pickle.dumps(value)
    whole = memoryview(_LENGTH.pack(kind, len(data)) + data)
    while whole:
        whole = whole[os.write(writing, whole) :]
