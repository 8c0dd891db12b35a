"""Decides how a copy of an OME-Zarr is stored, where only a part of that is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.conversion.convert_file import (
    EXTENSION,
    ConversionRefusedError,
    examine_chosen,
    refusal_of,
)
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.formats import OME_ZARR
from spimpack_tasks.volumes.ome_zarr.stored_layout import StoredLayout, read_stored_layout

if TYPE_CHECKING:
    from spimpack_tasks.volumes.conversion import Request


def compose_request(source: str, target: str, wanted: Request) -> Request:
    """Return a request in which what is not asked for is as in the source.

    Parameters
    ----------
    source, target
        Absolute paths.
    wanted
        What is asked for; the rest is empty.

    Raises
    ------
    ConversionRefusedError
        The source is no OME-Zarr folder, the target is none either, or nothing would change.
    """
    found = examine_chosen(source, wanted.selection)
    if found.format is not OME_ZARR:
        message = f"{source} is no OME-Zarr folder; spimpack convert makes one of it"
        raise ConversionRefusedError(message)
    if not target.endswith(EXTENSION):
        raise ConversionRefusedError(f"{target} does not end in {EXTENSION}")
    try:
        stored = read_stored_layout(found.path)
    except HeaderError as error:
        raise refusal_of(error) from error
    request = _fill_in(wanted, stored)
    made = StoredLayout(request.ngff, request.codec, request.chunk_zyx, request.shard_zyx)
    if made == stored:
        message = f"{source} is stored like that; choose another chunk, shard, codec or version"
        raise ConversionRefusedError(message)
    return request


def _fill_in(wanted: Request, stored: StoredLayout) -> Request:
    ngff = wanted.ngff or stored.ngff
    shard = wanted.shard_zyx
    if not shard and ngff == stored.ngff and not wanted.chunk_zyx:
        shard = stored.shard_zyx
    return replace(
        wanted,
        ngff=ngff,
        # Codecs that we do not write become the smallest of ours.
        codec=wanted.codec or stored.codec or CODEC_NAMES[1],
        chunk_zyx=wanted.chunk_zyx or stored.chunk_zyx,
        shard_zyx=shard,
    )
