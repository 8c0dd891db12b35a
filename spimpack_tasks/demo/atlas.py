"""The atlas of the demo study, the registration of its brain, and the tracks of two probes.

Coordinates of files are those of ITK: left, back and up in millimetres. The registration is an
affine map that is known exactly, with a field of displacements that are all zero.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.demo.brain import CENTRE_MM, STAINS, find_brightness, find_labels, list_labels
from spimpack_tasks.demo.specimen import (
    SPACING_UM_XYZ,
    middle_mm,
    to_microscope,
    turn_matrix,
)
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spimpack_tasks.demo.brain import Places

_EXTRA = "demo"
_SIZE_XYZ = (114, 132, 80)
_STEP_MM = 0.1
"""The box of the Allen CCF, at a fourth of the resolution that is common: a million voxels."""
_TO_LPS = (-1.0, 1.0, -1.0)
"""Signs of ML, AP and DV, which run to the right, to the back and downwards."""
_DIRECTION = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
_FIELD_STEP_MM = 20.0
"""Two voxels along each axis are around the brain: displacements are linear between them."""
RECORDING = "ecephys_demo_2026-01-01_10-00-00"
_POINTS = 9
"""Annotated points of a track."""


@dataclass(frozen=True, slots=True)
class DemoProbe:
    """A probe: its track is a straight line in the atlas."""

    name: str
    surface_mm: tuple[float, float, float]
    """ML, AP and DV from the corner of the atlas."""
    tip_mm: tuple[float, float, float]


PROBES = (
    DemoProbe("ProbeA", (7.6, 7.2, 1.3), (7.9, 7.6, 4.9)),
    DemoProbe("ProbeB", (4.4, 6.1, 1.2), (5.0, 6.7, 5.1)),
)
"""One through the right hippocampus, one through the left thalamus."""


def write_template(path: Path) -> None:
    """Write the brightness of the atlas, as NIfTI or NRRD by the name of the file."""
    import numpy as np

    light = find_brightness(_atlas_places(), STAINS["NeuN"])
    _write_volume(path, np.rint(light).astype(np.uint16))


def write_labels(path: Path) -> None:
    """Write the regions of the atlas: each voxel has a place in the list of labels."""
    import numpy as np

    places = np.searchsorted(list_labels(), find_labels(_atlas_places()))
    _write_volume(path, places.astype(np.uint16))


def write_label_list(path: Path) -> None:
    """Write the list of labels."""
    import numpy as np

    with path.open("wb") as file:
        np.savez(file, unique_labels=np.array(list_labels()))


def write_affine(path: Path) -> None:
    """Write the affine map from the atlas to the image, as ANTs has it."""
    import numpy as np

    sitk, signs = load_library("SimpleITK", _EXTRA), np.array(_TO_LPS)
    affine = sitk.AffineTransform(3)
    affine.SetMatrix((signs[:, None] * turn_matrix() * signs).ravel().tolist())
    affine.SetCenter((signs * CENTRE_MM).tolist())
    affine.SetTranslation((signs * (middle_mm() - CENTRE_MM)).tolist())
    sitk.WriteTransform(affine, str(path))


def write_displacements(path: Path) -> None:
    """Write displacements that are zero around the brain."""
    import numpy as np

    sitk = load_library("SimpleITK", _EXTRA)
    field = sitk.GetImageFromArray(np.zeros((2, 2, 2, 3)), isVector=True)
    field.SetSpacing([_FIELD_STEP_MM] * 3)
    field.SetOrigin(
        [sign * at - _FIELD_STEP_MM / 2 for sign, at in zip(_TO_LPS, CENTRE_MM, strict=True)]
    )
    sitk.WriteImage(field, str(path))


def compose_probe_table() -> str:
    """Return the table of probes."""
    head = "mouseid,sorted_recording,probe_file,probe_id,probe_name"
    rows = [f"01,{RECORDING}_sorted,{p.name},{p.name},{p.name}" for p in PROBES]
    return "\n".join([head, *rows]) + "\n"


def compose_annotation(probe: DemoProbe) -> str:
    """Return a state of Neuroglancer with the track of a probe, in voxels of the image."""
    import numpy as np

    start, end = np.array(probe.surface_mm), np.array(probe.tip_mm)
    track = start + np.linspace(0, 1, _POINTS)[:, None] * (end - start)
    index_xyz = 1000 * to_microscope(track) / SPACING_UM_XYZ
    points = [
        {"type": "point", "id": str(number), "point": list(map(float, xyz[::-1]))}
        for number, xyz in enumerate(index_xyz)
    ]
    z, y, x = (1e-6 * step for step in SPACING_UM_XYZ[::-1])
    dimensions = {"z": [z, "m"], "y": [y, "m"], "x": [x, "m"]}
    source = {"url": "local://annotations", "transform": {"outputDimensions": dimensions}}
    layer = {"type": "annotation", "name": probe.name, "source": source, "annotations": points}
    return json.dumps({"layers": [layer]}, indent=1) + "\n"


WRITERS: dict[str, Callable[[Path], None]] = {
    "atlas/template.nii.gz": write_template,
    "atlas/labels.nrrd": write_labels,
    "atlas/labels.npz": write_label_list,
    "registration/0GenericAffine.mat": write_affine,
    "registration/1InverseWarp.nii.gz": write_displacements,
}
"""By the path below the folder of the alignment. A file is written aside, with the same ending."""


def _atlas_places() -> Places:
    """Return the places of all voxels of the atlas, along ML, AP and DV."""
    import numpy as np

    places: Places = _STEP_MM * np.moveaxis(np.indices(_SIZE_XYZ, np.float64), 0, -1)
    return places


def _write_volume(path: Path, voxels_xyz: Any) -> None:
    sitk = load_library("SimpleITK", _EXTRA)
    image = sitk.GetImageFromArray(voxels_xyz.transpose(2, 1, 0))
    image.SetSpacing([_STEP_MM] * 3)
    image.SetDirection(_DIRECTION)
    sitk.WriteImage(image, str(path), True)  # noqa: FBT003 - SimpleITK knows no name: compressed
