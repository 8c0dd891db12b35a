"""Finds what an original holds besides the image that was read from it.

Folders of planes, OME-Zarr and TIFF are looked at. Facts: TIFF 6.0; Zarr v2 and v3 (keys of
chunks); ImageJ's `TiffEncoder` (tags 50838 and 50839 have ROIs, overlays, labels and information).
"""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import count_of
from spimpack_tasks.files.store_files import METADATA_FILES
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.volumes.formats import OME_TIFF, OME_ZARR, PLANE_FOLDER, TIFF, format_named
from spimpack_tasks.volumes.merged.request import is_merge, merge_of_text
from spimpack_tasks.volumes.ome_zarr.header import find_level_paths, open_directory
from spimpack_tasks.volumes.ome_zarr.header_extras import PROVENANCE
from spimpack_tasks.volumes.ome_zarr.metadata import ORIGINAL
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance
from spimpack_tasks.volumes.plane_folder.header import find_planes
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.tiff.directory import (
    DESCRIPTION,
    SAMPLES,
    SECOND_DESCRIPTION,
    SUB_IFDS,
    TiffFile,
)
from spimpack_tasks.volumes.tiff.ome_levels import find_ome_planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.ome_zarr.header import Store

_MOST_NAMED = 3
"""Contents that are named; the others are counted."""
_IMAGEJ = frozenset({50838, 50839})
_TIFFS = (".tif", ".tiff", ".btf")
_OF_ARRAY = frozenset({"_ARRAY_DIMENSIONS"})
"""Attribute of an array that names its axes, as xarray writes it; the group names them too."""
_OF_LABELS = frozenset({"version", "labels"})
_OF_LABEL = frozenset({"version", "multiscales", "image-label"})
_OF_IMAGE = frozenset({"version", "multiscales", "omero", "xyz_orientation", PROVENANCE})
"""Attributes of groups that a conversion writes again."""


def tell_further(path: str, output: Output) -> str:
    """Return what an original holds besides what was read of it, nothing where that is all.

    The first few contents are named, and the others counted. Other formats than those that are
    looked at have none.

    Parameters
    ----------
    path
        A file or folder that an image was made of.
    output
        The image.

    Raises
    ------
    HeaderError, OSError
        The original cannot be read.
    """
    found = _find_further(path, output)
    named = ", ".join(islice(found, _MOST_NAMED))
    more = sum(1 for _ in found)
    return f"{named}, and {more} more" if more else named


def _find_further(path: str, output: Output) -> Iterator[str]:
    form = _form_of(path, output)
    if form is PLANE_FOLDER:
        yield from _find_in_folder(path)
    elif form is OME_ZARR:
        yield from _find_in_store(path)
    elif form in {TIFF, OME_TIFF}:
        yield from _find_in_tiff(path, _count_pages_read(path, output))


def _form_of(path: str, output: Output) -> Format | None:
    """Return the format of one of the files of an image, nothing of what has no voxels."""
    named = _formats_of(output).get(path)
    if named is not None:
        return format_named(named)
    return OME_TIFF if path.lower().endswith(_TIFFS) else None  # of the set of an OME-TIFF


def _formats_of(output: Output) -> dict[str, str]:
    if is_merge(output.format):
        return dict(merge_of_text(output.format).members)
    return {output.source: output.format}


def _find_in_folder(path: str) -> Iterator[str]:
    planes = set(find_planes(path).names)
    for name in files_below(path, follow_links=False):
        if name not in planes:
            yield repr(name)
        elif name.lower().endswith(_TIFFS):
            for found in _find_in_tiff(f"{path}/{name}", 1):
                yield f"{found} in {name!r}"


def _count_pages_read(path: str, output: Output) -> int:
    """Return how many pages of a TIFF hold planes of its images; those of a set in this file."""
    source = path if path in _formats_of(output) else output.source
    with TiffFile(source) as file:
        first, _ = file.directory(file.first_directory)
        samples = file.number(first.get(SAMPLES), 1)
    scenes = read_header(source, TIFF, output.selection).scenes
    used: set[int] = set()
    for scene in map(str, range(len(scenes))) if scenes else ("",):
        planes = find_ome_planes(source, scene)
        if planes is None:
            header = read_header(source, TIFF)
            sizes = zip(header.axes, header.shapes[0], strict=True)
            return math.prod(n for axis, n in sizes if axis not in {"y", "x"}) // samples
        places = filter(None, planes.places)
        used.update(page for owner, page in places if planes.files[owner] == path)
    return len(used)


def _find_in_tiff(path: str, pages_read: int) -> Iterator[str]:
    """Yield what a TIFF has besides so many pages; reduced pages of OME-TIFF are its pyramid."""
    pages = texts = imagej = below = 0
    with TiffFile(path) as file:
        first = b""
        for offset in file.directory_offsets():
            tags, _ = file.directory(offset)
            text = file.text(tags.get(DESCRIPTION)).strip()
            first = first if pages else text
            # The texts of the first page are kept.
            is_kept = not pages or (text in {b"", first} and SECOND_DESCRIPTION not in tags)
            texts += not is_kept
            imagej += not _IMAGEJ.isdisjoint(tags)
            below += SUB_IFDS in tags
            pages += 1
    if pages > pages_read:
        yield f"{count_of(pages, 'page')}, of which {pages_read} were read"
    if imagej:
        yield "ImageJ metadata that are not kept (ROIs, overlays)"
    if texts:
        yield f"descriptions of {count_of(texts, 'page')} behind the first"
    if below and find_ome_planes(path) is None:
        yield f"pages below {count_of(below, 'page')} (SubIFDs)"


def _find_in_store(path: str) -> Iterator[str]:
    store = open_directory(path)
    labels = read_header(path, OME_ZARR).label_names
    images = ("", *(f"{label}/" for label in labels))
    arrays = {level for image in images for level in find_level_paths(store, image)}
    kept = dict.fromkeys(arrays, _OF_ARRAY) | dict.fromkeys(labels, _OF_LABEL)
    kept |= {label.rpartition("/")[0]: _OF_LABELS for label in labels}
    kept[""] = _OF_IMAGE
    # Attributes of the image are kept as text, unless it keeps the texts of its own source.
    is_made_here = bool(read_provenance(path).get(ORIGINAL))
    known = {above for folder in kept for above in _folders_above(f"{folder}/")}
    grids = {folder: _Grid(store, folder) for folder in arrays}
    for name in files_below(path):
        folder, _, last = name.rpartition("/")
        if last in METADATA_FILES and folder in known:
            told = _attributes(store, name) - kept.get(folder, frozenset())
            if told and (folder or is_made_here):
                shown = repr(folder) if folder else "the image"
                yield f"attributes of {shown} ({', '.join(sorted(told))})"
        elif not any(above in arrays and grids[above].has(name) for above in _folders_above(name)):
            yield repr(name)


def _folders_above(name: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the store itself the last."""
    while name:
        name = name.rpartition("/")[0]
        yield name


def _attributes(store: Store, name: str) -> frozenset[str]:
    """Return the names of the attributes in a file of metadata."""
    if not name.endswith(("zarr.json", ".zattrs")):
        return frozenset()
    told: Any = store.load(name) or {}
    if name.endswith("zarr.json"):
        told = told.get("attributes")
    if not isinstance(told, dict):
        return frozenset()
    inner = told.get("ome")
    inside = frozenset(inner if isinstance(inner, dict) else ())
    return (frozenset(told) - {"ome"}) | inside


class _Grid:
    """The keys of the chunks, or shards, of an array."""

    def __init__(self, store: Store, folder: str) -> None:
        self._begin = f"{folder}/" if folder else ""
        self._separator, self._counts = "/", [0]  # no file is a chunk of what is not understood
        new = store.load(f"{self._begin}zarr.json")
        told = new if new is not None else store.load(f"{self._begin}.zarray")
        with suppress(LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            self._read(told, is_new=new is not None)

    def _read(self, told: Any, *, is_new: bool) -> None:
        chunk = told["chunk_grid"]["configuration"]["chunk_shape"] if is_new else told["chunks"]
        counts = [-(-size // side) for size, side in zip(told["shape"], chunk, strict=True)]
        if is_new:
            encoding = told["chunk_key_encoding"]
            is_default = encoding["name"] == "default"
            given = (encoding.get("configuration") or {}).get("separator")
            self._separator = given or ("/" if is_default else ".")
            self._begin += f"c{self._separator}" if is_default else ""
        else:
            self._separator = told.get("dimension_separator") or "."
        self._counts = counts

    def has(self, name: str) -> bool:
        """Tell whether a file of the store is a chunk within the array."""
        if not name.startswith(self._begin):
            return False
        places = name.removeprefix(self._begin).split(self._separator)
        return len(places) == len(self._counts) and all(
            _is_number_below(count, place)
            for count, place in zip(self._counts, places, strict=True)
        )


def _is_number_below(count: int, text: str) -> bool:
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(count))
    return is_number and str(int(text)) == text and int(text) < count
