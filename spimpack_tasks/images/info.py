"""The facts about an image, without its voxels: `probe_image`."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from os.path import basename
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import in_arguments
from spimpack_tasks.manifest.beside import told_beside
from spimpack_tasks.manifest.headers import facts_of
from spimpack_tasks.model.selection import Selection
from spimpack_tasks.volumes.axis_names import HINT as AXES_HINT
from spimpack_tasks.volumes.axis_names import describe_unclear
from spimpack_tasks.volumes.examine import Source, examine_selected
from spimpack_tasks.volumes.header import itemsize_of
from spimpack_tasks.volumes.merged.sources import written_paths
from spimpack_tasks.volumes.originals import OME_XML, read_original
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.tiff.annotations import list_unused
from spimpack_tasks.volumes.volume import displays_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.manifest.acquisition import ToldBeside
    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.header import Header

ORDER = "tzcyx"
"""The axes of every image here, the slowest first."""


@dataclass(frozen=True, slots=True)
class ImageChannel:
    """One channel of an image."""

    name: str | None
    """`None` where the file has none."""
    colour: str | None
    """Six hexadecimal digits; `None` where the file has none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A value that the file itself does not settle by one word, and where it comes from."""

    field: str
    value: str
    origin: str
    """`file`, `user` or `default`."""
    rule: str
    """The reason, in words."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image without its voxels. A value is `None` where the file does not give it."""

    path: str
    """Absolute."""
    format: str
    """Name of the format, such as `OME-TIFF`."""
    stored_axes: tuple[str, ...]
    """Names in the order of the file, the slowest first; `page` where the file does not say what
    its pages are."""
    stored_shape: tuple[int, ...]
    """Sizes along `stored_axes`."""
    shape: tuple[int, ...] | None
    """Sizes along t, z, c, y, x; `None` where it is not certain what an axis is."""
    level_shapes: tuple[tuple[int, ...], ...]
    """Of each resolution level, the full one first; nothing where `shape` is `None`."""
    unclear: str
    """Why it is not certain what the axes are; nothing if it is."""
    dtype: str
    """As numpy names it."""
    spacing_um_zyx: tuple[float | None, float | None, float | None]
    """Distance of voxels in micrometres."""
    time_step_s: float | None
    """Seconds between two time points."""
    channels: tuple[ImageChannel, ...]
    """Names and colours, one of each channel."""
    scenes: tuple[str, ...]
    """Number, name and sizes of each image of the file, if it has several."""
    scene: int
    """Number of this image among them."""
    left_out: tuple[str, ...]
    """Further contents of the file that are not this image, such as further `multiscales`."""
    files: tuple[str, ...]
    """Absolute paths of all files that make up the image."""
    acquired_at: str | None
    """ISO 8601."""
    orientation_xyz: str | None
    """Towards which side the index of x, y and z increases, such as `RPI`."""
    instrument: Mapping[str, str | float | list[float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Sidecar keys of BIDS that the file has values for."""
    extras: tuple[str, ...] = ()
    """Further parts, such as labels."""
    doubts: tuple[str, ...] = ()
    """Impossible values in the file, which count as unknown, and doubts about what is meant."""
    decisions: tuple[Decision, ...] = ()
    """Values that the file does not give by itself, and where they come from."""
    _place: tuple[str, Format | None] = field(default=("", None), repr=False, compare=False)

    @property
    def original(self) -> Mapping[str, str]:
        """Metadata as the file has them, text by text, such as `OME-XML`; read at each call.

        An image that was made here has those of its source as well.

        Raises
        ------
        SourceRefusedError
            The file has changed, and cannot be read.
        """
        path, form = self._place
        return MappingProxyType(read_original(path, form)) if form else MappingProxyType({})

    def list_unused(self) -> tuple[str, ...]:
        """Return the parts of OME-XML that nothing here is read from, such as regions (`ROI`)."""
        return find_unused(self.original)

    @property
    def size_bytes(self) -> int:
        """Bytes of all voxels of the full level."""
        return math.prod(self.stored_shape) * itemsize_of(self.dtype)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts under fixed keys, JSON-ready; an unknown value is `None`."""
        return {
            "path": self.path,
            "format": self.format,
            "stored_axes": list(self.stored_axes),
            "stored_shape": list(self.stored_shape),
            "shape_tzcyx": list(self.shape) if self.shape else None,
            "level_shapes_tzcyx": [list(shape) for shape in self.level_shapes],
            "unclear": {"message": self.unclear, "hint": in_arguments(AXES_HINT)}
            if self.unclear
            else None,
            "dtype": self.dtype,
            "size_bytes": self.size_bytes,
            "spacing_um_zyx": list(self.spacing_um_zyx),
            "time_step_s": self.time_step_s,
            "channels": [{"name": each.name, "colour": each.colour} for each in self.channels],
            "scenes": list(self.scenes),
            "scene": self.scene,
            "left_out": list(self.left_out),
            "files": list(self.files),
            "acquired_at": self.acquired_at,
            "orientation_xyz": self.orientation_xyz,
            "instrument": dict(self.instrument),
            "extras": list(self.extras),
            "doubts": list(self.doubts),
            "decisions": [
                {"field": d.field, "value": d.value, "origin": d.origin, "rule": d.rule}
                for d in self.decisions
            ],
        }


def find_unused(original: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parts of OME-XML, among the metadata of a file, that nothing is read from."""
    text = original.get(OME_XML)
    return tuple(list_unused(text)) if text else ()


def probe_image(
    path: str | os.PathLike[str] | Source,
    *,
    axes: str = "",
    scene: int | str = "",
    reader: str = "",
) -> ImageInfo:
    """Return what an image is; its voxels are not read, and nothing is written.

    Parameters
    ----------
    path
        A file or folder of any format that is read, or what `merge_files` returns.
    axes
        Names of the axes as they are stored, the slowest first, such as `"ZYX"`, where the file
        does not say it or is wrong. The decision is on record in `decisions`.
    scene
        Which image of a file that has several: its number from 0, or its name; of an OME-Zarr the
        path of its folder. The decision is on record in `decisions`.
    reader
        `"bioio"` for the plug-ins of bioio that are installed, for a file of any name;
        nothing for the readers of this package. The decision is on record in `decisions`.

    Raises
    ------
    SourceRefusedError
        It is no image, it is damaged, it has several images and `scene` is not given, or `axes`
        does not fit it.
    MissingExtraError
        A library that the format needs is not installed.
    """
    source, shown = find_image(path, axes, scene, reader)
    header = read_header(source.path, source.format, source.selection)
    return describe(source, header, shown)


def find_image(
    path: str | os.PathLike[str] | Source, axes: str, scene: int | str, reader: str = ""
) -> tuple[Source, str]:
    """Return the source at a path with what is chosen in it, and its path as the user sees it."""
    if isinstance(path, Source):
        return path, written_paths(path)[0]
    selection = Selection(str(scene), axes.lower(), reader)
    found = examine_selected(os.path.realpath(path), os.fspath(path), selection)
    return found, os.path.abspath(path)


def describe(source: Source, header: Header, path: str) -> ImageInfo:
    """Return the facts of a header.

    Parameters
    ----------
    source, header
        The image.
    path
        Where the user sees it, links not resolved.
    """
    unclear = describe_unclear(header.axes, header.shapes[0])
    shapes = () if unclear else tuple(_ordered(header, shape) for shape in header.shapes)
    beside = None if source.format.key else told_beside(path, header)
    x, y, z = _spacing(header, beside)
    return ImageInfo(
        path=path,
        format=source.format.name,
        stored_axes=header.axes,
        stored_shape=header.shapes[0],
        shape=shapes[0] if shapes else None,
        level_shapes=shapes,
        unclear=f"the file {unclear}" if unclear else "",
        dtype=header.dtype,
        spacing_um_zyx=(z, y, x),
        time_step_s=header.time_step_s,
        channels=_channels(header),
        scenes=tuple(one.describe(number) for number, one in enumerate(header.scenes)),
        scene=header.scene,
        left_out=header.left_out,
        files=(path, *header.files_needed, *([beside.path] if beside else [])),
        acquired_at=header.acquired_at,
        orientation_xyz=header.orientation_xyz,
        instrument=(beside.facts if beside else facts_of(header)).instrument,
        extras=header.extras,
        doubts=(
            *(*header.doubts, *header.display_doubts),
            *(text for _, text in header.remarks),
            *(beside.doubts if beside else ()),
        ),
        decisions=(*_decisions(source.selection, header), *_decisions_beside(beside)),
        _place=(source.path, source.format),
    )


def _spacing(header: Header, beside: ToldBeside | None) -> tuple[float | None, ...]:
    """Return the distance of voxels along x, y and z, of the file beside where it has none."""
    told = (*beside.facts.pixel_size_um, None, None, None) if beside else (None, None, None)
    pairs = zip(header.spacing_um_xyz, told, strict=False)
    return tuple(there if here is None else here for here, there in pairs)


def _decisions_beside(beside: ToldBeside | None) -> Iterator[Decision]:
    if beside is None:
        return
    rule = f"{basename(beside.path)} tells it"
    if "PixelSize" in beside.keys:
        sizes = (f"{size:g}" for size in beside.facts.pixel_size_um if size is not None)
        yield Decision("spacing", f"{' x '.join(sizes)} um along x, y and z", "file", rule)
    others = sorted(beside.keys - {"PixelSize", "PixelSizeUnits"})
    if others:
        yield Decision("microscope", ", ".join(others), "file", rule)


def _ordered(header: Header, shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = dict(zip(header.axes, shape, strict=True))
    return tuple(sizes.get(axis, 1) for axis in ORDER)


def _channels(header: Header) -> tuple[ImageChannel, ...]:
    unknown = [""] * header.channel_count
    names = header.channel_names or unknown
    colours = [each.colour for each in displays_of(header)] or unknown
    pairs = zip(names, colours, strict=False)
    return tuple(ImageChannel(name or None, colour or None) for name, colour in pairs)


def _decisions(selection: Selection, header: Header) -> Iterator[Decision]:
    if selection.reader:
        rule = f"the reader was given; it read the file by {header.plugin}"
        yield Decision("reader", selection.reader, "user", rule)
    if header.scenes:
        name = header.scenes[header.scene].name
        value = f"{header.scene} {name}".strip()
        yield Decision("scene", value, "user", "the scene was given")
    if selection.axes:
        yield Decision("axes", selection.axes.upper(), "user", "axes were given")
    elif header.are_axes_assumed:
        rule = "the format does not say what its frames are; they are taken for planes"
        yield Decision("axes", "".join(header.axes).upper(), "default", rule)
    if "c" in header.axes and header.axes.index("c") > header.axes.index("x"):
        count = str(header.channel_count)
        yield Decision("channels", count, "file", "the samples of a pixel are channels")
    if header.metadata_file:
        name = os.path.basename(header.metadata_file)
        yield Decision("metadata", name, "file", "the file names the one that has it")
    yield from _merge_decisions(header.merged)


def _merge_decisions(merged: Mapping[str, Any]) -> Iterator[Decision]:
    """Yield what was decided about files that are merged."""
    if not merged:
        return
    names = ", ".join(each["path"] for each in merged["files"])
    order = "natural order" if merged["order"] == "natural" else "the order given"
    yield Decision("merge", merged["axis"], "user", f"in {order}: {names}")
    for policy in ("shape", "dtype", "spacing", "channels", "gaps"):
        if merged.get(policy, "error") != "error":
            yield Decision(f"merge {policy}", merged[policy], "user", "differences are allowed")
    for each in merged["files"]:
        for axis, (before, after) in each.get("padded", {}).items():
            rule = f"zeros are added to {each['path']} along {axis}"
            yield Decision("padding", f"{before} to {after}", "user", rule)
