"""The backend ome-zarr: what BIDS does not hold is converted, the rest is linked."""

from __future__ import annotations

import errno
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import yaozarrs
import zarr
from imaris_variants import Variant, voxels, write_variant
from test_convert_imaris import spoil_chunk
from workspace import Workspace, change_backend, small_workspace, tree_of
from zarr_readers import read_with_zarr

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, InputError
from spimpack_tasks.packaging import prepared_run as draft
from spimpack_tasks.state.store import Store
from spimpack_tasks.validation.validate import validate
from spimpack_tasks.verification.verify import verify_fast
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.ome_zarr.metadata import METADATA
from spimpack_tasks.volumes.read_header import read_header

KEY = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM"
IMAGE = f"{KEY}.ome.zarr"
BACKEND = "ome-zarr"


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    workspace = small_workspace(tmp_path)
    write_variant(tmp_path / "raw" / "a.ims", Variant(channels=2))
    workspace.rows[0] |= {"PixelSize": "1.5;2.5;3.5"}
    return workspace


def attributes_of(space: Workspace) -> dict:
    return json.loads((space.out / IMAGE / "zarr.json").read_text())["attributes"]


def inodes(space: Workspace) -> dict[str, int]:
    return {str(p.relative_to(space.out)): p.stat().st_ino for p in (space.out / IMAGE).rglob("*")}


def stamps_of_others(space: Workspace, subject: str) -> dict:
    stamps = space.stamps().items()
    return {path: stamp for path, stamp in stamps if not path.startswith(subject)}


@pytest.mark.few(3)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("codec", ["gzip", "blosc", "lz4"])
def test_it_converts_what_bids_does_not_hold_and_links_the_rest(space, codec, workers):
    outcome = space.run(workers, backend=f"{BACKEND}:codec={codec}")
    assert outcome.exit_code == ExitCode.OK
    for level in (0, 1):
        for channel in (0, 1):
            want = voxels(Variant(channels=2), level, 0, channel)
            assert (read_with_zarr(space.out / IMAGE, level)[0, channel] == want).all()
    told = attributes_of(space)
    assert told["xyz_orientation"] == "RPI"
    assert [c["label"] for c in told["ome"]["omero"]["channels"]] == ["YoPro", "Abeta"]
    links = {p for p, (kind, _) in space.tree().items() if kind == "link"}
    assert {os.path.basename(path) for path in links} == {
        "sub-02_sample-brain_acq-4x_SPIM.ome.zarr",
        "sub-03_sample-brain_acq-4x_SPIM.ome.tif",
    }
    assert not (space.out / ".bidsignore").exists()
    assert json.loads((space.out / f"{KEY}.json").read_text())["PixelSize"] == [1.5, 2.5, 3.5]
    assert validate(str(space.out)).verdict.is_valid()
    assert list(verify_fast(Store(str(space.out)))) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_all_can_be_converted(tmp_path, workers):
    workspace = small_workspace(tmp_path)
    workspace.add_row("d.ozx", subject="04", acquisition="4x", Species="rat")
    workspace.participants.append({"participant_id": "sub-04", "genotype": ""})
    backend = f"{BACKEND}:convert=all"
    assert workspace.run(workers, backend=backend).exit_code == ExitCode.OK
    images = sorted(workspace.out.glob("sub-*/micr/*.ome.zarr"))
    assert [image.parent.parent.name for image in images] == [
        "sub-01",
        "sub-02",
        "sub-03",
        "sub-04",
    ]
    assert not any(image.is_symlink() for image in images)
    assert not any(kind == "link" for kind, _ in workspace.tree().values())
    assert validate(str(workspace.out)).verdict.is_valid()
    before = workspace.stamps()
    assert workspace.run(workers, backend=backend).lines("out")[0].startswith("Nothing to do")
    assert workspace.stamps() == before
    assert list(verify_fast(Store(str(workspace.out)))) == []


def test_a_lost_record_of_a_conversion_costs_nothing(tmp_path):
    workspace = small_workspace(tmp_path)
    workspace.add_row("d.ozx", subject="04", acquisition="4x", Species="rat")
    workspace.participants.append({"participant_id": "sub-04", "genotype": ""})
    workspace.run(backend=BACKEND)
    before = workspace.stamps()
    shutil.rmtree(workspace.out / ".spimpack")
    assert workspace.run(backend=BACKEND).exit_code == ExitCode.OK
    assert workspace.stamps() == before


def test_a_second_run_has_nothing_to_do(space):
    space.run(backend=BACKEND)
    before = space.stamps()
    outcome = space.run(backend=BACKEND)
    assert outcome.lines("out")[0].startswith("Nothing to do")
    assert space.stamps() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_the_older_version_is_written_and_what_is_not_written_stays(tmp_path, workers):
    """A zip is unpacked, and OME-Zarr is linked, whatever its version."""
    workspace = small_workspace(tmp_path)
    write_variant(tmp_path / "raw" / "a.ims", Variant(channels=2))
    workspace.rows[0] |= {"PixelSize": "1.5;2.5;3.5"}
    workspace.add_row("d.ozx", subject="04", acquisition="4x", Species="rat")
    workspace.participants.append({"participant_id": "sub-04", "genotype": ""})
    backend = f"{BACKEND}:ngff=0.4"
    assert workspace.run(workers, backend=backend).exit_code == ExitCode.OK
    assert yaozarrs.validate_zarr_store(str(workspace.out / IMAGE)).ome_version() == "0.4"
    assert (
        read_with_zarr(workspace.out / IMAGE)[0, 1] == voxels(Variant(channels=2), 0, 0, 1)
    ).all()
    (linked,) = workspace.out.glob("sub-02/micr/*.ome.zarr")
    assert linked.is_symlink()
    (unpacked,) = workspace.out.glob("sub-04/micr/*.ome.zarr")
    with zipfile.ZipFile(tmp_path / "raw" / "d.ozx") as archive:
        files = {name for name in archive.namelist() if not name.endswith("/")}
    assert {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()} == files
    assert validate(str(workspace.out)).verdict.is_valid()
    assert list(verify_fast(Store(str(workspace.out)))) == []
    before = workspace.stamps()
    assert workspace.run(workers, backend=backend).lines("out")[0].startswith("Nothing to do")
    shutil.rmtree(workspace.out / ".spimpack")
    assert workspace.run(workers, backend=backend).exit_code == ExitCode.OK
    assert workspace.stamps() == before


def test_all_can_be_converted_to_the_older_version(tmp_path):
    workspace = small_workspace(tmp_path)
    assert workspace.run(backend=f"{BACKEND}:convert=all,ngff=0.4").exit_code == ExitCode.OK
    images = sorted(workspace.out.glob("sub-*/micr/*.ome.zarr"))
    assert len(images) == 3
    versions = {yaozarrs.validate_zarr_store(str(image)).ome_version() for image in images}
    assert versions == {"0.4"}
    assert validate(str(workspace.out)).verdict.is_valid()


EDITS = {
    "stain": {"sample_staining": "NeuN;Abeta"},
    "orientation": {"orientation_string_xyz": "LAS"},
    "name": {"acquisition": "9x"},
    "size": {"PixelSize": "1;1;3", "override_header": "PixelSize"},
}


def voxel_files(image: Path) -> dict[str, tuple[int, int]]:
    """Return what shows that a file of voxels was made anew, by its name in the image."""
    files = (path for path in image.rglob("*") if path.is_file() and path.name not in METADATA)
    return {str(p.relative_to(image)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}


@pytest.mark.few(5)
@pytest.mark.parametrize("what", EDITS)
@pytest.mark.parametrize("row", [0, 2], ids=["Imaris", "planes"])
@pytest.mark.parametrize("ngff", NGFF)
def test_an_edit_of_metadata_leaves_the_voxels(space, ngff, row, what, capsys):
    backend = f"{BACKEND}:convert=all,ngff={ngff}"
    subject = f"sub-0{row + 1}"
    space.run(backend=backend)
    (image,) = space.out.glob(f"{subject}/micr/*.ome.zarr")
    voxels, others = voxel_files(image), stamps_of_others(space, subject)
    space.rows[row] |= EDITS[what]
    space.write()
    options = ["--manifest", space.manifest, "--output-dir", space.out, "--backend", backend]
    assert main(["plan", *map(str, options)]) == ExitCode.OK
    told = capsys.readouterr().out
    assert ("what is written into it changed" in told) == (what != "name")
    assert space.run(backend=backend).exit_code == ExitCode.OK
    if what == "name":
        assert not image.exists()
        (image,) = space.out.glob(f"{subject}/micr/*.ome.zarr")
    assert voxel_files(image) == voxels
    now = stamps_of_others(space, subject)
    changed = {path for path in others if others[path] != now[path]}
    assert changed <= {"samples.tsv", "samples.json"}
    assert space.run(backend=backend).lines("out")[0].startswith("Nothing to do")
    afresh = space.root / "afresh"
    assert space.run(backend=backend, output_dir=str(afresh)).exit_code == ExitCode.OK
    assert space.tree() == tree_of(afresh)


@pytest.mark.parametrize("workers", [2, 3])
def test_it_is_the_same_whatever_the_number_of_workers(space, workers):
    backend = f"{BACKEND}:convert=all"
    assert space.run(backend=backend).exit_code == ExitCode.OK
    wanted = space.tree()
    shutil.rmtree(space.out)
    assert space.run(workers, backend=backend).exit_code == ExitCode.OK
    assert space.tree() == wanted


@pytest.mark.parametrize("row", [0, 2], ids=["Imaris", "planes"])
def test_the_image_has_the_size_that_the_row_insists_on(space, row):
    space.rows[row] |= EDITS["size"]
    space.run(backend=f"{BACKEND}:convert=all")
    (image,) = space.out.glob(f"sub-0{row + 1}/micr/*.ome.zarr")
    header = read_header(str(image), "OME-Zarr")
    assert header.spacing_um_xyz == (1.0, 1.0, 3.0)


def enlarge(source: Path) -> None:
    """Make a source larger than the disk is, without its taking more of it."""
    os.truncate(source, 3 * shutil.disk_usage(source.parent).free)


def test_a_disk_that_is_too_small_is_found_before_anything_is_written(space, capsys):
    space.write()
    enlarge(space.root / "raw" / "a.ims")
    with pytest.raises(InputError, match=r"GB at the least, and the disk has .* \[output.room\]"):
        space.run(backend=BACKEND)
    assert not space.out.exists()
    assert space.run(backend="symlink").exit_code == ExitCode.OK
    with pytest.raises(InputError, match=r"output\.room"):  # a link takes no room
        space.run(backend=BACKEND)
    target = str(space.root / "x.ome.zarr")
    assert main(["convert", str(space.root / "raw" / "a.ims"), target]) == ExitCode.FAILED
    assert "GB at the least" in capsys.readouterr().err
    assert not list(space.root.glob(".x*"))


def test_what_was_made_of_a_source_needs_no_room_again(space, monkeypatch):
    space.run(backend=BACKEND)
    usage = shutil.disk_usage(space.out)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    space.rows[0] |= {"acquisition": "9x"}
    assert space.run(backend=BACKEND).exit_code == ExitCode.OK
    space.add_row("d.ims", subject="01", acquisition="2x")
    with pytest.raises(InputError, match=r"the disk has 0 B"):
        space.run(backend=BACKEND)


def test_an_image_for_which_there_is_no_room_is_not_begun(space, monkeypatch, caplog):
    monkeypatch.setattr(
        draft, "find_missing_space", lambda *_: None
    )  # there was when the run began
    space.write()
    enlarge(space.root / "raw" / "a.ims")
    assert space.run(backend=BACKEND).exit_code == ExitCode.FAILED
    assert "GB; free some and run it again" in caplog.text
    assert not list((space.out / ".spimpack").rglob("*.part"))


@pytest.mark.parametrize("setting", ["codec=blosc", "ngff=0.4"])
def test_another_form_makes_it_anew(space, setting):
    space.run(backend=BACKEND)
    before = voxel_files(space.out / IMAGE)
    assert space.run(backend=f"{BACKEND}:{setting}").exit_code == ExitCode.OK
    assert not set(before.values()) & set(voxel_files(space.out / IMAGE).values())


def test_voxels_of_an_image_that_somebody_changed_are_not_taken_over(space):
    space.run(backend=BACKEND)
    wanted = space.tree()
    shard = space.out / IMAGE / "0/c/0/0/0/0"
    shard.write_bytes(shard.read_bytes()[::-1])
    space.rows[0]["sample_staining"] = "NeuN;Abeta"
    assert space.run(backend=BACKEND, overwrite=True).exit_code == ExitCode.OK
    now = space.tree()
    name = str(shard.relative_to(space.out))
    assert now[name] == wanted[name]


def test_a_disk_without_hard_links_gets_it_anew(space, monkeypatch):
    space.run(backend=BACKEND)
    before = voxel_files(space.out / IMAGE)
    space.rows[0]["orientation_string_xyz"] = "LAS"

    def refuse(*_: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    assert space.run(backend=BACKEND).exit_code == ExitCode.OK
    assert attributes_of(space)["xyz_orientation"] == "LAS"
    assert not set(before.values()) & set(voxel_files(space.out / IMAGE).values())


@pytest.mark.parametrize("ngff", NGFF)
def test_files_that_two_images_have_are_never_written_into(space, monkeypatch, ngff):
    """Taking over ends in the middle; the rest is made of the source."""
    backend = f"{BACKEND}:ngff={ngff}"
    space.run(backend=backend)
    kept = space.root / "kept"
    shutil.copytree(space.out / IMAGE, kept, copy_function=os.link)
    before = voxel_files(kept)
    space.rows[0]["orientation_string_xyz"] = "LAS"
    links = iter(range(1))
    real = os.link

    def link(old: str, new: str) -> None:
        if next(links, None) is None:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
        real(old, new)

    monkeypatch.setattr(os, "link", link)
    assert space.run(backend=backend).exit_code == ExitCode.OK
    assert voxel_files(kept) == before
    root = zarr.open_group(str(space.out / IMAGE), mode="r")
    assert root.attrs["xyz_orientation"] == "LAS"
    assert (read_with_zarr(space.out / IMAGE)[0, 1] == voxels(Variant(channels=2), 0, 0, 1)).all()


def test_another_source_makes_it_anew(space):
    space.run(backend=BACKEND)
    before = voxel_files(space.out / IMAGE)
    write_variant(space.root / "raw" / "a.ims", Variant(channels=2, shape=(9, 21, 37)))
    assert space.run(backend=BACKEND).exit_code == ExitCode.OK
    assert not set(before.values()) & set(voxel_files(space.out / IMAGE).values())


def test_what_is_unpacked_is_not_made_again(tmp_path, capsys):
    workspace = small_workspace(tmp_path)
    workspace.add_row("d.ozx", subject="04", acquisition="4x", Species="rat")
    workspace.participants.append({"participant_id": "sub-04", "genotype": ""})
    workspace.run(backend=BACKEND)
    key = "sub-04/micr/sub-04_sample-brain_acq-4x_SPIM.ome.zarr"
    before = {path: s for path, s in workspace.stamps().items() if path.startswith(key)}
    assert before
    workspace.rows[-1] |= {"sample_staining": "NeuN;Abeta", "orientation_string_xyz": "LAS"}
    workspace.write()
    options = ["--manifest", workspace.manifest, "--output-dir", workspace.out]
    main(["plan", *map(str, options), "--backend", BACKEND])
    assert "source changed" not in capsys.readouterr().out
    backend = f"{BACKEND}:codec=gzip,ngff=0.4"
    assert workspace.run(backend=backend).exit_code == ExitCode.OK
    assert {p: s for p, s in workspace.stamps().items() if p.startswith(key)} == before


def test_an_edit_of_another_key_leaves_it(space):
    space.run(backend=BACKEND)
    before = inodes(space)
    space.rows[0]["Species"] = "vole"
    assert space.run(backend=BACKEND).exit_code == ExitCode.OK
    assert inodes(space) == before


def test_a_damaged_image_does_not_hold_the_others_up(space, caplog):
    space.write()
    source = space.root / "raw" / "a.ims"
    spoil_chunk(source, (4, 8, 16))
    outcome = space.run(backend=BACKEND)
    assert outcome.exit_code == ExitCode.FAILED
    assert outcome.counts["failed"] == 1
    assert "level 0, time point 0, channel 0, chunk 1/1/1" in caplog.text
    assert not (space.out / IMAGE).exists()
    write_variant(source, Variant(channels=2))
    assert space.run(backend=BACKEND).exit_code == ExitCode.OK
    assert (space.out / IMAGE).is_dir()


def test_links_can_be_relative(space):
    space.run(backend=BACKEND, relative_symlinks=True)
    link = space.out / "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM.ome.tif"
    assert not os.readlink(link).startswith("/")
    assert link.exists()


@pytest.mark.parametrize("name", ["ome-zarr", "ome-tiff"])
def test_what_is_not_converted_can_be_copied(space, name):
    copying = f"{name}:others=copy"
    assert space.run(backend=copying).exit_code == ExitCode.OK
    assert not [path for path, (kind, _) in space.tree().items() if kind == "link"]
    link = "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM.ome.tif"
    assert (space.out / link).read_bytes() == (space.root / "raw" / "c.ome.tif").read_bytes()
    before = space.stamps()
    assert space.run(backend=copying).lines("out")[0].startswith("Nothing to do")
    assert space.stamps() == before
    assert space.run(backend=name).exit_code == ExitCode.OK
    assert {p for p, (kind, _) in space.tree().items() if kind == "link"} >= {link}
    converted = {path: s for path, s in before.items() if path.startswith("sub-01")}
    assert {path: space.stamps()[path] for path in converted} == converted


def test_going_back_to_links_takes_the_conversion_away(space):
    space.run(backend=BACKEND)
    assert space.run(backend="symlink").exit_code == ExitCode.OK
    assert not (space.out / IMAGE).exists()
    assert (space.out / f"{KEY}.ims").is_symlink()


REFUSED = {
    "a setting": ("ome-zarr:codecs=gzip", "did you mean 'codec'"),
    "a value of another setting": ("ome-zarr:convert=gzip", "one of: needed, all"),
    "a value": ("ome-zarr:codec=zip", "one of: gzip, blosc, lz4"),
    "a version": ("ome-zarr:ngff=0.6", "one of: 0.5, 0.4"),
    "no value": ("ome-zarr:codec", "one of: gzip, blosc, lz4"),
    "of another backend": ("symlink:codec=gzip", "symlink has none"),
    "a name": ("ome-zar:codec=gzip", "did you mean 'ome-zarr'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_settings_are_refused(space, name):
    backend, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        space.run(backend=backend)
    assert not space.out.exists()


def test_a_missing_library_is_found_before_anything_is_written(space, monkeypatch):
    change_backend(monkeypatch, "ome-zarr", libraries=("deflate", "no_such_library"))
    with pytest.raises(InputError, match=r"no_such_library.*spimpack_tasks\[convert\]"):
        space.run(backend=BACKEND)
    assert not space.out.exists()
