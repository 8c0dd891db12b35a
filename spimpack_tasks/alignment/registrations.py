"""Finds the files of registrations, and the frame in which they were made.

A sidecar beside the files (`transform_information.json`) names the boxes of both images. It tells
the frame; where there is none, the frame is the one of SmartSPIM's importer.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.alignment.geometry import (
    ANCHORED_FROM,
    REGISTERED_LEVEL,
    Box,
    base_grid,
    pipeline_grid,
)
from spimpack_tasks.alignment.transforms import AntsPair
from spimpack_tasks.errors import Place, Problem, Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.alignment.geometry import LevelSize
    from spimpack_tasks.alignment.names import TransformNames

    Version = tuple[int, int, int]

FARTHEST_MM = 1.0
"""Two boxes are those of one image where no side lies further apart: resampling moves sides by tens
of micrometres, and the two frames lie millimetres apart."""
FARTHEST_VOXELS = 4
"""The same in voxels of the coarser image, whichever is more."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The box around the voxel centres of an image, and its largest voxel side in mm."""

    box: Box
    voxel_mm: float

    def distance_mm(self, other: Domain) -> float:
        """Return how far the sides of two boxes lie apart at the most."""
        mine, theirs = (*self.box.low, *self.box.high), (*other.box.low, *other.box.high)
        return max(abs(a - b) for a, b in zip(mine, theirs, strict=True))

    def is_near(self, other: Domain) -> bool:
        """Tell whether two boxes may be those of one image."""
        most = max(FARTHEST_MM, FARTHEST_VOXELS * max(self.voxel_mm, other.voxel_mm))
        return self.distance_mm(other) <= most


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The boxes of both images of a registration."""

    path: str
    fixed: Domain | None
    moving: Domain | None


def find_sidecar(folder: str, known: Sequence[str], report: Report) -> Sidecar | None:
    """Return the sidecar of a registration, `None` where there is none.

    Parameters
    ----------
    folder
        Of the registration.
    known
        Names that are looked for, in this order.
    report
        Takes what is wrong with it.
    """
    paths = (os.path.join(folder, name) for name in known)
    path = next(filter(os.path.isfile, paths), "")
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if (data.get("frame"), data.get("units")) != ("LPS", "mm"):
            message = f"is in {data.get('frame')} and {data.get('units')}"
            raise ValueError(message)  # noqa: TRY301 - one problem for all that is wrong
        fixed, moving = (_domain(data.get(f"{kind}_domain")) for kind in ("fixed", "moving"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "write it again, with the boxes of both images, LPS in mm"
        message = f"is no sidecar of a registration ({error})"
        report.add(Problem("alignment.transform", Place(path), "", message, hint))
        return None
    return Sidecar(path, fixed, moving)


def _domain(data: dict[str, dict[str, Sequence[float]]] | None) -> Domain | None:
    if data is None:
        return None
    sides = [sorted(float(end) for end in data["bbox"][axis]) for axis in "LPS"]
    spacing = [float(step) for step in data["spacing_LPS"]]
    if not all(math.isfinite(n) for n in (*spacing, *(end for side in sides for end in side))):
        message = "has a number that is not finite"
        raise ValueError(message)
    (l0, l1), (p0, p1), (s0, s1) = sides
    return Domain(Box((l0, p0, s0), (l1, p1, s1)), max(spacing))


def find_pair(
    folder: str,
    known: Sequence[TransformNames],
    key: str,
    report: Report,
    *,
    needs_warp: bool,
) -> AntsPair | None:
    """Return the files of a registration, by the first names that are there.

    Parameters
    ----------
    folder
        Of the registration.
    known
        Names that are looked for, in this order.
    key
        The option that names the folder.
    report
        Takes what is missing.
    needs_warp
        Whether the displacements of the other direction must be there.
    """
    for each in known:
        pair = pair_in(folder, each)
        if os.path.isfile(pair.affine):
            needed = [pair.inverse_warp, *([pair.warp] if needs_warp else [])]
            lacking = [path for path in needed if not os.path.isfile(path)]
            for path in lacking:
                hint = "copy it again"
                report.add(Problem("alignment.transform", Place(path), key, "is missing", hint))
            has_warp = os.path.isfile(pair.warp)
            warp = pair.warp if has_warp else ""
            return None if lacking else AntsPair(pair.affine, pair.inverse_warp, warp)
    wanted = os.path.join(folder, known[0].affine)
    hint = f"put it there with {known[0].inverse_warp}, or give {key}"
    if key == "image_to_template_dir":
        hint += ", or let registrar make it"
    report.add(Problem("alignment.transform", Place(wanted), key, "is missing", hint))
    return None


def pair_in(folder: str, known: TransformNames) -> AntsPair:
    """Return the files of a registration by their names, whether they are there or not."""
    affine, warp, inverse = (os.path.join(folder, name) for name in known)
    return AntsPair(affine, inverse, warp)


@dataclass(frozen=True, slots=True)
class FrameQuestion:
    """The facts that the choice of a frame depends on."""

    frame: str
    """As the user chose it."""
    version: Version | None
    """Of the importer."""
    version_text: str | None
    """As it stands there, also if it is empty; `None` where there was no importer."""
    place: str
    """The asset, and its first image."""
    image: str
    levels: tuple[LevelSize, ...]
    code_xyz: str
    sidecar: Sidecar | None
    """That of the registration."""


def choose_frame(question: FrameQuestion, report: Report) -> tuple[Version | None, str]:
    """Return the version whose frame transformations are in, `None` for the base frame.

    The reason is returned with it. Problems go to `report`.
    """
    frame, version, text = question.frame, question.version, question.version_text
    if frame == "native":
        return None, "chosen"
    if version is None and (frame == "pipeline" or text is not None):
        message = f"has the importer version {text or ''!r}, which tells no frame"
        place, hint = Place(question.place, 0), "choose frame native if its images lie as they say"
        report.add(Problem("alignment.asset", place, "frame", message, hint))
    if version is None:
        return None, "a packaged dataset"
    count = len(question.levels)
    if version >= ANCHORED_FROM and count <= REGISTERED_LEVEL:
        message = f"has {count} levels; the frame of the pipeline needs {REGISTERED_LEVEL + 1}"
        place, hint = Place(question.image), "give the whole pyramid, or frame native"
        report.add(Problem("alignment.asset", place, "", message, hint))
        return None, ""
    if question.sidecar is not None and frame == "auto":
        return _nearer_frame(question, version, question.sidecar, report)
    return version, f"importer {text}"


def _nearer_frame(
    question: FrameQuestion, version: Version, sidecar: Sidecar, report: Report
) -> tuple[Version | None, str]:
    """Return the frame in which the image lies where the sidecar says that it lay."""
    where, name = Place(sidecar.path), os.path.basename(sidecar.path)
    if sidecar.moving is None:
        hint = "write the box of the image, or choose the frame yourself"
        report.add(Problem("alignment.transform", where, "moving_domain", "is missing", hint))
        return None, ""
    levels, code = question.levels, question.code_xyz
    grids = {
        "native": base_grid(levels, 0, code),
        "pipeline": pipeline_grid(levels, 0, code, version),
    }
    domains = {k: Domain(grid.bounds(), max(grid.spacing_mm_xyz)) for k, grid in grids.items()}
    away = {k: sidecar.moving.distance_mm(domain) for k, domain in domains.items()}
    nearer = min(away, key=lambda k: away[k])
    if not sidecar.moving.is_near(domains[nearer]):
        told = ", ".join(f"{k} frame by {distance:.2f} mm" for k, distance in away.items())
        message, hint = f"lies off the image: {told}", "give the registration of this image"
        report.add(Problem("alignment.transform", where, "moving_domain", message, hint))
    return (version if nearer == "pipeline" else None), f"{name} lies in it"


def check_templates(first: Sidecar | None, second: Sidecar | None, report: Report) -> None:
    """Report two registrations that name different templates between them."""
    if first is None or second is None or first.fixed is None or second.moving is None:
        return
    if not first.fixed.is_near(second.moving):
        far = first.fixed.distance_mm(second.moving)
        message = f"lies {far:.2f} mm off the template of {second.path}"
        hint = "give a registration of the same template"
        report.add(Problem("alignment.transform", Place(first.path), "fixed_domain", message, hint))
