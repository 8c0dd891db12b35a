"""The base of backends whose work is slow: it can be shared, watched, limited, and gone on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from luigi.configuration import get_config

from spimpack_tasks.files.trees import size_below
from spimpack_tasks.luigi_setup import disk_trouble_told, progress_of
from spimpack_tasks.packaging.tasks.bugs import BugGuard
from spimpack_tasks.packaging.tasks.writing import LinkAssets, refuse_failures
from spimpack_tasks.state.resumable import SlowMaker, make_and_publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.model.plan import Output

_MB = 10**6


class MakeAssets(LinkAssets):
    """Get each image into the dataset by slow work. A slow backend is a subclass of this task.

    Instead of `make`, it says how an image is gone on with (`resume`). What that has made survives
    a kill of the process, and the next run goes on with it.
    """

    one_task_per_asset = True

    @classmethod
    def measure(cls, output: Output) -> int:
        """Return how many bytes `resume` will tell of; those of the source, unless overridden."""
        return size_below(output.source)

    @classmethod
    def resume(cls, output: Output, path: str, advance: Callable[[int], None]) -> None:
        """Make the image of `output` at `path`, or go on with what an earlier call has left there.

        Parameters
        ----------
        output
            What to make. What lies at `path` was begun from the same source, of the same size and
            modification time.
        path
            Where to make it.
        advance
            To be told the number of bytes after each piece that is there, once a second at least.
            It raises an error when the run is over; let it pass.
        """
        raise NotImplementedError

    takes_over: ClassVar[bool] = False
    """Whether the backend has `take_over`."""

    @classmethod
    def take_over(cls, output: Output, earlier: str, path: str) -> bool:
        """Make the image of `output` at `path` of one in the dataset, where that is quick.

        Parameters
        ----------
        output
            What to make.
        earlier
            An image as we made it of the same source, for another row or in another way; it is
            only to be read.
        path
            Where to make it. What lies there was left by `resume`, or by this method.

        Returns
        -------
        bool
            Whether the image is there; if not, `resume` makes it.
        """
        raise NotImplementedError

    @classmethod
    def make(cls, output: Output, path: str) -> None:
        """Make the image of `output` at `path`, which is free."""
        cls.resume(output, path, lambda _: None)

    def process_resources(self) -> dict[str, int]:
        """Ask for one of the backend's name, where the configuration says how many there are.

        Luigi takes what is not configured for one, and would run a single task at a time.
        """
        return {self.name: 1} if self.name in get_config().getintdict("resources") else {}

    def run(self) -> None:
        if not self.unit:
            return
        progress = progress_of(self)
        guard = BugGuard(self.backend, self.store)
        maker = SlowMaker(
            guard(self.matches_plan),
            guard(self.measure),
            guard(self.resume),
            lambda done, total: progress.reach(done // _MB, total // _MB, "MB"),
            guard(self.take_over) if self.takes_over else None,
        )
        with disk_trouble_told():
            failures = make_and_publish(
                self.store, self.plan_id, self.outputs(), maker, overwrite=self.overwrite
            )
        refuse_failures(failures)
