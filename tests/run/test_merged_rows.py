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

from spimpack_tasks.api import merge_files, probe_image
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
        assert np.array_equal(voxels(space, KEYS[1]), wanted(2, (10, 1, 2))), "n1: as written"
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
    space.rows[0] |= {"merge_axis": "Z", "merge_gaps": "accept"}


def reorder(space: Workspace) -> None:
    space.rows[0]["spim_path"] = "raw/m01/TAG_10/*;raw/m01/TAG_1/*;raw/m01/TAG_2/*"


CHANGES = {
    "o57-touch": (touch, "TAG_10/image.ome.tif changed"),
    "o57-edit": (edit, "TAG_2/image.ome.tif changed"),
    "o57-new-file-of-a-glob": (add, "TAG_11/image.ome.tif came"),
    "o57-file-of-a-glob-gone": (remove, "TAG_2/image.ome.tif is left out"),
    "o57-policy": (pad, "what is chosen changed: shape error -> pad"),
    "o57-axis": (along_z, "what is chosen changed: axis T -> Z; gaps none -> accept"),
    "o57-order": (reorder, "the order of its files changed"),
}


@pytest.mark.few(5)
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
    along_z(space)
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


@pytest.mark.parametrize(
    "name", ["raw/m02/TAG_1/image.ome.tif", KEYS[1].rpartition("/")[2]], ids=["file", "image"]
)
def test_i16_3_one_image_is_packaged_alone(space, name):
    space.write()
    words = ["package", str(space.manifest), str(space.out), "--backend", "ome-zarr"]
    assert main([*words, "--image", name]) == ExitCode.OK
    assert [path.name for path in space.out.glob("sub-*")] == ["sub-02"]


@pytest.mark.parametrize("row", ["table", "list"])
def test_n1_channels_lie_under_the_stains_that_are_written_for_them(space, row):
    """The row of docs/how-to/merge-files.md, whose files would be sorted the other way round."""
    paths = ["raw/m2_yopro.ome.tif", "raw/m2_abeta.ome.tif"]
    parts = [write_ome(space.root / path, seed=seed) for seed, path in enumerate(paths)]
    cells = {"merge_axis": "C", "sample_staining": "YoPro;Abeta"}
    if row == "table":
        space.rows = [space.rows[0] | cells | {"spim_path": ";".join(paths)}]
        package(space)
    else:
        asset = {"subject": "01", "spim_path": paths} | CELLS | cells
        data = {
            "dataset_description": space.description,
            "datasets": [{"assets": [asset | {"PixelSize": [1.8, 1.8, 4]}]}],
        }
        space.manifest.write_text(json.dumps(data))
        words = ["package", str(space.manifest), str(space.out), "--backend", "ome-zarr"]
        assert main(words) == 0
    assert np.array_equal(voxels(space, KEYS[0]), np.stack(parts))
    attributes = json.loads((space.out / f"{KEYS[0]}.ome.zarr/zarr.json").read_text())
    labels = [c["label"] for c in attributes["attributes"]["ome"]["omero"]["channels"]]
    assert labels == ["YoPro", "Abeta"]
    sidecar = json.loads((space.out / f"{KEYS[0]}.json").read_text())
    names = ["m2_yopro.ome.tif", "m2_abeta.ome.tif"]
    assert sidecar["ConvertedFrom"]["Merged"]["Files"] == names


def test_n1_natural_order_is_to_be_had_of_a_list_too(space):
    space.rows = [space.rows[1] | {"merge_order": "natural"}]
    package(space)
    assert np.array_equal(voxels(space, KEYS[1]), wanted(2))


def test_n1_a_word_for_the_order_that_is_there_makes_nothing_again(space):
    package(space)
    space.rows[0]["merge_order"] = "natural"
    space.rows[1]["merge_order"] = "table"
    space.write()
    assert verdicts(space) == {"sub-01": "unchanged", "sub-02": "unchanged"}


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


def test_n29_plan_and_why_say_that_there_are_more_files(space, capsys):
    space.write()
    words = ["plan", str(space.manifest), str(space.out), "--backend", "ome-zarr"]
    assert main(words) == ExitCode.OK
    assert f"<- {member(space, 1, 1)} and 2 more\n" in capsys.readouterr().out
    assert main([*words, "--format", "json"]) == ExitCode.OK
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each.get("other_sources") for each in told if each["source"]] == [2, 2]
    package(space)
    capsys.readouterr()
    image = str(space.out / f"{KEYS[0]}.ome.zarr")
    assert main(["why", image]) == ExitCode.OK
    assert f"source: {member(space, 1, 1)} and 2 more (unchanged since)" in capsys.readouterr().out
    os.utime(member(space, 1, 10))
    assert main(["why", image]) == ExitCode.OK
    told = capsys.readouterr().out
    assert f"and 2 more ({member(space, 1, 10)} is changed since)" in told


def test_n29_the_choice_that_changed_is_named(space, capsys):
    pages = space.root / "raw/pages.tif"
    tifffile.imwrite(pages, np.zeros((3, 20, 30), "u2"), metadata=None, photometric="minisblack")
    cells = {"spim_path": "raw/pages.tif", "axes": "ZYX", "merge_axis": ""}
    space.rows = [space.rows[0] | cells]
    package(space, backend="ome-zarr:convert=all")
    space.rows[0]["axes"] = "TYX"
    space.write()
    words = ["plan", str(space.manifest), str(space.out), "--backend", "ome-zarr:convert=all"]
    assert main(words) == ExitCode.OK
    reason = "what is chosen changed: axes zyx -> tyx"
    assert reason in capsys.readouterr().out
    package(space, backend="ome-zarr:convert=all")
    capsys.readouterr()
    assert main(["why", str(space.out / f"{KEYS[0]}.ome.zarr")]) == ExitCode.OK
    assert f"written because: {reason}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        ({"spim_path": "raw/b.ome.tif;raw/a.ome.tif"}, (2, 1)),
        ({"spim_path": "raw/a.ome.tif;raw/b.ome.tif"}, (1, 2)),
        ({"spim_path": "raw/b.ome.tif;raw/a.ome.tif", "merge_order": "natural"}, (1, 2)),
        ({"spim_path": "raw/b.ome.tif;raw/a.ome.tif", "merge_order": "table"}, (2, 1)),
        ({"spim_path": "raw/b*.ome.tif;raw/a*.ome.tif"}, (2, 1)),
        ({"spim_path": "raw/*.ome.tif"}, (1, 2)),
    ],
    ids=["list", "sorted list", "natural", "table", "several wildcards", "wildcards"],
)
def test_a_list_of_channels_keeps_the_order_of_the_stains(space, cells, order):
    """Stains are the names of the channels in the order of the row."""
    for number, name in ((1, "a"), (2, "b")):
        write_ome(space.root / f"raw/{name}.ome.tif", seed=number)
    stains = ";".join(f"dye {number}" for number in order)
    common = {"merge_axis": "C", "sample_staining": stains, "merge_channels": "number"}
    space.rows = [space.rows[0] | common | cells]
    assert package(space).exit_code == ExitCode.OK
    parts = [
        as_tczyx(write_ome(space.root / f"{number}.ome.tif", seed=number))[0] for number in order
    ]
    assert np.array_equal(voxels(space, KEYS[0]), np.concatenate(parts))


LINKS = {1: "MD5E-c", 2: "MD5E-a", 3: "MD5E-d", 10: "MD5E-b"}
"""Time points, and the files that links of git-annex would lead to."""


@pytest.mark.parametrize(
    "cell",
    ["raw/t*.ome.tif", ";".join(f"raw/t{n}.ome.tif" for n in LINKS), "raw/d*/x.ome.tif"],
    ids=["wildcards", "list", "folders"],
)
def test_links_count_by_their_own_names(space, cell):
    for number, name in LINKS.items():
        write_ome(space.root / f"annex/{name}/x.ome.tif", seed=number)
        (space.root / f"raw/t{number}.ome.tif").symlink_to(f"../annex/{name}/x.ome.tif")
        (space.root / f"raw/d{number}").symlink_to(f"../annex/{name}")
    space.rows = [space.rows[0] | {"spim_path": cell}]
    package(space)
    parts = [as_tczyx(write_ome(space.root / f"{n}.ome.tif", seed=n))[0, 0] for n in LINKS]
    assert np.array_equal(voxels(space, KEYS[0]), np.stack(parts))
    target = space.root / "converted.ome.zarr"
    if cell.startswith("raw/t"):
        paths = [
            str(space.root / f"raw/t{number}.ome.tif") for number in (1, 10, 2, 3)
        ]  # as a shell
        assert main(["convert", *paths, "--merge", "T", str(target)]) == ExitCode.OK
        assert np.array_equal(zarr.open(target / "0")[...].reshape(np.shape(parts)), parts)


@pytest.mark.parametrize(("cell", "name"), [("raw/t*.ome.tif", "t{}"), ("raw/d*/x.tif", "d{}/x")])
def test_records_name_links_by_their_own_names(space, cell, name):
    for number, key in LINKS.items():
        write_ome(space.root / f"annex/{key}/{key}.ome.tif", seed=number)
        (space.root / f"annex/{key}/x.tif").symlink_to(f"{key}.ome.tif")
        (space.root / f"raw/t{number}.ome.tif").symlink_to(f"../annex/{key}/{key}.ome.tif")
        (space.root / f"raw/d{number}").symlink_to(f"../annex/{key}")
    space.rows = [space.rows[0] | {"spim_path": cell}]
    assert package(space, keep_source_links=True).exit_code == ExitCode.OK
    ending = cell.rpartition("x" if "x" in cell else "*")[2]
    names = [name.format(number) + ending for number in sorted(LINKS)]
    sidecar = json.loads((space.out / f"{KEYS[0]}.json").read_text())
    assert sidecar["ConvertedFrom"]["Merged"]["Files"] == names
    links = space.out / f"sourcedata/{KEYS[0]}"
    assert sorted(links.glob("**/*.tif")) == sorted(links / each for each in names)
    attributes = json.loads((space.out / f"{KEYS[0]}.ome.zarr/zarr.json").read_text())["attributes"]
    assert "MD5E" not in json.dumps(attributes)
    assert all(f"of {each}" in json.dumps(attributes) for each in names)
    assert package(space).lines("out")[0].startswith("Nothing to do")
    assert list(verify_pixels(Store(str(space.out)), lambda _: None)) == []


@pytest.mark.parametrize("name", ["mouse [1]", "mouse ?", "proj[ab]c", "a*b"])
@pytest.mark.parametrize("cell", ["{}/t*.ome.tif", "{}/**/t*.ome.tif"])
def test_only_stars_in_the_cell_are_wildcards(space, name, cell):
    """Folders of other animals fit the name if its signs are read as those of a shell."""
    for folder, seed in ((name, 1), ("mouse 1", 5), ("proja", 5), ("a-b", 5), ("projac", 5)):
        for number in (1, 2):
            write_ome(space.root / f"raw/{folder}/t{number}.ome.tif", seed=seed + number)
    space.rows = [space.rows[0] | {"spim_path": cell.format(f"raw/{name}")}]
    package(space)
    parts = [as_tczyx(write_ome(space.root / f"{n}.ome.tif", seed=n))[0, 0] for n in (2, 3)]
    assert np.array_equal(voxels(space, KEYS[0]), np.stack(parts))


@pytest.mark.parametrize("name", ["proj[1]", "p*j"])
def test_the_folder_of_the_manifest_is_no_pattern(tmp_path, name):
    (tmp_path / name).mkdir()
    inner = Workspace(tmp_path / name)
    for folder, numbers in ((inner.root, (1, 2, 3)), (tmp_path / "proj1", (5, 6))):
        for number in numbers:
            write_ome(folder / f"raw/t{number}.ome.tif", seed=number)
    row = {"subject": "01", "spim_path": "raw/t*.ome.tif", "merge_axis": "T", **CELLS}
    inner.rows.append(row)
    package(inner)
    parts = [as_tczyx(write_ome(tmp_path / f"{n}.ome.tif", seed=n))[0, 0] for n in (1, 2, 3)]
    assert np.array_equal(voxels(inner, KEYS[0]), np.stack(parts))
    write_ome(inner.root / "raw/t4.ome.tif", seed=4)
    assert verdicts(inner) == {"sub-01": "changed"}


@pytest.mark.parametrize(("points", "step"), [((1, 1), None), ((2, 2), 2.5), ((1, 2), 2.5)])
def test_files_of_one_time_point_tell_no_time_step(tmp_path, points, step):
    paths = []
    for number, count in enumerate(points):
        path = tmp_path / f"t{number}.ome.tif"
        facts = {"PhysicalSizeX": 1.8, "PhysicalSizeY": 1.8, "PhysicalSizeZ": 4.0}
        voxels = np.full((count, 3, 8, 9), number, "u2")
        metadata = {"axes": "TZYX", "TimeIncrement": 2.5, "TimeIncrementUnit": "s", **facts}
        tifffile.imwrite(path, voxels, metadata=metadata)
        paths.append(path)
    assert probe_image(merge_files(paths, "T")).time_step_s == step
