"""The findings of a scan: images, photos, and paths that are neither."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spimpack_tasks.volumes.examine import Source

UNFIT = "fits no pattern"
"""Reason for skipping an image that no pattern fits."""


@dataclass(frozen=True, slots=True)
class SkippedPath:
    """A file that is no image of the dataset, or a folder that was not entered."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image to list: its path below the scanned folder, and the cells of its row so far."""

    path: str
    source: Source
    cells: dict[str, str]
    """By column of the scans table."""
    notes: list[str] = field(default_factory=list)
    """Remarks for the user."""
    pattern: str = ""
    """The pattern that took it, empty where there is none."""
    participant: dict[str, str] = field(default_factory=dict)
    """Facts about the subject in its path, by column of the participants table."""
    axis: str = ""
    """`T`, `C` or `Z`, if the pattern captures it: the file is a part of an image."""
    part: str = ""
    """The text that is captured for the axis."""
    members: tuple[FoundImage, ...] = ()
    """The files of an image that is merged, in their order; nothing of one file."""

    @property
    def paths(self) -> list[str]:
        """Paths of all its files below the scanned folder."""
        return [member.path for member in self.members] or [self.path]


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo of a sample to list: its path below the scanned folder, and its labels."""

    path: str
    cells: dict[str, str]
    """By column of the photos table."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DescribingFile:
    """A file beside images that describes them; it is read with them."""

    path: str
    program: str = ""
    """The acquisition program that wrote it, if it is known."""


@dataclass(slots=True)
class ScanResult:
    """All that was found, in natural order."""

    found: list[FoundImage | FoundPhoto | DescribingFile | SkippedPath] = field(
        default_factory=list
    )
    unused_patterns: list[str] = field(default_factory=list)
    """Patterns of a layout that found no image."""
    open_choices: dict[str, int] = field(default_factory=dict)
    """Number of images that leave a choice in them to the user, by the column for it."""
    unread_headers: int = 0
    """Number of images whose header could not be read."""

    @property
    def images(self) -> list[FoundImage]:
        """Images of the scans table."""
        return [one for one in self.found if isinstance(one, FoundImage)]

    @property
    def photos(self) -> list[FoundPhoto]:
        """Photos of the photos table."""
        return [one for one in self.found if isinstance(one, FoundPhoto)]

    @property
    def skipped(self) -> list[SkippedPath]:
        """Everything else."""
        return [one for one in self.found if isinstance(one, SkippedPath)]
