"""Compares an image that was made here with its source, voxel by voxel, at every level.

The code that wrote the image takes no part. The image is read by zarr or tifffile, and its source
by the library of its own format; the planes of an OME-TIFF are found in a second way
(`second_reading`). The levels of an Imaris file are those of the file, unless its full level was
made in place; other levels are made of the
source once more, plane by plane (`pyramid.halve`), so a fault of one level is reported for that
level only. A few slabs of planes are in memory, however large an image is.

How the images of a format are compared is a function; `COMPARERS` names it by the end of the path.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from contextlib import ExitStack
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, Protocol

from spimpack_tasks.arrays.pyramid import level_sizes
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.compare_levels import LevelsCheck, SlabsCheck, read_region
from spimpack_tasks.volumes.copy import check_dtype, finish_reading
from spimpack_tasks.volumes.errors import SourceRefusedError, UnreadableVoxelsError
from spimpack_tasks.volumes.formats import DCIMG, OME_TIFF, TIFF, Transfer
from spimpack_tasks.volumes.labels import FOLDER, shapes_of
from spimpack_tasks.volumes.merged.request import is_merge, merge_of_text
from spimpack_tasks.volumes.merged.second import open_second
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance
from spimpack_tasks.volumes.ome_zarr.unzip import open_zip
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.second_reading import is_ome_tiff, open_ome_tiff
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.tiff.layout import plane_sizes
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO

    from spimpack_tasks.arrays.grid import Region, Shape, Voxels
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.volume import Level

    Advance = Callable[[int], None]

_open_second_dcimg = Deferred("spimpack_tasks.volumes.dcimg.second:open_second")
_PIECE = 2**20
"""Bytes compared at once."""
_ENTRY_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


class Compare(Protocol):
    """Compares the images of one format with what they were made of."""

    def __call__(
        self, source: str, form: Format, path: str, advance: Advance, selection: Selection
    ) -> Iterator[str]:
        """Yield what is wrong with an image, and where; see `compare_with_source`."""


def compare_with_source(
    source: str, form: Format, path: str, advance: Advance, selection: Selection = WHOLE
) -> Iterator[str]:
    """Yield what is wrong with an image, and where: level, time point, channel and chunk.

    Parameters
    ----------
    source
        What the image was made of.
    form
        The format of the source.
    path
        The image.
    advance
        Told the number of bytes of the source's voxels after each piece.
    selection
        Which image of the source it was made of, and the names of its axes.

    Raises
    ------
    OSError
        The source cannot be read, or is damaged.
    """
    compare = next(COMPARERS[ending] for ending in COMPARERS if path.endswith(ending))
    with as_os_errors():
        yield from compare(source, form, path, advance, selection)


def _compare_ome_zarr(
    source: str, form: Format, path: str, advance: Advance, selection: Selection
) -> Iterator[str]:
    match form.transfer:
        case Transfer.FILES:
            yield from _compare_entries(source, path, advance)
        case Transfer.LEVELS if not read_provenance(path).get("level0"):
            shapes = read_header(source, form).shapes
            yield from _compare_own_levels(source, form, path, shapes, advance)
        case _:
            original = _Original(source, form, selection)
            yield from _compare_voxels(original, path, level_sizes, advance)
            yield from _compare_labels(original, path)


def _compare_ome_tiff(
    source: str, form: Format, path: str, advance: Advance, selection: Selection
) -> Iterator[str]:
    def sizes(size_zyx: Shape, _itemsize: int) -> list[Shape]:
        return [(size_zyx[0], *size) for size in plane_sizes(size_zyx[1:])]

    yield from _compare_voxels(_Original(source, form, selection), path, sizes, advance)


COMPARERS: dict[str, Compare] = {
    ".ome.zarr": _compare_ome_zarr,
    ".ome.tif": _compare_ome_tiff,
    ".ome.btf": _compare_ome_tiff,
}


def can_be_compared(path: str) -> bool:
    """Tell whether an image is of a format that can be compared."""
    return path.endswith(tuple(COMPARERS))


def _open_image(stack: ExitStack, path: str) -> Sequence[Level] | str:
    """Open the levels of an image, or return why that cannot be done."""
    try:
        return stack.enter_context(open_volume(path, accept_unclear=True)).levels
    except (SourceRefusedError, UnreadableVoxelsError) as error:
        return f"it cannot be opened: {error}"


class _Original(NamedTuple):
    """An image that another was made of."""

    path: str
    form: Format
    selection: Selection


def _compare_voxels(
    original: _Original,
    path: str,
    sizes: Callable[[Shape, int], list[Shape]],
    advance: Advance,
) -> Iterator[str]:
    """Compare an image whose levels were made of the voxels of its source."""
    with ExitStack() as stack:
        levels = _open_image(stack, path)
        if isinstance(levels, str):
            yield levels
            return
        level = _open_source(stack, original)
        wanted = sizes(level.shape[2:], level.dtype.itemsize)
        shapes = [(*level.shape[:2], *size) for size in wanted]
        check = LevelsCheck(levels, shapes, level.dtype)
        yield from check.faults_of_shapes()
        yield from SlabsCheck(check).faults(level, advance)
        finish_reading(level)


def _open_source(stack: ExitStack, original: _Original) -> Level:
    """Open the full level of a source, that of an OME-TIFF in a way of its own.

    Which plane is where is for an OME-TIFF the question; a second answer is asked for. So it is of
    merged files, and of DCIMG files, some of whose pixels lie apart.
    """
    path, form, selection = original
    if is_merge(form.key):
        return stack.enter_context(open_second(merge_of_text(form.key), _open_member))
    if form in {OME_TIFF, TIFF} and not selection.axes and is_ome_tiff(path):
        number = read_header(path, form, selection).scene
        return stack.enter_context(open_ome_tiff(path, number))
    if form is DCIMG and not selection.axes:
        second: Level = stack.enter_context(_open_second_dcimg(path))
        return second
    return check_dtype(stack.enter_context(open_volume(path, form, selection)))


def _open_member(stack: ExitStack, path: str, form: Format, selection: Selection) -> Level:
    """Open the full level of one of the files that are merged."""
    return _open_source(stack, _Original(path, form, selection))


def _compare_labels(original: _Original, path: str) -> Iterator[str]:
    """Compare label images, whose levels are those of the source; what had none is as it was."""
    source, form, selection = original
    names = read_header(source, form, selection).label_names
    if not os.path.isdir(f"{path}/{FOLDER}"):  # made by a version that left them out
        return
    for place in names:
        folder = f"{FOLDER}/{place.rpartition('/')[2]}"
        shapes = shapes_of(read_header(f"{source}/{place}", form))
        compared = (f"{source}/{place}", form, f"{path}/{folder}", shapes, lambda _: None)
        for fault in _compare_own_levels(*compared):
            yield f"{folder}: {fault}"


def _compare_own_levels(
    source: str, form: Format, path: str, shapes: Sequence[Shape], advance: Advance
) -> Iterator[str]:
    with ExitStack() as stack:
        levels = _open_image(stack, path)
        if isinstance(levels, str):
            yield levels
            return
        originals = stack.enter_context(open_volume(source, form, accept_unclear=True)).levels
        check = LevelsCheck(levels, shapes, originals[0].dtype)
        yield from check.faults_of_shapes()
        for number, shape in enumerate(shapes):
            for image in product(range(shape[0]), range(shape[1])):

                def read(region: Region, level: int = number, image: Shape = image) -> Voxels:
                    block = read_region(originals[level], image, region)
                    advance(block.nbytes)
                    return block

                yield from check.faults(number, image, slice(0, shape[2]), read)


def _compare_entries(source: str, path: str, advance: Advance) -> Iterator[str]:
    """Compare files with the entries of the archive that they were unpacked from."""
    with open_zip(source) as archive:
        there = set(files_below(path))
        for name, entry in archive.entries.items():
            if name not in there:
                yield f"the file {name} is missing"
            else:
                try:
                    with archive.file.open(entry) as old, open_regular(f"{path}/{name}") as new:
                        at = _first_difference(old, new)
                except _ENTRY_DAMAGE as error:
                    yield f"the file {name} cannot be compared, its entry is damaged: {error}"
                except OSError as error:
                    yield f"the file {name} cannot be read: {error.strerror or error}"
                else:
                    if at is not None:
                        yield f"the file {name} differs from its entry, from byte {at:,} on"
            advance(entry.file_size)
        for name in sorted(there - archive.entries.keys()):
            yield f"the file {name} is not in the archive"


def _first_difference(old: IO[bytes], new: IO[bytes]) -> int | None:
    """Return where two streams begin to differ, `None` where they are equal."""
    start = 0
    while True:
        a, b = old.read(_PIECE), new.read(_PIECE)
        if a != b:
            pairs = enumerate(zip(a, b, strict=False))
            shorter = min(len(a), len(b))
            return start + next((n for n, (x, y) in pairs if x != y), shorter)
        if not a:
            return None
        start += len(a)
