"""Images without their voxels: sizes, distances, channels, provenance; of any format."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.axes import ALL_AXES
from spimpack_tasks.model.displays import Display

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.arrays.grid import Shape

COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")
"""Of channels whose colour is not known, one after the other."""


@dataclass(frozen=True, slots=True)
class Channel:
    """How a channel is shown."""

    label: str
    colour: str
    """Six hexadecimal digits."""
    window: tuple[float, float] | None
    """The values shown as black and as full colour, `None` until they are found out."""
    limits: tuple[float, float] | None = None
    """The values between which the window can be moved, `None` for all of the data type."""
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """An image without its voxels. Unknown values are left out, never made up."""

    shape_tczyx: Shape
    """Sizes along t, c, z, y, x at full resolution."""
    dtype: Any
    """Data type of numpy; its byte order is that of the chunks."""
    name: str = ""
    """Name of the image, which is written into its metadata."""
    axes: str = ALL_AXES
    """Those that the image has, see `model.axes`."""
    spacing_um_zyx: tuple[float | None, float | None, float | None] = (None, None, None)
    """Distance of voxels of the full level in micrometres; `None` where it is not known."""
    time_step_s: float | None = None
    """Seconds between two time points; `None` where it is not known."""
    origin_um_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the first voxel of the full level lies, in micrometres."""
    channels: tuple[Channel, ...] = ()
    """Names, colours and windows, one for each channel; nothing if none is known."""
    orientation_xyz: str | None = None
    """Such as `RPI`: towards which side the index of x, y and z increases."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Facts about the source and the conversion."""
    original: Mapping[str, str] = field(default_factory=dict)
    """Metadata of the source as texts, by name."""
    level_transforms: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Scale and translation along z, y and x of each level, where they do not follow from sizes."""
    image_label: Mapping[str, Any] | None = None
    """Of a label image the properties of its labels."""

    @property
    def size(self) -> int:
        """Bytes of all voxels of the full level."""
        return math.prod(self.shape_tczyx) * int(self.dtype.itemsize)


def compose_channels(
    count: int, names: Sequence[str], displays: Sequence[Display]
) -> tuple[Channel, ...]:
    """Return how channels are shown: as the source has it, in colours of ours where it has none.

    Parameters
    ----------
    count
        Number of channels.
    names
        Their names; those that are missing are empty.
    displays
        One for each channel, or nothing.
    """
    channels = []
    for number in range(count):
        label = names[number] if number < len(names) else ""
        shown = displays[number] if displays else Display()
        colour = shown.colour or COLOURS[number % len(COLOURS)]
        channels.append(Channel(label, colour, shown.window, shown.limits, shown.is_active))
    return tuple(channels)
