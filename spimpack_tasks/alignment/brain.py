"""Finds the image of a brain with its geometry and its transformations, and reports what lacks.

Only headers are read. Two sources are known: the asset of a SmartSPIM microscope that a state of
Neuroglancer shows, and an image of a dataset that this program has packaged.
"""

from __future__ import annotations

import glob
import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.choices import NONE
from spimpack_tasks.alignment.geometry import (
    Grid,
    LevelSize,
    base_grid,
    choose_level,
    parse_version,
    pipeline_grid,
    tuple_of,
)
from spimpack_tasks.alignment.isotropic import isotropic_grid, mirrored_grid
from spimpack_tasks.alignment.neuroglancer import image_sources
from spimpack_tasks.alignment.registrations import (
    FrameQuestion,
    check_templates,
    choose_frame,
    find_pair,
    find_sidecar,
    pair_in,
)
from spimpack_tasks.errors import Place, Problem, Report, SpimpackError
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.volumes.ome_zarr.header import read_header
from spimpack_tasks.volumes.ome_zarr.level_transforms import read_level_transforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.alignment.choices import Choices
    from spimpack_tasks.alignment.transforms import AntsPair

_LETTERS = {
    "right": "R",
    "left": "L",
    "anterior": "A",
    "posterior": "P",
    "superior": "S",
    "inferior": "I",
}


@dataclass(frozen=True, slots=True)
class ChannelImage:
    """One channel: an OME-Zarr, and the index in it."""

    name: str
    path: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Brain:
    """A brain with all that its alignment needs."""

    asset: str
    """Folder that the paths of transformations are relative to."""
    code_xyz: str
    channels: tuple[ChannelImage, ...]
    """That of the registration first."""
    levels: tuple[LevelSize, ...]
    level: int
    """The level that volumes are made of."""
    version: tuple[int, int, int] | None
    """Of the importer, where transformations are in the frame of the pipeline."""
    frame_reason: str
    pairs: tuple[AntsPair, ...]
    """From image to template to CCF."""
    output_voxel_size_um: float = 0.0
    """Side of the voxels of volumes, where they are not those of the level."""

    def base(self, level: int | None = None) -> Grid:
        """Return the grid of a level, or without one that of volumes, in the base frame."""
        if level is None:
            return isotropic_grid(self.base(self.level), self.output_voxel_size_um)
        return base_grid(self.levels, level, self.code_xyz)

    def registered(self, level: int | None = None) -> Grid:
        """Return the grid of a level, or of volumes, in the frame of the transformations."""
        if self.version is None:
            return self.base(level)
        if level is None:
            grid = self.registered(self.level)
            return mirrored_grid(grid, self.base(self.level), self.base())
        return pipeline_grid(self.levels, level, self.code_xyz, self.version)


def find_brain(choices: Choices, made_dir: str, report: Report) -> Brain | None:
    """Return the brain that the choices name; all that is wrong goes to `report`.

    Parameters
    ----------
    choices
        Those of the user.
    made_dir
        Folder of the registration that is made here, where a registrar is chosen.
    report
        Takes problems.
    """
    before = len(report.errors)
    found = _packaged(choices, report) if choices.image else _smartspim(choices, report)
    is_made, to_ccf = choices.is_registered_here, choices.template_to_ccf_dir
    first = second = None
    if is_made:
        first = pair_in(made_dir, names.MADE_HERE)
    elif found:
        first = find_pair(
            found.registration_dir, names.IMAGE_TO_TEMPLATE, "image_to_template_dir", report,
            needs_warp=choices.qc,
        )  # fmt: skip
    if to_ccf != NONE:
        known = names.TEMPLATE_TO_CCF
        second = find_pair(to_ccf, known, "template_to_ccf_dir", report, needs_warp=choices.qc)
    levels = _read_levels(found.channels, report) if found else ()
    if len(report.errors) > before or found is None:
        return None
    sidecar = None
    if not is_made:
        sidecar = find_sidecar(found.registration_dir, names.IMAGE_TO_TEMPLATE_SIDECARS, report)
        known_sidecars = names.TEMPLATE_TO_CCF_SIDECARS
        check_templates(
            sidecar, find_sidecar(to_ccf, known_sidecars, report) if second else None, report
        )
    question = FrameQuestion(
        "native" if is_made else choices.frame, found.version, found.version_text, found.asset,
        found.channels[0].path, levels, found.code_xyz, sidecar,
    )  # fmt: skip
    version, reason = choose_frame(question, report)
    if len(report.errors) > before:
        return None
    pairs = tuple(pair for pair in (first, second) if pair)
    level = choose_level(levels, choices.desired_voxel_size_um)
    return Brain(
        found.asset, found.code_xyz, found.channels, levels, level, version, reason, pairs,
        choices.output_voxel_size_um,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    asset: str
    code_xyz: str
    channels: tuple[ChannelImage, ...]
    registration_dir: str
    version: tuple[int, int, int] | None = None
    version_text: str | None = None
    """As the importer wrote it; `None` where there was none."""


def load_json(path: str, report: Report, code: str = "alignment.asset") -> Any:
    """Return the content of a JSON file; what is wrong goes to `report`, also a lone `null`."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        message = error.strerror or str(error)
        report.add(Problem(code, Place(path), "", f"cannot be read: {message}", "check the path"))
    except ValueError as error:
        line = getattr(error, "lineno", 0)
        report.add(Problem(code, Place(path, line), "", "is not JSON", "save it again"))
    else:
        if content is None:
            report.add(Problem(code, Place(path), "", "is empty: null", "save it again"))
        return content
    return None


def _smartspim(choices: Choices, report: Report) -> _Found | None:
    """Return the asset that the first image layer shows."""
    state = load_json(choices.neuroglancer, report)
    if state is None:
        return None
    place = Place(choices.neuroglancer)
    sources = [each for each in image_sources(state) if "/image_tile_fusing/" in each]
    if not sources:
        message = "has no image layer with a source in image_tile_fusing"
        hint = "save the state that shows the brain, or give image"
        report.add(Problem("alignment.asset", place, "layers", message, hint))
        return None
    name = sources[0].partition("/image_tile_fusing/")[0].rsplit("/", 1)[-1]
    asset = os.path.join(choices.data_root, name)
    if not os.path.isdir(asset):
        message = f"shows {name!r}, which is no folder of the data root"
        hint = f"put it to {asset}"
        report.add(Problem("alignment.asset", place, "layers", message, hint))
        return None
    code = _code_of_asset(os.path.join(asset, "metadata.nd.json"), report)
    processing = _read_processing(os.path.join(asset, "processing.json"), report)
    if processing is None or code is None:
        return None
    channel, version, version_text = processing
    folder = os.path.join(asset, names.IMAGES_FOLDER)
    others = sorted(p for p in glob.glob(f"{glob.escape(folder)}/*.zarr") if os.path.isdir(p))
    first = [p for p in others if _stem(p) == channel]
    if not first:
        message = f"has no {channel}.zarr, the channel of the registration"
        report.add(Problem("alignment.asset", Place(folder), "", message, "copy it again"))
        return None
    images = [ChannelImage(_stem(p), p) for p in [*first, *(p for p in others if p not in first)]]
    registration = choices.image_to_template_dir or os.path.join(
        asset, names.REGISTRATION_FOLDER, channel
    )
    return _Found(asset, code, tuple(images), registration, version, version_text)


def _stem(path: str) -> str:
    name = os.path.basename(path).removesuffix(".zarr")
    return name.removesuffix(".ome")


def _code_of_asset(path: str, report: Report) -> str | None:
    """Return the orientation code of the axes x, y and z, by the order of dimensions."""
    data = load_json(path, report)
    if data is None:
        return None
    try:
        axes = sorted(data["acquisition"]["axes"], key=lambda axis: int(axis["dimension"]))
        letters = [_LETTERS[str(a["direction"]).lower().rsplit("_", 1)[-1]] for a in axes]
        named = "".join(str(axis.get("name", "")).lower() for axis in axes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message, key = f"has no axes with dimension and direction ({error!r})", "axes"
        hint = "write one such as Left_to_right for each axis"
        report.add(Problem("alignment.asset", Place(path), key, message, hint))
        return None
    code = normalise_orientation("".join(reversed(letters)))
    if code is None or named not in {"", "zyx"}:
        message = f"has axes {named!r} towards {''.join(letters)}, which are no z, y and x"
        hint = "give dimension 0 to Z, 1 to Y and 2 to X, each along another side of the body"
        report.add(Problem("alignment.asset", Place(path), "axes", message, hint))
        return None
    return code


def _read_processing(
    path: str, report: Report
) -> tuple[str, tuple[int, int, int] | None, str] | None:
    """Return the channel that was registered, and the version of the importer."""
    data = load_json(path, report)
    if data is None:
        return None
    try:
        steps = {str(s["name"]): s for s in data["processing_pipeline"]["data_processes"]}
        location = str(steps[names.ALIGNMENT_STEP]["input_location"])
        text = str(steps[names.IMPORT_STEP]["code_version"])
        note = steps[names.ALIGNMENT_STEP].get("notes")
    except (KeyError, TypeError, AttributeError) as error:
        message = f"does not describe import and atlas alignment ({error!r})"
        hint = "copy processing.json of the asset again"
        report.add(Problem("alignment.asset", Place(path), "data_processes", message, hint))
        return None
    if note != names.ALIGNMENT_NOTE:
        message = f"describes another registration: {note!r}"
        hint = f"give an asset that says {names.ALIGNMENT_NOTE!r}"
        report.add(Problem("alignment.asset", Place(path), names.ALIGNMENT_STEP, message, hint))
    parts = [part for part in location.split("/") if part.endswith(".zarr")]
    return _stem(parts[-1] if parts else location.rstrip("/")), parse_version(text), text


def _packaged(choices: Choices, report: Report) -> _Found | None:
    """Return an image of a dataset, with the orientation that its sidecar has."""
    ending = next((e for e in (".ome.zarr", ".zarr") if choices.image.endswith(e)), "")
    place = Place(choices.image)
    if not os.path.isdir(choices.image) or not ending:
        message, hint = "is no OME-Zarr", "give the path of a .ome.zarr of the dataset"
        report.add(Problem("alignment.asset", place, "image", message, hint))
        return None
    sidecar = choices.image.removesuffix(ending) + ".json"
    data = load_json(sidecar, report)
    text = data.get("OrientationStringXYZ") if isinstance(data, dict) else None
    code = normalise_orientation(str(text)) if text else None
    if data is not None and code is None:
        message = f"is {text!r}" if text else "is missing"
        hint = "write three letters such as RPI: the sides towards which x, y and z run"
        key = "OrientationStringXYZ"
        report.add(Problem("alignment.asset", Place(sidecar), key, message, hint))
    if not choices.image_to_template_dir and not choices.is_registered_here:
        hint = "give the folder of its registration with the template, or a registrar"
        message = "is not given"
        report.add(Problem("alignment.asset", place, "image_to_template_dir", message, hint))
    try:
        header = read_header(choices.image)
    except SpimpackError as error:
        report.add(Problem("alignment.asset", place, "", str(error), "copy it again"))
        return None
    if code is None:
        return None
    named = header.channel_names or ("",) * header.channel_count
    images = tuple(
        ChannelImage(_safe(name) or f"channel{n}", choices.image, n) for n, name in enumerate(named)
    )
    root = choices.data_root
    return _Found(root, code, images, choices.image_to_template_dir)


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def _read_levels(channels: Sequence[ChannelImage], report: Report) -> tuple[LevelSize, ...]:
    """Return sizes and spacings of all levels; each channel must have the same."""
    known: dict[str, tuple[LevelSize, ...]] = {}
    for path in dict.fromkeys(channel.path for channel in channels):
        try:
            known[path] = _levels_of(path)
        except (SpimpackError, ValueError, KeyError) as error:
            hint = "an OME-Zarr with x, y, z and the sizes of voxels is needed"
            report.add(Problem("alignment.asset", Place(path), "", str(error), hint))
    first = next(iter(known.values()), ())
    for path, levels in known.items():
        if levels != first:
            message, hint = "has other sizes or voxels than the first channel", "stitch it again"
            report.add(Problem("alignment.asset", Place(path), "", message, hint))
    return first


def _levels_of(path: str) -> tuple[LevelSize, ...]:
    header, transforms = read_header(path), read_level_transforms(path)
    levels = []
    for number, (shape, lines) in enumerate(zip(header.shapes, transforms.lines, strict=False)):
        sizes = dict(zip(header.axes, shape, strict=True))
        if lines is None or not {*"xyz"} <= set(lines):
            message = f"has no size of voxels along x, y and z at level {number}"
            raise ValueError(message)
        if not all(transforms.units.get(axis) for axis in "xyz"):
            message = "has axes without a unit"
            raise ValueError(message)
        spacing = tuple_of(float(lines[axis][0]) / 1000 for axis in "xyz")
        if not all(math.isfinite(size) and size > 0 for size in spacing):
            told = " x ".join(f"{1000 * size:g}" for size in spacing)
            message = f"has voxels of {told} µm at level {number}, which are no sizes"
            raise ValueError(message)
        levels.append(LevelSize((sizes["x"], sizes["y"], sizes["z"]), spacing))
    return tuple(levels)
