"""Nothing is lost or published that nobody asked for: other manifests, copies, foreign files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_moved_datasets import faults
from workspace import STATE, Workspace, small_workspace, write_table

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, InputError
from spimpack_tasks.state.session import SESSION

SUB1, SUB2, SUB3 = (f"sub-0{n}/micr/sub-0{n}_sample-brain_acq-4x_SPIM" for n in (1, 2, 3))
OWN_CODES = {
    "conflict.last-copy",
    "conflict.other-manifest",
    "include.missing",
    "include.nested",
    "include.outside",
    "include.twice",
    "output.holds-sources",
}
OWN_WARNINGS = {"output.foreign", "output.stray"}
"""Codes of problems that the tests of this file are about."""
WARNINGS = {"sidecar.incomplete", "header.unreadable"}
COPIES = ["copy", "hardlink", "ome-zarr:convert=all,others=copy"]


def other_manifest(space: Workspace, rows: list[dict[str, str]]) -> list[str]:
    """Write a manifest of its own beside the first one, and return the options that name it."""
    folder = space.root / "second"
    folder.mkdir()
    shutil.copytree(space.root / "raw", folder / "raw")
    (folder / "manifest.yml").write_text(space.manifest.read_text())
    write_table(folder / "scans.tsv", rows)
    return ["--manifest", str(folder / "manifest.yml"), "--output-dir", str(space.out)]


def codes(error: InputError) -> set[str]:
    return {problem.code for problem in error.report.errors}


@pytest.mark.parametrize("backend", ["symlink", *COPIES])
def test_e3_another_manifest_does_not_remove_what_the_first_made(tmp_path, backend, capsys):
    space = small_workspace(tmp_path)
    assert space.run(backend=backend).exit_code == ExitCode.OK
    before = space.tree()
    inputs = [*other_manifest(space, [space.rows[0] | {"subject": "09"}]), "--backend", backend]
    assert main(["package", *inputs]) == ExitCode.CONFLICT
    said = capsys.readouterr().err
    assert "conflict.other-manifest" in said
    assert f"was made from {space.manifest}; this manifest would remove 3 images" in said
    assert space.tree() == before
    assert main(["plan", *inputs]) == ExitCode.CONFLICT
    assert "conflict.other-manifest" in capsys.readouterr().err
    assert main(["package", *inputs, "--replace"]) == ExitCode.OK
    assert {path[:6] for path in space.tree() if path.startswith("sub-")} == {"sub-09"}
    assert main(["package", *inputs]) == ExitCode.OK


@pytest.mark.parametrize("workers", ["1", "2"])
def test_e3_luigi_refuses_as_well(tmp_path, workers):
    space = small_workspace(tmp_path)
    assert space.run().exit_code == ExitCode.OK
    before = space.tree()
    luigi = [str(Path(sys.executable).with_name("luigi")), "--module", "spimpack_tasks"]
    inputs = other_manifest(space, [space.rows[0] | {"subject": "09"}])
    command = [*luigi, "PackageDataset", *inputs, "--local-scheduler", "--workers", workers]
    assert subprocess.run(command, capture_output=True, check=False).returncode == ExitCode.CONFLICT
    assert space.tree() == before
    assert subprocess.run([*command, "--replace"], capture_output=True, check=False).returncode == 0


def test_e3_a_manifest_that_removes_nothing_may_come_from_anywhere(tmp_path):
    space = small_workspace(tmp_path)
    assert space.run().exit_code == ExitCode.OK
    inputs = other_manifest(space, space.rows)
    assert main(["package", *inputs, "--replace"]) == ExitCode.OK
    moved = space.root / "moved"
    (space.root / "second").rename(moved)
    space.rows[0]["spim_path"] = str(space.root / "raw" / "a.ims")
    write_table(moved / "scans.tsv", space.rows)
    inputs[1] = str(moved / "manifest.yml")
    assert main(["package", *inputs]) == ExitCode.OK


LOSSES = {
    "row removed": lambda space: space.rows.pop(0),
    "row renamed": lambda space: space.rows[0].update(subject="07", spim_path="raw/b.ome.zarr"),
    "another source": lambda space: space.rows[0].update(spim_path="raw/new.ims"),
    "a source earlier by name": lambda space: space.rows[0].update(spim_path="raw/1.ims"),
}


def add_new_sources(space):
    for name in ("new.ims", "1.ims"):
        os.utime(space.add_source(name), ns=(1, 1))


@pytest.mark.few(4)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("backend", COPIES)
def test_e3_the_last_copy_of_data_is_not_removed_unasked(tmp_path, backend, loss):
    space = small_workspace(tmp_path)
    space.participants = []
    assert space.run(backend=backend).exit_code == ExitCode.OK
    image = next(p for p in (space.out / "sub-01" / "micr").iterdir() if p.suffix != ".json")
    LOSSES[loss](space)
    add_new_sources(space)
    assert space.run(backend=backend).exit_code == ExitCode.OK
    shutil.rmtree(space.out)
    again = small_workspace(tmp_path / "again")
    again.participants = []
    assert again.run(backend=backend).exit_code == ExitCode.OK
    (again.root / "raw" / "a.ims").unlink()
    LOSSES[loss](again)
    add_new_sources(again)
    before = again.tree()
    with pytest.raises(InputError) as refused:
        again.run(backend=backend)
    assert codes(refused.value) == {"conflict.last-copy"}
    assert refused.value.exit_code == ExitCode.CONFLICT
    assert [p.place.file.endswith(image.name) for p in refused.value.report.errors] == [True]
    assert again.tree() == before
    assert again.run(backend=backend, replace=True).exit_code == ExitCode.OK


EDITS = {
    "nothing": lambda space: space.rows,
    "a stain": lambda space: space.rows[0].update(sample_staining="YoPro;GFAP"),
    "a label": lambda space: space.rows[0].update(subject="07"),
    "a row": lambda space: space.rows.pop(0),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("backend", COPIES)
def test_e3_a_study_that_moved_as_a_whole_has_lost_nothing(tmp_path, backend, edit):
    space = small_workspace(tmp_path / "before")
    space.participants = []
    assert space.run(backend=backend).exit_code == ExitCode.OK
    (tmp_path / "before").rename(tmp_path / "after")
    moved = replace(space, root=tmp_path / "after")
    EDITS[edit](moved)
    SESSION.reset()
    assert moved.run(backend=backend).exit_code == ExitCode.OK
    SESSION.reset()
    assert moved.run(backend=backend).counts["unchanged"] == len(moved.rows)


def test_e3_an_image_named_alike_in_another_folder_is_no_source_that_moved(tmp_path):
    space = small_workspace(tmp_path)
    space.participants = []
    assert space.run(backend="copy").exit_code == ExitCode.OK
    lost = space.root / "raw" / "a.ims"
    status, size = lost.stat(), lost.stat().st_size
    lost.unlink()
    (space.root / "other").mkdir()
    other = space.add_source("../other/a.ims")
    assert other.stat().st_size == size
    os.utime(other, ns=(status.st_mtime_ns, status.st_mtime_ns))
    row = next(row for row in space.rows if row["spim_path"] == "raw/a.ims")
    row["spim_path"] = "other/a.ims"
    row["subject"] = "08"
    with pytest.raises(InputError) as refused:
        space.run(backend="copy")
    assert codes(refused.value) == {"conflict.last-copy"}


OWN_IMAGE = {
    "symlink": {"backend": "symlink"},
    "relative links": {"backend": "symlink", "relative_symlinks": True},
    "copy": {"backend": "copy"},
    "converted": {"backend": "ome-zarr:convert=all"},
    "overwritten": {"backend": "symlink", "overwrite": True},
}


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("is_gone", [False, True])
@pytest.mark.parametrize("way", OWN_IMAGE)
def test_e3_an_image_is_never_made_from_itself(tmp_path, way, is_gone, replace):
    """A user whose source is gone names the copy in the dataset: it must not be replaced."""
    space = small_workspace(tmp_path)
    assert space.run(backend="copy").exit_code == ExitCode.OK
    if is_gone:
        (tmp_path / "raw" / "c.ome.tif").unlink()
        shutil.rmtree(tmp_path / "raw" / "b.ome.zarr")
    space.rows[1]["spim_path"] = f"out/{SUB2}.ome.zarr"
    space.rows[2]["spim_path"] = f"out/{SUB3}.ome.tif"
    before = space.tree()
    with pytest.raises(InputError) as refused:
        space.run(replace=replace, **OWN_IMAGE[way])
    assert "conflict.source" in codes(refused.value)
    assert refused.value.exit_code == ExitCode.CONFLICT
    assert space.tree() == before


def edit_in_place(image: Path) -> Path:
    """Write into a chunk, as a program does that paints into an image."""
    path = max((p for p in image.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    return path


@pytest.mark.parametrize("loss", ["row removed", "subject renamed", "linked instead"])
@pytest.mark.parametrize(
    "backend", ["copy", "ome-zarr:convert=all", "ome-zarr:ngff=0.4,convert=all"]
)
def test_e3_what_was_edited_inside_an_image_is_kept(tmp_path, backend, loss):
    space = small_workspace(tmp_path)
    space.participants = []
    assert space.run(backend=backend).exit_code == ExitCode.OK
    image = next((space.out / "sub-02" / "micr").glob("*.zarr"))
    path = edit_in_place(image)
    edited = path.read_bytes()
    if loss == "linked instead":
        with pytest.raises(InputError) as refused:
            space.run(backend="symlink")
        assert codes(refused.value) == {"conflict.altered"}
    else:
        space.rows[1]["subject"] = "07"
        if loss == "row removed":
            space.rows.pop(1)
        assert space.run(backend=backend).exit_code == ExitCode.OK
    assert path.read_bytes() == edited


@pytest.mark.parametrize("backend", ["hardlink", "symlink-tree", "copy"])
def test_e3_an_edit_of_the_source_is_no_edit_of_the_image(tmp_path, backend):
    space = small_workspace(tmp_path)
    assert space.run(backend=backend).exit_code == ExitCode.OK
    source = tmp_path / "raw" / "b.ome.zarr"
    edit_in_place(source)
    for name in ("zarr.json", ".zattrs"):
        if (source / name).exists():
            os.utime(source / name)
    assert space.run(backend=backend).exit_code == ExitCode.OK
    space.rows.pop(1)
    space.participants = []
    assert space.run(backend=backend).exit_code == ExitCode.OK
    assert not list(space.out.glob("sub-02/**/*.zarr"))


def test_e3_a_link_is_no_copy(tmp_path):
    space = small_workspace(tmp_path)
    assert space.run().exit_code == ExitCode.OK
    (space.root / "raw" / "a.ims").unlink()
    space.rows.pop(0)
    assert space.run().exit_code == ExitCode.OK


def study_of(folder: Path, subject: str, source: str) -> Workspace:
    folder.mkdir(parents=True)
    space = Workspace(folder)
    space.add_row(source, subject=subject, acquisition="4x")
    space.participants = [{"participant_id": f"sub-{subject}", f"of_{subject}": "yes"}]
    space.write()
    return space


def include(root: Path, *names: str) -> list[str]:
    text = (
        "dataset_description: {Name: Both, BIDSVersion: 1.10.0, DatasetType: raw, License: CC0}\n"
    )
    (root / "all.yml").write_text(f"{text}include: [{', '.join(names)}]\n")
    return ["--manifest", str(root / "all.yml"), "--output-dir", str(root / "out")]


def test_e3_subjects_of_several_manifests(tmp_path, capsys):
    study_of(tmp_path / "first", "01", "a.ims")
    second = study_of(tmp_path / "second", "02", "c.ome.tif")
    inputs = include(tmp_path, "first/manifest.yml", "second/manifest.yml")
    assert main(["package", *inputs]) == ExitCode.OK
    assert os.readlink(tmp_path / "out" / f"{SUB1}.ims") == str(tmp_path / "first/raw/a.ims")
    assert os.readlink(tmp_path / "out" / f"{SUB2}.ome.tif") == str(
        tmp_path / "second/raw/c.ome.tif"
    )
    assert (tmp_path / "out" / "participants.tsv").read_text() == (
        "participant_id\tof_01\tof_02\nsub-01\tyes\tn/a\nsub-02\tn/a\tyes\n"
    )
    capsys.readouterr()
    assert main(["package", *inputs]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("Nothing to do: 2 unchanged")
    second.rows[0]["Species"] = "rat"
    second.write()
    assert main(["package", *inputs]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("Packaged")


def test_e3_included_manifests_in_the_same_folder(tmp_path):
    space = small_workspace(tmp_path)
    space.write()
    inputs = include(tmp_path, "manifest.yml")
    assert main(["package", *inputs]) == ExitCode.OK
    assert len(list((tmp_path / "out").glob("sub-*"))) == 3


FAULTS = {
    "a participant in both": (
        ["first/manifest.yml", "copy/manifest.yml"],
        {"participants.duplicate", "path.duplicate"},
    ),
    "not there": (["first/manifest.yml", "nowhere/manifest.yml"], {"include.missing"}),
    "twice": (["first/manifest.yml", "./first/manifest.yml"], {"include.twice"}),
    "itself": (["first/manifest.yml", "all.yml"], {"include.twice"}),
    "outside": (["first/manifest.yml", "../manifest.yml"], {"include.outside"}),
    "nested": (["first/manifest.yml", "nested/manifest.yml"], {"include.nested"}),
    "no text": (["first/manifest.yml", "3"], {"value.type"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_e3_an_include_that_is_wrong(tmp_path, name, capsys):
    names, expected = FAULTS[name]
    root = tmp_path / "study"
    study_of(root / "first", "01", "a.ims")
    study_of(root / "copy", "01", "a.ims")
    study_of(root / "nested", "03", "a.ims")
    text = (root / "nested" / "manifest.yml").read_text()
    (root / "nested" / "manifest.yml").write_text(text[:-1] + ', "include": []}')
    (tmp_path / "manifest.yml").write_text("")
    assert main(["validate", *include(root, *names)]) == ExitCode.BAD_INPUT
    said = capsys.readouterr().out
    assert set(re.findall(r"\[([a-z.-]+)\]$", said, re.MULTILINE)) - WARNINGS == expected
    assert not (root / "out").exists()


def test_e5_a_dataset_that_may_only_be_read(tmp_path, monkeypatch, capsys):
    space = small_workspace(tmp_path)
    assert space.run().exit_code == ExitCode.OK
    writable = os.access

    def access(path, mode, **more):
        return not mode & os.W_OK and writable(path, mode, **more)

    monkeypatch.setattr(os, "access", access)  # root may write everywhere
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(space.out)]
    for command in ("plan", "status"):
        assert main([command, *inputs]) == ExitCode.OK
        assert "3 unchanged" in capsys.readouterr().out
    space.rows[0]["Species"] = "rat"
    space.write()
    assert main(["package", *inputs]) == ExitCode.BAD_INPUT
    assert "output.unwritable" in capsys.readouterr().err


def test_e6_the_folder_of_the_sources_is_no_place_for_a_dataset(tmp_path):
    space = small_workspace(tmp_path)
    for output in (space.root, space.root / "raw"):
        with pytest.raises(InputError) as refused:
            space.run(output_dir=str(output))
        assert codes(refused.value) & {"output.holds-sources", "output.in-source"}
    assert not (space.root / "dataset_description.json").exists()


def test_e6_sources_below_sourcedata_are_as_bids_has_it(tmp_path):
    space = small_workspace(tmp_path)
    space.write()
    (space.out / "sourcedata").mkdir(parents=True)
    (space.root / "raw").rename(space.out / "sourcedata" / "raw")
    (space.root / "raw").symlink_to(space.out / "sourcedata" / "raw")
    for row in space.rows:
        row["spim_path"] = f"out/sourcedata/{row['spim_path']}"
    assert space.run().exit_code == ExitCode.OK


FOREIGN = {
    "a file": ("notes.docx", True),
    "a folder": ("figures/one.png", True),
    "a README": ("README.md", False),
    "a licence": ("LICENSE", False),
    "code": ("code/convert.py", False),
    "derivatives": ("derivatives/quant/table.tsv", False),
    "DataLad": (".datalad/config", False),
    "a stimulus": ("stimuli/a.png", False),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_e6_foreign_files_are_told(tmp_path, name, capsys):
    path, told = FOREIGN[name]
    space = small_workspace(tmp_path)
    space.write()
    (space.out / path).parent.mkdir(parents=True) if "/" in path else space.out.mkdir()
    (space.out / path).write_text("mine")
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(space.out)]
    assert main(["validate", *inputs]) == ExitCode.OK
    assert ("[output.foreign]" in capsys.readouterr().out) is told
    refused = ExitCode.BAD_INPUT if told else ExitCode.OK
    assert main(["validate", "--strict", *inputs]) == refused
    assert main(["package", *inputs]) == ExitCode.OK
    assert (space.out / path).read_text() == "mine"
    capsys.readouterr()
    SESSION.reset()  # as in a process of its own
    assert main(["validate", *inputs]) == ExitCode.OK
    assert "[output.foreign]" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("a", "holds 'a', which"),
        ("abc", "holds 'a', 'b', 'c', which"),
        ("edcba", "holds 'a', 'b', 'c' and 2 more, which"),
    ],
)
def test_e6_some_foreign_files_are_named(tmp_path, names, expected, capsys):
    space = small_workspace(tmp_path)
    space.write()
    space.out.mkdir()
    for name in names:
        (space.out / name).touch()
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(space.out)]
    assert main(["validate", *inputs]) == ExitCode.OK
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["symlink", "symlink-tree", "copy"])
def test_e10_an_image_that_no_row_and_no_record_knows_is_told(tmp_path, backend, capsys):
    space = small_workspace(tmp_path)
    space.add_row("c.ome.tif", subject="02", acquisition="4x", Species="mouse", chunk="1")
    assert space.run(backend=backend).exit_code == ExitCode.OK
    shutil.rmtree(space.out / STATE)
    space.rows.pop()
    space.write()
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(space.out)]
    inputs += ["--backend", backend]
    capsys.readouterr()
    assert main(["validate", *inputs]) == ExitCode.OK
    told = [line for line in capsys.readouterr().out.splitlines() if "[output.stray]" in line]
    assert len(told) == 1
    left = SUB2.replace("_SPIM", "_chunk-1_SPIM")
    assert f"'{left}.ome.tif'" in told[0]
    assert "which belong to no row" in told[0]
    assert main(["package", *inputs]) == ExitCode.OK
    assert faults(space.out) == {f"{left}.ome.tif": "extra", f"{left}.json": "extra"}


def test_e7_full_verification_without_checksums_is_no_success(tmp_path, capsys):
    space = small_workspace(tmp_path)
    assert space.run().exit_code == ExitCode.OK
    assert main(["verify", str(space.out)]) == ExitCode.OK
    capsys.readouterr()
    assert main(["verify", str(space.out), "--checksum", "full"]) == ExitCode.FAILED
    said = capsys.readouterr()
    assert said.out.endswith(": 0 deviations, 3 images without checksum\n")
    assert "nothing to compare the content of 3 images with" in said.err
    space.run(checksum=True)
    assert main(["verify", str(space.out), "--checksum", "full"]) == ExitCode.OK
