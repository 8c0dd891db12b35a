"""A dataset that was moved, copied, cloned or saved by DataLad still is what was written."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from imaris_variants import Variant, write_variant
from workspace import STATE, Workspace, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files.annex import annexed_size, content_command, is_annexed
from spimpack_tasks.state.store import Store
from spimpack_tasks.verification.verify import verify_fast

KEY = "micr/sub-{0}_sample-brain_acq-4x_SPIM"
IMS = f"sub-01/{KEY.format('01')}.ims"
CONVERTED = f"sub-01/{KEY.format('01')}.ome.zarr"
ZARR = f"sub-02/{KEY.format('02')}.ome.zarr"
TIFF_MADE = CONVERTED.replace(".zarr", ".tif")
TIFF = f"sub-03/{KEY.format('03')}.ome.tif"
CONVERTING = ["ome-zarr", "ome-zarr:ngff=0.4", "ome-zarr:convert=all", "ome-tiff"]
BACKENDS = ["symlink", "symlink-tree", "hardlink", "copy", *CONVERTING]


def packaged(root: Path, backend: str, *, checksum: bool = False, relative: bool = False):
    root.mkdir()
    space = small_workspace(root)
    write_variant(root / "raw" / "a.ims", Variant(channels=2))
    space.rows[0] |= {"PixelSize": "1.5;2.5;3.5"}
    ran = space.run(backend=backend, checksum=checksum, relative_symlinks=relative)
    assert ran.exit_code == ExitCode.OK
    return space


def faults(out: Path) -> dict[str, str]:
    return {d.path: str(d.fault) for d in verify_fast(Store(str(out)))}


def copy_with_times(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)


def copy_without_times(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, copy_function=shutil.copyfile)
    for folder, _, names in os.walk(target):
        for name in [*names, "."]:
            os.utime(Path(folder, name), ns=(10**18, 10**18), follow_symlinks=False)


def pack_and_unpack(source: Path, target: Path) -> None:
    """Go by a tar archive of the old form, which keeps whole seconds only."""
    archive = target.with_suffix(".tar")
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(source, arcname=target.name)
    with tarfile.open(archive) as tar:
        tar.extractall(target.parent, filter="fully_trusted")


WAYS = [Path.rename, copy_with_times, copy_without_times, pack_and_unpack]


@pytest.mark.few(8)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("backend", BACKENDS)
def test_e1b_a_copy_of_the_dataset_is_right(tmp_path, backend, way, capsys):
    space = packaged(tmp_path / "study", backend)
    moved = tmp_path / "moved"
    way(space.out, moved)
    if backend == "ome-tiff" and way in {copy_without_times, pack_and_unpack}:
        # There is nothing to compare its content with.
        assert faults(moved) == {TIFF_MADE: "altered"}
        inputs = ["--manifest", str(space.manifest), "--output-dir", str(moved)]
        inputs += ["--backend", backend]
        assert main(["package", *inputs]) == ExitCode.CONFLICT
        assert main(["package", *inputs, "--overwrite"]) == ExitCode.OK
        assert faults(moved) == {}
        return
    assert faults(moved) == {}
    if backend in CONVERTING:
        assert main(["verify", str(moved), "--pixels"]) == ExitCode.OK
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(moved), "--backend", backend]
    capsys.readouterr()
    assert main(["plan", *inputs]) == ExitCode.OK
    assert capsys.readouterr().out == "3 unchanged\n"
    before = stamps(moved)
    assert main(["package", *inputs]) == ExitCode.OK
    assert stamps(moved) == before
    assert main(["package", *inputs]) == ExitCode.OK
    assert capsys.readouterr().out.endswith(f"Nothing to do: 3 unchanged in {moved}\n")
    assert faults(moved) == {}


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for folder, folders, names in os.walk(out):
        if Path(folder) == out:
            folders.remove(STATE)
        for name in names:
            status = os.lstat(Path(folder, name))
            found[os.path.join(folder, name)] = (status.st_mtime_ns, status.st_ino)
    return found


def remove_chunk(image: Path) -> None:
    next(path for path in sorted(image.rglob("0/**/0")) if path.is_file()).unlink()


def grow_chunk(image: Path) -> None:
    path = next(path for path in sorted(image.rglob("0/**/0")) if path.is_file())
    path.write_bytes(path.read_bytes() + b"x")


def add_file(image: Path) -> None:
    (image / ".DS_Store").write_text("")


def edit_metadata(image: Path) -> None:
    for name in ("zarr.json", ".zattrs"):
        if (image / name).exists():
            text = (image / name).read_text()
            (image / name).unlink()
            (image / name).write_text(text.replace("micrometer", "millimeter"))


def swap_size(image: Path) -> None:
    path = next(path for path in sorted(image.rglob("0/**/0")) if path.is_file())
    path.write_bytes(b"x" * (path.stat().st_size - 1))


CHANGES = [remove_chunk, grow_chunk, add_file, edit_metadata, swap_size]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("backend", ["copy", "ome-zarr", "ome-zarr:ngff=0.4"])
def test_e1b_what_is_wrong_with_a_copy_is_found(tmp_path, backend, change, capsys):
    space = packaged(tmp_path / "study", backend)
    path = ZARR if backend == "copy" else CONVERTED
    moved = tmp_path / "moved"
    copy_without_times(space.out, moved)
    change(moved / path)
    assert faults(moved) == {path: "altered"}
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(moved), "--backend", backend]
    assert main(["package", *inputs]) == ExitCode.CONFLICT
    assert f"{path}: was changed since it was written" in capsys.readouterr().err


def test_e1b_another_content_of_the_same_size(tmp_path):
    space = packaged(tmp_path / "study", "copy")
    moved = tmp_path / "moved"
    copy_without_times(space.out, moved)
    data = bytearray((moved / IMS).read_bytes())
    data[-1] ^= 1
    (moved / IMS).write_bytes(data)
    assert faults(moved) == {IMS: "altered"}


def move_alone(root: Path) -> tuple[Path, dict[str, str]]:
    (root / "elsewhere" / "deep").mkdir(parents=True)
    (root / "study" / "out").rename(root / "elsewhere" / "deep" / "out")
    out = root / "elsewhere" / "deep" / "out"
    return out, dict.fromkeys([IMS, ZARR, TIFF], "source gone")


def move_together(root: Path) -> tuple[Path, dict[str, str]]:
    (root / "study").rename(root / "elsewhere")
    return root / "elsewhere" / "out", {}


def move_and_change(root: Path) -> tuple[Path, dict[str, str]]:
    out, _ = move_together(root)
    (root / "elsewhere" / "raw" / "a.ims").write_bytes(b"another")
    return out, {IMS: "source changed"}


def leave_a_decoy(root: Path) -> tuple[Path, dict[str, str]]:
    """Leave other files where the sources were."""
    out, _ = move_together(root)
    (root / "study" / "raw").mkdir(parents=True)
    (root / "study" / "raw" / "a.ims").write_bytes(b"another")
    return out, {}


@pytest.mark.parametrize("way", [move_alone, move_together, move_and_change, leave_a_decoy])
@pytest.mark.parametrize("backend", ["symlink", "symlink-tree"])
def test_e1_relative_links_are_followed_from_where_they_are(tmp_path, backend, way):
    packaged(tmp_path / "study", backend, relative=True)
    out, expected = way(tmp_path)
    assert faults(out) == expected


@pytest.mark.parametrize("backend", ["symlink", "symlink-tree"])
def test_e1_absolute_links_lead_back_from_anywhere(tmp_path, backend):
    space = packaged(tmp_path / "study", backend)
    moved = tmp_path / "elsewhere" / "out"
    moved.parent.mkdir()
    space.out.rename(moved)
    assert faults(moved) == {}
    (space.root / "raw").rename(space.root / "gone")
    assert set(faults(moved).values()) == {"source gone"}


def annex(path: Path, repository: Path) -> None:
    """Do with a file as `git annex add` does."""
    data = path.read_bytes()
    key = f"MD5E-s{len(data)}--{hashlib.md5(data, usedforsecurity=False).hexdigest()}{path.suffix}"
    objects = repository / ".git" / "annex" / "objects" / "aB" / "cD" / key
    objects.mkdir(parents=True, exist_ok=True)
    path.rename(objects / key)
    path.symlink_to(os.path.relpath(objects / key, path.parent))
    (objects / key).chmod(0o444)


def save_all(out: Path, *, kept: set[str]) -> None:
    """Do as `datalad save` does without a rule for texts: every file goes into the annex."""
    for folder, folders, names in os.walk(out):
        folders[:] = [name for name in folders if name not in kept]
        for name in names:
            if not Path(folder, name).is_symlink():
                annex(Path(folder, name), out)


@pytest.mark.parametrize("ignores_state", [True, False])
@pytest.mark.parametrize("backend", ["copy", "symlink", *CONVERTING])
def test_e4_a_dataset_saved_by_datalad(tmp_path, backend, ignores_state):
    space = packaged(tmp_path / "study", backend)
    save_all(space.out, kept={".git", STATE} if ignores_state else {".git"})
    assert faults(space.out) == {}
    assert space.run(backend=backend).exit_code == ExitCode.OK
    assert space.run(backend=backend).lines("out")[0].startswith("Nothing to do")
    assert (space.out / "dataset_description.json").is_symlink()
    space.rows[1]["Species"] = "rat"  # an edit replaces the link by a file, as an editor would
    assert space.run(backend=backend).exit_code == ExitCode.OK
    assert not (space.out / ZARR.replace("ome.zarr", "json")).is_symlink()
    assert faults(space.out) == {}


def test_e4_a_clone_without_content(tmp_path, capsys):
    space = packaged(tmp_path / "study", "copy")
    save_all(space.out, kept={".git", STATE})
    shutil.rmtree(space.out / ".git")
    assert {faults(space.out)[path] for path in (IMS, TIFF, ZARR)} == {"unreadable"}
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(space.out)]
    assert main(["package", *inputs, "--backend", "copy"]) == ExitCode.CONFLICT
    assert f"datalad get {space.out / IMS}" in capsys.readouterr().err


def test_e4_another_content_in_the_annex(tmp_path):
    space = packaged(tmp_path / "study", "copy")
    data = bytearray((space.out / IMS).read_bytes())
    data[0] ^= 1
    (space.out / IMS).write_bytes(data)
    annex(space.out / IMS, space.out)
    assert faults(space.out) == {IMS: "altered"}


KEYS: dict[str, int | None] = {
    "MD5E-s12--d41d8.ims": 12,
    "SHA256E-s1048576--e3b0c.ome.tif": 1048576,
    "SHA256-s5-m1287290776--e3b0c": 5,
    "WORM-m1287290776-s77--a-s9--b": 77,
    "URL--http&c%%x-s9--y": None,
    "plain.ims": None,
}


@pytest.mark.parametrize("key", KEYS)
def test_e4_the_size_that_a_key_tells(tmp_path, key):
    (tmp_path / "micr").mkdir()
    path = tmp_path / "micr" / "a.ims"
    path.symlink_to(f"../.git/annex/objects/aB/cD/{key}/{key}")
    assert is_annexed(str(path))
    assert annexed_size(str(path)) == KEYS[key]
    far = tmp_path / "far.ims"
    far.symlink_to(f"../elsewhere/.git/annex/objects/aB/cD/{key}/{key}")
    assert not is_annexed(str(far))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
ANNEX = b"/annex/objects/MD5E-s12--d41d8.ims\n"


def link_without_content(path: Path) -> None:
    path.symlink_to(".git/annex/objects/aB/cD/MD5E-s9--a/MD5E-s9--a")


POINTERS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "annex link": ("a.ims", link_without_content, "datalad get {0}"),
    "annex link to a tiff": ("c.ome.tif", link_without_content, "datalad get {0}"),
    "annex pointer": ("a.ims", lambda path: path.write_bytes(ANNEX), "datalad get {0}"),
    "annex pointer of a tiff": (
        "c.ome.tif",
        lambda path: path.write_bytes(ANNEX),
        "datalad get {0}",
    ),
    "lfs pointer": (
        "a.ims",
        lambda path: path.write_bytes(LFS),
        "git -C {0.parent} lfs pull --include {0.name}",
    ),
    "lfs pointer of a tiff": (
        "c.ome.tif",
        lambda path: path.write_bytes(LFS),
        "git -C {0.parent} lfs pull --include {0.name}",
    ),
    "lfs pointer of a nifti": (
        "d.nii.gz",
        lambda path: path.write_bytes(LFS),
        "git -C {0.parent} lfs pull --include {0.name}",
    ),
}


@pytest.mark.parametrize("name", POINTERS)
def test_e4_a_source_whose_content_is_elsewhere(tmp_path, name, capsys):
    source, make, command = POINTERS[name]
    space = Workspace(tmp_path)
    space.add_row(source, subject="01", acquisition="4x")
    path = tmp_path / "raw" / source
    path.unlink()
    make(path)
    space.write()
    assert main(["validate", "--manifest", str(space.manifest)]) == ExitCode.BAD_INPUT
    said = capsys.readouterr().out
    assert command.format(path) in said
    assert "its content is not here" in said


def test_content_command_of_other_things(tmp_path):
    dangling = tmp_path / "a"
    dangling.symlink_to("nowhere")
    assert content_command(str(dangling)) == ""
    assert content_command(str(tmp_path), b"II*\0") == ""
