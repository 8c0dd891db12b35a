"""Finds out whether the voxels of a source lie as in a shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.volumes.conversion import IN_PLACE_UNVERIFIED
from spimpack_tasks.volumes.errors import reading
from spimpack_tasks.volumes.formats import NGFF, TIFF
from spimpack_tasks.volumes.in_place.blocks import UNVERIFIED, NotInPlaceError
from spimpack_tasks.volumes.in_place.writing import plan_in_place
from spimpack_tasks.volumes.read_header import scene_argument

if TYPE_CHECKING:
    from spimpack_tasks.volumes.conversion import Conversion
    from spimpack_tasks.volumes.in_place.blocks import StoredBlocks
    from spimpack_tasks.volumes.spec import VolumeSpec


def find_blocks(conversion: Conversion, spec: VolumeSpec, *, in_full: bool) -> StoredBlocks | str:
    """Return where the voxels of a source lie as in a shard, or why they do not.

    Parameters
    ----------
    conversion
        Of the source.
    spec
        The image in it.
    in_full
        Whether to look at each block. If not, only a block that lies apart from its file, or a
        plane that is stored in another way, can still speak against it.

    Raises
    ------
    OSError
        The source cannot be read, or is damaged.
    """
    form, request = conversion.form, conversion.request
    if form.blocks is None:
        return f"voxels of {form.name} do not lie as in a shard"
    if refusal := _refusal(conversion):
        return refusal
    chosen = scene_argument(conversion.source, form, request.selection)
    if request.source_axes:
        chosen = (*chosen, request.source_axes)
    with reading(conversion.source):
        try:
            blocks: StoredBlocks = form.blocks(conversion.source, *chosen)
            plan_in_place(blocks, spec)
            if in_full:
                blocks.index_all()
        except NotInPlaceError as error:  # before it is taken for damage
            return str(error)
    if blocks.codec == UNVERIFIED and request.level0 != IN_PLACE_UNVERIFIED:
        what = "its blocks are deflated, an unverified codec of Zarr that not all programs read"
        return f"{what}; {IN_PLACE_UNVERIFIED} takes them"
    return blocks


def _refusal(conversion: Conversion) -> str:
    """Return what of a request is against it, before the source is read; nothing if nothing is."""
    request = conversion.request
    if request.ngff != NGFF[0]:
        return f"OME-Zarr {request.ngff} has no shards"
    if request.original:
        return "metadata are to be left out, and a copy of the file holds all of them"
    if request.chunk_zyx:
        return "chunks are chosen, and those of the file are others"
    if request.source_axes and conversion.form is not TIFF:
        return "its axes are chosen"
    return ""
