"""The images of a file that holds several, such as scenes, positions and series.

None is ever taken silently: a file with several is refused until one is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.volumes.errors import HeaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_LISTED = 8
"""Scenes that a message lists: about as many lines of a terminal."""
_LONGEST_NAME = 60
"""Characters of a name in a message."""
CODE = "source.scene"
"""Code of the problem that a scene is not chosen, or not there."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One image of a file."""

    name: str
    """Empty where it has none."""
    axes: tuple[str, ...]
    """Names of the axes, the slowest first."""
    shape: tuple[int, ...]
    """Sizes along the axes, at full resolution."""

    def describe(self, number: int) -> str:
        """Return number, name and sizes in a few words."""
        sizes = " x ".join(f"{n} {axis}" for axis, n in zip(self.axes, self.shape, strict=True))
        name = f" {self.name[:_LONGEST_NAME]!r}" if self.name else ""
        return f"{number}{name} of {sizes}"


def pick_scene(path: str, scenes: Sequence[Scene], asked: str) -> int:
    """Return the number of the scene that is meant.

    Parameters
    ----------
    path
        The file, for messages.
    scenes
        All of the file; nothing where it has a single image.
    asked
        A number from 0, or a name; a number counts first.

    Raises
    ------
    HeaderError
        The file has several and none was asked for, or it has none such.
    """
    count = max(1, len(scenes))
    if not asked and count == 1:
        return 0
    if asked.isascii() and asked.isdecimal() and len(asked) <= 9 and int(asked) < count:
        return int(asked)
    named = [number for number, scene in enumerate(scenes) if asked and scene.name == asked]
    if len(named) == 1:
        return named[0]
    what = f"has {count} scenes" if count > 1 else "has one image, which is scene 0"
    if asked:
        which = "several" if named else "none"
        what += f", and {which} that is {asked[:_LONGEST_NAME]!r}"
    if count > 1:
        what += f": {_listed(scenes)}"
    hint = "choose one by number or name, such as scene=0" if count > 1 else "leave scene out"
    raise HeaderError(path, what, hint, code=CODE)


def _listed(scenes: Sequence[Scene]) -> str:
    listed = [scene.describe(number) for number, scene in enumerate(scenes[:_MOST_LISTED])]
    more = [f"{len(scenes) - _MOST_LISTED:,} more"] if len(scenes) > _MOST_LISTED else []
    return "; ".join([*listed, *more])
