"""The public package for the IBL alignment GUI, on the same data root as this program.

It cannot share an environment with zarr 3, so it runs in one of its own, that the variable
ALIGNMENT_REFERENCE_PYTHON names:

    uv venv --python 3.11 reference
    echo "wavpack-numcodecs; sys_platform == 'never'" > override.txt
    uv pip install --python reference --override override.txt \
        aind-ibl-ephys-alignment-preprocessing==0.8.2
"""

import csv
import json
import os
import shutil
import subprocess
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from alignment_root import ASSET, CHANNELS, LABELS, MOUSE, RECORDING, WORDS, make_root

from spimpack_tasks.alignment.brain import _levels_of
from spimpack_tasks.alignment.geometry import base_grid, parse_version, pipeline_grid
from spimpack_tasks.cli.main import main

PYTHON = os.environ.get("ALIGNMENT_REFERENCE_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="ALIGNMENT_REFERENCE_PYTHON names no environment"),
]
PROGRAM = """\
import dataclasses, socket, sys
from pathlib import Path
import aind_zarr_utils.io.transforms as transforms
from aind_ibl_ephys_alignment_preprocessing import pipeline
from aind_ibl_ephys_alignment_preprocessing.types import PipelineConfig
from iblatlas.atlas import AllenAtlas, BrainCoordinates

def refuse(*_):
    raise AssertionError("the network is used")

class Coordinates(AllenAtlas):
    '''The coordinates of the atlas without its volumes, which would be downloaded.'''
    def __init__(self, res_um, hist_path=None):
        self.res_um = res_um
        self.dims2xyz, self.xyz2dims = [1, 0, 2], [1, 0, 2]
        shape = (528, 456, 320)
        iorigin = pipeline_origin / res_um
        dxyz = res_um * 1e-6 * pipeline_signs
        self.bc = BrainCoordinates(nxyz=[shape[1], shape[0], shape[2]], xyz0=(0, 0, 0), dxyz=dxyz)
        self.bc = BrainCoordinates(
            nxyz=[shape[1], shape[0], shape[2]], xyz0=-self.bc.i2xyz(iorigin), dxyz=dxyz
        )

import numpy as np
from iblatlas.atlas import ALLEN_CCF_LANDMARKS_MLAPDV_UM
pipeline_origin = ALLEN_CCF_LANDMARKS_MLAPDV_UM["bregma"]
pipeline_signs = np.array([1, -1, -1])
socket.socket.connect = refuse
pipeline.AllenAtlas = Coordinates
known = transforms._PIPELINE_TEMPLATE_TRANSFORMS
for name, each in list(known.items()):
    known[name] = dataclasses.replace(each, base=sys.argv[3])
pipeline.run_pipeline(
    PipelineConfig(
        data_root=Path(sys.argv[1]), results_root=Path(sys.argv[2]), skip_ephys=True, emit_qc=True,
        neuroglancer_file=Path("neuroglancer.json"), manifest_csv=Path("manifest.csv"),
        output_voxel_size_um=float(sys.argv[4]),
    )
)
"""
LOAD = """\
import json, sys
from pathlib import Path
import jsonschema
from aind_ibl_ephys_alignment_preprocessing import datapackage
path, folder = Path(sys.argv[1]), Path(datapackage.__file__).parent / "schemas"
(schema,) = folder.glob("*/4.1.0/datapackage.schema.json")
jsonschema.validate(json.loads(path.read_text()), json.loads(schema.read_text()))
package = datapackage.load_datapackage(path)
roots = {k: Path(v.provenance["mounted_at"]) for k, v in package.external_assets.items()}
package.validate_paths(path.parent, asset_overrides=roots)
print(package.mouse_id, sum(len(probes) for probes in package.probes.values()))
"""
FRAMES = """\
import json, sys
from pathlib import Path
from aind_zarr_utils.pipeline_transformed import base_and_pipeline_anatomical_stub
asset, image, cases = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
metadata, processing = (
    json.loads((asset / name).read_text()) for name in ("metadata.nd.json", "processing.json")
)
for directions, version in cases:
    for axis, direction in zip(metadata["acquisition"]["axes"], directions):
        axis["direction"] = direction
    processing["processing_pipeline"]["data_processes"][0]["code_version"] = version
    stubs = base_and_pipeline_anatomical_stub(image, metadata, processing)[:2]
    print(json.dumps([[s.GetOrigin(), s.GetSpacing(), s.GetDirection()] for s in stubs]))
"""
CODES = [
    "".join(letters) for axes in permutations(("LR", "AP", "SI")) for letters in product(*axes)
]
VERSIONS = ["0.0.10", "0.0.18", "0.0.25", "0.0.31", "0.0.32", "0.0.33", "0.0.34", "0.1.0"]
VOXEL_UM = 35.0
"""What the public package takes."""
OUTPUT_UM = {"default": 30.0, "coarser": 120.0, "coarser and finer": 95.0}
"""Sides of the voxels of volumes. Those of the image have 100, 90 and 80 µm, and are kept where all
are larger."""


def reference(program, *arguments):
    """Run a program in the environment of the public package."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    return subprocess.run(
        [PYTHON, "-I", "-c", program, *map(str, arguments)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module", params=OUTPUT_UM.values(), ids=OUTPUT_UM)
def roots(tmp_path_factory, request):
    """Return results of this program and of the public one, from the same data."""
    folder = tmp_path_factory.mktemp("reference")
    data = make_root(folder / "data").folder
    _fill_in_formats(data / "manifest.csv")
    _name_one_source(data / "neuroglancer.json")
    for made in (data / "spim_template_to_ccf").glob("syn_*"):
        stem, _, ending = made.name.partition(".")
        name = f"spim_template_to_ccf_{stem}_25.{ending}"
        (folder / "s3").mkdir(exist_ok=True)
        shutil.copy(made, folder / "s3" / name)
    theirs = folder / "theirs"
    theirs.mkdir()
    done = reference(PROGRAM, data, theirs, folder / "s3", request.param)
    assert done.returncode == 0, done.stderr[-3000:]
    chosen = ["--desired-voxel-size-um", str(VOXEL_UM), "--skip-ephys", "--qc"]
    chosen += ["--output-voxel-size-um", str(request.param)]
    ours = ["--data-root", str(data), "--results-root", str(folder / "ours")]
    assert main(["align", *ours, *chosen]) == 0
    (their_folder,) = (each for each in theirs.iterdir() if each.is_dir())
    return folder / "ours" / MOUSE, their_folder


def _fill_in_formats(path):
    """Write the format into each row: the public package skips rows without one (U4)."""
    rows = [*csv.DictReader(path.read_text().splitlines())]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"annotation_format": "json"} for row in rows)


def _name_one_source(path):
    """Write the source of the image as a text: the public package sees none in a list (U12)."""
    state = json.loads(path.read_text())
    for layer in state["layers"]:
        layer["source"] = layer["source"][0]["url"]
    path.write_text(json.dumps(state))


def picks(path):
    return np.array(json.loads(path.read_text())["xyz_picks"])


def test_i20_07_frames_are_those_of_the_public_package(roots):
    asset = roots[0].parent.parent / "data" / ASSET
    image = str(asset / "image_tile_fusing" / "OMEZarr" / f"{CHANNELS[0]}.zarr")
    cases = [([WORDS[letter] for letter in code[::-1]], v) for code in CODES for v in VERSIONS]
    done = reference(FRAMES, asset, image, json.dumps(cases))
    theirs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]
    assert len(theirs) == len(cases) == 48 * 8, done.stderr[-2000:]
    levels = _levels_of(image)
    numbers = iter(theirs)
    for code in CODES:
        for version in VERSIONS:
            grids = (
                base_grid(levels, 0, code),
                pipeline_grid(levels, 0, code, parse_version(version)),
            )
            for grid, wanted in zip(grids, next(numbers), strict=True):
                found = (grid.origin_mm_lps, grid.spacing_mm_xyz, grid.direction)
                for a, b in zip(found, wanted, strict=True):
                    assert np.abs(np.subtract(a, b)).max() <= 1e-9, (code, version)


@pytest.mark.parametrize("probe", ["ProbeA", "ProbeB"])
def test_i20_04_points_are_those_of_the_public_package(roots, probe):
    ours, theirs = (folder / RECORDING / probe for folder in roots)
    names = sorted(path.name for path in theirs.glob("xyz_picks*.json"))
    assert names == sorted(path.name for path in ours.glob("xyz_picks*.json"))
    for name in names:
        assert np.abs(picks(ours / name) - picks(theirs / name)).max() <= 0.005


@pytest.mark.parametrize("space", ["spim", "template", "ccf"])
def test_i20_03_points_for_slicer_are_those_of_the_public_package(roots, space):
    """Of the probe of one shank: of two, the public package keeps the last one (U3)."""
    found = [
        np.array([row[1:4] for row in csv.reader(text.splitlines()) if row[0][0] != "#"], float)
        for text in ((f / "track_data" / space / "probe A.fcsv").read_text() for f in roots)
    ]
    assert 1000 * np.abs(found[0] - found[1]).max() <= 0.01


def volumes(roots, name):
    return [SimpleITK.ReadImage(str(folder / name)) for folder in roots]


def voxels(image):
    return SimpleITK.GetArrayFromImage(image).astype(np.int64)


IMAGES = ["histology_registration", CHANNELS[1], "ccf_in_mouse", "labels_in_mouse"]


@pytest.mark.parametrize("name", IMAGES)
def test_i20_05_volumes_lie_where_those_of_the_public_package_lie(roots, name):
    ours, theirs = volumes(roots, f"image_space_histology/{name}.nrrd")
    assert ours.GetSize() == theirs.GetSize()
    for each in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert np.abs(np.subtract(getattr(ours, each)(), getattr(theirs, each)())).max() <= 1e-9


def test_i20_05_the_frame_of_the_pipeline_is_that_of_the_public_package(roots):
    name = "image_space_histology/histology_registration_pipeline.json"
    ours, theirs = (json.loads((folder / name).read_text()) for folder in roots)
    for key, values in theirs.pop("header").items():
        assert np.abs(np.subtract(ours["header"][key], values)).max() <= 1e-9
    assert {key: ours[key] for key in theirs} == theirs


@pytest.mark.parametrize("name", IMAGES[:3])
def test_i20_05_volumes_have_the_voxels_of_the_public_package(roots, name):
    ours, theirs = map(voxels, volumes(roots, f"image_space_histology/{name}.nrrd"))
    difference = np.abs(ours - theirs)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-4


def test_i20_05_u2_labels_are_those_of_the_public_package_inside_of_the_atlas(roots):
    """Outside of it the public package writes the first of its labels."""
    ours, theirs = map(voxels, volumes(roots, "image_space_histology/labels_in_mouse.nrrd"))
    differ = ours != theirs
    assert differ.any()
    assert set(ours[differ]) == {0}
    assert set(theirs[differ]) == {LABELS[0]}
    assert len(np.unique(ours)) == len(LABELS)


def test_i20_06_a_channel_in_the_space_of_the_atlas_is_that_of_the_public_package(roots):
    """Of the second channel: the public package does not warp that of the registration."""
    name = f"ccf_space_histology/histology_{CHANNELS[1]}.nrrd"
    ours, theirs = map(voxels, volumes(roots, name))
    difference = np.abs(ours - theirs)
    assert ours.any()
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-4


def test_i20_17_the_public_package_loads_our_datapackage(roots):
    done = reference(LOAD, roots[0] / "datapackage.json")
    assert done.stdout.split() == [MOUSE, "2"], done.stderr[-2000:]
    assert Path(roots[0].parent.parent / "data" / ASSET).is_dir()
