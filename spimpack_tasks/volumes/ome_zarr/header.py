"""Headers of OME-Zarr directories: versions 0.1 to 0.5, in Zarr v2 or v3, by JSON alone.

A few small files are read, for any number of chunks. Facts: NGFF 0.4 and 0.5 (multiscales,
omero), NGFF RFC-4 (orientation of axes), Zarr v2 and v3 (`.zarray`, `zarr.json`).
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.files.limits import LARGEST_METADATA, REMEDY, allowed, as_size
from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.model.displays import read_omero
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.model.quantities import (
    EXACT,
    Doubts,
    QuantityError,
    length_in_um,
    parse_length,
    time_in_s,
)
from spimpack_tasks.volumes.errors import HeaderError, UnreadableHeaderError
from spimpack_tasks.volumes.header import UNKNOWN_SPACING, Header, SpacingXYZ, tidy_names
from spimpack_tasks.volumes.ome_zarr.header_extras import (
    PROVENANCE,
    Labels,
    find_position,
    find_stitching,
    name_other_images,
    sort_labels,
)
from spimpack_tasks.volumes.ome_zarr.known_codecs import V2, find_strange_codec

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_LEVELS = 64
"""A side of 2**63 voxels halved to one; real images have some eight."""
MOST_AXES = 16
"""OME-Zarr has at most five; others are refused with their number."""

RFC4_LETTERS = {
    "left-to-right": "R",
    "right-to-left": "L",
    "posterior-to-anterior": "A",
    "anterior-to-posterior": "P",
    "inferior-to-superior": "S",
    "superior-to-inferior": "I",
}
"""Values of RFC-4 go from the lowest to the highest coordinate; the letter is where they lead to.
Others, such as `dorsal-to-ventral`, have no letter that holds for every animal."""

_CHOOSE = "name the folder of one in it, such as {0!r}, in the path or in the column 'scene'"
_ONE = Decimal(1)
_KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}


class Store(NamedTuple):
    """A place that metadata files are read from."""

    path: str
    """The path that messages name."""
    read: Callable[[str], bytes | None]
    """Returns an entry, `None` where it is not there; of a too large one, a byte too many."""

    def load(self, name: str) -> dict[str, Any] | None:
        """Return a JSON object, `None` where there is no such entry."""
        content = self.read(name)
        if content is None:
            return None
        if len(content) > allowed(LARGEST_METADATA):
            what = f"has a {name!r} of more than {as_size(allowed(LARGEST_METADATA))}"
            raise self.error(what, REMEDY)
        try:
            data = json.loads(content.decode())
        except (ValueError, RecursionError):
            raise self.error(f"has a {name!r} that is not JSON") from None
        if not isinstance(data, dict):
            raise self.error(f"has a {name!r} that is no JSON object")
        return data

    def error(self, what: str, hint: str = "") -> HeaderError:
        """Return the error that names this store."""
        return HeaderError(self.path, what, hint)


def read_header(path: str) -> Header:
    """Return the header of an OME-Zarr directory."""
    return read_store(open_directory(path))


def open_directory(path: str) -> Store:
    """Return the place of the metadata of an OME-Zarr directory."""
    try:
        files = StoreFiles(path)
    except ValueError as error:  # a name that no file can have
        raise UnreadableHeaderError(path, OSError(None, str(error))) from error

    def read(name: str) -> bytes | None:
        try:
            file = files.open(name)
        except NotADirectoryError:
            return None
        except OSError as error:
            raise UnreadableHeaderError(path, error) from error
        if file is None:
            return None
        with file:
            return file.read(allowed(LARGEST_METADATA) + 1)

    return Store(path, read)


def read_store(store: Store, prefix: str = "", *, is_label: bool = False) -> Header:
    """Return the header of the OME-Zarr below a prefix, which is empty or ends with `/`.

    Labels of a label are not looked for.
    """
    attributes, array_name = find_attributes(store, prefix)
    if attributes.get("bioformats2raw.layout") == 3 and "multiscales" not in attributes:
        return _read_only_series(store, prefix)
    multiscale = find_multiscale(store, attributes)
    datasets = _listed(multiscale.get("datasets"), MOST_LEVELS)
    if not datasets:
        raise store.error("has multiscales without datasets")
    axes = find_axes(store, multiscale)
    names = tuple(str(axis["name"]) for axis in axes)
    arrays = [
        _read_array(store, prefix + _level_path(store, dataset), array_name, names)
        for dataset in datasets
    ]
    shapes = tuple(shape for shape, _ in arrays)
    for number, shape in enumerate(shapes):
        if any(n > most for n, most in zip(shape, shapes[0], strict=True)):
            raise store.error(f"has a level {number} that is larger than its full resolution")
    channels = dict(zip(names, shapes[0], strict=True)).get("c", 1)
    doubts, displays = Doubts(), read_omero(attributes.get("omero"), channels)
    scales = [
        scale
        for owner in (datasets[0], multiscale)
        if (scale := _scale_of(store, owner, len(axes))) is not None
    ]
    place = find_position(axes, multiscale, datasets[0])
    labels = Labels() if is_label else _find_labels(store, prefix)
    others = name_other_images(attributes["multiscales"])
    return Header(
        axes=names,
        shapes=shapes,
        dtype=arrays[0][1],
        spacing_um_xyz=_find_spacing(axes, scales, doubts),
        time_step_s=_find_time_step(axes, scales),
        channel_count=channels,
        channel_names=_channel_names(attributes, channels),
        displays=displays.known,
        instrument=find_stitching(attributes.get(PROVENANCE)),
        display_doubts=displays.doubts,
        orientation_xyz=_find_orientation(store, axes, attributes),
        doubts=doubts.told,
        left_out=(*others, *place.left_out, *labels.left_out),
        extras=(*place.extras, *labels.extras),
        label_names=labels.places,
        origin_um_xyz=place.origin_um_xyz,
    )


def _find_labels(store: Store, prefix: str) -> Labels:
    """Return the label images beside an image, as far as they can be read."""
    folder = f"{prefix}labels/"
    try:
        if all(store.read(folder + name) is None for name in ("zarr.json", ".zattrs")):
            return Labels()
        told = find_attributes(store, folder)[0]
    except HeaderError as error:
        return Labels(left_out=(f"labels, which cannot be read: {error.message}",))
    return sort_labels(folder, told, lambda place: read_store(store, place, is_label=True))


def looks_like_image(path: str) -> bool:
    """Tell whether the metadata of a Zarr directory are those of an OME-Zarr, sound or not."""
    try:
        attributes, _ = find_attributes(open_directory(path), "")
    except HeaderError:
        return False
    return not attributes.keys().isdisjoint({"multiscales", "bioformats2raw.layout", "plate"})


def find_level_paths(store: Store, prefix: str = "") -> list[str]:
    """Return where the arrays lie whose shapes `read_store` tells, in the same order."""
    attributes, _ = find_attributes(store, prefix)
    if attributes.get("bioformats2raw.layout") == 3 and "multiscales" not in attributes:
        return find_level_paths(store, "0/")
    datasets = _listed(find_multiscale(store, attributes).get("datasets"), MOST_LEVELS)
    return [(prefix + _level_path(store, dataset)).rstrip("/") for dataset in datasets]


def find_attributes(store: Store, prefix: str = "") -> tuple[dict[str, Any], str]:
    """Return the attributes of the group, and the name of the metadata of its arrays."""
    group = store.load(f"{prefix}zarr.json")
    if group is not None:
        outer = _mapping(group.get("attributes"))
        return {**outer, **_mapping(outer.get("ome"))}, "zarr.json"
    attributes = store.load(f"{prefix}.zattrs")
    if attributes is None:
        raise store.error("holds no zarr.json or .zattrs, so it is not an OME-Zarr image")
    return attributes, ".zarray"


def _read_only_series(store: Store, prefix: str) -> Header:
    """Return the header of the one image that bioformats2raw's layout holds, below `0/`."""
    if prefix or any(store.read(f"1/{name}") is not None for name in ("zarr.json", ".zattrs")):
        raise store.error("holds several images", _CHOOSE.format("0"))
    return read_store(store, "0/")


def find_multiscale(store: Store, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of the first image."""
    for key in ("plate", "well"):
        if key in attributes:
            example = {"plate": "A/1/0", "well": "0"}[key]
            raise store.error(f"is a {key}, which holds several images", _CHOOSE.format(example))
    found = attributes.get("multiscales")
    if not found:
        raise store.error("has no multiscales, so it is not an OME-Zarr image")
    if not isinstance(found, list) or not isinstance(found[0], dict):
        raise store.error("has multiscales that are not a list of JSON objects")
    multiscale: dict[str, Any] = found[0]
    return multiscale


def find_axes(store: Store, multiscale: dict[str, Any]) -> list[dict[str, Any]]:
    """Return name, type and unit of each axis; 0.3 has names only, 0.1 and 0.2 five fixed axes."""
    given = multiscale.get("axes")
    if given is None and str(multiscale.get("version")) in {"0.1", "0.2"}:
        given = list("tczyx")
    if not isinstance(given, list) or not 0 < len(given) <= MOST_AXES:
        raise store.error("has multiscales without axes")
    axes = [{"name": axis} if isinstance(axis, str) else _mapping(axis) for axis in given]
    names = [axis.get("name") for axis in axes]
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise store.error(f"has axes without a name of their own: {str(names)[:100]}")
    return axes


def _level_path(store: Store, dataset: dict[str, Any]) -> str:
    path = dataset.get("path")
    if not isinstance(path, str) or "\0" in path or ".." in path.split("/"):
        raise store.error(f"has a level with the path {str(path)[:100]!r}")
    path = path.strip("/")
    return f"{path}/" if path else ""


def _read_array(
    store: Store, folder: str, name: str, axes: tuple[str, ...]
) -> tuple[tuple[int, ...], str]:
    """Return shape and data type of one level."""
    array = store.load(folder + name)
    where = f"{folder}{name}"
    if array is None:
        raise store.error(f"has no {where!r}, which its multiscales name")
    shape = array.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
        raise store.error(f"has no shape of positive numbers in {where!r}")
    if len(shape) != len(axes):
        raise store.error(f"has {len(axes)} axes, but {len(shape)} sizes in {where!r}")
    told = array.get("data_type" if name == "zarr.json" else "dtype")
    dtype = _dtype_name(told) if isinstance(told, str) and len(told) < 20 else ""
    if not dtype:
        raise store.error(f"has no known data type in {where!r}")
    check_codecs(store, where, array)
    return tuple(shape), dtype


def check_codecs(store: Store, name: str, metadata: dict[str, Any]) -> None:
    """Refuse metadata with a codec that is not let decode chunks."""
    codec = find_strange_codec(metadata)
    if codec:
        what = f"has the codec {codec!r} in {name!r}, which is not among those that are read"
        raise store.error(what, f"those are {', '.join(sorted(V2))}")


@lru_cache(64)
def _dtype_name(told: str) -> str:
    """Return the name in numpy; Zarr v3 has it, v2 writes `<u2` for `uint16`."""
    if re.fullmatch(r"bool|(u?int|float|complex)\d{1,3}", told):
        return told
    match = re.fullmatch(r"[<>|=]([biufc])(1|2|4|8|16)", told)
    if not match:
        return ""
    return "bool" if match[1] == "b" else f"{_KINDS[match[1]]}{8 * int(match[2])}"


def _find_time_step(axes: list[dict[str, Any]], scales: list[list[object]]) -> float | None:
    """Return the seconds between two time points, if the axis of time has a unit."""
    for index, axis in enumerate(axes):
        if axis["name"] == "t" and scales and isinstance(axis.get("unit"), str):
            steps = [time_in_s(scale[index], "s") for scale in scales]
            factors = [time_in_s(1, axis["unit"]), *steps]
            return None if None in factors else math.prod(filter(None, factors))
    return None


def _find_spacing(
    axes: list[dict[str, Any]], scales: list[list[object]], doubts: Doubts
) -> SpacingXYZ:
    """Return the product of the scales of the image and of its first level, by the axes' units."""
    if not scales:
        return UNKNOWN_SPACING
    found: dict[str, float | None] = {}
    for index, axis in enumerate(axes):
        if axis["name"] in {"x", "y", "z"}:
            name = str(axis["name"])
            factors = [scale[index] for scale in scales]
            told = f"the scale along {name}"
            found[name] = doubts.ask(told, _spacing_along, factors, axis.get("unit"))
    return found.get("x"), found.get("y"), found.get("z")


def _spacing_along(factors: list[object], unit: object) -> float | None:
    product = _ONE
    for factor in factors:
        product = EXACT.multiply(product, parse_length(factor))
    if isinstance(unit, str):
        return length_in_um(product, unit)
    if product != _ONE:  # which is what writers put where they know nothing
        raise QuantityError(f"{product:.6g} has no unit")
    return None


def _scale_of(store: Store, owner: dict[str, Any], length: int) -> list[object] | None:
    """Return the numbers of the scale among the transformations, `None` where there is none."""
    for transformation in _listed(owner.get("coordinateTransformations"), MOST_AXES):
        if transformation.get("type") == "scale":
            scale = transformation.get("scale")
            if not isinstance(scale, list) or len(scale) != length:
                raise store.error(f"has a scale that is not a list of {length} numbers")
            return scale
    return None


def _channel_names(attributes: dict[str, Any], count: int) -> tuple[str, ...]:
    """Return the labels of omero, if it speaks of as many channels as there are."""
    channels = _mapping(attributes.get("omero")).get("channels")
    if not isinstance(channels, list) or len(channels) != count:
        return ()
    labels = [_mapping(channel).get("label") for channel in channels]
    return tidy_names([label if isinstance(label, str) else "" for label in labels])


def _find_orientation(
    store: Store, axes: list[dict[str, Any]], attributes: dict[str, Any]
) -> str | None:
    """Return the orientation of RFC-4 or of zarrnii; zarrnii's old attribute runs z, y, x."""
    by_axis = {axis["name"]: _rfc4_letter(axis.get("orientation")) for axis in axes}
    standard = normalise_orientation("".join(by_axis.get(name, "") for name in "xyz"))
    told = attributes.get("xyz_orientation")
    if told is None:
        legacy = attributes.get("orientation")
        own = normalise_orientation(legacy[::-1]) if isinstance(legacy, str) else None
    else:
        own = normalise_orientation(told) if isinstance(told, str) else None
        if own is None:
            raise store.error(f"has an xyz_orientation that is none: {str(told)[:50]!r}")
    if standard and own and standard != own:
        what = f"has two orientations: {standard} by its axes, {own} by the attribute of zarrnii"
        raise store.error(what, "make them agree")
    return standard or own


def _rfc4_letter(orientation: object) -> str:
    value = orientation.get("value") if isinstance(orientation, dict) else orientation
    return RFC4_LETTERS.get(value, "") if isinstance(value, str) else ""


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: object, most: int) -> list[dict[str, Any]]:
    """Return the JSON objects of a list, up to a number that no sound file exceeds."""
    return [_mapping(item) for item in value[:most]] if isinstance(value, list) else []
