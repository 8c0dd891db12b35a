"""Options of a run come from the command line, the manifest and the last run, in this order."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import yaml
from workspace import STATE, Workspace, small_workspace

from spimpack_tasks import PackageDataset
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.luigi_run import build_alone
from spimpack_tasks.state.session import SESSION

IMAGE = "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM.ome.tif"


@pytest.fixture
def space(tmp_path, capsys) -> Workspace:
    made = small_workspace(tmp_path)
    made.write()
    capsys.readouterr()
    return made


def choose(space: Workspace, **keys: object) -> None:
    data = yaml.safe_load(space.manifest.read_text())
    space.manifest.write_text(yaml.safe_dump(data | keys, sort_keys=False))


def run(space: Workspace, command: str, *options: str) -> int:
    SESSION.reset()  # as in another process
    return main([command, str(space.manifest), str(space.out), *options])


def kind(space: Workspace) -> str:
    """Return how the OME-TIFF got into the dataset."""
    path = space.out / IMAGE
    if path.is_symlink():
        return "relative link" if not Path(os.readlink(path)).is_absolute() else "link"
    return "hard link" if path.stat().st_nlink > 1 else "copy"


SOURCES = {
    # last run, manifest, command line: what becomes of the image
    "i15-1-nothing": ((), {}, (), "link"),
    "i15-1-manifest": ((), {"backend": "copy"}, (), "copy"),
    "i15-1-command-line-wins": ((), {"backend": "copy"}, ("--backend", "hardlink"), "hard link"),
    "i15-1-last-run": (("--backend", "copy"), {}, (), "copy"),
    "i15-1-manifest-before-last-run": (
        ("--backend", "copy"),
        {"backend": "hardlink"},
        (),
        "hard link",
    ),
    "i15-1-back-to-the-default": (("--backend", "copy"), {}, ("--backend", "symlink"), "link"),
    "i15-1-flag-of-the-manifest": ((), {"relative_symlinks": True}, (), "relative link"),
    "i15-1-flag-of-the-last-run": (("--relative-symlinks",), {}, (), "relative link"),
    "i15-1-flag-off": (("--relative-symlinks",), {}, ("--no-relative-symlinks",), "link"),
    "i15-1-flag-of-the-manifest-off": (
        (),
        {"relative_symlinks": True},
        ("--no-relative-symlinks",),
        "link",
    ),
    "i15-1-flag-of-another-backend": (
        ("--relative-symlinks",),
        {},
        ("--backend", "hardlink"),
        "hard link",
    ),
}


@pytest.mark.parametrize(("last", "keys", "options", "wanted"), SOURCES.values(), ids=SOURCES)
def test_who_decides(space, last, keys, options, wanted):
    if last:
        assert run(space, "package", *last) == ExitCode.OK
    choose(space, **keys)
    assert run(space, "package", *options) == ExitCode.OK
    assert kind(space) == wanted
    # The other commands mean the same run.
    before = space.stamps()
    assert run(space, "plan", "--exit-code", *options) == ExitCode.OK
    assert run(space, "package", *options) == ExitCode.OK
    assert space.stamps() == before


@pytest.mark.parametrize(("last", "keys", "options", "wanted"), SOURCES.values(), ids=SOURCES)
def test_luigi_means_the_same_run(space, last, keys, options, wanted):
    if last:
        assert run(space, "package", *last) == ExitCode.OK
    choose(space, **keys)
    SESSION.reset()
    given = dict(zip(options[::2], options[1::2], strict=False)) if "--backend" in options else {}
    values = {"backend": given["--backend"]} if given else {}
    if "--no-relative-symlinks" in options:
        values["relative_symlinks"] = False
    task = PackageDataset(manifest=str(space.manifest), output_dir=str(space.out), **values)
    build_alone(task, 1)
    assert task.end() is ExitCode.OK
    assert kind(space) == wanted
    SESSION.reset()
    again = PackageDataset(manifest=str(space.manifest), output_dir=str(space.out), **values)
    assert again.plan_id == task.plan_id
    assert again.complete()


def test_luigis_command_line_has_three_states():
    flag = PackageDataset.strict
    assert [flag.parse(text) for text in ("", "true", "false")] == [None, True, False]


def test_i15_1_settings_of_the_manifest(space):
    choose(space, backend="ome-zarr", settings={"convert": "all", "ngff": 0.4})
    assert run(space, "package") == ExitCode.OK
    image = space.out / IMAGE.replace(".ome.tif", ".ome.zarr")
    assert json.loads((image / ".zattrs").read_text())["multiscales"][0]["version"] == "0.4"


def test_i15_1_checksums_of_the_manifest(space):
    choose(space, checksum=True)
    assert run(space, "package") == ExitCode.OK
    digest = hashlib.sha256((space.out / IMAGE).read_bytes()).hexdigest()
    assert digest in (space.out / STATE / "SHA256SUMS").read_text()


def test_i15_1_checksums_refused_by_the_command_line(space):
    choose(space, checksum=True)
    assert run(space, "package", "--no-checksum") == ExitCode.OK
    assert not (space.out / STATE / "SHA256SUMS").exists()


def test_i15_1_strictness_of_the_manifest(space, capsys):
    choose(space, strict=True)
    space.manifest.write_text(space.manifest.read_text() + "sidecar_columns: [nowhere]\n")
    strict = run(space, "validate")
    assert (strict, run(space, "validate", "--no-strict")) == (ExitCode.BAD_INPUT, ExitCode.OK)
    assert not space.out.exists()
    # It is no lasting choice of a dataset.
    assert run(space, "package", "--no-strict") == ExitCode.OK
    data = yaml.safe_load(space.manifest.read_text())
    del data["strict"]
    space.manifest.write_text(yaml.safe_dump(data))
    assert run(space, "package") == ExitCode.OK
    capsys.readouterr()


def test_i15_1_a_command_line_that_wins_says_so(space, capsys):
    choose(space, backend="copy", strict=True)
    assert run(space, "validate", "--backend", "hardlink", "--no-strict") == ExitCode.OK
    lines = [line for line in capsys.readouterr().out.splitlines() if "[option.overridden]" in line]
    assert [line.partition(": note: ")[2] for line in lines] == [
        "backend: copy does not count: the command line says hardlink [option.overridden]",
        "strict: true does not count: the command line says false [option.overridden]",
    ]
    number = next(
        number
        for number, line in enumerate(space.manifest.read_text().splitlines(), 1)
        if line.startswith("backend:")
    )
    assert f"manifest.yml:{number}:" in lines[0]


def test_i15_1_a_choice_of_the_last_run_is_told(space, capsys):
    assert run(space, "package", "--backend", "ome-zarr:codec=blosc") == ExitCode.OK
    capsys.readouterr()
    assert run(space, "validate", "--strict") == ExitCode.OK  # a note is no warning
    assert (
        "command line: note: --backend: is not given, so it is ome-zarr:codec=blosc as in the "
        "last run; write backend: ome-zarr:codec=blosc into the manifest, or give another "
        "[option.last-run]" in capsys.readouterr().out
    )
    assert run(space, "validate", "--backend", "ome-zarr:codec=blosc") == ExitCode.OK
    assert "option.last-run" not in capsys.readouterr().out


FAULTS = {
    "unknown backend": ({"backend": "simlink"}, "backend: 'simlink' is not a backend"),
    "setting": (
        {"backend": "ome-zarr", "settings": {"codek": "gzip"}},
        "settings.codek: 'codek' is not a setting of ome-zarr; did you mean 'codec'?",
    ),
    "value": (
        {"backend": "ome-zarr", "settings": {"codec": "zip"}},
        "settings.codec: 'zip' is not a value of codec of ome-zarr",
    ),
    "settings without a backend": ({"settings": {"codec": "gzip"}}, "belong to a backend"),
    "no flag": ({"strict": "yes please"}, "strict: "),
    "no effect": ({"backend": "copy", "relative_symlinks": True}, "relative_symlinks: has no"),
}


@pytest.mark.parametrize(("keys", "message"), FAULTS.values(), ids=FAULTS)
def test_i15_1_faults_have_their_line_in_the_manifest(space, capsys, keys, message):
    choose(space, **keys)
    run(space, "validate")
    lines = [line for line in capsys.readouterr().out.splitlines() if message in line]
    assert len(lines) == 1
    lines_of_file = space.manifest.read_text().splitlines()
    number = int(lines[0].split("manifest.yml:")[1].split(":")[0])
    key = message.split(":")[0].rpartition(".")[2]
    assert key in lines_of_file[number - 1] or key == "belong to a backend"


def test_i15_1_a_dataset_of_an_earlier_version_keeps_its_backend(space):
    assert run(space, "package", "--backend", "copy") == ExitCode.OK
    (space.out / STATE / "options.json").unlink()
    (space.out / STATE / "seal").unlink()
    assert run(space, "package") == ExitCode.OK
    assert kind(space) == "copy"


def test_i15_1_previews_stay_until_they_are_refused(space):
    assert run(space, "package", "--previews") == ExitCode.OK
    pictures = sorted(path for path in space.out.rglob("*") if path.suffix == ".png")
    assert pictures
    assert run(space, "package", "--backend", "copy") == ExitCode.OK
    assert all(picture.exists() for picture in pictures)
    assert run(space, "package", "--no-previews") == ExitCode.OK
    assert not any(picture.exists() for picture in pictures)


def test_i15_1_choices_of_an_included_manifest_do_not_count(space):
    choose(space, backend="copy")
    outer = space.root.parent / "all.yml"
    data = yaml.safe_load(space.manifest.read_text())
    del data["backend"]
    outer.write_text(
        yaml.safe_dump(
            {
                "dataset_description": data["dataset_description"],
                "include": [os.path.relpath(space.manifest, outer.parent)],
            }
        )
    )
    SESSION.reset()
    assert main(["package", str(outer), str(space.out)]) == ExitCode.OK
    assert kind(space) == "link"
    outer.unlink()
