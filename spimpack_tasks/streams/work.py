"""The common means of the images of a stream: threads, memory, journal and spool."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.parallel import WorkPool, count_threads
from spimpack_tasks.streams.memory import Memory
from spimpack_tasks.streams.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.streams.journal import Journal
    from spimpack_tasks.streams.settings import AcquisitionSettings

_SMALLER = 3 / 8
"""With a pyramid, the part of the memory that is for smaller levels: they have half the voxels of
the full level at most, and planes wait for their neighbours."""


@dataclass(slots=True)
class Work:
    """The common means of the images of a stream."""

    pool: WorkPool
    """Threads that encode and write."""
    halving: ThreadPoolExecutor
    """The thread that halves planes of the full level; it may wait for the others."""
    upper: ThreadPoolExecutor
    """The thread that makes the levels above from these halves; it may wait as well."""
    full: Memory
    """Memory of frames as they came."""
    smaller: Memory
    """Memory of smaller levels."""
    journal: Journal
    spool: Spool
    is_blocking: bool = True
    """Whether `append` waits while the memory is full; if not, it raises."""
    failures: list[BaseException] = field(default_factory=list)
    """Errors of the thread that writes; `append` raises the first."""

    def write(self, size: int, do: Callable[..., Any], *arguments: Any) -> None:
        """Have something written, and remember if that fails."""
        self.pool.write(size, self.watched(do), *arguments)

    def watched(self, do: Callable[..., Any]) -> Callable[..., None]:
        """Return a function that remembers if another fails, and does nothing after the first."""

        def watch(*arguments: Any) -> None:
            if self.failures:  # the disk is full: what comes later would leave gaps
                raise self.failures[0]
            try:
                do(*arguments)
            except BaseException as error:
                self.failures.append(error)
                for memory in (self.full, self.smaller):
                    memory.fail(error)
                raise

        return watch


@contextmanager
def make_work(settings: AcquisitionSettings, spool: str, journal: Journal) -> Iterator[Work]:
    """Start the threads of a stream, and end them with the context.

    Parameters
    ----------
    settings
        Have the memory, and what to do when it is full.
    spool
        Folder of planes that wait.
    journal
        The journal.
    """
    memory = settings.memory_bytes
    smaller = int(memory * _SMALLER) if settings.pyramid else 0
    # The memory is what makes `append` wait, not the number of bytes in the pool.
    with (
        WorkPool(count_threads(), 4 * memory) as pool,
        ThreadPoolExecutor(1) as upper,
        ThreadPoolExecutor(1) as halving,
    ):
        yield Work(
            pool=pool,
            halving=halving,
            upper=upper,
            full=Memory(memory - smaller),
            smaller=Memory(smaller),
            journal=journal,
            spool=Spool(spool),
            is_blocking=settings.when_behind == "block",
        )
