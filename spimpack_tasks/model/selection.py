"""The choice of a user in a source: one of its images, its axes, and the reader of the file."""

from __future__ import annotations

from typing import NamedTuple


class Selection(NamedTuple):
    """The image that is meant of a file with several, its axes, and who reads it; all optional."""

    scene: str = ""
    """Number of the image, from 0, or its name; nothing for the only one."""
    axes: str = ""
    """Names of the axes as they are stored, the slowest first, in lower case, such as `zyx`;
    nothing for those of the file."""
    reader: str = ""
    """Name of the library that reads the file, such as `bioio`; nothing for the readers here."""

    @property
    def parts(self) -> list[str]:
        """The choices as identities have them; those without a reader are what they always were."""
        return [self.scene, self.axes, *([self.reader] if self.reader else [])]


WHOLE = Selection()
"""Leaves everything to the file."""
