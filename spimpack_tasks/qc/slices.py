"""Slices of a preview in canonical orientation, with the letters of their edges.

The convention is the neurological one: right is on the right of axial and coronal slices, as if one
looked from above and from behind. Anterior is on the right of sagittal slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.orientation import CANONICAL, OPPOSITES, place_axes
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.qc.preview import Bytes, Preview, PreviewChannel


@dataclass(frozen=True, slots=True)
class View:
    """Orientation of slices; axes are canonical: 0 right, 1 anterior, 2 superior."""

    name: str
    across: int
    up: int
    through: int

    @property
    def right(self) -> str:
        """The letter at the right edge."""
        return CANONICAL[self.across]

    @property
    def left(self) -> str:
        """The letter at the left edge."""
        return OPPOSITES[self.right]

    @property
    def top(self) -> str:
        """The letter at the upper edge."""
        return CANONICAL[self.up]

    @property
    def bottom(self) -> str:
        """The letter at the lower edge."""
        return OPPOSITES[self.top]


VIEWS = (View("axial", 0, 1, 2), View("coronal", 0, 2, 1), View("sagittal", 1, 2, 0))


def to_canonical(voxels: Any, code: str) -> Any:
    """Return voxels in the order c, right, anterior, superior; nothing is copied.

    Parameters
    ----------
    voxels
        In the order c, z, y, x.
    code
        The orientation of x, y and z, such as `RPI`.
    """
    placements = place_axes(code)
    turned = voxels.transpose([0, *(3 - placement.axis for placement in placements)])
    flips = (slice(None, None, -1 if placement.is_reversed else 1) for placement in placements)
    return turned[(slice(None), *flips)]


def canonical_spacing(spacing_um_xyz: Sequence[float], code: str) -> tuple[float, float, float]:
    """Return the spacing along right, anterior and superior."""
    right, anterior, superior = (spacing_um_xyz[p.axis] for p in place_axes(code))
    return right, anterior, superior


def cut_slice(canonical: Any, view: View, position: int | None = None) -> Any:
    """Return one slice as rows from top to bottom, in the order c, row, column.

    Parameters
    ----------
    canonical
        As `to_canonical` returns it.
    view
        Orientation of the slice.
    position
        Its index on the axis that goes through; the middle if not given.
    """
    if position is None:
        position = canonical.shape[view.through + 1] // 2
    plane = canonical.take(position, axis=view.through + 1)
    # The axis across comes before that upwards in every view; upwards, the first row is the last.
    return plane.transpose(0, 2, 1)[:, ::-1, :]


def add_colours(planes: Bytes, channels: Sequence[PreviewChannel]) -> Bytes:
    """Return red, green and blue of a slice; the colours of channels add up."""
    numpy = load_library("numpy")
    total = numpy.zeros((*planes.shape[1:], 3), numpy.float32)
    for plane, channel in zip(planes, channels, strict=True):
        dark, bright = channel.black, max(channel.white, channel.black + 1)
        share = numpy.clip((plane.astype(numpy.float32) - dark) / (bright - dark), 0, 1)
        total += share[..., None] * numpy.array(list(bytes.fromhex(channel.colour[1:])))
    picture: Bytes = numpy.clip(numpy.rint(total), 0, 255).astype(numpy.uint8)
    return picture


def size_um(preview: Preview, code: str, view: View) -> tuple[float, float]:
    """Return width and height of the slices of a view."""
    spacing = canonical_spacing(preview.spacing_um_xyz, code)
    sizes = [preview.voxels.shape[3 - placement.axis] for placement in place_axes(code)]
    return sizes[view.across] * spacing[view.across], sizes[view.up] * spacing[view.up]
