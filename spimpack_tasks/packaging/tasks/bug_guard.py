"""Bugs of backends at work: each image that one hits is named, and the traceback is shown once."""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.packaging.backends.bugs import BUG, kind_of, with_message
from spimpack_tasks.state.runs import is_noted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spimpack_tasks.state.store import Store

logger = logging.getLogger(__name__)

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
                kind = kind_of(self.backend, error)
                # A traceback is shown unless this run has shown one of its kind.
                if kind not in self.shown and not is_noted(self.store, kind):
                    logger.exception("%s", kind)
                self.shown.add(kind)
                raise BackendBugError(with_message(kind, error)) from error

        return guarded


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
