"""Levels of TIFF files, by tifffile: of the first image, from its SubIFDs or series.

The planes of an OME-TIFF are put in order by `volumes.tiff.ome_levels`.

zarrnii is not asked: it takes the scale of the full resolution for that of every level, the sizes
of the first image for those of any other, and colours for planes.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.volumes.header import check_regular, load_library
from spimpack_tasks.volumes.levels import StoredLevel, level_of_array
from spimpack_tasks.volumes.pictures import bound_page
from spimpack_tasks.volumes.rows import flat_index, level_of_rows
from spimpack_tasks.volumes.tiff.ome_levels import find_ome_planes, open_pages
from spimpack_tasks.volumes.tiff.page_forms import find_series
from spimpack_tasks.volumes.tiff.pages import name_axes
from spimpack_tasks.volumes.tiff.segments import is_of_planes, level_of_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def open_levels(path: str, scene: str = "") -> Iterator[Sequence[StoredLevel]]:
    """Open the levels of a TIFF."""
    tifffile = load_library("tifffile")
    check_regular(path)
    planes = find_ome_planes(path, scene)
    # tifffile would follow names of other files, wherever they lie.
    alone = {"is_ome": False, "is_mmstack": False}
    with tifffile.TiffFile(path, mode="r", **alone) as file, ExitStack() as stack:
        if planes is not None:
            series, caveat = open_pages(file, path, planes)
        elif file.series:
            series, caveat = find_series(file, path), _further_pages(file)
        else:
            message = "it holds no image"
            raise ValueError(message)
        yield [
            replace(open_level(file, level, stack), caveat=caveat or _caveat(level))
            for level in series.levels
        ]


def _caveat(level: Any) -> str:
    absent = sum(part is None for part in level.pages)  # they read as zeros
    return f"lacks {absent} of its planes" if absent else ""


def _further_pages(file: Any) -> str:
    """Return that a file has pages of which its metadata by ImageJ know nothing."""
    if not file.is_imagej:
        return ""
    told = (file.imagej_metadata or {}).get("images", 1)
    count = len(file.pages)  # one where ImageJ has written the planes one behind the other
    return f"has {count} pages, but {told} images by ImageJ" if count > told else ""


def open_level(file: Any, level: Any, stack: ExitStack) -> StoredLevel:
    """Return a level of a series of tifffile; what it opens is closed by the stack."""
    axes = name_axes(level.axes)
    page = level.keyframe
    is_in_this_file = all(part is None or part.parent is file for part in level.pages)
    if page.is_memmappable and page.ndim == 2 and is_in_this_file:
        return _level_of_pages(file, level, axes)
    for each in {id(part.keyframe): part.keyframe for part in level.pages if part}.values():
        bound_page(each)
    if is_in_this_file and is_of_planes(level):
        return level_of_segments(level, axes, stack)
    zarr = load_library("zarr")
    store = stack.enter_context(closing(level.aszarr(level=0)))  # it opens files of the set
    return level_of_array(zarr.open_array(store, mode="r"), axes)


def _level_of_pages(file: Any, level: Any, axes: tuple[str, ...]) -> StoredLevel:
    """Return a level of pages that are not compressed, each of which lies in one piece."""
    dtype = level.dtype.newbyteorder(file.byteorder)
    plane_bytes: int = level.shape[-1] * level.shape[-2] * dtype.itemsize

    def offset_of(plane: tuple[int, ...]) -> int | None:
        number = flat_index(plane, tuple(level.shape[:-2]))
        if level.dataoffset is not None:
            return int(level.dataoffset) + number * plane_bytes
        page = level.pages[number]
        return None if page is None else int(page.dataoffsets[0])

    return level_of_rows(file.filehandle, axes, level.shape, dtype, offset_of)
