"""The choice of a user in a source: one of its images, and the names of its axes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Selection:
    """The image that is meant of a file with several, and its axes; both may be left open."""

    scene: str = ""
    """Number of the image, from 0, or its name; nothing for the only one."""
    axes: str = ""
    """Names of the axes as they are stored, the slowest first, in lower case, such as `zyx`;
    nothing for those of the file."""


WHOLE = Selection()
"""Leaves everything to the file."""
