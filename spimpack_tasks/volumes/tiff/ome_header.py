"""Headers of OME-TIFF and OME-BigTIFF, by the first directory and the OME-XML in it.

Where a file has several images with planes in it, one has to be chosen. Sizes are those of the
whole image, also where its planes lie in several files, of which one may have the metadata of all.
A pyramid is told by the `SubIFDs` of the first directory. Facts: the OME-TIFF specification, OME
schema 2016-06.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from spimpack_tasks.model.displays import Displays, read_ome_colours
from spimpack_tasks.model.quantities import (
    Doubts,
    iso_time,
    length_in_um,
    positive_number,
    time_in_s,
    wavelengths_nm,
)
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import Header, tidy_names
from spimpack_tasks.volumes.tiff.directory import (
    DESCRIPTION,
    LENGTH,
    SUB_IFDS,
    WIDTH,
    Tag,
    TiffFile,
)
from spimpack_tasks.volumes.tiff.ome_document import (
    find_ome_xml,
    read_image,
    scenes_of,
    sizes_of,
    tags_of_scene,
)
from spimpack_tasks.volumes.tiff.ome_planes import find_files
from spimpack_tasks.volumes.tiff.ome_xml import (
    NO_INSTRUMENT,
    OmeXml,
)
from spimpack_tasks.volumes.tiff.pages import check_first_page, page_dtype

if TYPE_CHECKING:
    from spimpack_tasks.volumes.header import SpacingXYZ

_DTYPES = {
    "bit": "bool",
    "float": "float32",
    "double": "float64",
    "complex": "complex64",
    "double-complex": "complex128",
}
_MOST_LEVELS = 64
"""A side of 2**63 voxels halved to one; real files have some eight."""
_VALIDATED_BYTES = 4096
"""The official validator reads no further for the OME-XML."""
_SIZES = tuple((f"PhysicalSize{axis}", f"PhysicalSize{axis}Unit") for axis in "XYZ")
"""Attributes of the size of voxels and its unit along each axis."""
_VALIDATED = tuple(name for names in _SIZES for name in names)
_KINDS = frozenset("uif")
"""First letters of types of the same width that are mixed up: unsigned, signed and float."""
_DTYPE = re.compile("bool|u?int(8|16|32|64)|float(32|64)|complex(64|128)")
_NAMES_OF_FILES = (b"FileName", b"MetadataFile", b"<UUID", b":UUID", b"/UUID")
"""Parts of OME-XML that name other files, or its own."""
_KNOWN: dict[tuple[tuple[int, bytes] | None, str], Header] = {}
"""Headers by size and first bytes of the file, and scene: images that one program has written are
often alike in them, since their voxels lie behind."""
_MOST_KNOWN = 64
"""Headers that are kept, of a few kB each: where all differ, keeping more is of no use."""
_DEFAULT_UNIT = "µm"
"""Of the schema, where a size has no unit."""


def read_header(path: str, scene: str = "") -> Header:
    """Return the header of an OME-TIFF."""
    with TiffFile(path) as file:
        alike = file.beginning_told, scene
        known = _KNOWN.get(alike)
        if known is None:
            known = _read_header(file, scene)
            if _is_told_by(file.beginning_told):
                if len(_KNOWN) >= _MOST_KNOWN:
                    _KNOWN.clear()
                _KNOWN[alike] = known
        return known


def _read_header(file: TiffFile, scene: str) -> Header:
    tags, following = file.directory(file.first_directory)
    if following > file.size:
        raise file.truncated(following)
    check_first_page(file, tags)
    description = find_ome_xml(file, tags)
    if description is None:
        raise HeaderError(file.path, "holds no OME-XML", "give a plain TIFF the ending .tif")
    return read_ome(file, tags, description, scene)


def _is_told_by(beginning: tuple[int, bytes] | None) -> bool:
    """Tell whether size and first bytes of a file tell its header under any name."""
    return beginning is not None and not any(mark in beginning[1] for mark in _NAMES_OF_FILES)


def read_ome(file: TiffFile, tags: dict[int, Tag], description: Tag, scene: str = "") -> Header:
    """Return the header by the OME-XML of the first directory."""
    found, uuid = read_image(file, description, scene)
    tags = tags_of_scene(file, tags, found)
    axes, sizes = sizes_of(file.path, found.image.pixels)
    shape = tuple(sizes[axis] for axis in axes)
    page = tuple(file.number(tags.get(tag), 0) for tag in (WIDTH, LENGTH))
    if page != (sizes["x"], sizes["y"]):
        what = f"has pages of {page[0]} x {page[1]}, but OME-XML of {sizes['x']} x {sizes['y']}"
        raise HeaderError(file.path, what)
    dtype = _dtype(file.path, found.image.pixels)
    stored = page_dtype(file, tags)
    if _width(dtype) != _width(stored):
        what = f"has pixels of type {stored}, but OME-XML of {dtype}"
        raise HeaderError(file.path, what)
    channels = found.image.channels
    names = [channel.get("Name", "") for channel in channels]
    displays = Displays()
    if len(names) == sizes["c"]:  # a channel of several samples has its colours in its voxels
        displays = read_ome_colours([channel.get("Color") for channel in channels])
    spacing, doubts = _spacing(found.image.pixels)
    if dtype != stored and _is_dtype(stored) and _KINDS.issuperset({dtype[0], stored[0]}):
        # The voxels are read as they are stored, and never cast.
        doubts = (*doubts, f"OME-XML says {dtype}, and the pages hold {stored}, which counts")
        dtype = stored
    others = dict.fromkeys(find_files(file.path, found, uuid).values())
    return Header(
        axes=axes,
        shapes=(shape, *_lower_levels(file, tags, axes, shape)),
        dtype=dtype,
        spacing_um_xyz=spacing,
        time_step_s=_time_step(found.image.pixels),
        channel_count=sizes["c"],
        # A channel of several samples, as in colour images, has one name.
        channel_names=tidy_names(names) if len(names) == sizes["c"] else (),
        displays=displays.known,
        display_doubts=displays.doubts,
        acquired_at=iso_time(found.image.acquired_at),
        instrument=_instrument(found),
        excitation_nm=_excitation(found) if len(names) == sizes["c"] else (),
        doubts=doubts,
        other_files=tuple(other for other in others if other != file.path),
        metadata_file=found.metadata_path,
        scenes=scenes_of(file.path, found),
        scene=found.number,
        beginning=file.beginning,
        ome_sizes=_sizes_validated(file, tags, description, found),
    )


def _sizes_validated(
    file: TiffFile, tags: dict[int, Tag], description: Tag | None, found: OmeXml
) -> dict[str, str] | None:
    """Return what the official BIDS validator sees of the size of voxels.

    It reads the first 4,096 bytes, of classic TIFF only, and nothing where there are several
    images; measured with version 3.0.2.
    """
    tag = tags.get(DESCRIPTION)
    if tag is None or tag != description or file.is_big:
        return None
    if found.metadata_path or not found.is_plain or found.images != 1:
        return None
    if max(tag.offset + tag.values, file.first_directory + 12 * len(tags)) > _VALIDATED_BYTES:
        return None
    pixels = found.image.pixels
    return {name: pixels[name] for name in _VALIDATED if name in pixels}


def _dtype(path: str, pixels: dict[str, str]) -> str:
    told = pixels.get("Type", pixels.get("PixelType", ""))
    name = _DTYPES.get(told, told)
    if not _is_dtype(name):
        raise HeaderError(path, f"has OME-XML with pixels of type {told[:20]!r}")
    return name


@lru_cache(64)
def _is_dtype(name: str) -> bool:
    return _DTYPE.fullmatch(name) is not None


@cache
def _width(dtype: str) -> int:
    """Return bits of a sample; those of one bit may be stored as bytes."""
    return 8 if dtype == "bool" else int(re.sub("[a-z]", "", dtype))


def _spacing(pixels: dict[str, str]) -> tuple[SpacingXYZ, tuple[str, ...]]:
    """Return the distance of voxels, and why a distance in the file is impossible."""
    doubts = Doubts()
    x, y, z = (
        doubts.ask(name, _length_in_um, pixels[name], pixels.get(name_of_unit, _DEFAULT_UNIT))
        if name in pixels
        else None
        for name, name_of_unit in _SIZES
    )
    return (x, y, z), doubts.told


def _time_step(pixels: dict[str, str]) -> float | None:
    if "TimeIncrement" not in pixels:
        return None
    return time_in_s(pixels["TimeIncrement"], pixels.get("TimeIncrementUnit", "s"))


@lru_cache(1024)
def _length_in_um(text: str, unit: str) -> float | None:
    return length_in_um(text, unit)  # images of one study have few sizes


def _lower_levels(
    file: TiffFile, tags: dict[int, Tag], axes: tuple[str, ...], shape: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Return the shapes of the reduced pages; a pyramid is of x and y alone."""
    levels = []
    for offset in file.numbers(tags.get(SUB_IFDS))[:_MOST_LEVELS]:
        reduced, _ = file.directory(offset)
        size = {"x": file.number(reduced.get(WIDTH), 0), "y": file.number(reduced.get(LENGTH), 0)}
        level = tuple(size.get(axis, n) for axis, n in zip(axes, shape, strict=True))
        if not all(0 < a <= b for a, b in zip(level, shape, strict=True)):
            raise HeaderError(file.path, f"has a level of {level} below one of {shape}")
        levels.append(level)
    return levels


def _excitation(found: OmeXml) -> tuple[float, ...]:
    return wavelengths_nm(
        channel.get("ExcitationWavelength", "")
        if channel.get("ExcitationWavelengthUnit", "nm") == "nm"
        else ""
        for channel in found.image.channels
    )


def _instrument(found: OmeXml) -> dict[str, str | float]:
    """Return microscope, objective and software.

    An instrument or objective that the image does not refer to counts if it is the only one.
    """
    image = found.image
    only = next(iter(found.instruments.values())) if len(found.instruments) == 1 else NO_INSTRUMENT
    instrument = found.instruments.get(image.instrument_id, only)
    objectives = instrument.objectives
    objective = objectives.get(image.objective_id, {})
    if not objective and not image.objective_id and len(objectives) == 1:
        objective = next(iter(objectives.values()))
    texts = {
        "Manufacturer": instrument.microscope.get("Manufacturer", ""),
        "ManufacturersModelName": instrument.microscope.get("Model", ""),
        "DeviceSerialNumber": instrument.microscope.get("SerialNumber", ""),
        "Immersion": objective.get("Immersion", ""),
        "SoftwareVersions": found.root.get("Creator", ""),
    }
    numbers = {
        "NumericalAperture": positive_number(objective.get("LensNA", "")),
        "Magnification": positive_number(
            objective.get("CalibratedMagnification") or objective.get("NominalMagnification", "")
        ),
    }
    said = {k: v.strip() for k, v in texts.items() if v.strip() not in {"", "Other", "Unknown"}}
    return said | {key: value for key, value in numbers.items() if value is not None}
