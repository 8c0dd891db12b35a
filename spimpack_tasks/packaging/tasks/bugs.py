"""Bugs of backends: each image that one hits is told with it, and the traceback is shown once."""

from __future__ import annotations

import logging
import os
import traceback
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.state.runs import is_noted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spimpack_tasks.state.store import Store

logger = logging.getLogger(__name__)

BUG = "bug in the backend"

P = ParamSpec("P")
R = TypeVar("R")


class BackendBugError(OSError):
    """A bug in a backend; like a disk that fails, it stops one image, and not the others."""


class BugGuard:
    """Watches over what a backend does to the images of one task."""

    def __init__(self, backend: str, store: Store) -> None:
        self.backend = backend
        self.store = store
        self.shown: set[str] = set()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return a function of a backend, with a bug raised as an error of its image."""

        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except (OSError, SpimpackError):
                raise
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{type(error).__name__} in {os.path.basename(last.filename)}:{last.lineno}"
                kind = f"{BUG} {self.backend}, {where}"
                self._show_once(kind, error)
                said = " ".join(str(error).split())
                raise BackendBugError(f"{kind}: {said}" if said else kind) from error

        return guarded

    def _show_once(self, kind: str, error: Exception) -> None:
        """Show the traceback of a bug, unless this run has shown one of its kind."""
        if kind not in self.shown and not is_noted(self.store, kind):
            logger.error("%s", kind, exc_info=error)
        self.shown.add(kind)


def count_bugs(failures: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each failure, a path and its reason; bugs of one kind have one together."""
    bugs: dict[str, list[tuple[str, str]]] = {}
    for path, reason in failures:
        if reason.startswith(BUG):
            bugs.setdefault(reason.partition(": ")[0], []).append((path, reason))
        else:
            yield f"{path}: {reason}"
    for (path, reason), *more in bugs.values():
        others = f" and {count_of(len(more), 'more image')}" if more else ""
        yield f"{path}{others}: {reason}"
