"""Headers and levels of Zeiss CZI files, by libCZI (extra `czi`).

The tiles of a plane are put together as Zeiss shows them. A place without a tile is 0; a plane
without any tile is missing, and the image is refused. Facts: the CZI schema of Zeiss, by what
pylibCZIrw tells; lengths are in metres and times in seconds.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.displays import Display
from spimpack_tasks.model.quantities import (
    Doubts,
    iso_time,
    length_in_um,
    positive_number,
    time_in_s,
    wavelengths_nm,
)
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import Header, check_regular, load_library, tidy_names
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.scenes import Scene, pick_scene
from spimpack_tasks.volumes.xml_facts import parse_xml, text_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from xml.etree.ElementTree import Element

    from spimpack_tasks.volumes.header import SpacingXYZ
    from spimpack_tasks.volumes.levels import Index, Voxels
    from spimpack_tasks.volumes.metadata_texts import Texts

_TYPES = {
    "Gray8": ("uint8", 1),
    "Gray16": ("uint16", 1),
    "Gray32Float": ("float32", 1),
    "Bgr24": ("uint8", 3),
    "Bgr48": ("uint16", 3),
}
"""Data type and samples of a pixel, by Zeiss' names."""
_KNOWN = "tcz"
_OTHERS = "hvbir"
"""Phases, views, blocks, illuminations and rotations; one of several is no axis of ours."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes and places of one scene of an open file."""

    axes: tuple[str, ...]
    """Those of planes, the slowest first."""
    sizes: tuple[int, ...]
    left: int
    top: int
    width: int
    height: int
    dtype: str
    samples: int
    scenes: tuple[Scene, ...] = ()
    """All of the file, if there are several."""
    number: int | None = None
    """That of the scene, if there are several."""

    @property
    def stored_axes(self) -> tuple[str, ...]:
        """All axes; samples are channels."""
        return (*self.axes, "y", "x", *(("c",) if self.samples > 1 else ()))

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes along all axes."""
        samples = (self.samples,) if self.samples > 1 else ()
        return (*self.sizes, self.height, self.width, *samples)


def read_header(path: str, scene: str = "") -> Header:
    """Return the header of a CZI file."""
    with _open(path, scene) as (_, layout, facts):
        channels = dict(zip(layout.stored_axes, layout.shape, strict=True)).get("c", 1)
        doubts = Doubts()
        names = _channel_names(facts)
        return Header(
            axes=layout.stored_axes,
            shapes=(layout.shape,),
            dtype=layout.dtype,
            spacing_um_xyz=_spacing(facts, doubts),
            time_step_s=_time_step(facts),
            channel_count=channels,
            channel_names=tidy_names(names) if len(names) == channels else (),
            displays=_displays(facts, channels),
            acquired_at=iso_time(text_at(facts, "Information/Image/AcquisitionDateAndTime")),
            instrument=_instrument(facts),
            excitation_nm=_excitation(facts, channels),
            doubts=doubts.told,
            scenes=layout.scenes,
            scene=layout.number or 0,
        )


@contextmanager
def open_levels(path: str, scene: str = "") -> Iterator[Sequence[StoredLevel]]:
    """Open the voxels of a CZI file at full resolution."""
    with _open(path, scene) as (document, layout, facts):
        yield [_level(document, layout, _contradiction(facts, layout))]


@contextmanager
def _open(path: str, scene: str) -> Iterator[tuple[Any, _Layout, Element]]:
    """Open a file; yield it with the layout of a scene and the metadata."""
    czi = load_library("pylibCZIrw.czi", "czi")
    check_regular(path)
    with czi.open_czi(path) as document:
        facts = _parse(path, document.raw_metadata)
        whole = _find_layout(path, document)
        layouts = _layouts_of_scenes(document, whole)
        scenes = _name_scenes(facts, layouts)
        number = pick_scene(path, scenes, scene)
        if not layouts:
            yield document, whole, facts
        else:
            yield document, replace(layouts[number], scenes=scenes), facts


def _layouts_of_scenes(document: Any, whole: _Layout) -> list[_Layout]:
    """Return the layout of each scene by its tiles, nothing where there is one scene."""
    places = sorted(document.scenes_bounding_rectangle_no_pyramid.items())
    if len(places) < 2:
        return []
    planes = _find_tiles(document, whole)[1]
    found = []
    for number, place in places:
        own = [plane[1:] for plane in planes if plane[0] == number]
        starts = [min(numbers) for numbers in zip(*own, strict=True)]
        sizes = [
            max(n) - start + 1 for n, start in zip(zip(*own, strict=True), starts, strict=True)
        ]
        at = {"left": place.x, "top": place.y, "width": place.w, "height": place.h}
        found.append(replace(whole, sizes=tuple(sizes), number=number, **at))
    return found


def _name_scenes(facts: Element, layouts: list[_Layout]) -> tuple[Scene, ...]:
    told = facts.iterfind("Information/Image/Dimensions/S/Scenes/Scene")
    names = {scene.get("Index", ""): scene.get("Name", "") for scene in told}
    return tuple(
        Scene(names.get(str(each.number), ""), each.stored_axes, each.shape) for each in layouts
    )


def _find_layout(path: str, document: Any) -> _Layout:
    types = set(document.pixel_types.values()) - {"Invalid"}  # of channels that are not there
    if len(types) != 1 or not types <= _TYPES.keys():
        raise HeaderError(path, f"has pixels of the types {', '.join(sorted(map(str, types)))}")
    dtype, samples = _TYPES[types.pop()]
    place = document.total_bounding_rectangle_no_pyramid
    box = document.total_bounding_box_no_pyramid
    sizes_of = {name.lower(): end - start for name, (start, end) in box.items()}
    axes = [axis for axis in _OTHERS if sizes_of.get(axis, 1) > 1]
    axes += [axis for axis in _KNOWN if axis in sizes_of]
    if samples > 1 and "c" in axes:
        if sizes_of["c"] > 1:
            raise HeaderError(path, "has channels of several samples each")
        axes.remove("c")
    sizes = tuple(sizes_of[axis] for axis in axes)
    return _Layout(tuple(axes), sizes, place.x, place.y, place.w, place.h, dtype, samples)


def _contradiction(facts: Element, layout: _Layout) -> str:
    """Return where the metadata tell other numbers of planes than the tiles, nothing if nowhere.

    Those of a file with several scenes are about all of them.
    """
    if layout.scenes:
        return ""
    for axis, size in zip(layout.axes, layout.sizes, strict=True):
        told = text_at(facts, f"Information/Image/Size{axis.upper()}")
        if told and told != str(size):
            by_metadata = f"has a size of {told[:20]} along {axis} by its metadata"
            return f"{by_metadata}, but of {size} by its tiles"
    return ""


def _level(document: Any, layout: _Layout, caveat: str) -> StoredLevel:
    import numpy as np

    tiles, found_planes = _find_tiles(document, layout)
    planes = {plane[1:] for plane in found_planes if layout.number in {None, plane[0]}}
    # The library tells how many there are, but not which is the first.
    starts = [min(numbers) for numbers in zip(*planes, strict=True)]
    wanted = product(*(range(s, s + n) for s, n in zip(starts, layout.sizes, strict=True)))
    absent = sum(plane not in planes for plane in wanted)
    dtype = np.dtype(layout.dtype)
    ones = (1,) * len(layout.axes)
    samples = (layout.samples,) if layout.samples > 1 else ()

    def read(index: Index) -> Voxels:
        leading, (ys, xs, *rest) = index[: len(ones)], index[len(ones) :]
        place = (layout.left + xs.start, layout.top + ys.start)
        roi = (*place, xs.stop - xs.start, ys.stop - ys.start)
        found = np.empty(
            [part.stop - part.start for part in index[: len(ones) + 2]] + [*samples], dtype
        )
        for number in product(*(range(part.start, part.stop) for part in leading)):
            at = tuple(n - part.start for n, part in zip(number, leading, strict=True))
            plane = {
                axis.upper(): start + n
                for axis, start, n in zip(layout.axes, starts, number, strict=True)
            }
            pixels = document.read(roi=roi, plane=plane, scene=layout.number)
            found[at] = pixels[..., ::-1] if samples else pixels[..., 0]  # blue stands first
        return found[(..., rest[0])] if rest else found

    return StoredLevel(
        axes=layout.stored_axes,
        shape=layout.shape,
        dtype=dtype,
        chunk=(*ones, min(tiles[0], layout.height), min(tiles[1], layout.width), *samples),
        read=read,
        caveat=f"lacks {absent} of its planes" if absent else caveat,
    )


def _find_tiles(document: Any, layout: _Layout) -> tuple[tuple[int, int], set[tuple[int, ...]]]:
    """Return height and width of the largest tile, and the planes that have one, by scene."""
    sizes = (1, 1)
    planes: set[tuple[int, ...]] = set()

    def see(_: int, tile: Any) -> bool:
        nonlocal sizes
        if tile.physicalSize.w == tile.logicalRect.w:  # others are smaller versions
            sizes = max(sizes[0], tile.physicalSize.h), max(sizes[1], tile.physicalSize.w)
            place = tile.coordinate.to_dict()
            planes.add(tuple(place.get(axis.upper(), 0) for axis in ("s", *layout.axes)))
        return True

    document.enumerate_subblocks(see)
    return sizes, planes


def _parse(path: str, text: str) -> Element:
    """Return the element `Metadata`, an empty one where there is none."""
    try:
        root = parse_xml(text)
    except ValueError as error:
        raise HeaderError(path, f"has metadata {error}") from error
    found = root.find("Metadata")
    return root.makeelement("Metadata", {}) if found is None else found


def _spacing(facts: Element, doubts: Doubts) -> SpacingXYZ:
    found: dict[str, float | None] = {}
    for distance in facts.iterfind("Scaling/Items/Distance"):
        axis, metres = str(distance.get("Id")), text_at(distance, "Value")
        if metres and metres != "0":
            found[axis] = doubts.ask(f"the distance along {axis}", length_in_um, metres, "m")
    return found.get("X"), found.get("Y"), found.get("Z")


def _time_step(facts: Element) -> float | None:
    text = text_at(facts, "Information/Image/Dimensions/T/Positions/Interval/Increment")
    return time_in_s(text, "s") if text else None


def _channel_names(facts: Element) -> list[str]:
    channels = facts.iterfind("Information/Image/Dimensions/Channels/Channel")
    return [channel.get("Name", "") for channel in channels]


def _excitation(facts: Element, count: int) -> tuple[float, ...]:
    channels = facts.findall("Information/Image/Dimensions/Channels/Channel")
    texts = [text_at(channel, "ExcitationWavelength") for channel in channels]
    return wavelengths_nm(texts) if len(texts) == count else ()


def _displays(facts: Element, channels: int) -> tuple[Display, ...]:
    """Return the colours, which Zeiss writes as opacity, red, green and blue."""
    shown = facts.findall("DisplaySetting/Channels/Channel")
    texts = [text_at(channel, "Color") for channel in shown]
    if len(texts) != channels or not all(_is_colour(text) for text in texts):
        return ()
    return tuple(Display(colour=text[3:].upper()) for text in texts)


def _is_colour(text: str) -> bool:
    digits = text[1:]
    return (
        text.startswith("#")
        and len(digits) == 8
        and all(d in "0123456789abcdefABCDEF" for d in digits)
    )


def _instrument(facts: Element) -> dict[str, str | float]:
    objective = "Information/Instrument/Objectives/Objective"
    application = ("Name", "Version")
    software = " ".join(text_at(facts, f"Information/Application/{name}") for name in application)
    texts = {
        "Immersion": text_at(facts, f"{objective}/Immersion"),
        "SoftwareVersions": software.strip(),
    }
    numbers = {
        "NumericalAperture": positive_number(text_at(facts, f"{objective}/LensNA")),
        "Magnification": positive_number(text_at(facts, f"{objective}/NominalMagnification")),
    }
    said: dict[str, str | float] = {key: text for key, text in texts.items() if text}
    return said | {key: number for key, number in numbers.items() if number is not None}


def read_original(path: str) -> Texts:
    """Return the XML of a CZI file."""
    czi = load_library("pylibCZIrw.czi", "czi")
    check_regular(path)
    with czi.open_czi(path) as document:
        return {"CZI": document.raw_metadata}
