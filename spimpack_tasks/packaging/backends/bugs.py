"""Bugs of backends: each image that one hits is told with it, and the traceback is shown once."""

from __future__ import annotations

import logging
import os
import traceback
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from spimpack_tasks.errors import Place, Problem, SpimpackError, count_of
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
                kind = _kind_of(self.backend, error)
                # A traceback is shown unless this run has shown one of its kind.
                if kind not in self.shown and not is_noted(self.store, kind):
                    logger.exception("%s", kind)
                self.shown.add(kind)
                raise BackendBugError(_with_message(kind, error)) from error

        return guarded


class PlanningBugs:
    """Collects the bugs of a backend that is asked about images before anything is written.

    The answer is replaced, so that all images that a bug hits can be counted.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.hit: dict[str, tuple[str, set[str]]] = {}
        """Message, and keys of the images, by the kind of bug."""

    def ask(self, function: Callable[..., R], key: str, instead: R, *args: Any) -> R:
        """Return the answer of a backend about the image of a key, `instead` if it has a bug."""
        try:
            return function(*args)
        except (OSError, SpimpackError):
            raise
        except Exception as error:  # it is somebody else's function that is called
            kind = _kind_of(self.backend, error)
            if kind not in self.hit:
                logger.exception("%s", kind)
                self.hit[kind] = (f"{_with_message(kind, error)} (of {key}", set())
            self.hit[kind][1].add(key)
            return instead

    def problems(self) -> Iterator[Problem]:
        """Yield one problem for each kind of bug, with the number of images that it hits."""
        hint = "have its package mended (docs/how-to/write-a-backend.md), or choose another backend"
        for message, keys in self.hit.values():
            more = f" and {count_of(len(keys) - 1, 'more image')}" if len(keys) > 1 else ""
            place = Place("command line")
            yield Problem("backend.bug", place, "--backend", f"{message}{more})", hint)


def _kind_of(backend: str, error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"
    return f"{BUG} {backend}, {type(error).__name__} in {where}"


def _with_message(kind: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{kind}: {said}" if said else kind


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
