"""Rows that stand for several files: one image each, made again when a file or a policy changes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from merge_sources import as_tczyx, write_ome
from workspace import SHARED, Workspace, tree_of

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.packaging.changes import find_changes
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.state.store import Store
from spimpack_tasks.verification.pixels import verify_pixels

KEYS = [f"sub-{number}/micr/sub-{number}_sample-brain_SPIM" for number in ("01", "02")]
CELLS = SHARED | {"sample_staining": "A"}
PATIENCE_S = 60


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """A dataset of two images of three files each, one named by a glob and one by a list."""
    workspace = Workspace(tmp_path)
    for seed, subject in enumerate(("01", "02")):
        for time_point in (1, 2, 10):
            path = tmp_path / f"raw/m{subject}/TAG_{time_point}/image.ome.tif"
            write_ome(path, seed=10 * seed + time_point)
    listed = ";".join(f"raw/m02/TAG_{n}/image.ome.tif" for n in (10, 1, 2))
    for subject, paths in (("01", "raw/m01/TAG_*/image.ome.tif"), ("02", listed)):
        row = {"subject": subject, "spim_path": paths, "merge_axis": "T", **CELLS}
        workspace.rows.append(row)
    return workspace


def member(space: Workspace, subject: int, time_point: int) -> Path:
    return space.root / f"raw/m0{subject}/TAG_{time_point}/image.ome.tif"


def package(space: Workspace, workers: int = 1, backend: str = "ome-zarr", **changes):
    return space.run(workers, backend=backend, **changes)


def refused(space: Workspace, **changes: object) -> str:
    """Return why a run is refused."""
    with pytest.raises(SpimpackError) as caught:
        package(space, **changes)
    return str(caught.value)


def verdicts(space: Workspace) -> dict[str, str]:
    """Return what a run would do with each image."""
    prepared = prepare_run(space.options(backend="ome-zarr"))
    changes = [change for change in find_changes(prepared) if change.source]
    return {change.path.partition("/")[0]: str(change.verdict) for change in changes}


def voxels(space: Workspace, key: str) -> np.ndarray:
    """Return the voxels of an image, its time points and channels as one axis."""
    found = zarr.open(space.out / f"{key}.ome.zarr" / "0")[...]
    return found.reshape(-1, *found.shape[-3:])


def wanted(subject: int, order: tuple[int, ...] = (1, 2, 10)) -> np.ndarray:
    rng = [np.random.default_rng(10 * (subject - 1) + n) for n in order]
    return np.stack([r.integers(0, 65535, (3, 20, 30), dtype="u2", endpoint=True) for r in rng])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("backend", ["ome-zarr", "ome-tiff"])
def test_i16_3_rows_become_one_image_each(space, workers, backend):
    before = tree_of(space.root / "raw")
    assert package(space, workers, backend).exit_code == ExitCode.OK
    assert list(verify_pixels(Store(str(space.out)), lambda _: None)) == []
    if backend == "ome-zarr":
        assert np.array_equal(voxels(space, KEYS[0]), wanted(1))
        assert np.array_equal(voxels(space, KEYS[1]), wanted(2))
    assert package(space, workers, backend).lines("out")[0].startswith("Nothing to do")
    sidecar = json.loads((space.out / f"{KEYS[0]}.json").read_text())
    merged = sidecar["ConvertedFrom"]["Merged"]
    assert merged == {"Axis": "T", "Files": [f"TAG_{n}/image.ome.tif" for n in (1, 2, 10)]}
    assert str(space.root) not in json.dumps(sidecar)
    assert tree_of(space.root / "raw") == before


def test_i16_3_bytes_are_the_same_for_any_number_of_workers(space):
    package(space, 1)
    one = tree_of(space.out / "sub-01") | tree_of(space.out / "sub-02")
    shutil.rmtree(space.out)
    package(space, 2)
    assert tree_of(space.out / "sub-01") | tree_of(space.out / "sub-02") == one


def touch(space: Workspace) -> None:
    os.utime(member(space, 1, 10))


def edit(space: Workspace) -> None:
    write_ome(member(space, 1, 2), seed=99)


def add(space: Workspace) -> None:
    write_ome(member(space, 1, 11), seed=99)


def remove(space: Workspace) -> None:
    member(space, 1, 2).unlink()


def pad(space: Workspace) -> None:
    space.rows[0]["merge_shape"] = "pad"


def along_z(space: Workspace) -> None:
    space.rows[0]["merge_axis"] = "Z"


def reorder(space: Workspace) -> None:
    space.rows[0]["spim_path"] = "raw/m01/TAG_10/*;raw/m01/TAG_1/*;raw/m01/TAG_2/*"
    space.rows[0]["merge_order"] = "table"


CHANGES = {
    "o57-touch": (touch, "TAG_10/image.ome.tif changed"),
    "o57-edit": (edit, "TAG_2/image.ome.tif changed"),
    "o57-new-file-of-a-glob": (add, "TAG_11/image.ome.tif came"),
    "o57-file-of-a-glob-gone": (remove, "TAG_2/image.ome.tif is left out"),
    "o57-policy": (pad, "what is written into it changed"),
    "o57-axis": (along_z, "what is written into it changed"),
    "o57-order": (reorder, "source was"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("change", "why"), CHANGES.values(), ids=CHANGES)
def test_a_change_makes_that_image_again_alone(space, workers, change, why, capsys):
    package(space, workers)
    other = tree_of(space.out / "sub-02")
    before = space.stamps()
    change(space)
    space.write()
    assert verdicts(space) == {"sub-01": "changed", "sub-02": "unchanged"}
    words = ["plan", str(space.manifest), str(space.out), "--backend", "ome-zarr"]
    main(words)
    assert why in capsys.readouterr().out
    replaced = {"replace": True} if change is remove else {}
    assert package(space, workers, **replaced).exit_code == ExitCode.OK
    assert tree_of(space.out / "sub-02") == other
    after = space.stamps()
    assert {p: s for p, s in after.items() if p.startswith("sub-02")} == {
        p: s for p, s in before.items() if p.startswith("sub-02")
    }
    assert list(verify_pixels(Store(str(space.out)), lambda _: None)) == []
    assert package(space, workers, **replaced).lines("out")[0].startswith("Nothing to do")


def test_i16_3_a_list_in_the_manifest_names_files(space):
    paths = [f"raw/m01/TAG_{n}/image.ome.tif" for n in (2, 10, 1)]
    asset = {"subject": "01", "spim_path": paths, "merge_axis": "T", "merge_order": "table"}
    data = {
        "dataset_description": space.description,
        "datasets": [{"assets": [asset | CELLS | {"PixelSize": [1.8, 1.8, 4]}]}],
    }
    space.manifest.write_text(json.dumps(data))
    assert main(["package", str(space.manifest), str(space.out), "--backend", "ome-zarr"]) == 0
    assert np.array_equal(voxels(space, KEYS[0]), wanted(1, (2, 10, 1)))


def test_i16_3_a_name_with_the_signs_of_a_glob_is_that_file(space):
    for name, seed in (("a[1].ome.tif", 1), ("a1.ome.tif", 2), ("b.ome.tif", 3)):
        write_ome(space.root / "raw" / name, seed=seed)
    space.rows = [space.rows[0] | {"spim_path": "raw/a[1].ome.tif;raw/b.ome.tif"}]
    package(space)
    files = json.loads((space.out / f"{KEYS[0]}.json").read_text())["ConvertedFrom"]["Merged"]
    assert files["Files"] == ["a[1].ome.tif", "b.ome.tif"]


def test_i16_3_differences_are_problems_of_the_row(space):
    write_ome(member(space, 1, 2), (4, 20, 30), seed=1)
    (line,) = [line for line in refused(space).splitlines() if "scans.tsv:2" in line]
    assert "the size along z is 4 in 'TAG_2/image.ome.tif', but 3 in 'TAG_1/image.ome" in line
    assert not space.out.exists()


@pytest.mark.parametrize("number", [1, 10])
def test_i16_3_any_lost_file_makes_the_image_the_last_copy(space, number):
    package(space)
    member(space, 1, number).unlink()
    space.rows = space.rows[1:]
    (line,) = [line for line in refused(space).splitlines() if "conflict.last-copy" in line]
    assert f"TAG_{number}/image.ome.tif is gone" in line
    assert (space.out / f"{KEYS[0]}.ome.zarr").exists()


def test_i16_3_leaving_out_a_lost_file_is_refused(space):
    package(space)
    member(space, 1, 10).unlink()
    assert "conflict.last-copy" in refused(space)
    assert np.array_equal(voxels(space, KEYS[0]), wanted(1))
    assert package(space, replace=True).exit_code == ExitCode.OK
    assert np.array_equal(voxels(space, KEYS[0]), wanted(1, (1, 2)))


@pytest.mark.parametrize("number", [1, 10])
def test_i16_3_no_file_may_lie_where_an_output_belongs(space, number):
    target = space.out / f"{KEYS[1]}.ome.zarr/part.ome.tif"
    target.parent.mkdir(parents=True)
    shutil.move(member(space, 1, number), target)
    names = [f"raw/m01/TAG_{n}/image.ome.tif" for n in (1, 2, 10) if n != number]
    space.rows[0]["spim_path"] = ";".join([*names, str(target)])
    assert "the output directory holds this source" in refused(space, overwrite=True)
    assert target.exists()


def test_i16_3_links_lead_to_all_originals(space):
    package(space, keep_source_links=True)
    links = sorted((space.out / "sourcedata").rglob("*.tif"))
    assert [link.resolve() for link in links] == sorted(
        member(space, subject, n).resolve() for subject in (1, 2) for n in (1, 10, 2)
    )
    assert len(links) == 6


def test_i16_3_a_preview_is_drawn_and_follows_all_files(space):
    space.rows[0]["merge_axis"] = "Z"
    package(space, previews=True)
    path = space.out / "sub-01/micr/sub-01_sample-brain_preview.png"
    first = path.read_bytes()
    write_ome(member(space, 1, 2), seed=99)
    package(space, previews=True)
    assert path.read_bytes() != first


def test_i16_3_a_killed_run_goes_on(space):
    shape = (12, 700, 700)
    for number in (1, 2, 10):
        write_ome(member(space, 1, number), shape, seed=number)
    space.rows = space.rows[:1]
    package(space)
    whole = tree_of(space.out / "sub-01")
    shutil.rmtree(space.out)
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "package", str(space.manifest)]
    command += [str(space.out), "--backend", "ome-zarr"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    place = space.out / ".spimpack/unfinished"
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if any("c" in folders for _, folders, _ in os.walk(place)):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (space.out / f"{KEYS[0]}.ome.zarr").exists()
    assert package(space).exit_code == ExitCode.OK
    assert tree_of(space.out / "sub-01") == whole


def test_i16_3_verify_names_the_file_that_changed(space, capsys):
    package(space)
    os.utime(member(space, 1, 2))
    assert main(["verify", str(space.out), "--pixels"]) == ExitCode.CONFLICT
    assert "TAG_2/image.ome.tif" in capsys.readouterr().out


def test_i16_3_the_column_axes_is_for_each_file(space):
    for number, path in enumerate((space.root / "raw/a1.tif", space.root / "raw/a2.tif")):
        planes = np.full((3, 20, 30), number, "u2")
        tifffile.imwrite(path, planes, metadata=None, photometric="minisblack")
    space.rows = [space.rows[0] | {"spim_path": "raw/a*.tif"}]
    assert "does not say what its pages are" in refused(space)
    space.rows[0]["axes"] = "ZYX"
    assert package(space).exit_code == ExitCode.OK
    assert voxels(space, KEYS[0])[:, 0, 0, 0].tolist() == [0, 1]


def test_i16_3_channels_become_one_image(space):
    for number in (1, 2):
        write_ome(member(space, 1, number), seed=number, names=(f"dye {number}",))
    paths = ";".join(f"raw/m01/TAG_{n}/image.ome.tif" for n in (1, 2))
    cells = {"spim_path": paths, "merge_axis": "C", "sample_staining": "YoPro;Abeta"}
    space.rows = [space.rows[0] | cells]
    assert package(space).exit_code == ExitCode.OK
    attributes = json.loads((space.out / f"{KEYS[0]}.ome.zarr/zarr.json").read_text())
    labels = [c["label"] for c in attributes["attributes"]["ome"]["omero"]["channels"]]
    assert labels == ["YoPro", "Abeta"]
    parts = [as_tczyx(write_ome(space.root / f"{n}.ome.tif", seed=n))[0] for n in (1, 2)]
    assert np.array_equal(voxels(space, KEYS[0]), np.concatenate(parts))
