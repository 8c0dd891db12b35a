"""Headers of plain TIFF files, and of those that ImageJ wrote.

Of a plain TIFF the resolution counts if it is per centimetre: per inch it is 72 or 300, no matter
the image, and without a unit it is none. Pages that nobody names make an axis `page`; tifffile
writes names of axes. A `.tif` that
holds OME-XML is read as OME-TIFF. Facts: TIFF 6.0; ImageJ's `FileInfo` and `TiffEncoder`.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING

from spimpack_tasks.model.displays import Displays, read_window
from spimpack_tasks.model.quantities import (
    EXACT,
    UM_PER_UNIT,
    Doubts,
    checked_um,
    length_in_um,
    shortest,
    time_in_s,
    unit_in_um,
)
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import UNKNOWN_SPACING, Header
from spimpack_tasks.volumes.scenes import pick_scene
from spimpack_tasks.volumes.tiff.directory import (
    DESCRIPTION,
    LENGTH,
    MAKE,
    MODEL,
    PLANAR,
    RESOLUTION_UNIT,
    SAMPLES,
    SOFTWARE,
    WIDTH,
    X_RESOLUTION,
    Y_RESOLUTION,
    Tag,
    TiffFile,
)
from spimpack_tasks.volumes.tiff.ome_document import find_ome_xml
from spimpack_tasks.volumes.tiff.ome_header import read_ome
from spimpack_tasks.volumes.tiff.pages import check_first_page, name_axes, page_dtype

if TYPE_CHECKING:
    from spimpack_tasks.volumes.header import SpacingXYZ

_INCH, _CENTIMETRE = 2, 3
_WIDEST = Decimal("1e-6")


def read_header(path: str, scene: str = "") -> Header:
    """Return the header of a TIFF."""
    with TiffFile(path) as file:
        tags, following = file.directory(file.first_directory)
        if following > file.size:
            raise file.truncated(following)
        check_first_page(file, tags)
        description = find_ome_xml(file, tags)
        if description is not None:
            return read_ome(file, tags, description, scene)
        pick_scene(path, (), scene)
        imagej = _imagej_properties(file.text(tags.get(DESCRIPTION)))
        axes, shape = _shape(file, tags, imagej)
        doubts = Doubts()
        spacing = _spacing(file, tags, imagej, doubts)
        channels = dict(zip(axes, shape, strict=True)).get("c", 1)
        displays = _displays(imagej, channels)
        return Header(
            axes=axes,
            shapes=(shape,),
            dtype=page_dtype(file, tags),
            spacing_um_xyz=spacing,
            time_step_s=_time_step(imagej),
            channel_count=channels,
            displays=displays.known,
            display_doubts=displays.doubts,
            instrument=_instrument(file, tags, imagej),
            doubts=doubts.told,
        )


def _imagej_properties(description: bytes) -> dict[str, str]:
    """Return the lines `key=value` of ImageJ, nothing where another program wrote."""
    if not description.startswith(b"ImageJ="):
        return {}
    try:
        text = description.decode("utf-8")
    except UnicodeDecodeError:
        text = description.decode("latin-1")
    pairs = (line.partition("=") for line in text.splitlines()[:1000])
    return {key.strip(): value.strip() for key, _, value in pairs}


def _displays(imagej: dict[str, str], channels: int) -> Displays:
    """Return the values that ImageJ shows as black and white: of one channel, not calibrated."""
    ends = [imagej.get(key) for key in ("min", "max")]
    if channels > 1 or "c0" in imagej or None in ends:
        return Displays()
    displays = Displays()
    numbers = displays.numbers_of("min and max by ImageJ", " ".join(map(str, ends)), 2)
    if numbers:
        displays = read_window("min and max by ImageJ", numbers, channels)
    return displays


def _shape(
    file: TiffFile, tags: dict[int, Tag], imagej: dict[str, str]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return axes and sizes: ImageJ's order is t, z, c, y, x, axes of one left out."""
    page = {"y": file.number(tags.get(LENGTH), 0), "x": file.number(tags.get(WIDTH), 0)}
    samples = file.number(tags.get(SAMPLES), 1)
    if samples > 1:
        is_planar = file.number(tags.get(PLANAR), 1) == 2
        page = {"c": samples, **page} if is_planar else {**page, "c": samples}
    if imagej:
        stack = _imagej_stack(file.path, imagej)
    else:
        pages = file.page_count()
        told = _tifffile_axes(file.text(tags.get(DESCRIPTION)), page, pages)
        if told is not None:
            return told
        stack = {"page": pages} if pages > 1 else {}
    if "c" in stack and "c" in page:
        raise HeaderError(file.path, "has channels of several samples each")
    sizes = stack | page
    return tuple(sizes), tuple(sizes.values())


def _tifffile_axes(
    description: bytes, page: dict[str, int], pages: int
) -> tuple[tuple[str, ...], tuple[int, ...]] | None:
    """Return axes and sizes as tifffile has written them, `None` if it has not.

    It stores few planes as the samples of one page, and says what they are in the text alone.

    Parameters
    ----------
    description
        Text of the first directory: JSON with `shape`, and with `axes` where they were given.
    page
        Axes and sizes of a page.
    pages
        How many pages there are.
    """
    try:
        told = json.loads(description) if description.startswith(b"{") else {}
    except (ValueError, RecursionError):
        return None
    shape, letters = told.get("shape"), told.get("axes")
    if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
        return None
    leading = shape[: -len(page)]
    if shape[-len(page) :] != [*page.values()] or math.prod(leading) != pages:
        return None
    if not isinstance(letters, str) or len(letters) != len(shape):
        letters = "Q" * len(leading) + "".join(page).upper().replace("C", "S")
    named = [
        (letter, n)
        for place, (letter, n) in enumerate(zip(letters, shape, strict=True))
        if n > 1 or place >= len(leading)
    ]
    names = name_axes("".join(letter for letter, _ in named))
    return names, tuple(n for _, n in named)


def _imagej_stack(path: str, imagej: dict[str, str]) -> dict[str, int]:
    keys = {"t": "frames", "z": "slices", "c": "channels"}
    stack, planes = {}, 1
    for axis, key in keys.items():
        count = _count(path, imagej, key)
        planes *= count
        if count > 1:
            stack[axis] = count
    images = _count(path, imagej, "images")
    if planes not in {1, images}:
        raise HeaderError(path, f"has {images} images by ImageJ, but {planes} planes in its axes")
    return stack if planes == images else {"page": images}


def _count(path: str, imagej: dict[str, str], key: str) -> int:
    text = imagej.get(key, "1")
    if not text.isdecimal() or len(text) > 18 or not int(text):
        raise HeaderError(path, f"has {text[:20]!r} {key} by ImageJ")
    return int(text)


def _spacing(
    file: TiffFile, tags: dict[int, Tag], imagej: dict[str, str], doubts: Doubts
) -> SpacingXYZ:
    x = doubts.ask("the size of x", _page_spacing, file, tags, imagej, "x")
    y = doubts.ask("the size of y", _page_spacing, file, tags, imagej, "y")
    z = doubts.ask("ImageJ's spacing", _imagej_depth, imagej) if "spacing" in imagej else None
    return (x, y, z) if (x, y, z) != UNKNOWN_SPACING else UNKNOWN_SPACING


def _imagej_depth(imagej: dict[str, str]) -> float | None:
    """Return the distance of two planes."""
    return length_in_um(imagej["spacing"], imagej.get("zunit") or imagej.get("unit", ""))


def _time_step(imagej: dict[str, str]) -> float | None:
    """Return the time between two frames; ImageJ writes seconds unless another unit was given."""
    if "finterval" not in imagej:
        return None
    return time_in_s(imagej["finterval"], imagej.get("tunit") or "sec")


def _page_unit(file: TiffFile, tags: dict[int, Tag], imagej: dict[str, str]) -> Decimal | None:
    """Return micrometres in the unit of the resolution, `None` where it has none to rely on."""
    told = file.number(tags.get(RESOLUTION_UNIT), _INCH)
    if told == _CENTIMETRE:
        return UM_PER_UNIT["cm"]
    unit = unit_in_um(imagej.get("unit", ""))
    if told == _INCH and unit != UM_PER_UNIT["inch"]:
        return None  # two units: neither is sure
    return unit


def _page_spacing(
    file: TiffFile, tags: dict[int, Tag], imagej: dict[str, str], axis: str
) -> float | None:
    """Return the inverse of a resolution, a fraction, to the digits that it allows."""
    unit = _page_unit(file, tags, imagej)
    if unit is not None and axis == "y" and "yunit" in imagej:
        unit = unit_in_um(imagej["yunit"]) or unit
    values = file.numbers(tags.get(X_RESOLUTION if axis == "x" else Y_RESOLUTION))
    if unit is None or len(values) < 2 or not (values[0] > 0 and values[1] > 0):
        return None
    pixels, units = Decimal(values[0]), Decimal(values[1])
    each = EXACT.divide(EXACT.multiply(units, unit), pixels)
    relative = min(_WIDEST, EXACT.divide(Decimal(1), pixels))
    return checked_um(shortest(each, EXACT.multiply(each, relative)))


def _instrument(
    file: TiffFile, tags: dict[int, Tag], imagej: dict[str, str]
) -> dict[str, str | float]:
    keys = {"Manufacturer": MAKE, "ManufacturersModelName": MODEL, "SoftwareVersions": SOFTWARE}
    texts = {key: file.text(tags.get(tag)).decode("latin-1").strip() for key, tag in keys.items()}
    if imagej.get("ImageJ"):
        texts["SoftwareVersions"] = f"ImageJ {imagej['ImageJ']}"
    return {key: text for key, text in texts.items() if 0 < len(text) <= 1000}
