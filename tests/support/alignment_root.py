"""A small data root for the alignment, with every stage of its points in closed form.

The formulas stand here a second time, in NumPy, from the published conventions: they share no code
with the program.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import zarr

MOUSE = "000001"
RECORDING = "ecephys_000001_2024-01-01_10-00-00"
ASSET = "SmartSPIM_000001_2024-01-01_stitched"
CHANNELS = ("Ex_639_Em_667", "488 signal")
"""That of the registration, and one with another name than most."""
SPACING_UM_ZYX = np.array([100.0, 90.0, 80.0])
SHAPE_ZYX = (80, 136, 112)
BREGMA = np.array([5739.0, 5400.0, 332.0])
LPS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1)}
LPS["I"] = (0, 0, -1)
WORDS = {
    "R": "Left_to_right",
    "L": "Right_to_left",
    "A": "Posterior_to_anterior",
    "P": "Anterior_to_posterior",
    "S": "Inferior_to_superior",
    "I": "Superior_to_inferior",
}
LABELS = np.array([-105, -104, -103, -102, -101, 0, 101, 102, 103, 104, 105])
ANTS = ("0GenericAffine.mat", "1Warp.nii.gz", "1InverseWarp.nii.gz")
CCF_SIZE = (114, 132, 80)
CCF_STEP_MM = 0.1


def direction(code_xyz):
    """Return the matrix whose columns are the index axes in LPS."""
    return np.array([LPS[letter] for letter in code_xyz], float).T


def base_frame(level, code_xyz, spacing_mm):
    """Return spacing and origin of a level, along x, y, z and in LPS."""
    s = spacing_mm * 2**level
    return s, direction(code_xyz) @ ((s - spacing_mm) / 2)


def pipeline_frame(level, code_xyz, spacing_mm, size_xyz, version):
    """Return spacing and origin of a level in the frame of the pipeline."""
    if version < (0, 0, 18):
        return base_frame(level, code_xyz, spacing_mm)
    d = direction(code_xyz)
    s3 = spacing_mm * 8
    if version < (0, 0, 32):
        s3 = np.abs(d.T) @ np.array([0.0144, 0.0144, 0.016])
    n3 = np.array(size_xyz) // 8
    k = np.where(d.T @ np.array([-1, -1, 1]) > 0, n3 - 1, 0)
    o3 = np.array([-1.5114, -1.5, 1.5]) - d @ (s3 * k)
    s0 = s3 / 8
    o0 = o3 - d @ ((s3 - s0) / 2)
    s = s0 * 2**level
    return s, o0 + d @ ((s - s0) / 2)


@dataclass
class Registration:
    """Affine (fixed to moving) about a centre, and a linear field of inverse displacements."""

    matrix: np.ndarray
    shift: np.ndarray
    centre: np.ndarray
    gradient: np.ndarray
    constant: np.ndarray

    def point(self, p):
        """Return where a point of the moving image comes out in the fixed one."""
        q = np.linalg.solve(self.matrix, (p - self.centre - self.shift).T).T + self.centre
        return q + q @ self.gradient.T + self.constant

    def back(self, q):
        """Return the inverse of `point`."""
        p = np.linalg.solve(np.eye(3) + self.gradient, (q - self.constant).T).T
        return (p - self.centre) @ self.matrix.T + self.centre + self.shift

    def write(self, folder, prefix, low, high):
        import SimpleITK

        folder.mkdir(parents=True, exist_ok=True)
        affine = SimpleITK.AffineTransform(3)
        affine.SetMatrix(self.matrix.ravel().tolist())
        affine.SetCenter(self.centre.tolist())
        affine.SetTranslation(self.shift.tolist())
        SimpleITK.WriteTransform(affine, str(folder / f"{prefix}{ANTS[0]}"))
        inverse = np.linalg.inv(np.eye(3) + self.gradient)
        fields = {
            2: (self.gradient, self.constant),
            1: (inverse - np.eye(3), -inverse @ self.constant),
        }
        for number, (gradient, constant) in fields.items():
            size = np.ceil(high - low).astype(int) + 1
            z, y, x = np.indices(size[::-1])
            places = np.stack([x, y, z], -1) + low
            image = SimpleITK.GetImageFromArray(places @ gradient.T + constant, isVector=True)
            image.SetOrigin(low.tolist())
            SimpleITK.WriteImage(image, str(folder / f"{prefix}{ANTS[number]}"))


def rotation(degrees, axes):
    turn = np.eye(3)
    a, b = axes
    turn[[a, b], [a, b]] = np.cos(np.radians(degrees))
    turn[a, b], turn[b, a] = -np.sin(np.radians(degrees)), np.sin(np.radians(degrees))
    return turn


@dataclass
class Root:
    """A data root, and what must come of it."""

    folder: Path
    version: tuple[int, int, int] = (0, 0, 34)
    code_xyz: str = "RPI"
    layer_order: tuple[str, ...] = ("z", "y", "x", "t")
    tracks_zyx: dict[str, np.ndarray] = field(default_factory=dict)
    voxels: dict[str, np.ndarray] = field(default_factory=dict)
    first: Registration = None
    second: Registration = None

    @property
    def spacing_mm(self):
        return SPACING_UM_ZYX[::-1] / 1000

    @property
    def size_xyz(self):
        return SHAPE_ZYX[::-1]

    def registered(self, index_zyx, level=0):
        """Return places in the frame of the transformations."""
        frame = (level, self.code_xyz, self.spacing_mm, self.size_xyz, self.version)
        s, o = pipeline_frame(*frame)
        return o + (np.asarray(index_zyx, float)[..., ::-1] * s) @ direction(self.code_xyz).T

    def spim(self, index_zyx):
        """Return places in the frame of the image."""
        s, o = base_frame(0, self.code_xyz, self.spacing_mm)
        return o + (np.asarray(index_zyx, float)[..., ::-1] * s) @ direction(self.code_xyz).T

    def template(self, index_zyx):
        return self.first.point(self.registered(index_zyx))

    def ccf(self, index_zyx, level=0):
        return self.second.point(self.first.point(self.registered(index_zyx, level)))

    def bregma_um(self, index_zyx):
        x, y, z = self.ccf(index_zyx).T
        ml, ap, dv = -1000 * x, 1000 * y, -1000 * z
        return np.stack([ml - BREGMA[0], BREGMA[1] - ap, BREGMA[2] - dv], -1)

    def image_ras_um(self, index_zyx):
        return 1000 * self.spim(index_zyx) * [-1, -1, 1]


def ccf_index(places_mm):
    """Return continuous indices of the CCF volumes: ML, AP, DV."""
    return places_mm * [-1, 1, -1] / CCF_STEP_MM


def ccf_value(index):
    """Return the brightness of the template at continuous indices inside of it."""
    return 1000 + 10 * index[..., 0] + 20 * index[..., 1] + 5 * index[..., 2]


def label_at(index):
    """Return the label at whole indices: slabs along AP, negative on the left."""
    region = 101 + np.minimum(np.asarray(index)[..., 1] // 27, 4).astype(int)
    return np.where(np.asarray(index)[..., 0] * 100 < 5739, -region, region)


def write_zarr(path, voxels_zyx, spacing_um_zyx, *, levels=4, axes="tczyx", zarr_format=2):
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    lead = len(axes) - 3
    # OME-Zarr wants "/" between the numbers of a chunk, which is not the default of format 2.
    keys = {"name": "v2", "separator": "/"} if zarr_format == 2 else None
    datasets = []
    for level in range(levels):
        step = 2**level
        data = voxels_zyx[::step, ::step, ::step].reshape((1,) * lead + tuple(
            -(-n // step) for n in voxels_zyx.shape
        ))  # fmt: skip
        array = group.create_array(
            str(level), shape=data.shape, dtype=data.dtype, chunks=(1,) * lead + (64, 64, 64),
            compressors=None, chunk_key_encoding=keys,
        )  # fmt: skip
        array[:] = data
        scale = [1.0] * lead + [float(s) * step for s in spacing_um_zyx]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    kinds = {"t": {"type": "time"}, "c": {"type": "channel"}}
    space = {"type": "space", "unit": "micrometer"}
    multiscale = {
        "version": "0.4" if zarr_format == 2 else "0.5",
        "axes": [{"name": a, **kinds.get(a, space)} for a in axes],
        "datasets": datasets,
    }
    if zarr_format == 2:
        group.attrs["multiscales"] = [multiscale]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


def make_root(folder, **choices):
    """Make a data root, and return it with its expectations."""
    root = Root(Path(folder), **choices)
    random = np.random.default_rng(20)
    _make_asset(root, random)
    _make_registrations(root)
    _make_atlas(root)
    _make_tracks(root, random)
    return root


def _make_asset(root, random):
    asset = root.folder / ASSET
    for name in CHANNELS:
        root.voxels[name] = random.integers(100, 4000, SHAPE_ZYX, dtype=np.uint16)
        path = asset / "image_tile_fusing" / "OMEZarr" / f"{name}.zarr"
        write_zarr(path, root.voxels[name], SPACING_UM_ZYX)
    axes = [
        {"name": name, "dimension": number, "direction": WORDS[letter]}
        for number, (name, letter) in enumerate(zip("ZYX", root.code_xyz[::-1], strict=True))
    ]
    (asset / "metadata.nd.json").write_text(json.dumps({"acquisition": {"axes": axes}}))
    steps = [
        {"name": "Image importing", "code_version": ".".join(map(str, root.version))},
        {
            "name": "Image atlas alignment",
            "notes": "Template based registration: LS -> template -> Allen CCFv3 Atlas",
            "input_location": f"/x/{ASSET}/image_tile_fusing/OMEZarr/{CHANNELS[0]}.zarr",
        },
    ]
    pipeline = {"pipeline_version": "3.0.0", "data_processes": steps}
    (asset / "processing.json").write_text(json.dumps({"processing_pipeline": pipeline}))
    url = f"zarr://s3://bucket/{ASSET}/image_tile_fusing/OMEZarr/{CHANNELS[0]}.zarr"
    layers = [{"type": "image", "name": "brain", "source": [{"url": url}]}]
    (root.folder / "neuroglancer.json").write_text(json.dumps({"layers": layers}))


def _make_registrations(root):
    """Bring the middle of the brain to that of the CCF, by two maps that share the work."""
    middle = root.registered(np.array(SHAPE_ZYX) / 2)
    half = np.array([0.5, 0.4, -0.3])
    gradient = np.array([[0.01, 0.002, 0], [0, -0.008, 0.003], [0.004, 0, 0.006]])
    matrix = rotation(4, (0, 1)) @ np.diag([1.05, 0.97, 1.02])
    root.first = Registration(
        matrix, half, middle + np.array([0.2, -0.1, 0.3]), gradient, np.array([0.05, -0.04, 0.03])
    )
    at_template = root.first.point(middle[None])[0]
    target = np.array([-5.7, 6.6, -4.0])
    matrix = rotation(-3, (1, 2)) @ np.diag([0.98, 1.03, 1.01])
    root.second = Registration(
        matrix, at_template - target, target, -0.7 * gradient, np.array([-0.02, 0.03, 0.01])
    )
    first = root.folder / ASSET / "image_atlas_alignment" / CHANNELS[0]
    root.first.write(first, "ls_to_template_SyN_", at_template - 12, at_template + 12)
    second = root.folder / "spim_template_to_ccf"
    root.second.write(second, "syn_", target - 12, target + 12)


def _make_atlas(root):
    import SimpleITK

    x, y, z = np.indices(CCF_SIZE)
    index = np.stack([x, y, z], -1)
    compact = np.searchsorted(LABELS, label_at(index)).astype(np.uint16)
    folder = root.folder / "allen_mouse_ccf_annotations_lateralized_compact"
    files = {
        root.folder / "allen_mouse_ccf/average_template/average_template_25.nii.gz": ccf_value(
            index
        ).astype(np.uint16),
        folder / "ccf_2017_annotation_25_lateralized_compact.nrrd": compact,
    }
    for path, array in files.items():
        path.parent.mkdir(parents=True)
        image = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
        image.SetSpacing([CCF_STEP_MM] * 3)
        image.SetDirection([-1, 0, 0, 0, 1, 0, 0, 0, -1])
        SimpleITK.WriteImage(image, str(path))
    np.savez(folder / "ccf_2017_annotation_25_lateralized_unique_vals.npz", unique_labels=LABELS)


def _make_tracks(root, random):
    """Annotate a probe of one shank, and one of two, whose shanks have a file each."""
    starts = {"a": (15.25, 40.5, 30), "b1": (12, 80, 60.75), "b2": (12, 84, 63)}
    steps = np.linspace(0, 40, 9)[:, None] * [1, 0.4, 0.2]
    for name, start in starts.items():
        root.tracks_zyx[name] = np.array(start) + steps + random.uniform(-0.2, 0.2, (9, 3))
    layers = {"a": ("annotations_a", "probe A"), "b1": ("b_first", "B"), "b2": ("b_second", "B")}
    for name, (file, layer) in layers.items():
        write_annotation(root, root.folder / "notes" / f"{file}.json", layer, name)
    head = "mouseid sorted_recording probe_file probe_id probe_name annotation_format probe_shank"
    sorted_name = f"{RECORDING}_sorted_2024-02-02"
    rows = [
        [MOUSE, sorted_name, "annotations_a", "probe A", "ProbeA", "", ""],
        [MOUSE, sorted_name, "b_first", "B", "ProbeB", "json", "0"],
        [MOUSE, sorted_name, "b_second", "B", "ProbeB", "json", "1"],
    ]
    with (root.folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head.split(), *rows])


def write_annotation(root, path, layer, track, kind="point"):
    """Write a state with one layer, in the order of dimensions of the root."""
    points = [
        [dict(zip("zyx", zyx, strict=True)).get(axis, 0.5) for axis in root.layer_order]
        for zyx in root.tracks_zyx[track].tolist()
    ]
    if kind == "line":
        annotations = [
            {"type": "line", "pointA": a, "pointB": b, "id": str(n)}
            for n, (a, b) in enumerate(pairwise(points))
        ]
    else:
        annotations = [{"type": "point", "point": p, "id": str(n)} for n, p in enumerate(points)]
    steps = dict(zip("zyx", (SPACING_UM_ZYX / 1e6).tolist(), strict=True))
    dimensions = {axis: [steps.get(axis, 1.0), "m"] for axis in root.layer_order}
    source = {"url": "local://annotations", "transform": {"outputDimensions": dimensions}}
    state = {
        "layers": [
            {
                "type": "annotation",
                "name": layer,
                "source": source,
                "annotations": annotations,
            }
        ]
    }  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(state))
