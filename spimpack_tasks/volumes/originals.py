"""The metadata of sources as their files have them, text by text, and those kept from a conversion.

A header has what this program uses; here is all of it. An image that was made here keeps the texts
of its source: an OME-TIFF in a `MapAnnotation`, an OME-Zarr in its attributes. So a second
conversion keeps those of the first source.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spimpack_tasks.volumes.errors import HeaderError, reading
from spimpack_tasks.volumes.metadata_texts import Texts, read_text
from spimpack_tasks.volumes.ome_zarr.header import open_directory
from spimpack_tasks.volumes.ome_zarr.header_extras import PROVENANCE
from spimpack_tasks.volumes.ome_zarr.metadata import ORIGINAL
from spimpack_tasks.volumes.ome_zarr.zip_header import open_archive
from spimpack_tasks.volumes.tiff import ome_header
from spimpack_tasks.volumes.tiff.annotations import find_kept
from spimpack_tasks.volumes.tiff.directory import DESCRIPTION, SECOND_DESCRIPTION, TiffFile
from spimpack_tasks.volumes.tiff.ome_document import find_ome_xml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.ome_zarr.header import Store

OME_XML = "OME-XML"
MOST_KEPT = 4 * 2**20
"""Characters of all texts that a conversion keeps: metadata of an image have some thousand, and
those of more would make every look at the image slow."""

_MOST_NAMED = 3
"""Texts that are too long and named; the others are counted."""


def read_original(path: str, form: Format) -> Texts:
    """Return the metadata of a source as texts, by their names; those of its own source as well.

    Raises
    ------
    HeaderError
        The source is damaged or cannot be read.
    MissingExtraError
        A library that the format needs is not installed.
    """
    own, kept = _read(path, form)
    return own | kept


def keep_original(path: str, form: Format) -> tuple[Texts, tuple[str, ...]]:
    """Return the texts that a conversion keeps, and what is left out since it is too long.

    Those of the first source are kept where the source was made here. Texts that cannot be read
    are left out: they are no voxels.
    """
    try:
        own, kept = _read(path, form)
    except HeaderError:
        return {}, ("metadata that cannot be read",)
    left = MOST_KEPT
    texts: Texts = {}
    left_out = []
    for name, text in (kept or own).items():
        if len(text) <= left:
            texts[name], left = text, left - len(text)
        else:
            left_out.append(f"metadata {name!r} of {len(text):,} characters")
    more = len(left_out) - _MOST_NAMED
    return texts, (*left_out[:_MOST_NAMED], *([f"{more:,} more texts"] if more > 0 else []))


def _read(path: str, form: Format) -> tuple[Texts, Texts]:
    """Return the texts of a source, and those that it keeps of its own source."""
    if form.original is None:
        return {}, {}
    with reading(path):
        own: Texts = form.original(path)
    kept: Texts = {}
    for name, text in own.items():
        kept |= find_kept(text) if name == OME_XML else _kept_in_attributes(name, text)
    return own, kept


def _kept_in_attributes(name: str, text: str) -> Mapping[str, str]:
    if name not in {"zarr.json", ".zattrs"}:
        return {}
    with suppress(ValueError, LookupError, AttributeError, TypeError, RecursionError):
        data = json.loads(text)
        attributes = data["attributes"] if name == "zarr.json" else data
        kept = attributes[PROVENANCE][ORIGINAL]
        return {str(each): str(text) for each, text in kept.items()}
    return {}


def of_tiff(path: str) -> Texts:
    """Return the descriptions of a TIFF."""
    texts: Texts = {}
    with TiffFile(path) as file:
        tags, _ = file.directory(file.first_directory)
        for number in (DESCRIPTION, SECOND_DESCRIPTION):
            text = b"".join(file.chunks(tags.get(number))).decode("utf-8", "replace").strip()
            if not text:
                continue
            is_ome = find_ome_xml(file, {number: tags[number]}) is not None
            name = OME_XML if is_ome else "ImageDescription"
            texts.setdefault("ImageJ" if text.startswith("ImageJ=") else name, text)
    return texts


def of_ome_tiff(path: str) -> Texts:
    """Return the OME-XML of an OME-TIFF, and of its companion."""
    texts = of_tiff(path)
    companion = ome_header.read_header(path, "0").metadata_file
    if companion:
        name = os.path.basename(companion)
        is_tiff = companion.lower().endswith((".tif", ".tiff", ".btf"))
        texts[name] = of_tiff(companion).get(OME_XML, "") if is_tiff else read_text(companion)
    return texts


def of_ome_zarr(path: str) -> Texts:
    """Return the attributes of an OME-Zarr."""
    return _of_store(open_directory(path), "")


def of_zip(path: str) -> Texts:
    """Return the attributes of a zipped OME-Zarr."""
    with open_archive(path) as (store, root, _):
        return _of_store(store, root)


def _of_store(store: Store, root: str) -> Texts:
    found = {name: store.read(f"{root}{name}") for name in ("zarr.json", ".zattrs")}
    return {name: data.decode("utf-8", "replace") for name, data in found.items() if data}
