"""The threads that encode, decode and write voxels: one bounded pool for a piece of work.

Encoders and decoders of chunks run outside of Python's lock, so threads are worth while, and a
process needs no more of them than it has processors.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    T = TypeVar("T")

MOST_WAITING = 128 * 2**20
"""Bytes of voxels that may wait to be written: one slab of the largest size, or several smaller
ones. Twice as much is no faster."""


def count_threads() -> int:
    """Return how many threads there is work for on this machine."""
    return max(len(os.sched_getaffinity(0)), 1)


class WorkPool:
    """Threads that work side by side, and one that writes what they have made, in its order.

    Parameters
    ----------
    threads
        How many work side by side.
    most_waiting
        Bytes that may wait to be written before `write` waits itself; with 0 it waits until all of
        it is written, so that nothing is in memory beside what comes next.
    """

    def __init__(self, threads: int, most_waiting: int = MOST_WAITING) -> None:
        self.threads = threads
        self._most_waiting = most_waiting
        self._workers = ThreadPoolExecutor(threads)
        self._writer = ThreadPoolExecutor(1)
        self._waiting: deque[tuple[Future[Any], int]] = deque()
        self._size = 0
        self._lock = Lock()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Wait for running work, and start no other."""
        self._workers.shutdown(cancel_futures=True)
        self._writer.shutdown(cancel_futures=True)

    def submit(self, do: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have something done by one of the threads."""
        return self._workers.submit(do, *arguments)

    def write(self, size: int, do: Callable[..., Any], *arguments: Any) -> None:
        """Have something written, in the order of the calls, while the caller goes on.

        Waits first while there is more to be written than may wait. An error of an earlier call is
        raised here, or by `settle`.

        Parameters
        ----------
        size
            Bytes of voxels that stay in memory until it is done.
        do, arguments
            What is called in the writing thread. It may wait for work of `submit`.
        """
        self.settle(self._most_waiting - size)
        with self._lock:
            while self._waiting and _is_written(self._waiting[0][0]):
                self._size -= self._waiting.popleft()[1]
            self._waiting.append((self._writer.submit(do, *arguments), size))
            self._size += size
        if not self._most_waiting:
            self.settle()

    def settle(self, most: int = 0) -> None:
        """Wait until no more than some bytes wait to be written.

        Raises
        ------
        Exception
            What a call of `write` has raised, now and whenever this is called again.
        """
        while True:
            with self._lock:
                if not self._waiting or (most > 0 and self._size <= most):
                    return
                first = self._waiting[0]
            first[0].result()
            # It counts until it is done, because other threads wait for it as well.
            with self._lock:
                if self._waiting and self._waiting[0] is first:
                    self._size -= self._waiting.popleft()[1]

    def run(self, jobs: Iterator[Callable[[], int]], advance: Callable[[int], None]) -> None:
        """Do jobs side by side; after the first that fails no other starts.

        Parameters
        ----------
        jobs
            Asked for one when a thread is free.
        advance
            Told, in the calling thread, the number that each job returns.
        """
        running: set[Future[int]] = set()
        try:
            for job in jobs:
                running.add(self._workers.submit(job))
                if len(running) > self.threads:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for each in done:
                        advance(each.result())
            for each in running:
                advance(each.result())
        except BaseException:
            _end(running)
            raise

    def results(self, jobs: Iterator[Callable[[], T]]) -> Iterator[T]:
        """Do jobs side by side, and yield what they return in their order; all begin at once."""
        futures = [self._workers.submit(job) for job in jobs]
        try:
            for each in futures:
                yield each.result()
        finally:
            _end(futures)


def _is_written(future: Future[Any]) -> bool:
    """Tell whether work is done; an error of it is still to be raised."""
    return future.done() and future.exception() is None


def _end(futures: Iterable[Future[Any]]) -> None:
    """Begin no more of some work, and wait for the rest: it may read what is closed next."""
    for each in futures:
        each.cancel()
    wait(futures)
