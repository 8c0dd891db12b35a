"""Roots: the folders that may be seen and written to, and checks of paths below them.

No step of a path may leave the roots, not even through a link that leads back. A path outside is
refused with the same message whether it exists or not, and is not examined.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


VARIABLE = "SPIMPACK_ROOTS"
"""The variable of the environment that holds the roots of a run that the web UI starts."""


def roots_of_environment() -> tuple[str, ...]:
    """Return the roots that the environment sets, none where everything may be read."""
    return tuple(root for root in os.environ.get(VARIABLE, "").split(os.pathsep) if root)


class OutsideRootsError(SpimpackError):
    """A path is not below the folders that may be used here."""

    exit_code = ExitCode.BAD_INPUT


def check_within(path: str, roots: Sequence[str]) -> str:
    """Return the root that an absolute path lies in.

    Raises
    ------
    OutsideRootsError
        It lies in none.
    """
    root = root_of(path, roots)
    if root is None:
        where = ", ".join(roots)
        message = f"{printable(path)} is outside the folders that may be used here: {where}"
        raise OutsideRootsError(message)
    return root


def is_within(path: str, roots: Sequence[str]) -> bool:
    """Tell whether an absolute path, existing or not, lies in one of the roots.

    Links are followed, and each step on the way must lie within as well.
    """
    return root_of(path, roots) is not None


def root_of(path: str, roots: Sequence[str]) -> str | None:
    """Return the root of an absolute path; only paths within the roots are examined."""
    if not _is_plain(path):
        return None
    path = normal(path)
    real_roots = [os.path.realpath(root) for root in roots]
    # Of roots in roots the outermost is taken, since all in between may be seen.
    for root in sorted({*map(normal, roots), *real_roots}, key=len):
        steps = list(steps_between(root, path))
        if steps and all(_is_below(os.path.realpath(step), real_roots) for step in steps):
            return root
    return None


def _is_plain(path: str) -> bool:
    """Tell whether a path is absolute, goes only downwards, and is one that a file can have."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return path.startswith("/") and "\0" not in path and os.pardir not in path.split("/")


def normal(path: str) -> str:
    """Return an absolute path without steps that lead nowhere."""
    return os.path.normpath("/" + path.lstrip("/"))


def steps_between(root: str, path: str) -> Iterator[str]:
    """Yield the folders from `root` down to `path`; nothing where it is not below."""
    if _is_below(path, [root]):
        step = root
        yield step
        for name in os.path.relpath(path, root).split("/"):
            if name != os.curdir:
                step = os.path.join(step, name)
                yield step


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(os.path.commonpath([path, folder]) == folder for folder in folders)
