"""The tasks of the alignment: results, reruns, rows that fail alone, kills, wrong inputs."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK
import tifffile
from alignment_root import (
    ASSET,
    CCF_SIZE,
    CHANNELS,
    MOUSE,
    RECORDING,
    SHAPE_ZYX,
    SPACING_UM_ZYX,
    ccf_index,
    ccf_value,
    label_at,
    make_root,
    write_annotation,
    write_zarr,
)
from children import PRINT_PEAK_KIB

from spimpack_tasks import PrepareAlignment, WarpToImage
from spimpack_tasks.alignment import machine
from spimpack_tasks.alignment.chain import checked_chain
from spimpack_tasks.alignment.datapackage import write_datapackage
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, OutputError
from spimpack_tasks.validation.bids_validator import run_bids_validator

ROWS = {"a": ("ProbeA", "probe A", ""), "b1": ("ProbeB", "B", "_shank1")}
ROWS["b2"] = ("ProbeB", "B", "_shank2")
LEVEL = 160.0
"""Voxel size by which the second level is taken."""


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("origin") / "data")


@pytest.fixture
def root(origin, tmp_path):
    """Return a copy of the data root that a test may break."""
    shutil.copytree(origin.folder, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def _without_network(monkeypatch):
    def refuse(*_):
        message = "the network is used"
        raise AssertionError(message)

    monkeypatch.setattr(socket.socket, "connect", refuse)


def arguments(data, results, *more):
    chosen = ["--desired-voxel-size-um", str(LEVEL), "--skip-ephys", *map(str, more)]
    return ["align", "--data-root", str(data), "--results-root", str(results), *chosen]


def align(data, results, *more):
    return main(arguments(data, results, *more))


@pytest.fixture(scope="module")
def made(origin, tmp_path_factory):
    results = tmp_path_factory.mktemp("made") / "new" / "results"
    assert align(origin.folder, results, "--qc") == 0
    return results / MOUSE


def stamps(folder):
    return {p: p.stat().st_mtime_ns for p in Path(folder).rglob("*") if p.is_file()}


def content(folder):
    files = (p for p in Path(folder).rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def chain_of(data, results, **more):
    values = {"data_root": data, "results_root": results, "desired_voxel_size_um": LEVEL}
    return checked_chain(values | more)


def picks(path):
    return np.array(json.loads(path.read_text())["xyz_picks"])


@pytest.mark.parametrize("track", ROWS)
def test_i20_02_03_10_u3_tracks_are_those_of_the_closed_form(origin, made, track):
    collection, name, shank = ROWS[track]
    zyx, folder = origin.tracks_zyx[track], made / RECORDING / collection
    for path in (
        folder / f"xyz_picks{shank}.json",
        made / "track_data" / "bregma_xyz" / f"{name}{shank}_ccf.json",
    ):
        assert np.abs(picks(path) - origin.bregma_um(zyx)).max() < 0.01
    image = picks(folder / f"xyz_picks{shank}_image_space.json")
    assert np.abs(image - origin.image_ras_um(zyx)).max() < 0.001
    for space in ("spim", "template", "ccf"):
        path = made / "track_data" / space / f"{name}{shank}.fcsv"
        rows = [row for row in csv.reader(path.read_text().splitlines()) if row[0][0] != "#"]
        found = np.array([row[1:4] for row in rows], float)
        assert 1000 * np.abs(found - getattr(origin, space)(zyx)).max() < 0.01
        assert {len(row) for row in rows} == {14}


def test_i20_18_the_gui_finds_one_file_for_a_probe_of_one_shank(made):
    assert len([*(made / RECORDING / "ProbeA").glob("*xyz_picks.json")]) == 1
    names = {path.name for path in (made / RECORDING / "ProbeB").glob("xyz_picks_shank?.json")}
    assert names == {"xyz_picks_shank1.json", "xyz_picks_shank2.json"}


def test_i20_05_channels_lie_as_the_gui_wants_them(origin, made):
    image = SimpleITK.ReadImage(str(made / "image_space_histology" / "histology_registration.nrrd"))
    direction = image.GetDirection()
    code = SimpleITK.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(direction)
    assert code == "IRP"
    voxels = origin.voxels[CHANNELS[0]][::2, ::2, ::2]
    # The brain is z towards I, y towards P, x towards R; the GUI has I, R, P from the fastest on.
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), voxels.transpose(1, 2, 0))
    spacing = 2 * SPACING_UM_ZYX / 1000
    assert image.GetSpacing() == pytest.approx((spacing[0], spacing[2], spacing[1]))
    half = SPACING_UM_ZYX[::-1] / 2000
    assert image.GetOrigin() == pytest.approx((-half[0], half[1], -half[2]), abs=1e-9)
    for name in ("488 signal", "ccf_in_mouse", "labels_in_mouse"):
        other = SimpleITK.ReadImage(str(made / "image_space_histology" / f"{name}.nrrd"))
        assert other.GetOrigin() == image.GetOrigin()
        assert other.GetSize() == image.GetSize()


def test_i20_05_the_frame_of_the_pipeline_is_told_beside_the_image(origin, made):
    path = made / "image_space_histology" / "histology_registration_pipeline.json"
    header = json.loads(path.read_text())["header"]
    index = np.array([3, 5, 7])  # along I, R, P
    place = np.array(header["origin"]) + np.reshape(header["direction"], (3, 3)) @ (
        index * header["spacing"]
    )
    assert place == pytest.approx(origin.registered(index[[0, 2, 1]], level=1), abs=1e-9)


def test_i20_06_a_channel_in_the_space_of_the_atlas(origin, made):
    image = SimpleITK.ReadImage(str(made / "ccf_space_histology" / f"histology_{CHANNELS[0]}.nrrd"))
    found = SimpleITK.GetArrayFromImage(image)
    z, y, x = np.meshgrid(*(np.arange(20, n, 13) for n in found.shape), indexing="ij")
    ijk = np.stack([x, y, z], -1).reshape(-1, 3)
    places = [image.TransformIndexToPhysicalPoint([int(n) for n in each]) for each in ijk]
    back = origin.first.back(origin.second.back(np.array(places)))
    start = origin.registered(np.zeros(3), level=1)
    step = 2 * SPACING_UM_ZYX[::-1] / 1000
    index_xyz = (back - start) * [-1, 1, -1] / step
    voxels = origin.voxels[CHANNELS[0]][::2, ::2, ::2].astype(float)
    last = np.array(voxels.shape[::-1]) - 1
    for index, (i, j, k) in zip(index_xyz, ijk, strict=True):
        if (index < 0.01).any() or (index > last - 0.01).any():
            continue
        low, part = np.floor(index).astype(int), index % 1
        cube = voxels[low[2] : low[2] + 2, low[1] : low[1] + 2, low[0] : low[0] + 2]
        for share in part[::-1]:
            cube = (1 - share) * cube[0] + share * cube[1]
        assert abs(found[k, j, i] - cube) <= 1


@pytest.mark.parametrize("track", ROWS)
def test_i20_22_regions_along_a_track(origin, made, track):
    collection, _, shank = ROWS[track]
    path = made / RECORDING / collection / f"regions{shank}.tsv"
    rows = [*csv.DictReader(path.read_text().splitlines(), delimiter="\t")]
    bregma = np.array([[row[f"{axis}_um"] for axis in "xyz"] for row in rows], float)
    distance = np.array([row["distance_um"] for row in rows], float)
    assert (np.diff(distance) > 0).all()
    wanted = origin.bregma_um(origin.tracks_zyx[track])
    assert distance[-1] == pytest.approx(np.linalg.norm(np.diff(wanted, axis=0), axis=1).sum())
    assert bregma[[0, -1]] == pytest.approx(wanted[[0, -1]], abs=0.02)
    places_mm = np.stack(
        [-(bregma[:, 0] + 5739), 5400 - bregma[:, 1], bregma[:, 2] - 332], -1
    ) / 1000  # fmt: skip
    index = ccf_index(places_mm)
    is_far = (np.abs(index % 1 - 0.5) > 0.01).all(1)
    labels = np.array([row["region_id"] for row in rows], int)
    whole = np.rint(index).astype(int)
    inside = ((whole >= 0) & (whole < [114, 132, 80])).all(1)
    assert np.array_equal(labels[is_far & inside], label_at(whole)[is_far & inside])
    assert not labels[is_far & ~inside].any()
    assert [row["hemisphere"] for row in rows] == [
        "right" if x > 0 else "left" for x in bregma[:, 0]
    ]


def test_i20_17_u10_u11_the_datapackage_names_files_that_are_there(made):
    data = json.loads((made / "datapackage.json").read_text())
    assert (data["schema_version"], data["mouse_id"]) == ("4.1.0", MOUSE)
    assets = {key: each["name"] for key, each in data["external_assets"].items()}
    assert assets == {"smartspim": ASSET, "spim_template_to_ccf": "spim_template_to_ccf"}
    paths, stack = [], [data["histology"], data["probes"]]
    while stack:
        each = stack.pop()
        if isinstance(each, dict) and set(each) == {"asset", "path"}:
            paths.append(each["path"])
        elif isinstance(each, dict | list):
            stack += each.values() if isinstance(each, dict) else each
    assert len(paths) == 4 + 1 + 2 + 2 * 3
    assert all((made / path).is_file() for path in paths)
    assert "image_space_histology/488 signal.nrrd" in paths  # U10
    probe = data["probes"][RECORDING]["ProbeB"]
    assert [each["shank"] for each in probe["xyz_picks"]] == [1, 2]
    assert probe["num_shanks"] == 2


def test_i20_17_the_plain_form_on_request_and_a_missing_file(origin, made, tmp_path):
    shutil.copytree(made, tmp_path / MOUSE)
    chain = chain_of(origin.folder, tmp_path, datapackage_schema="1.0.0")
    write_datapackage(chain)
    data = json.loads((tmp_path / MOUSE / "datapackage.json").read_text())
    assert data["schema_version"] == "1.0.0"
    folder = "image_space_histology"
    assert data["histology"]["image_space"]["labels"] == f"{folder}/labels_in_mouse.nrrd"
    assert set(data["probes"]) == {"ProbeA", "ProbeB"}
    (tmp_path / MOUSE / folder / "labels_in_mouse.nrrd").unlink()
    with pytest.raises(OutputError, match=r"labels_in_mouse\.nrrd"):
        write_datapackage(chain)


REFERENCED = [
    f"{ASSET}/image_atlas_alignment/{CHANNELS[0]}/ls_to_template_SyN_1InverseWarp.nii.gz",
    "spim_template_to_ccf/syn_0GenericAffine.mat",
    f"image_space_histology/{CHANNELS[1]}.nrrd",
    f"ccf_space_histology/histology_{CHANNELS[0]}.nrrd",
    "image_space_histology/histology_registration_pipeline.json",
    f"{RECORDING}/ProbeB/xyz_picks_shank2.json",
    f"{RECORDING}/ProbeA/xyz_picks_image_space.json",
]


@pytest.mark.parametrize("schema", ["4.1.0", "1.0.0"])
@pytest.mark.parametrize("name", REFERENCED)
def test_i20_17_each_file_that_is_missing_is_named(root, made, tmp_path, name, schema):
    shutil.copytree(made, tmp_path / MOUSE)
    chain = chain_of(root, tmp_path, datapackage_schema=schema, qc=True)
    assert chain.brain
    (path,) = (folder / name for folder in (root, tmp_path / MOUSE) if (folder / name).exists())
    path.unlink()
    with pytest.raises(OutputError, match=f"1 missing file; run it again:\n{path}$"):
        write_datapackage(chain)


def test_the_datapackage_alone_is_written_again(root, tmp_path):
    assert align(root, tmp_path) == 0
    before = stamps(tmp_path)
    assert align(root, tmp_path, "--datapackage-only") == 0
    assert changed(before, stamps(tmp_path)) == {"datapackage.json", "coverage.json"}


def test_i20_14_a_second_run_changes_no_file(origin, made, capsys):
    before = stamps(made)
    assert align(origin.folder, made.parent, "--qc") == 0
    assert stamps(made) == before
    assert capsys.readouterr().out == f"made 3 tracks in {made}\n"


@pytest.mark.parametrize(
    "name", ["track_data/ccf/B_shank1.fcsv", "image_space_histology/ccf_in_mouse.nrrd", "qc.html"]
)
def test_i20_14_a_lost_file_is_made_again(origin, made, tmp_path, name):
    shutil.copytree(made, tmp_path / MOUSE)
    wanted = content(tmp_path / MOUSE)
    (tmp_path / MOUSE / name).unlink()
    assert align(origin.folder, tmp_path, "--qc") == 0
    assert content(tmp_path / MOUSE) == wanted


def changed(before, after):
    return {path.name for path in after if before.get(path) != after[path]}


@pytest.mark.slow
def test_i20_14_a_changed_annotation_repeats_its_track_alone(root, tmp_path):
    results = tmp_path / "results"
    assert align(root, results) == 0
    before = stamps(results)
    os.utime(root / "notes" / "b_first.json", ns=(1, 1))
    assert align(root, results) == 0
    names = changed(before, stamps(results))
    assert "xyz_picks_shank1.json" in names
    assert not {name for name in names if "shank2" in name or "robeA" in name or "nrrd" in name}
    before = stamps(results)
    assert align(root, results, "--desired-voxel-size-um", "50") == 0
    names = changed(before, stamps(results))
    assert {"ccf_in_mouse.nrrd", "labels_in_mouse.nrrd", "histology_registration.nrrd"} <= names
    assert not {n for n in names if "xyz_picks" in n or n.endswith(".fcsv") or "regions" in n}
    before = stamps(results)
    assert align(root, results, "--output-voxel-size-um", "200") == 0
    names = changed(before, stamps(results))
    assert {"ccf_in_mouse.nrrd", "labels_in_mouse.nrrd", "histology_registration.nrrd"} <= names
    assert not {n for n in names if "xyz_picks" in n or n.endswith(".fcsv") or "regions" in n}
    folder = results / MOUSE / "image_space_histology"
    volumes = [SimpleITK.ReadImage(str(path)) for path in sorted(folder.glob("*.nrrd"))]
    assert {each.GetSize() for each in volumes} == {(40, 45, 61)}
    assert {each.GetSpacing() for each in volumes} == {(0.2, 0.2, 0.2)}


def test_i20_11_u5_a_bad_row_fails_alone(origin, root, tmp_path, capsys):
    write_annotation(origin, root / "notes" / "b_first.json", "C", "b1")
    results = tmp_path / "results"
    assert align(root, results, "--validate-only") == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert (
        f"manifest.csv:3: probe_id: {root}/notes/b_first.json has no annotation layer 'B'" in said
    )
    assert not results.exists()
    assert align(root, results) == ExitCode.BAD_INPUT
    said = capsys.readouterr()
    assert "has no annotation layer 'B'" in said.out
    assert "Traceback" not in said.out + said.err
    folder = results / MOUSE
    assert (folder / RECORDING / "ProbeB" / "xyz_picks_shank2.json").is_file()
    assert (folder / "image_space_histology" / "labels_in_mouse.nrrd").is_file()
    assert not (folder / "datapackage.json").exists()
    assert align(root, results, "--allow-partial") == 0
    assert "left out: " in capsys.readouterr().out
    (gap,) = json.loads((folder / "coverage.json").read_text())["gaps"]
    assert gap["line"] == 3
    data = json.loads((folder / "datapackage.json").read_text())
    assert [e["shank"] for e in data["probes"][RECORDING]["ProbeB"]["xyz_picks"]] == [2]


def test_i20_11_a_row_that_cannot_be_read_is_a_gap(root, tmp_path, capsys):
    replace("manifest.csv", "B,ProbeB,json,0", "B,ProbeB,swc,0")(root)
    folder = tmp_path / "results" / MOUSE
    assert align(root, folder.parent) == ExitCode.BAD_INPUT
    assert "manifest.csv:3: annotation_format: 'swc' is not read" in capsys.readouterr().out
    assert (folder / RECORDING / "ProbeA" / "xyz_picks.json").is_file()
    assert not (folder / "datapackage.json").exists()
    assert align(root, folder.parent, "--allow-partial") == 0
    coverage = json.loads((folder / "coverage.json").read_text())
    assert [gap["line"] for gap in coverage["gaps"]] == [3]
    assert [made["line"] for made in coverage["made"]] == [2, 4]


@pytest.fixture
def results(origin, made, tmp_path):
    """Return a copy of the results, which a run finds all made."""
    shutil.copytree(made.parent, tmp_path / "results")
    assert align(origin.folder, tmp_path / "results", "--qc") == 0
    return tmp_path / "results"


LISTS = ("datapackage.json", "coverage.json")


def lists(results):
    return [name for name in LISTS if (results / MOUSE / name).exists()]


@pytest.mark.slow
def test_a_run_with_a_gap_leaves_no_list_of_other_results(root, tmp_path):
    results = tmp_path / "results"
    assert align(root, results) == 0
    assert lists(results) == [*LISTS]
    remove("notes/b_first.json")(root)
    for _ in range(2):
        assert align(root, results) == ExitCode.BAD_INPUT
        assert lists(results) == []
        assert align(root, results, "--allow-partial") == 0
        assert lists(results) == [*LISTS]


def test_a_run_that_fails_leaves_no_list_of_lost_results(origin, made, results, monkeypatch):
    def fail(*_):
        message = "no"
        raise OutputError(message)

    labels = results / MOUSE / "image_space_histology" / "labels_in_mouse.nrrd"
    labels.unlink()
    with monkeypatch.context() as patched:
        patched.setattr("spimpack_tasks.alignment.volumes.warp_labels", fail)
        assert align(origin.folder, results, "--qc") == ExitCode.FAILED
    assert lists(results) == []
    assert align(origin.folder, results, "--qc") == 0
    assert content(results / MOUSE) == content(made)
    labels.unlink()
    assert align(origin.folder, results, "--qc", "--datapackage-only") == 0
    assert labels.is_file()
    assert content(results / MOUSE) == content(made)


def test_a_list_that_another_has_changed_is_not_removed(origin, results, monkeypatch):
    path = results / MOUSE / "datapackage.json"
    path.write_text("{}")
    monkeypatch.setattr("spimpack_tasks.alignment.datapackage.compose_datapackage", None)
    assert align(origin.folder, results, "--qc") == ExitCode.FAILED
    assert path.read_text() == "{}"


def test_no_track_at_all_is_no_part_of_a_result(root, tmp_path, capsys):
    remove("notes")(root)
    assert align(root, tmp_path / "results", "--allow-partial") == ExitCode.BAD_INPUT
    assert "3 errors" in capsys.readouterr().err
    values = {"data_root": str(root), "results_root": str(tmp_path / "results")}
    assert PrepareAlignment(**values, allow_partial=True).verdict() == ExitCode.BAD_INPUT
    assert not (tmp_path / "results").exists()


KILLED = """\
import os, signal, sys
rename = os.rename
def rename_or_die(source, target, **more):
    if str(target).endswith("labels_in_mouse.nrrd"):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target, **more)
os.rename = rename_or_die
from spimpack_tasks.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_i20_15_a_killed_run_leaves_no_part_of_a_file(origin, made, tmp_path):
    command = [sys.executable, "-c", KILLED, *arguments(origin.folder, tmp_path, "--qc")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    folder = tmp_path / MOUSE
    assert not (folder / "image_space_histology" / "labels_in_mouse.nrrd").exists()
    assert align(origin.folder, tmp_path, "--qc") == 0
    assert content(folder) == content(made)


@pytest.mark.slow
def test_i20_16_two_workers_make_equal_bytes(origin, made, tmp_path):
    assert align(origin.folder, tmp_path, "--qc", "--workers", "2") == 0
    assert content(tmp_path / MOUSE) == content(made)


@pytest.mark.slow
def test_i20_16_two_runs_at_once_make_equal_bytes(origin, made, tmp_path):
    """Each step is made by one of them, while the other one waits."""
    program = "import sys\nfrom spimpack_tasks.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *arguments(origin.folder, tmp_path, "--qc")]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for run in runs:
        _, said = run.communicate()
        assert run.returncode == 0, said
    assert content(tmp_path / MOUSE) == content(made)


OFFLINE = f"""\
import socket, sys
def refuse(*_):
    raise AssertionError("the network is used")
socket.socket.connect = socket.getaddrinfo = refuse
from luigi.cmdline import luigi_run
try:
    luigi_run(sys.argv[1:])
finally:
    {PRINT_PEAK_KIB}
"""
MOST_KB = 700_000


@pytest.mark.slow
def test_i20_01_luigi_runs_the_same_tasks_without_a_network(origin, made, tmp_path):
    command = [sys.executable, "-c", OFFLINE, "--module", "spimpack_tasks", "PrepareAlignment"]
    command += ["--local-scheduler", "--data-root", str(origin.folder), "--qc"]
    command += ["--results-root", str(tmp_path), "--desired-voxel-size-um", str(LEVEL)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / MOUSE) == content(made)
    assert int(done.stdout.split()[-1]) <= MOST_KB


def remove(name):
    def harm(root):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return harm


def replace(name, old, new, which=None):
    """Replace all of a text, or the one at an index."""

    def harm(root):
        path = root / name
        *parts, last = path.read_text().split(old)
        assert parts
        if which is None:
            path.write_text(new.join([*parts, last]))
        else:
            joints = [old] * len(parts)
            joints[which] = new
            pairs = zip(parts, joints, strict=True)
            path.write_text("".join(a + b for a, b in pairs) + last)

    return harm


def put_nan(root):
    path = root / f"{REGISTRATION}1InverseWarp.nii.gz"
    field = SimpleITK.ReadImage(str(path))
    voxels = np.full_like(SimpleITK.GetArrayFromImage(field), np.nan)
    broken = SimpleITK.GetImageFromArray(voxels, isVector=True)
    broken.CopyInformation(field)
    SimpleITK.WriteImage(broken, str(path))


def cut(name, length):
    return lambda root: os.truncate(root / name, length)


def scale_voxels(size):
    def harm(root):
        path = root / IMAGES / f"{CHANNELS[1]}.zarr" / ".zattrs"
        content = json.loads(path.read_text())
        transforms = content["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        transforms[0]["scale"][2] = size
        path.write_text(json.dumps(content))

    return harm


def put_nan_into_affine(root):
    path = root / f"{REGISTRATION}0GenericAffine.mat"
    content = path.read_bytes()
    path.write_bytes(content[:-8] + np.array([np.nan], "<f8").tobytes())


def move_atlas(path):
    image = SimpleITK.ReadImage(str(path))
    image.SetOrigin((20, 0, 0))
    SimpleITK.WriteImage(image, str(path))


def write_header(path):
    path.write_text(path.read_text().partition("\n")[0] + "\n")


ATLAS_TEMPLATE = "allen_mouse_ccf/average_template/average_template_25.nii.gz"
ATLAS = "allen_mouse_ccf_annotations_lateralized_compact/ccf_2017_annotation_25_lateralized_"
REGISTRATION = f"{ASSET}/image_atlas_alignment/{CHANNELS[0]}/ls_to_template_SyN_"
IMAGES = f"{ASSET}/image_tile_fusing/OMEZarr"
BROKEN = {
    "no data": (remove("."), "data_root: is no folder"),
    "no manifest": (remove("manifest.csv"), "manifest.csv: cannot be read"),
    "missing column": (replace("manifest.csv", "probe_name", "name"), "probe_name: is missing"),
    "no row": (lambda root: write_header(root / "manifest.csv"), "has no row"),
    "no template": (remove("allen_mouse_ccf"), "ccf_template: is missing"),
    "no labels": (remove(f"{ATLAS}compact.nrrd"), "ccf_labels: is missing"),
    "no ids": (remove(f"{ATLAS}unique_vals.npz"), "label_ids: is missing"),
    "no second registration": (remove("spim_template_to_ccf"), "template_to_ccf_dir: is missing"),
    "no affine": (remove(f"{REGISTRATION}0GenericAffine.mat"), "image_to_template_dir: is missing"),
    "no displacements": (remove(f"{REGISTRATION}1InverseWarp.nii.gz"), "1InverseWarp.nii.gz"),
    "no state": (remove("neuroglancer.json"), "neuroglancer.json: cannot be read"),
    "broken state": (lambda r: (r / "neuroglancer.json").write_text("{"), "is not JSON"),
    "no image layer": (replace("neuroglancer.json", '"image"', '"mesh"'), "has no image layer"),
    "no asset": (replace("neuroglancer.json", ASSET, "other"), "shows 'other'"),
    "no axes": (replace(f"{ASSET}/metadata.nd.json", "dimension", "d"), "has no axes with"),
    "doubled side": (
        replace(f"{ASSET}/metadata.nd.json", "Anterior_to_posterior", "Left_to_right"),
        "which are no z, y and x",
    ),
    "no import": (replace(f"{ASSET}/processing.json", "Image importing", "x"), "does not describe"),
    "other registration": (
        replace(f"{ASSET}/processing.json", "Template based", "Free"),
        "describes another registration",
    ),
    "no channel": (remove(f"{IMAGES}/{CHANNELS[0]}.zarr"), "the channel of the registration"),
    "no unit": (
        replace(f"{IMAGES}/{CHANNELS[0]}.zarr/.zattrs", "micrometer", ""),
        "axes without a unit",
    ),
    "version": (replace(f"{ASSET}/processing.json", "0.0.34", "main"), "version 'main'"),
    "empty version": (replace(f"{ASSET}/processing.json", "0.0.34", ""), "version ''"),
    "blank version": (replace(f"{ASSET}/processing.json", "0.0.34", "  "), "version '  '"),
    "no version": (replace(f"{ASSET}/processing.json", '"0.0.34"', "null"), "version 'None'"),
    "null for a state": (lambda r: (r / "neuroglancer.json").write_text("null"), "is empty: null"),
    "null for processing": (
        lambda r: (r / ASSET / "processing.json").write_text("null"),
        "processing.json: is empty: null",
    ),
    "null for metadata": (
        lambda r: (r / ASSET / "metadata.nd.json").write_text("null"),
        "metadata.nd.json: is empty: null",
    ),
    "voxels of 0": (scale_voxels(0), "has no size of voxels along x, y and z"),
    "voxels of -100": (
        scale_voxels(-100),
        f"{CHANNELS[1]}.zarr: has voxels of 80 x 90 x -100 µm at level 0, which are no",
    ),
    "two mice": (replace("manifest.csv", f"{MOUSE},{RECORDING}", f"7,{RECORDING}", -1), "mouseid"),
    "same shank": (replace("manifest.csv", "json,1", "json,0"), "is the same track as in line 3"),
}
DAMAGED = {
    "no unique ids": (
        lambda r: np.savez(r / f"{ATLAS}unique_vals.npz", ids=[1]),
        "has no whole numbers 'unique_labels'",
    ),
    "empty ids": (
        lambda r: (r / f"{ATLAS}unique_vals.npz").write_bytes(b""),
        "has no whole numbers 'unique_labels'",
    ),
    "no id": (
        lambda r: np.savez(r / f"{ATLAS}unique_vals.npz", unique_labels=np.zeros(0, int)),
        "has an empty list 'unique_labels'",
    ),
    "atlas elsewhere": (lambda r: move_atlas(r / ATLAS_TEMPLATE), "the Allen CCF at -11.5 to 0.1"),
    "damaged atlas": (
        lambda r: (r / ATLAS_TEMPLATE).write_bytes(b"no volume"),
        "is no volume that can be read",
    ),
    "damaged displacements": (
        lambda r: (r / f"{REGISTRATION}1InverseWarp.nii.gz").write_bytes(b"no field"),
        "1InverseWarp.nii.gz",
    ),
    "displacements of NaN": (put_nan, "displacements that are no finite numbers"),
    "damaged affine": (
        lambda r: (r / f"{REGISTRATION}0GenericAffine.mat").write_bytes(b"no map"),
        "is no transformation",
    ),
    "cut affine": (cut(f"{REGISTRATION}0GenericAffine.mat", 183), "is cut off: it has 183 bytes"),
    "cut template": (cut(ATLAS_TEMPLATE, 2000), "average_template_25.nii.gz: ccf_template: is cut"),
    "cut labels": (cut(f"{ATLAS}compact.nrrd", 2000), "compact.nrrd: ccf_labels: is cut off"),
    "affine of NaN": (put_nan_into_affine, "has numbers that are not finite"),
}


@pytest.mark.few(20)
@pytest.mark.parametrize(("harm", "said"), (BROKEN | DAMAGED).values(), ids=[*BROKEN, *DAMAGED])
def test_i20_12_u6_u7_broken_inputs_are_refused(root, tmp_path, capsys, harm, said):
    harm(root)
    for more in (["--validate-only"], []):
        assert align(root, tmp_path / "results", *more) == ExitCode.BAD_INPUT
        error = capsys.readouterr().err
        assert said in error
        assert error.rstrip().endswith("1 error"), error
    task = PrepareAlignment(data_root=str(root), results_root=str(tmp_path / "results"))
    if (harm, said) in BROKEN.values():  # damaged files are read by the first task
        assert task.verdict() == ExitCode.BAD_INPUT
    assert not (tmp_path / "results").exists()


def change_points(change):
    def harm(root):
        path = root / "notes" / "annotations_a.json"
        state = json.loads(path.read_text())
        annotations = state["layers"][0]["annotations"]
        state["layers"][0]["annotations"] = change(annotations)
        path.write_text(json.dumps(state))

    return harm


def with_number(value):
    return lambda points: [points[0] | {"point": [value, 1, 1, 0.5]}, *points[1:]]


def copy_annotation(folder):
    def harm(root):
        (root / folder).mkdir(exist_ok=True)
        shutil.copy(root / "notes" / "annotations_a.json", root / folder)

    return harm


def double_layer(root):
    path = root / "notes" / "annotations_a.json"
    path.write_text(json.dumps({"layers": 2 * json.loads(path.read_text())["layers"]}))


BROKEN_ROWS = {
    "swc": (replace("manifest.csv", "ProbeA,,", "ProbeA,swc,"), "'swc' is not read"),
    "empty cell": (replace("manifest.csv", "annotations_a", ""), "probe_file: is empty"),
    "shank": (
        replace("manifest.csv", "json,1", "json,one"),
        ":4: probe_shank: 'one' is no",
    ),
    "no annotation": (remove("notes/annotations_a.json"), "no file */annotations_a.json"),
    "two annotations": (copy_annotation("other"), "notes/annotations_a.json, "),
    "another above": (copy_annotation("."), "is the name of 2 files: "),
    "two layers": (
        double_layer,
        "notes/annotations_a.json has 2 annotation layers 'probe A'; give each layer a name",
    ),
    "polyline": (
        change_points(lambda points: [*points, {"type": "polyline", "points": []}]),
        "has a polyline (annotation 10) in layer 'probe A'; annotate a track by points or lines",
    ),
    "null": (lambda r: (r / "notes/annotations_a.json").write_text("null"), "is empty: null"),
    "no JSON": (lambda r: (r / "notes/annotations_a.json").write_text("{"), "is not JSON"),
    "other layer": (
        replace("notes/annotations_a.json", "probe A", "probe a"),
        "has no annotation layer 'probe A'; did you mean 'probe a'?",
    ),
    "no points": (change_points(lambda _: []), "has 0 points"),
    "one point": (change_points(lambda points: points[:1]), "has 1 points"),
    "NaN": (change_points(with_number(float("nan"))), "is no place"),
    "infinite": (change_points(with_number(float("inf"))), "is no place"),
    "outside": (change_points(with_number(1e4)), "is outside of the image"),
    "before": (change_points(with_number(-3)), "is outside of the image"),
}


@pytest.mark.parametrize(("harm", "said"), BROKEN_ROWS.values(), ids=BROKEN_ROWS)
def test_i20_12_u6_a_broken_row_is_one_error(root, tmp_path, capsys, harm, said):
    harm(root)
    assert align(root, tmp_path / "results", "--validate-only") == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.rstrip().endswith("1 error"), error
    assert "Traceback" not in error
    assert not (tmp_path / "results").exists()


def test_the_file_behind_each_row_is_told(root, tmp_path, capsys):
    (root / "linked").symlink_to("notes")
    assert align(root, tmp_path, "--validate-only") == 0
    said = capsys.readouterr().out
    assert f"line 2: {RECORDING}.ProbeA.probe A: linked/annotations_a.json\n" in said
    assert f"line 4: {RECORDING}.ProbeB.B_shank2: linked/b_second.json\n" in said


NEEDED = {"free_disk": 56 * 68 * 40 * 8, "free_memory": 404_815_360}
"""Bytes of two channels, template and labels at the second level, and of the memory of a step."""


def test_a_layer_that_counts_other_voxels_is_told(root, tmp_path, capsys):
    for name in ("annotations_a", "b_first"):
        replace(f"notes/{name}.json", "[0.0001,", "[25e-6,")(root)
    assert align(root, tmp_path, "--validate-only") == 0
    said = capsys.readouterr().out
    assert "the layer 'B' counts voxels of 25 x 90 x 80 µm (z, y, x), the image has 100 x" in said
    assert "2 warnings" in said


MACHINES = {
    "free_disk": (10**6, "1.0 MB free, the volumes need"),
    "free_memory": (10**8, "405 MB of memory for a step, 100 MB are free"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_i20_12_a_machine_that_is_too_small_is_refused(origin, tmp_path, capsys, monkeypatch, name):
    free, said = MACHINES[name]
    monkeypatch.setattr(machine, name, lambda *_: free)
    for more in (["--validate-only"], []):
        assert align(origin.folder, tmp_path / "results", *more) == ExitCode.BAD_INPUT
        error = capsys.readouterr().err
        assert said in error
        assert error.rstrip().endswith("1 error"), error
    assert not (tmp_path / "results").exists()
    monkeypatch.setattr(machine, name, lambda *_: int(1.5 * NEEDED[name]))
    assert align(origin.folder, tmp_path / "results", "--validate-only") == 0
    assert "1 warning" in capsys.readouterr().out


def test_i20_12_results_that_are_made_need_no_space(origin, made, monkeypatch):
    for name in ("free_disk", "free_memory"):
        monkeypatch.setattr(machine, name, lambda *_: 0)
    assert align(origin.folder, made.parent, "--qc") == 0


def test_i20_12_results_that_have_no_place_are_refused(origin, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert align(origin.folder, tmp_path / "file" / "results") == ExitCode.BAD_INPUT
    assert f"results_root: cannot be made: {tmp_path}/file is no folder" in capsys.readouterr().err


def test_files_of_another_program_are_kept(root, tmp_path, capsys):
    folder = tmp_path / "results" / MOUSE
    folder.mkdir(parents=True)
    (folder / "datapackage.json").write_text("{}")
    assert align(root, folder.parent) == ExitCode.BAD_INPUT
    assert f"{folder}: results_root: holds 'datapackage.json'" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["datapackage.json"]


def test_all_problems_are_told_at_once(root, tmp_path, capsys):
    for name in ("allen_mouse_ccf", "spim_template_to_ccf", "notes/annotations_a.json"):
        remove(name)(root)
    assert align(root, tmp_path / "results") == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "3 errors" in said
    assert f"no file */annotations_a.json is below {root}" in said


def test_points_outside_of_the_image_are_refused(origin, root, tmp_path, capsys):
    origin.tracks_zyx["far"] = origin.tracks_zyx["a"] * 8
    write_annotation(origin, root / "notes" / "annotations_a.json", "probe A", "far")
    assert align(root, tmp_path / "results", "--validate-only") == ExitCode.BAD_INPUT
    assert "is outside of the image of 112 x 136 x 80 voxels" in capsys.readouterr().err


def test_labels_that_do_not_fit_their_ids_are_named(root, tmp_path, caplog):
    """Which voxels alone tell, so that no check of headers finds it."""
    path = root / f"{ATLAS}unique_vals.npz"
    np.savez(path, unique_labels=[0, 1])
    assert align(root, tmp_path / "results") == ExitCode.FAILED
    assert "but there are only 2 ids; give the file of ids of this volume" in caplog.text
    assert "Traceback" not in caplog.text
    assert (tmp_path / "results" / MOUSE / "image_space_histology" / "ccf_in_mouse.nrrd").is_file()


def write_native_registration(origin, folder):
    """Write the registration as one of the image where that says it lies."""
    middle = origin.first.point(origin.registered(np.array(SHAPE_ZYX) / 2)[None])[0]
    moved = origin.registered((0, 0, 0)) - origin.spim((0, 0, 0))
    native = dataclasses.replace(origin.first, shift=origin.first.shift - moved)
    native.write(folder, "", middle - 12, middle + 12)


def shift_affine(by_mm):
    def harm(root):
        path = str(root / f"{REGISTRATION}0GenericAffine.mat")
        affine = SimpleITK.AffineTransform(SimpleITK.ReadTransform(path))
        affine.SetTranslation((np.array(affine.GetTranslation()) + by_mm).tolist())
        SimpleITK.WriteTransform(affine, path)

    return harm


@pytest.mark.parametrize("by_mm", [(0, 40, 0), (0, 15, 0)], ids=str)
def test_tracks_off_the_atlas_are_refused_by_their_registration(root, tmp_path, capsys, by_mm):
    shift_affine(by_mm)(root)
    for more in (["--validate-only"], []):
        assert align(root, tmp_path / "results", *more) == ExitCode.BAD_INPUT
        error = capsys.readouterr().err
        assert "manifest.csv:2: probe_id: no point of 'probe A' lies in" in error
        assert f"look at the registration ({root}/{REGISTRATION}0GenericAffine.mat, " in error
    assert not (tmp_path / "results").exists()


def test_tracks_that_leave_the_atlas_are_told(origin, root, tmp_path, capsys):
    """Of a template without its lower half."""
    for name in (ATLAS_TEMPLATE, f"{ATLAS}compact.nrrd"):
        image = SimpleITK.ReadImage(str(root / name))
        depth = -origin.ccf(origin.tracks_zyx["a"])[:, 2] / 0.1
        bottom = int(np.sort(depth)[5])
        SimpleITK.WriteImage(image[:, :, :bottom], str(root / name))
    assert align(root, tmp_path / "results", "--validate-only") == 0
    said = capsys.readouterr().out
    count = (depth > bottom - 0.5).sum()
    assert 1 < count < 9
    assert f"{count} of 9 points of 'probe A' lie outside of the atlas: " in said


def change_labels(change):
    def harm(root):
        path = str(root / f"{ATLAS}compact.nrrd")
        SimpleITK.WriteImage(change(SimpleITK.ReadImage(path)), path)

    return harm


def moved(image):
    image.SetOrigin((0, 0.2, 0))
    return image


def stretched(image):
    image.SetSpacing((0.1, 0.098, 0.1))
    return image


OTHER_LABELS = {"cropped": lambda image: image[:, :-1], "moved": moved, "stretched": stretched}


@pytest.mark.parametrize("change", OTHER_LABELS.values(), ids=OTHER_LABELS)
def test_labels_of_another_grid_than_the_template_are_refused(root, tmp_path, capsys, change):
    change_labels(change)(root)
    if change is moved:  # so that they still lie where the CCF lies
        change_labels(lambda image: image[:, :-2])(root)
    assert align(root, tmp_path, "--validate-only") == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert f"{ATLAS}compact.nrrd: ccf_labels: has 80 x 114 x 13" in error
    assert "give the labels of this template" in error


def test_labels_whose_axes_run_otherwise_are_those_of_the_template(root, tmp_path):
    change_labels(lambda image: SimpleITK.DICOMOrient(image, "LPS"))(root)
    assert align(root, tmp_path, "--validate-only") == 0


def test_labels_of_one_value_are_named(root, tmp_path, caplog):
    change_labels(lambda image: image * 0 + 5)(root)
    assert align(root, tmp_path) == ExitCode.FAILED
    assert f"{ATLAS}compact.nrrd: has the single value 5 at all voxels" in caplog.text
    assert not (tmp_path / MOUSE / "image_space_histology" / "labels_in_mouse.nrrd").exists()


def test_i20_20_an_image_of_a_dataset_gives_equal_points(origin, made, root, tmp_path, capsys):
    image = root / "sub-000001" / "micr" / "sub-000001_sample-brain_SPIM.ome.zarr"
    image.parent.mkdir(parents=True)
    write_zarr(image, origin.voxels[CHANNELS[0]], SPACING_UM_ZYX, axes="zyx", zarr_format=3)
    sidecar = image.with_name("sub-000001_sample-brain_SPIM.json")
    sidecar.write_text(json.dumps({"OrientationStringXYZ": "RPI"}))
    authors = ["Ada Lovelace", "Charles Babbage"]
    (root / "dataset_description.json").write_text(json.dumps({"Authors": authors}))
    remove("neuroglancer.json")(root)
    results = tmp_path / "derivatives" / "alignment"
    results.mkdir(parents=True)
    (results / "README.md").write_text(20 * "Results of ours.\n")
    write_native_registration(origin, tmp_path / "native")
    more = ["--image", image, "--image-to-template-dir", tmp_path / "native"]
    assert align(root, results, *more) == 0, capsys.readouterr()
    folder = results / "sub-000001"
    for kind in ("", "_image_space"):
        name = f"{RECORDING}/ProbeA/xyz_picks{kind}.json"
        assert np.abs(picks(folder / name) - picks(made / name)).max() < 0.001
    description = json.loads((results / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "spimpack_tasks"
    assert description["SourceDatasets"] == [{"URL": f"file://{root}"}]
    assert description["Authors"] == authors
    assert (results / "README.md").read_text() == 20 * "Results of ours.\n"
    report = run_bids_validator(results)
    assert [each.code for each in [*report.errors, *report.warnings]] == []
    (root / "dataset_description.json").write_text(json.dumps({"Authors": authors[:1]}))
    before = stamps(results)
    assert align(root, results, *more) == 0
    names = {"dataset_description.json", "datapackage.json", "coverage.json", "validation.json"}
    assert changed(before, stamps(results)) <= names | {"README.md", ".bidsignore"}
    description = json.loads((results / "dataset_description.json").read_text())
    assert description["Authors"] == authors[:1]
    sidecar.write_text("{}")
    assert align(root, results, *more) == ExitCode.BAD_INPUT
    assert "OrientationStringXYZ: is missing" in capsys.readouterr().err


def test_i20_04_other_orders_of_dimensions_give_equal_numbers(origin, made, root, tmp_path):
    origin_order, origin.layer_order = origin.layer_order, ("x", "y", "z")
    try:
        write_annotation(origin, root / "notes" / "annotations_a.json", "probe A", "a", "line")
    finally:
        origin.layer_order = origin_order
    assert align(root, tmp_path) == 0
    name = f"{RECORDING}/ProbeA/xyz_picks.json"
    assert (tmp_path / MOUSE / name).read_bytes() == (made / name).read_bytes()


def test_i20_22_a_folder_of_brainglobe_gives_the_same_regions_with_their_names(
    made, root, tmp_path
):
    index = np.stack(np.indices(CCF_SIZE), -1)
    folder = root / "brainglobe"
    folder.mkdir()
    for name, values in {
        "reference": ccf_value(index).astype(np.uint16),
        "annotation": np.abs(label_at(index)).astype(np.uint32),
    }.items():
        # Axes: to the back, down, to the right.
        voxels = values.transpose(1, 2, 0)
        tifffile.imwrite(folder / f"{name}.tiff", voxels, photometric="minisblack")
    metadata = {"orientation": "asl", "resolution": [100, 100, 100], "shape": voxels.shape}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    structures = [{"id": n, "acronym": f"R{n}"} for n in range(101, 106)]
    (folder / "structures.json").write_text(json.dumps(structures))
    remove("allen_mouse_ccf")(root)
    remove(ATLAS.partition("/")[0])(root)
    assert align(root, tmp_path / "out", "--atlas", folder) == 0
    name = f"{RECORDING}/ProbeB/regions_shank1.tsv"
    found, wanted = (
        [*csv.DictReader((place / name).read_text().splitlines(), delimiter="\t")]
        for place in (tmp_path / "out" / MOUSE, made)
    )
    labels = [str(abs(int(each["region_id"]))) for each in wanted]
    assert [each["region_id"] for each in found] == labels
    assert {each["acronym"] for each in found} == {f"R{n}" for n in labels} - {"R0"}
    assert [each["hemisphere"] for each in found] == [each["hemisphere"] for each in wanted]
    volume = f"{MOUSE}/image_space_histology/labels_in_mouse.nrrd"
    mine, theirs = (
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(place / volume)))
        for place in (tmp_path / "out", made.parent)
    )
    # At the middle plane a region of both sides has a larger share than two of one side.
    assert (mine != np.abs(theirs)).mean() < 0.02
    table = (tmp_path / "out" / MOUSE / "image_space_histology/region_volumes.tsv").read_text()
    rows = [*csv.DictReader(table.splitlines(), delimiter="\t")]
    assert {row["region_id"]: int(row["voxels"]) for row in rows} == {
        str(n): (mine == n).sum() for n in range(101, 106)
    }


def test_i20_16_steps_ask_for_memory_where_the_configuration_knows_it(monkeypatch, root):
    task = WarpToImage(data_root=str(root), results_root=str(root / "out"), kind="labels")
    assert task.process_resources() == {}
    monkeypatch.setattr(
        "spimpack_tasks.alignment.tasks.base.get_config",
        lambda: SimpleNamespace(getintdict=lambda _: {"memory_mb": 8000, "other": 1}),
    )
    assert task.process_resources() == {"memory_mb": 700}


IMPORTED = """\
import sys
for name in ("SimpleITK", "ants", "numpy", "zarr", "tifffile", "PIL"):
    sys.modules[name] = None
import spimpack_tasks
assert spimpack_tasks.PrepareAlignment and spimpack_tasks.RegisterToTemplate
loaded = {name for name, module in sys.modules.items() if module is not None}
assert not loaded & {"SimpleITK", "ants", "numpy", "zarr", "tifffile", "PIL"}
"""


def test_i20_23_the_package_is_imported_without_the_extras():
    subprocess.run([sys.executable, "-c", IMPORTED], check=True)


def test_the_root_has_the_size_that_tests_think():
    assert SHAPE_ZYX == (80, 136, 112)
