"""Makes an image of one that is there already, where only its metadata differ."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import discard
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.model.axes import ALL_AXES, choose_axes
from spimpack_tasks.volumes.convert import finish_ome_zarr
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.formats import OME_ZARR
from spimpack_tasks.volumes.labels import FOLDER
from spimpack_tasks.volumes.ome_zarr.metadata import METADATA
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.source_errors import as_os_errors

if TYPE_CHECKING:
    from spimpack_tasks.volumes.conversion import Conversion, Request
    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.header import Header


def reuse_voxels(conversion: Conversion, earlier: str, path: str) -> bool:
    """Make an image of one that has the same voxels, and only other metadata.

    Its files of voxels get a second name, which takes neither time nor space. Nobody ever writes
    into them, so neither image can harm the other.

    Parameters
    ----------
    conversion
        What to make.
    earlier
        An image that was made of the same source.
    path
        Where to make it.

    Returns
    -------
    bool
        Whether the image is there. If not, what is at its path can be resumed.
    """
    if not has_same_voxels(conversion, earlier):
        return False
    if os.path.lexists(path):
        discard(path)
    try:
        with as_os_errors():
            header = read_header(conversion.source, conversion.form, conversion.request.selection)
        _link_voxels(conversion, earlier, path, header)
    except (OSError, HeaderError):  # the disk knows no links, or the image has just gone
        return False
    finish_ome_zarr(conversion, path)
    return True


def has_same_voxels(conversion: Conversion, earlier: str) -> bool:
    """Tell whether an image in place has the voxels that a conversion would make."""
    voxels = read_provenance(earlier).get("voxels_from")
    return not os.path.islink(earlier) and voxels == conversion.voxels_from


def _link_voxels(conversion: Conversion, earlier: str, path: str, header: Header) -> None:
    """Give files of voxels a second name; what they hold does not depend on axes of one index."""
    axes = {"": _axes_before_and_after(earlier, header, conversion.form, conversion.request)}
    for place in header.label_names:
        folder = f"{FOLDER}/{place.rpartition('/')[2]}/"
        if os.path.isdir(f"{earlier}/{folder}"):
            own = read_header(f"{conversion.source}/{place}", OME_ZARR)
            axes[folder] = _axes_before_and_after(
                f"{earlier}/{folder}", own, OME_ZARR, conversion.request
            )
    changed = {n: os.stat(f"{earlier}/{n}").st_mtime_ns for n in files_below(earlier)}
    completed = max(time for name, time in changed.items() if name in METADATA)
    for name, time in changed.items():
        folder = "/".join([*name.split("/")[:2], ""]) if name.startswith(f"{FOLDER}/") else ""
        if os.path.basename(name) in METADATA or folder not in axes:
            continue
        if time > completed:  # metadata come last, so this is not what was written then
            raise OSError(errno.ESTALE, "was changed", f"{earlier}/{name}")
        new = f"{path}/{_rename(name, *axes[folder])}"
        os.makedirs(os.path.dirname(new), exist_ok=True)
        os.link(f"{earlier}/{name}", new)


def _axes_before_and_after(
    earlier: str, header: Header, form: Format, request: Request
) -> tuple[str, str]:
    made = read_header(earlier, OME_ZARR)
    sizes = dict(zip(made.axes, made.shapes[0], strict=True))
    shape = [sizes.get(axis, 1) for axis in ALL_AXES]
    return "".join(made.axes), choose_axes(header, form.name, request.axes, shape)


def _rename(name: str, before: str, axes: str) -> str:
    """Return the name of a chunk or shard in an image of other axes."""
    parts = name.split("/")
    first = len(parts) - len(before)
    indices = dict(zip(before, parts[first:], strict=True))
    return "/".join([*parts[:first], *(indices.get(axis, "0") for axis in axes)])
