"""Facts about an image in a file that an acquisition program wrote beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Value: TypeAlias = str | float | list[float]
SpacingXYZ: TypeAlias = tuple[float | None, float | None, float | None]


class AcquisitionFileError(ValueError):
    """A file of an acquisition program cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class AcquisitionFacts:
    """Facts of one file about one image. A fact that it lacks is absent, and not guessed."""

    spacing_um_xyz: SpacingXYZ = (None, None, None)
    """Distance of two voxels along x, y and z."""
    planes: int | None = None
    """Number of planes that were recorded along z."""
    acquired_at: str | None = None
    """ISO 8601."""
    sidecar: Mapping[str, Value] = field(default_factory=dict)
    """Values by the sidecar key of BIDS."""
    settings: tuple[str, ...] = ()
    """Further settings with their units, for people, such as `zoom 1x`."""
    doubts: tuple[str, ...] = ()
    """Impossible values in the file; they count as unknown."""
