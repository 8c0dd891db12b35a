"""Rules on what the images themselves say, beside what a backend makes of them.

A linked or copied image goes into the dataset as one file, as it is; what is converted is one image
of those that the source holds. Both may leave something out, which is told here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity, count_of
from spimpack_tasks.volumes.axis_names import HINT as AXES_HINT
from spimpack_tasks.volumes.formats import format_of
from spimpack_tasks.volumes.merged.request import is_merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spimpack_tasks.manifest.read_assets import PlacedAsset
    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.packaging.rules import RuleInput

_MOST_NAMED = 3
"""Images named in a message; the others are counted."""
_CONVERT = "--backend ome-zarr:convert=all or ome-tiff:convert=all"
_OME_UNITS = ("mm", "µm", "nm")
_SIDECAR_UNITS = ("mm", "um", "nm")
_TOLERANCE = 0.001
"""Of the unit of the sidecar, as BIDS 1.10 has it in the check `PixelSizeInconsistent`."""


def images_are_whole(facts: RuleInput) -> Iterator[Problem]:
    """A link or copy is one file; a conversion is one image."""
    for placed in facts.images:
        asset = placed.asset
        if not _is_special(asset):
            continue
        place, key = placed.record.where(placed.path_column), placed.path_column
        conversion = _describe_conversion(facts, asset)
        if asset.unclear and conversion:
            yield Problem("source.axes", place, key, asset.unclear, AXES_HINT)
        if asset.selection.scene and conversion == {}:
            message = "is one of several images in its file, and a dataset would get all of them"
            hint = "convert it, with --backend ome-zarr or ome-tiff: this one is read then"
            yield Problem("source.scene", place, key, message, hint, Severity.WARNING)
        if asset.other_files and conversion == {} and not is_merge(asset.format):
            others = [os.path.basename(path) for path, _ in asset.other_files]
            files = count_of(len(asset.other_files), "other file")
            message = f"needs {files}, which a dataset has no place for: {_listed(others)}"
            hint = "convert it, with --backend ome-zarr or ome-tiff: all files are read then"
            yield Problem("source.set", place, key, message, hint, Severity.WARNING)
        if left_out := (conversion or {}).get("LeftOut", ()):
            message = f"holds more than is converted: {_listed(left_out)}"
            hint = "keep the original with --keep-source-links; it is named in the image made"
            yield Problem("source.left-out", place, key, message, hint, Severity.WARNING)
        if asset.display_doubts and conversion:
            message = f"has colours and windows that are not valid: {_listed(asset.display_doubts)}"
            hint = "those are chosen again in the image made"
            yield Problem("source.display", place, key, message, hint, Severity.WARNING)


def images_come_once(facts: RuleInput) -> Iterator[Problem]:
    """An image that two rows name is in the dataset twice, under two names."""
    # A hash in place of the text takes a third of the memory; the texts decide.
    seen: dict[int, PlacedAsset] = {}
    for placed in facts.images:
        for part in _parts_of(placed.asset):
            first = seen.setdefault(hash(part), placed)
            is_other = first is not placed and first.asset.key != placed.asset.key
            if is_other and part in _parts_of(first.asset):
                yield _same_image(placed, first, part[0])
                break


def _same_image(placed: PlacedAsset, first: PlacedAsset, path: str) -> Problem:
    column = placed.path_column
    where = first.record.where(first.path_column).line_in_words()
    shared = f", of which {path!r} is a part" if path != placed.asset.source else ""
    message = f"is an image{shared} that {where} has as well"
    hint = "keep one row of it, or choose another image of the file in the column scene"
    place = placed.record.where(column)
    return Problem("source.twice", place, column, message, hint, Severity.WARNING)


def _parts_of(asset: Asset) -> Iterator[tuple[str, str]]:
    """Yield each image file that an image lies in, with the scene in it."""
    scene = asset.selection.scene
    if not asset.source:
        return
    yield asset.source, scene
    for path, _ in asset.other_files:
        if format_of(path) is not None:  # metadata may be those of several images
            yield path, scene


def _is_special(asset: Asset) -> bool:
    """Tell whether there is anything to say about an image."""
    more = asset.other_files or asset.left_out or asset.extras or asset.selection.scene
    return bool(more or asset.display_doubts or asset.unclear)


def validator_agrees_on_voxels(facts: RuleInput) -> Iterator[Problem]:
    """The official validator compares PixelSize with what it sees of OME-XML, and no more."""
    faults: dict[tuple[int, int], str] = {}
    for placed in facts.images:
        asset = placed.asset
        if asset.ome_sizes is None or not asset.extension.startswith(".ome.tif"):
            continue
        size, unit = asset.sidecar.get("PixelSize"), asset.sidecar.get("PixelSizeUnits")
        if not size or unit not in _SIDECAR_UNITS:
            continue
        alike = id(asset.sidecar), id(asset.ome_sizes)  # many images may share both
        fault = faults.get(alike)
        if fault is None:
            fault = faults[alike] = describe_inconsistency(size, unit, asset.ome_sizes)
        if fault and not _is_converted(facts, asset):
            key = placed.path_column
            message = f"will be called PIXEL_SIZE_INCONSISTENT by the BIDS validator: {fault}"
            hint = f"convert it with {_CONVERT}, or correct the OME-XML of the file"
            where = placed.record.where(key)
            yield Problem("source.pixel-size", where, key, message, hint, Severity.WARNING)


def describe_inconsistency(size: Sequence[float], unit: str, ome_sizes: Mapping[str, str]) -> str:
    """Return what the official validator will find inconsistent, empty where it is content.

    It knows three units of OME-XML and no default, and wants three sizes, of a plane as well.

    Parameters
    ----------
    size, unit
        PixelSize and PixelSizeUnits.
    ome_sizes
        The attributes `PhysicalSize…` of OME-XML.
    """
    for index, axis in enumerate("XYZ"):
        name = f"PhysicalSize{axis}"
        told, told_unit = ome_sizes.get(name), ome_sizes.get(f"{name}Unit")
        if told is None:
            return f"the image has no {name}"
        if told_unit not in _OME_UNITS:
            what = "has no unit" if told_unit is None else f"has the unit {told_unit[:20]!r}"
            return f"{name} {what}, of mm, µm and nm"
        if index >= len(size):
            return f"PixelSize has no third number, and the image has {name}"
        try:
            theirs = float(told) * 1000.0 ** -_OME_UNITS.index(told_unit)
        except ValueError:
            return f"{name} is {told[:20]!r}"
        scale = 1000.0 ** -_SIDECAR_UNITS.index(unit)
        if not abs(theirs - size[index] * scale) < _TOLERANCE * scale:
            return f"{name} is {told[:20]} {told_unit}, but PixelSize {size[index]:g} {unit}"
    return ""


def _is_converted(facts: RuleInput, asset: Asset) -> bool:
    return _describe_conversion(facts, asset) != {}


def _describe_conversion(facts: RuleInput, asset: Asset) -> dict[str, Any] | None:
    """Return the sidecar's description of the conversion of an image, nothing if it is none.

    It is `None` where there is no such backend, which another rule tells.
    """
    return None if facts.choice is None else facts.choice.describe_conversion(asset)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
    return ", ".join(names[:_MOST_NAMED]) + more
