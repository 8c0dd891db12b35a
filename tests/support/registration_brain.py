"""A generated brain with a known map to its template, for tests of registrars.

The template is an ellipsoid with a smooth random texture. The image is the template seen through a
map in closed form: an affine one, and waves. It has another brightness, orientation and voxel size.
"""

import csv
import json

import numpy as np
import SimpleITK
from alignment_root import direction, write_zarr

STEP_MM = 0.2
SIZE_XYZ = (58, 66, 41)
CENTRE = np.array([-5.7, 6.6, -4.0])
HALF_MM = np.array([4.6, 5.4, 3.1])
MATRIX = np.array([[1.08, 0.05, -0.03], [-0.04, 0.93, 0.06], [0.02, -0.05, 1.04]])
WAVE_MM = 0.25
CODE_XYZ = "PIR"
SPACING_MM_XYZ = np.array([0.2, 0.18, 0.16])
SHAPE_XYZ = (66, 46, 66)
MIDDLE = direction(CODE_XYZ) @ (SPACING_MM_XYZ * np.array(SHAPE_XYZ) / 2)
SHIFT = MIDDLE - CENTRE + [0.3, -0.2, 0.25]
RECORDING = "ecephys_7_2024-01-01_10-00-00"


def texture(places):
    """Return brightness at places of the template, LPS in mm."""
    random = np.random.default_rng(7)
    radius = np.sqrt((((places - CENTRE) / HALF_MM) ** 2).sum(-1))
    value = np.zeros(places.shape[:-1])
    for _ in range(40):
        wave = random.normal(size=3) * 2.2
        value += np.cos(places @ wave + random.uniform(0, 2 * np.pi))
    return (400 + 15 * value) / (1 + np.exp((radius - 1) * 25))


def to_template(places):
    """Return where places of the image, LPS in mm, lie in the template."""
    moved = (places - SHIFT - CENTRE) @ np.linalg.inv(MATRIX).T + CENTRE
    x, y, z = np.moveaxis(moved, -1, 0)
    waves = [np.sin(y / 1.7), np.sin(z / 1.5 + 1), np.sin(x / 1.9 + 2)]
    return moved + WAVE_MM * np.stack(waves, -1)


def place_of(index_xyz, finer=1):
    """Return places of the image, LPS in mm: its first voxel is the origin."""
    return (np.asarray(index_xyz, float) * SPACING_MM_XYZ / finer) @ direction(CODE_XYZ).T


def make_study(folder, finer=1):
    """Write template, labels, image with sidecar, and a table of two tracks; return their indices.

    The image is darker where the template is brighter, as another stain may be. Voxels of both are
    finer by a whole number.
    """
    index = np.stack(np.indices(np.multiply(SIZE_XYZ, finer)), -1)
    step = STEP_MM / finer
    places = index * [-step, step, -step]
    volumes = {"template.nrrd": texture(places), "labels.nrrd": 1 + index[..., 1] // (20 * finer)}
    folder.mkdir()
    for name, values in volumes.items():
        image = SimpleITK.GetImageFromArray(values.transpose(2, 1, 0).astype(np.uint16))
        image.SetSpacing([step] * 3)
        image.SetDirection([-1, 0, 0, 0, 1, 0, 0, 0, -1])
        SimpleITK.WriteImage(image, str(folder / name))
    shape = np.multiply(SHAPE_XYZ, finer)
    value = texture(to_template(place_of(np.stack(np.indices(shape), -1), finer)))
    voxels = np.where(value > 100, 900 - 0.8 * value, 8.2 * value).astype(np.uint16)
    path = folder / "sub-7" / "micr" / "sub-7_sample-a_SPIM.ome.zarr"
    path.parent.mkdir(parents=True)
    spacing = 1000 * SPACING_MM_XYZ[::-1] / finer
    write_zarr(path, voxels.transpose(2, 1, 0), spacing, levels=1, axes="zyx", zarr_format=3)
    sidecar = {"OrientationStringXYZ": CODE_XYZ}
    path.with_name("sub-7_sample-a_SPIM.json").write_text(json.dumps(sidecar))
    return path, _write_tracks(folder, finer)


def _write_tracks(folder, finer):
    """Write two straight tracks that go down through the brain."""
    way = np.linspace(-0.5, 0.5, 12)[:, None]
    middle = np.array(SHAPE_XYZ) / 2
    tracks = {"a": middle + way * [14, 20, 6], "b": middle + [9, -1, -13] + way * [-8, 16, -4]}
    tracks = {name: finer * points for name, points in tracks.items()}
    (folder / "notes").mkdir()
    rows = [["mouseid", "sorted_recording", "probe_file", "probe_id", "probe_name"]]
    for name, points in tracks.items():
        annotations = [{"type": "point", "point": p, "id": ""} for p in points[:, ::-1].tolist()]
        layer = {"type": "annotation", "name": name, "annotations": annotations}
        (folder / "notes" / f"{name}.json").write_text(json.dumps({"layers": [layer]}))
        rows.append(["7", f"{RECORDING}_sorted", name, name, f"Probe{name}"])
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tracks
