"""The backend ome-tiff: what BIDS does not hold becomes OME-TIFF, the rest is linked."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import ome_types
import plane_sources as sources
import pytest
import tifffile
from children import start, wait
from plane_harm import Killer, kill
from plane_sources import SPACING_UM, compose_voxels
from workspace import Workspace, leftovers, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.manifest import headers
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.store import Store
from spimpack_tasks.validation.bids_validator import run_bids_validator
from spimpack_tasks.verification.verify import verify_fast, verify_full
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.tiff import layout as ome_tiff
from spimpack_tasks.volumes.tiff.ome_xml_writer import is_made_from

SHAPE = (1, 2, 5, 300, 37)
BACKEND = "ome-tiff"
STEM = "sub-01/micr/sub-01_sample-brain_SPIM"
IMAGE = f"{STEM}.ome.tif"

SOURCES = {
    "a.ims": ("ome-tiff", sources.write_imaris),
    "a.ozx": ("ome-tiff:codec=zstd", sources.write_zip),
    "a.nii.gz": ("ome-tiff:codec=zlib", sources.write_nifti),
    "a.ome.tif": ("ome-tiff:convert=all", sources.write_ome),
    "a.ome.btf": (
        "ome-tiff:convert=all",
        lambda path, voxels: sources.write_ome(path, voxels, bigtiff=True),
    ),
    "a.ome.zarr": ("ome-tiff:codec=zstd,convert=all", sources.write_zarr),
    "a.tif": ("ome-tiff:convert=all", sources.write_pages),  # of one channel
}
VOXELS = compose_voxels(SHAPE)


def space_of(root: Path, name: str) -> Workspace:
    (root / "raw").mkdir(exist_ok=True)
    SOURCES[name][1](root / "raw" / name, VOXELS)
    workspace = Workspace(root)
    z, y, x = SPACING_UM
    row = {"spim_path": f"raw/{name}", "subject": "01", "sample": "brain"}
    row |= {"axes": "ZYX"} if name == "a.tif" else {}  # it does not say what its pages are
    row |= {"orientation_string_xyz": "RPI", "sample_staining": "YoPro;Aβ"}
    workspace.rows.append(row | {"PixelSize": f"{x};{y};{z}", "PixelSizeUnits": "um"})
    return workspace


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return space_of(tmp_path, "a.ims")


def stamp(space: Workspace, path: str = IMAGE) -> tuple[int, int]:
    status = os.lstat(space.out / path)
    return status.st_ino, status.st_mtime_ns


@pytest.mark.few(5)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", SOURCES)
def test_an_image_becomes_an_ome_tiff(tmp_path, name, workers):
    space = space_of(tmp_path, name)
    backend, _ = SOURCES[name]
    assert space.run(workers, backend=backend).exit_code == ExitCode.OK
    wanted = VOXELS[:, :1] if name == "a.tif" else VOXELS
    with tifffile.TiffFile(space.out / IMAGE) as file:
        assert not file.is_bigtiff
        assert np.array_equal(file.asarray().reshape(wanted.shape), wanted)
        levels = [level.shape[-2:] for level in file.series[0].levels]
        assert levels == [(300, 37), (150, 18)]
        codec = "ZSTD" if "zstd" in backend else "ADOBE_DEFLATE"
        assert file.pages[0].compression.name == codec
        told = ome_types.from_xml(file.ome_metadata, validate=True)
    pixels = told.images[0].pixels
    assert [channel.name for channel in pixels.channels] == ["YoPro", "Aβ"][: wanted.shape[1]]
    colours = [channel.color.as_rgb_tuple()[:3] for channel in pixels.channels]
    assert colours == [(0, 255, 0), (255, 0, 255)][: wanted.shape[1]]
    assert [getattr(pixels, f"physical_size_{axis}") for axis in "zyx"] == list(SPACING_UM)
    assert {getattr(pixels, f"physical_size_{axis}_unit").value for axis in "zyx"} == {"µm"}
    assert run_bids_validator(space.out).errors == ()
    assert list(verify_fast(Store(str(space.out)))) == []
    before = space.stamps()
    assert space.run(workers, backend=backend).lines("out")[0].startswith("Nothing to do")
    assert space.stamps() == before


def test_what_bids_holds_is_linked(tmp_path):
    workspace = small_workspace(tmp_path)
    assert workspace.run(backend=BACKEND).exit_code == ExitCode.OK
    links = {os.path.basename(p) for p, (kind, _) in workspace.tree().items() if kind == "link"}
    stem = "sample-brain_acq-4x_SPIM"
    assert links == {f"sub-02_{stem}.ome.zarr", f"sub-03_{stem}.ome.tif"}
    assert not (workspace.out / ".bidsignore").exists()


def test_it_tells_what_it_was_made_from_but_no_path(space):
    space.run(backend=BACKEND)
    with tifffile.TiffFile(space.out / IMAGE) as file:
        text = file.ome_metadata
    told = ome_types.from_xml(text, validate=True)
    annotation, kept = told.structured_annotations
    spaces = annotation.namespace, kept.namespace
    assert spaces == ("spimpack_tasks", "spimpack_tasks/original")
    assert annotation.value["converted_from"] == "Imaris"
    assert told.images[0].annotation_refs[0].id == annotation.id
    assert str(space.root) not in text
    assert "a.ims" not in text


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("is_large", [False, True])
def test_the_plan_knows_the_extension_that_the_file_gets(tmp_path, monkeypatch, name, is_large):
    monkeypatch.setattr(ome_tiff, "LARGEST_CLASSIC", 0 if is_large else 2**32)
    space = space_of(tmp_path, name)
    backend, _ = SOURCES[name]
    assert space.run(backend=backend).exit_code == ExitCode.OK
    made = space.out / (f"{STEM}.ome.btf" if is_large else IMAGE)
    with tifffile.TiffFile(made) as file:
        assert file.is_bigtiff == is_large


@pytest.mark.parametrize("name", SOURCES)
def test_the_size_is_told_by_the_header(tmp_path, monkeypatch, name):
    """One byte less than it takes, and it does not fit any more."""
    planes = 5 if name == "a.tif" else 10
    size = planes * 3 * 256 * 256 * 2  # two tiles, and one of the smaller level
    space = space_of(tmp_path, name)
    backend, _ = SOURCES[name]
    for most, ending in ((size, ".ome.tif"), (size - 1, ".ome.btf")):
        monkeypatch.setattr(ome_tiff, "LARGEST_CLASSIC", most)
        SESSION.reset()
        space.write()
        (asset,) = prepare_run(space.options(backend=backend)).dataset.assets
        assert asset.extension == ending


SIZES = {
    "of the file": ("a.ims", {"PixelSize": "", "PixelSizeUnits": ""}, (0.5, 2.6, 4.0)),
    "in another unit": (
        "a.ims",
        {"PixelSize": "0.0005;0.0026;0.004", "PixelSizeUnits": "mm"},
        (0.5, 2.6, 4.0),
    ),
    "somewhat rounded": ("a.ims", {"PixelSize": "0.5;2.601;4"}, (0.5, 2.601, 4.0)),
    "insisted on": (
        "a.ims",
        {"PixelSize": "1;1;3", "override_header": "PixelSize"},
        (1.0, 1.0, 3.0),
    ),
    "that the file has not": ("a.tif", {}, (0.5, 2.6, 4.0)),
}


@pytest.mark.parametrize("case", SIZES)
def test_the_size_of_a_voxel_is_that_of_the_sidecar(tmp_path, case):
    """Else the official validator would call the dataset inconsistent."""
    name, cells, wanted_um = SIZES[case]
    space = space_of(tmp_path, name)
    space.rows[0] |= cells
    assert space.run(backend=SOURCES[name][0]).exit_code == ExitCode.OK
    assert read_header(str(space.out / IMAGE), "OME-TIFF").spacing_um_xyz == wanted_um
    assert run_bids_validator(space.out).errors == ()


def test_planning_reads_a_header_once(tmp_path, monkeypatch):
    workspace = small_workspace(tmp_path)
    read = []
    original = headers.read_header
    monkeypatch.setattr(headers, "read_header", lambda *a: (read.append(a[0]), original(*a))[1])
    SESSION.reset()
    workspace.run(backend=f"{BACKEND}:convert=all")
    assert len(read) == len(set(read)) == 3
    SESSION.reset()
    workspace.rows[0]["Species"] = "vole"
    workspace.run(backend=f"{BACKEND}:convert=all")
    assert len(read) == 3


EDITS = {
    "the source": (True, lambda s: sources.write_imaris(s.root / "raw/a.ims", VOXELS[:, :, ::-1])),
    "the size": (True, lambda s: s.rows[0].update(PixelSize="0.5;2.601;4")),
    "the codec": (True, "ome-tiff:codec=zstd"),
    "a stain": (True, lambda s: s.rows[0].update(sample_staining="NeuN;Aβ")),
    "the codec by its name": (False, "ome-tiff:codec=zlib"),
    "others": (False, "ome-tiff:convert=all"),
    "the orientation": (False, lambda s: s.rows[0].update(orientation_string_xyz="LAS")),
    "another key": (False, lambda s: s.rows[0].update(Species="vole")),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_it_is_made_of_makes_it_anew_and_nothing_else_does(space, edit):
    space.run(backend=BACKEND)
    before = stamp(space)
    is_anew, change = EDITS[edit]
    backend = change if isinstance(change, str) else BACKEND
    if callable(change):
        change(space)
    assert space.run(backend=backend).exit_code == ExitCode.OK
    assert (stamp(space) != before) == is_anew
    assert space.run(backend=backend).lines("out")[0].startswith("Nothing to do")


def test_the_plan_tells_why_an_image_is_made_anew(space, capsys):
    command = ["plan", "--manifest", str(space.manifest), "--output-dir", str(space.out)]
    space.run(backend=BACKEND)
    assert main([*command, "--backend", "ome-tiff:codec=zstd"]) == ExitCode.OK
    assert '"zstd"' in capsys.readouterr().out
    sources.write_imaris(space.root / "raw/a.ims", VOXELS[:, :, ::-1])
    assert main([*command, "--backend", BACKEND]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "source changed" in shown
    assert "linking" not in shown


def test_a_lost_record_of_a_conversion_costs_nothing(space):
    space.run(backend=BACKEND)
    before = space.stamps()
    shutil.rmtree(space.out / ".spimpack")
    assert space.run(backend=BACKEND).exit_code == ExitCode.OK
    assert space.stamps() == before


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "flipped": flip,
    "cut off by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "another": lambda path: tifffile.imwrite(path, np.zeros((5, 5), "uint8")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_noticed(space, damage):
    space.run(backend=BACKEND, checksum=True)
    DAMAGES[damage](space.out / IMAGE)
    store = Store(str(space.out))
    assert [str(each.fault) for each in verify_fast(store)] == ["altered"]
    assert [each.path for each in verify_full(store) if each.counts] == [IMAGE]


@pytest.mark.parametrize("damage", [each for each in DAMAGES if each != "flipped"])
def test_what_is_not_whole_is_not_taken_for_the_result(space, damage):
    """Also where nothing is on record: without decoding it, an end that is missing shows."""
    space.run(backend=BACKEND)
    path = space.out / IMAGE
    with tifffile.TiffFile(path) as file:
        told = ome_types.from_xml(file.ome_metadata)
    made_from = told.structured_annotations[0].value["made_from"]
    assert is_made_from(str(path), made_from)
    assert not is_made_from(str(path), f"{made_from}0")
    DAMAGES[damage](path)
    assert not is_made_from(str(path), made_from)


@pytest.mark.parametrize(("times", "fits"), [(4, True), (6, False)])
def test_a_fifth_of_the_source_is_room_that_is_needed(space, monkeypatch, times, fits):
    """An OME-TIFF may be much smaller than an Imaris file, unlike an OME-Zarr with its chunks."""
    space.write()
    size = (space.root / "raw/a.ims").stat().st_size
    usage = shutil.disk_usage(space.root)._replace(free=size // times)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    draft = prepare_run(space.options(backend=BACKEND))
    assert (draft.refusal() is None) == fits
    assert prepare_run(space.options(backend="ome-zarr")).refusal() is not None


def test_a_damaged_source_leaves_nothing(space, caplog):
    space.write()
    source = space.root / "raw/a.ims"
    data = source.read_bytes()
    # Not the table of contents, but what a chunk holds.
    place = data.rindex(b"x\x9c", 0, len(data) * 3 // 4)
    source.write_bytes(data[: place + 40] + bytes(200) + data[place + 240 :])
    assert space.run(backend=BACKEND).exit_code == ExitCode.FAILED
    assert "time point 0, channel" in caplog.text
    assert not (space.out / IMAGE).exists()


def test_the_backend_can_be_changed_back_and_forth(space):
    for backend, extension in (("ome-tiff", ".ome.tif"), ("ome-zarr", ".ome.zarr")) * 2:
        assert space.run(backend=backend).exit_code == ExitCode.OK
        images = [path for path in (space.out / "sub-01/micr").iterdir() if path.suffix != ".json"]
        assert [path.name for path in images] == [f"{os.path.basename(STEM)}{extension}"]
        sidecar = json.loads((space.out / f"{STEM}.json").read_text())
        assert sidecar["ConvertedFrom"]["Format"] == "Imaris"


def kill_at(space: Workspace, k: int) -> bool:
    """Kill a run at its k-th change of a file; tell whether it got so far."""

    def action() -> int:
        Killer(space.out, k, kill).watch()
        return space.run(backend=BACKEND, keep_source_links=True).exit_code

    return wait(start(action)) == -signal.SIGKILL


def check_kills(space: Workspace, points: Iterable[int]) -> int:
    """Kill runs at points of their work; return how many were killed."""
    space.write()
    space.run(backend=BACKEND, keep_source_links=True)
    whole = space.tree()
    for killed, k in enumerate(points):
        shutil.rmtree(space.out)
        if not kill_at(space, k):
            return killed
        left = space.tree()
        assert {path: left[path] for path in left.keys() & {IMAGE}} in ({}, {IMAGE: whole[IMAGE]})
        assert space.run(backend=BACKEND, keep_source_links=True).exit_code == ExitCode.OK
        assert space.tree() == whole
        assert leftovers(space.out) == []
        assert not list((space.out / ".spimpack/unfinished").iterdir())
    return -1


def test_a_killed_run_is_made_good_by_the_next(space):
    assert check_kills(space, range(20, 500, 11)) > 2


@pytest.mark.slow
def test_a_run_can_be_killed_anywhere(space):
    assert check_kills(space, range(1, 500)) > 30
