"""The source formats: how each is told, what it is in BIDS, and which modules read it.

BIDS 1.10 allows `.ome.zarr`, `.ome.tif`, `.ome.btf`, `.tif` and `.png` for SPIM images. The other
formats are packaged under their own extension and hidden from validators by `.bidsignore`.

A format is one record of `FORMATS`. Its modules are named by strings and imported when they are
needed, since each needs libraries of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.deferred import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Transfer(StrEnum):
    """How an image of a format becomes an OME-Zarr."""

    VOXELS = "voxels"
    """Its voxels are encoded again, with a pyramid of ours."""
    LEVELS = "levels"
    """Its own resolution levels are taken, chunk by chunk."""
    FILES = "files"
    """Its files are unpacked as they are."""


_LEAST_OME_TIFF = 0.2
"""Bytes of OME-TIFF for each byte of a source, at the least: see `Format.least_ratio`."""


@dataclass(frozen=True, eq=False, slots=True)
class Format:
    """One format. There is one record of each, so records are compared by identity."""

    name: str
    """Its name in tables and messages."""
    extensions: Mapping[str, str]
    """The extension in BIDS by the ending of a file's name, in lower case.

    Nothing where the content alone tells the format of a folder: a dataset holds such an image only
    if it is converted."""
    valid_in_bids: bool
    """Whether BIDS allows it for images of the suffix SPIM."""
    directory: bool = False
    """Whether an image is a directory."""
    beginnings: tuple[bytes, ...] = ()
    """The first bytes that a file can have; nothing where they are not looked at."""
    needs_header: bool = False
    """Whether an image is refused if its header cannot be read: only so it is known to be whole."""
    has_facts_beside: bool = False
    """Whether another file describes the image, without which its voxels cannot be read."""
    has_scenes: bool = False
    """Whether a file may hold several images; `header` and `levels` then take the one that is
    asked for, by number or name, behind the path."""
    header: Callable[..., Any] | None = None
    """Reads the header at a path; nothing of formats of photos."""
    levels: Callable[..., Any] | None = None
    """Returns the context that opens the levels at a path, each a `StoredLevel`."""
    levels_to_copy: Callable[..., Any] | None = None
    """The same in less time, by code of ours, where the format has it: for conversions only.

    Comparisons keep to `levels`, so that the code that has read an image does not prove it."""
    original: Callable[[str], Any] | None = None
    """Returns the metadata of a file as texts by name; nothing where it has none of its own."""
    chunks: Callable[[str], Any] | None = None
    """Returns the context of an `EncodedSource`, where `transfer` is `LEVELS`."""
    blocks: Callable[..., Any] | None = None
    """Returns the `StoredBlocks` of a file at a path, where its voxels may lie as in a shard."""
    transfer: Transfer = Transfer.VOXELS
    """How an image becomes an OME-Zarr."""
    codec: str = "blosc"
    """The codec of OME-Zarr if none is chosen. Another one would convert existing images again."""
    least_ratio: float = 0.2
    """Bytes of OME-Zarr that are written for each byte of a source, at the least.

    Measured on noise: an Imaris file becomes as large again with gzip, 0.8 of that with blosc, and
    half of it where it was not compressed; planes that were not compressed become 0.4 with their
    levels. Of a zip file, half may be its own list of entries where these are small."""
    key: str = ""
    """Of files that are merged the text by which they are, see `volumes.merged`."""

    @property
    def text(self) -> str:
        """The text by which plans and requests name it."""
        return self.key or self.name

    def least_size(self, size: int, made: Format) -> int:
        """Return how many bytes of a format are made at the least of a source of `size` bytes."""
        return int(size * (self.least_ratio if made is OME_ZARR else _LEAST_OME_TIFF))

    @property
    def endings(self) -> tuple[str, ...]:
        """The endings of names, in lower case."""
        return tuple(self.extensions)

    def extension_of(self, name: str) -> str:
        """Return the extension in BIDS of a file of this format, empty where it has none."""
        return _extension_of(self, _ending_of(name))


TIFF_EXTENSIONS = MappingProxyType(
    {
        b"II\x2a\x00": ".ome.tif",
        b"MM\x00\x2a": ".ome.tif",
        b"II\x2b\x00": ".ome.btf",
        b"MM\x00\x2b": ".ome.btf",
    }
)
"""The extension of an OME-TIFF by its first bytes: 42 is TIFF, 43 is BigTIFF (TIFF 6.0; libtiff's
BigTIFF design)."""

_HERE = "spimpack_tasks.volumes"

ZIPPED = Format(
    "zipped OME-Zarr",
    MappingProxyType({".ome.zarr.zip": ".ome.zarr.zip", ".ozx": ".ozx"}),
    valid_in_bids=False,
    header=Deferred(f"{_HERE}.ome_zarr.zip_header:read_header"),
    levels=Deferred(f"{_HERE}.ome_zarr.levels:open_zip_levels"),
    original=Deferred(f"{_HERE}.originals:of_zip"),
    transfer=Transfer.FILES,
    least_ratio=0.5,
)
OME_ZARR = Format(
    "OME-Zarr",
    MappingProxyType({".ome.zarr": ".ome.zarr", ".zarr": ".ome.zarr"}),
    valid_in_bids=True,
    directory=True,
    header=Deferred(f"{_HERE}.ome_zarr.header:read_header"),
    levels=Deferred(f"{_HERE}.ome_zarr.levels:open_directory_levels"),
    levels_to_copy=Deferred(f"{_HERE}.ome_zarr.chunk_reader:open_levels"),
    original=Deferred(f"{_HERE}.originals:of_ome_zarr"),
)
IMARIS = Format(
    "Imaris",
    MappingProxyType({".ims": ".ims"}),
    valid_in_bids=False,
    header=Deferred(f"{_HERE}.imaris.header:read_header"),
    levels=Deferred(f"{_HERE}.imaris.levels:open_levels"),
    original=Deferred(f"{_HERE}.imaris.header:read_original"),
    chunks=Deferred(f"{_HERE}.imaris.chunks:ImarisChunks"),
    blocks=Deferred(f"{_HERE}.in_place.imaris:find_blocks"),
    transfer=Transfer.LEVELS,
    codec="gzip",
    least_ratio=0.5,
)
OME_TIFF = Format(
    "OME-TIFF",
    MappingProxyType({".ome.tif": ".ome.tif", ".ome.tiff": ".ome.tif", ".ome.btf": ".ome.tif"}),
    valid_in_bids=True,
    beginnings=tuple(TIFF_EXTENSIONS),
    has_scenes=True,
    header=Deferred(f"{_HERE}.tiff.ome_header:read_header"),
    levels=Deferred(f"{_HERE}.tiff.levels:open_levels"),
    original=Deferred(f"{_HERE}.originals:of_ome_tiff"),
    blocks=Deferred(f"{_HERE}.in_place.tiff:find_blocks"),
)
TIFF = Format(
    "TIFF",
    MappingProxyType({".tif": ".tif", ".tiff": ".tif"}),
    valid_in_bids=True,
    has_scenes=True,
    header=Deferred(f"{_HERE}.tiff.header:read_header"),
    levels=Deferred(f"{_HERE}.tiff.levels:open_levels"),
    original=Deferred(f"{_HERE}.originals:of_tiff"),
    blocks=Deferred(f"{_HERE}.in_place.tiff:find_blocks"),
)
LSM = Format(
    "LSM",
    MappingProxyType({".lsm": ".lsm"}),
    valid_in_bids=False,
    beginnings=(b"II\x2a\x00",),
    needs_header=True,
    header=Deferred(f"{_HERE}.tiff.lsm:read_header"),
    levels=Deferred(f"{_HERE}.tiff.lsm:open_levels"),
    original=Deferred(f"{_HERE}.tiff.lsm:read_original"),
)
CZI = Format(
    "CZI",
    MappingProxyType({".czi": ".czi"}),
    valid_in_bids=False,
    beginnings=(b"ZISR",),
    needs_header=True,
    has_scenes=True,
    header=Deferred(f"{_HERE}.czi:read_header"),
    levels=Deferred(f"{_HERE}.czi:open_levels"),
    original=Deferred(f"{_HERE}.czi:read_original"),
)
ND2 = Format(
    "ND2",
    MappingProxyType({".nd2": ".nd2"}),
    valid_in_bids=False,
    beginnings=(b"\xda\xce\xbe\x0a",),
    needs_header=True,
    has_scenes=True,
    header=Deferred(f"{_HERE}.nd2:read_header"),
    levels=Deferred(f"{_HERE}.nd2:open_levels"),
    original=Deferred(f"{_HERE}.nd2:read_original"),
)
LIF = Format(
    "LIF",
    MappingProxyType({".lif": ".lif"}),
    valid_in_bids=False,
    beginnings=(b"\x70\0\0\0",),
    needs_header=True,
    has_scenes=True,
    header=Deferred(f"{_HERE}.lif:read_header"),
    levels=Deferred(f"{_HERE}.lif:open_levels"),
    original=Deferred(f"{_HERE}.lif:read_original"),
)
THORLABS = Format(
    "Thorlabs RAW",
    MappingProxyType({".raw": ".raw"}),
    valid_in_bids=False,
    needs_header=True,
    has_facts_beside=True,
    header=Deferred(f"{_HERE}.thorlabs:read_header"),
    levels=Deferred(f"{_HERE}.thorlabs:open_levels"),
    original=Deferred(f"{_HERE}.thorlabs:read_original"),
)
DCIMG = Format(
    "DCIMG",
    MappingProxyType({".dcimg": ".dcimg"}),
    valid_in_bids=False,
    beginnings=(b"DCIM",),
    needs_header=True,
    header=Deferred(f"{_HERE}.dcimg.header:read_header"),
    levels=Deferred(f"{_HERE}.dcimg.levels:open_levels"),
    original=Deferred(f"{_HERE}.dcimg.header:read_original"),
)
NIFTI = Format(
    "NIfTI",
    MappingProxyType({".nii.gz": ".nii.gz", ".nii": ".nii"}),
    valid_in_bids=False,
    header=Deferred(f"{_HERE}.nifti.header:read_header"),
    levels=Deferred(f"{_HERE}.nifti.levels:open_levels"),
    original=Deferred(f"{_HERE}.nifti.header:read_original"),
)
PLANE_FOLDER = Format(
    "folder of planes",
    MappingProxyType({}),
    valid_in_bids=False,
    directory=True,
    needs_header=True,
    header=Deferred(f"{_HERE}.plane_folder.header:read_header"),
    levels=Deferred(f"{_HERE}.plane_folder.levels:open_levels"),
    blocks=Deferred(f"{_HERE}.in_place.tiff:find_plane_blocks"),
)

BIOIO = Format(
    "bioio",
    MappingProxyType({}),
    valid_in_bids=False,
    needs_header=True,
    has_scenes=True,
    header=Deferred(f"{_HERE}.by_bioio:read_header"),
    levels=Deferred(f"{_HERE}.by_bioio:open_levels"),
    original=Deferred(f"{_HERE}.by_bioio:read_original"),
)

READERS = MappingProxyType({BIOIO.name: BIOIO})
"""Libraries that read files of many formats, by their names. They have no endings and are no part
of `FORMATS`, so none reads a file that a user has not chosen it for."""

NGFF = ("0.5", "0.4")
"""Versions of OME-Zarr that can be written: in shards, or each chunk an object."""

# Longer endings stand before those that they end with.
FORMATS = (
    *(ZIPPED, OME_ZARR, IMARIS, OME_TIFF, TIFF, LSM, CZI, ND2, LIF, THORLABS, DCIMG, NIFTI),
    PLANE_FOLDER,
)

PHOTO_FORMATS = (
    Format(
        "JPEG",
        MappingProxyType({".jpg": ".jpg", ".jpeg": ".jpg"}),
        valid_in_bids=True,
        beginnings=(b"\xff\xd8\xff",),
    ),
    Format("PNG", MappingProxyType({".png": ".png"}), valid_in_bids=True, beginnings=(b"\x89PNG",)),
    Format(
        "TIFF",
        MappingProxyType({".tif": ".tif", ".tiff": ".tif"}),
        valid_in_bids=True,
        beginnings=tuple(TIFF_EXTENSIONS),
    ),
)
"""Formats of photos of samples (BIDS 1.10, `_photo`). No module reads more than their beginning."""


def format_of(name: str, formats: tuple[Format, ...] = FORMATS) -> Format | None:
    """Return the format that a file name promises, or `None`."""
    ending = _ending_of(name)
    return _usual_format_of(ending) if formats is FORMATS else _format_of(ending, formats)


def _ending_of(name: str) -> str:
    """Return all of a file name from its first dot on, in lower case."""
    _, dot, ending = name[name.rfind("/") + 1 :].partition(".")
    return (dot + ending).lower()


@lru_cache(1024)
def _usual_format_of(ending: str) -> Format | None:
    return _format_of(ending, FORMATS)  # to look up so many formats takes as long as all else


@lru_cache(1024)
def _format_of(ending: str, formats: tuple[Format, ...]) -> Format | None:
    matching = (form for form in formats if form.extensions and ending.endswith(form.endings))
    return next(matching, None)


@lru_cache(1024)
def _extension_of(form: Format, ending: str) -> str:
    found = (mine for known, mine in form.extensions.items() if ending.endswith(known))
    return next(found, next(iter(form.extensions.values()), ""))


def format_named(name: str) -> Format:
    """Return a format by its own name, such as `Imaris`, or by a file name or extension.

    Raises
    ------
    ValueError
        There is none.
    """
    named = (form for form in (*FORMATS, *READERS.values()) if form.name == name)
    found = next(named, None) or format_of(name)
    if found is not None:
        return found
    message = f"{name!r} is no format; those are {', '.join(form.name for form in FORMATS)}"
    raise ValueError(message)
