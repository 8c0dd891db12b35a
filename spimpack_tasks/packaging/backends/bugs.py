"""Bugs of backends that are met while a plan is made: each is one problem, with a count."""

from __future__ import annotations

import logging
import os
import traceback
from typing import TYPE_CHECKING, Any, TypeVar

from spimpack_tasks.errors import Place, Problem, SpimpackError, count_of
from spimpack_tasks.version import PROJECT_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

BUG = "bug in the backend"
MEND = f"have its package mended ({PROJECT_URL}, page 'Write a backend'), or choose another backend"

R = TypeVar("R")


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
        except Exception as error:  # it is someone else's function that is called
            kind = kind_of(self.backend, error)
            if kind not in self.hit:
                logger.exception("%s", kind)
                self.hit[kind] = (f"{with_message(kind, error)} (of {key}", set())
            self.hit[kind][1].add(key)
            return instead

    def problems(self) -> Iterator[Problem]:
        """Yield one problem for each kind of bug, with the number of images that it hits."""
        for message, keys in self.hit.values():
            more = f" and {count_of(len(keys) - 1, 'more image')}" if len(keys) > 1 else ""
            place = Place("command line")
            yield Problem("backend.bug", place, "--backend", f"{message}{more})", MEND)


def kind_of(backend: str, error: Exception) -> str:
    """Return what bugs of one kind have in common: their class and their line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"
    return f"{BUG} {backend}, {type(error).__name__} in {where}"


def with_message(kind: str, error: Exception) -> str:
    """Return the kind of a bug with what the error says."""
    said = " ".join(str(error).split())
    return f"{kind}: {said}" if said else kind
