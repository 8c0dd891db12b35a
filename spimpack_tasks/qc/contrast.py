"""Between which values a viewer shows a channel: those of the file, or computed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.qc.preview import find_contrast

if TYPE_CHECKING:
    from spimpack_tasks.qc.volume import SmallVolume


def choose_contrast(
    volume: SmallVolume, number: int, *, is_auto: bool = False
) -> tuple[float, float]:
    """Return the contrast window: the value shown as black, and a different one in full colour.

    Parameters
    ----------
    volume
        The volume that was read from the image.
    number
        Of the channel.
    is_auto
        Whether to compute them even if the image has a window.
    """
    displays = volume.header.displays
    window = displays[number].window if displays else None
    if window and not is_auto:
        return window
    low, bright = find_contrast(volume.voxels[number])
    return low, bright if bright > low else low + 1
