"""Studies: all stages by one file, one command, and one task."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from study_files import SHAPE_FRC, STUDY, look, write_study

from spimpack_tasks.api import open_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

LUIGI = [sys.executable, "-m", "luigi", "--module", "spimpack_tasks", "ProcessStudy"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study that was run; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("study")
    path = write_study(folder)
    assert main(["run", str(path)]) == ExitCode.OK
    return folder


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    """Return the path of the same study in a folder of its own, where it was run again."""
    folder = tmp_path / "study"
    shutil.copytree(made, folder, symlinks=True)
    shutil.rmtree(folder / "bids")
    shutil.rmtree(folder / "products")
    (folder / "study.html").unlink()
    assert main(["run", str(folder / "study.yml")]) == ExitCode.OK
    return folder / "study.yml"


def states(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what a plan says of each item."""
    capsys.readouterr()
    main(["plan", str(path), "--format", "json"])
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return {f"{line['stage']} {line['item']}".rstrip(): line["state"] for line in lines}


def test_a_study_goes_from_tiles_to_a_valid_dataset_and_a_page(made):
    images = sorted(path.name for path in (made / "bids/sub-01/micr").iterdir())
    stem = "sub-01_sample-brain_stain"
    assert images == [
        f"{stem}-NeuN_SPIM.json",
        f"{stem}-NeuN_SPIM.ome.zarr",
        f"{stem}-cFos_SPIM.json",
        f"{stem}-cFos_SPIM.ome.zarr",
    ]
    image = made / "bids/sub-01/micr" / f"{stem}-cFos_SPIM.ome.zarr"
    assert image.resolve() == (made / "products/stitched/brain1/Ex_488.ome.zarr").resolve()
    with open_image(str(image)) as opened:
        # Frames, rows and columns of two tiles that overlap by 8 rows, at 45 degrees.
        frames, rows, columns = SHAPE_FRC
        assert opened.shape == (1, columns, 1, 2 * rows - 8, frames + columns - 1)
    with open_image(str(made / "products/converted/times.ome.zarr")) as opened:
        frames, rows, columns = SHAPE_FRC
        assert opened.shape == (2, frames, 1, rows, columns)
    report = json.loads((made / "bids/.spimpack/validation.json").read_text())
    assert "error" not in json.dumps(report.get("findings", []))
    page = (made / "study.html").read_text()
    assert page.count("<img") == 3 * 3
    assert "<script" not in page


def test_a_second_run_touches_nothing(made, capsys):
    before = look(made)
    assert main(["run", str(made / "study.yml")]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "made" not in told
    assert told.count("unchanged") == 6
    assert look(made) == before


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("old", "new", "made_again"),
    [
        ("stain: cFos", "stain: Fos", {"package", "validate bids", "report"}),
        (
            "sample_staining: [NeuN]",
            "sample_staining: [Neurons]",
            {"package", "validate bids", "report"},
        ),
        ("name: One brain\n", "name: Another\n", {"report"}),
        ("spacing_um_xyz: [2, 2, 2]", "spacing_um_xyz: [2, 2, 3]", {"convert times"}),
        ("      align: stage\n  convert", "      dark: 3\n      align: stage\n  convert", None),
    ],
)
def test_an_edit_makes_what_depends_on_it(study, capsys, old, new, made_again):
    text = study.read_text()
    assert text.count(old) == 1
    study.write_text(text.replace(old, new))
    found = states(study, capsys)
    changed = {name for name, state in found.items() if state == "to do"}
    later = {name for name, state in found.items() if state == "waits"}
    if made_again is None:
        assert changed == {"stitch brain1/Ex_561"}
        assert later == {"package", "validate bids", "report"}
    else:
        assert changed <= made_again | {"package"}
        assert changed
        # The page shows the study, and the dataset waits for all products.
        assert later | changed >= made_again
    untouched = study.parent / "products/stitched/brain1/Ex_488.ome.zarr/zarr.json"
    before = untouched.stat()
    assert main(["run", str(study)]) == ExitCode.OK
    assert untouched.stat().st_mtime_ns == before.st_mtime_ns
    assert set(states(study, capsys).values()) == {"done"}


def test_a_new_tile_is_found_and_stitched(study, capsys):
    table = study.parent / "raw/488.tsv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n")
    assert states(study, capsys)["stitch brain1/Ex_488"] == "to do"
    assert main(["run", str(study)]) == ExitCode.OK
    image = study.parent / "bids/sub-01/micr/sub-01_sample-brain_stain-cFos_SPIM.ome.zarr"
    with open_image(str(image)) as opened:
        assert opened.shape[3] == SHAPE_FRC[1]


def run_apart(path: Path) -> subprocess.CompletedProcess[str]:
    """Run a study by a process of its own, which ends with its messages."""
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "run", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_of_tiles_that_a_person_has_edited_is_not_replaced(study):
    tiles = study.parent / "products/tiles/brain1/Ex_488.json"
    text = tiles.read_text().replace('"pitch_um": 2.0', '"pitch_um": 2.5')
    tiles.write_text(text)
    done = run_apart(study)
    assert done.returncode == ExitCode.CONFLICT
    assert "was edited" in done.stderr
    assert tiles.read_text() == text


def test_only_and_until_choose_stages(tmp_path, capsys):
    path = write_study(tmp_path)
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    assert states(path, capsys)["convert times"] == "done"
    assert not (tmp_path / "bids").exists()
    assert main(["run", str(path), "--until", "package"]) == ExitCode.OK
    found = states(path, capsys)
    assert found["package"] == "done"
    assert found["validate bids"] == "to do"
    assert not (tmp_path / "study.html").exists()
    assert main(["run", str(path), "--until", "packages"]) == ExitCode.BAD_INPUT
    assert "did you mean 'package'" in capsys.readouterr().err


@pytest.mark.few(1)
@pytest.mark.parametrize("workers", [1, 2])
def test_luigi_itself_makes_equal_bytes(made, tmp_path, workers):
    path = write_study(tmp_path)
    options = ["--study", str(path), "--local-scheduler", "--workers", str(workers)]
    done = subprocess.run([*LUIGI, *options], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
    for name in ("stitched/brain1/Ex_488", "stitched/brain1/Ex_561", "converted/times"):
        one, other = (folder / f"products/{name}.ome.zarr" for folder in (made, tmp_path))
        files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
        assert files == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
        if name.startswith("stitched"):
            with open_image(str(one)) as a, open_image(str(other)) as b:
                assert np.array_equal(a.levels[0][:], b.levels[0][:])


BAD = {
    "no stages": ("name: x\n", "study.form"),
    "empty": ("stages: {}\n", "value.empty"),
    "unknown stage": ("stages:\n  stich: {}\n", "key.unknown"),
    "unknown key": ("stages:\n  stitch: {a: {tiles: t.json, destrip: none}}\n", "key.unknown"),
    "no tiles": ("stages:\n  stitch: {a: {align: stage}}\n", "study.tiles"),
    "both": ("stages:\n  stitch: {a: {tiles: t.json, recording: r}}\n", "study.tiles"),
    "name leads out": ("stages:\n  convert: {../x: {source: a.tif}}\n", "study.name"),
    "one place": (
        "stages: {convert: {a: {source: a}, b: {source: a, image: products/converted/a.ome.zarr}}}",
        "study.twice",
    ),
    "number": ("stages:\n  stitch: {a: {tiles: t.json, dark: much}}\n", "value.type"),
    "choice": ("stages:\n  stitch: {a: {tiles: t.json, align: guess}}\n", "value.choice"),
    "nothing to validate": ("stages:\n  validate:\n", "study.dataset"),
    "nothing to publish": ("stages:\n  publish: {a: {url: 's3://b/c'}}\n", "study.dataset"),
    "syntax": ("stages: [\n", "yaml.syntax"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["run", "plan", "validate"])
def test_a_wrong_study_is_refused_with_its_places(tmp_path, capsys, name, command):
    text, code = BAD[name]
    path = tmp_path / "study.yml"
    path.write_text(text)
    if command != "run" and name in {"no stages", "syntax"}:
        pytest.skip("a file without stages is a manifest")
    assert main([command, str(path)]) == ExitCode.BAD_INPUT
    said = capsys.readouterr()
    told = said.out + said.err  # validate reports what it finds, the others refuse
    assert f"[{code}]" in told
    assert f"{path.name}:" in told
    assert [each.name for each in tmp_path.iterdir()] == ["study.yml"]


def test_a_bad_item_fails_alone(tmp_path):
    text = STUDY.replace(
        "[raw/488_0.ome.tif, raw/488_1.ome.tif]", "[raw/none.tif, raw/488_1.ome.tif]"
    )
    path = write_study(tmp_path, text)
    done = run_apart(path)
    assert done.returncode == ExitCode.BAD_INPUT
    assert "none.tif' does not exist" in done.stderr
    # No row names it, so the dataset does not wait for it.
    assert (tmp_path / "bids/.spimpack/validation.json").exists()
    assert not (tmp_path / "study.html").exists()


def test_the_dataset_waits_for_what_rows_name(tmp_path, capsys):
    path = write_study(tmp_path, STUDY.replace("recording: raw/561.tsv", "recording: raw/none.tsv"))
    done = run_apart(path)
    assert done.returncode == ExitCode.BAD_INPUT
    found = states(path, capsys)
    assert found["stitch brain1/Ex_561"] in {"to do", "refused"}
    assert found["package"] == "waits"
    assert found["convert times"] == "done"


def test_a_manifest_of_its_own_names_the_study(study, capsys):
    import yaml

    data = yaml.safe_load(study.read_text())
    manifest = data["stages"]["package"]["manifest"] | {"study": "../study.yml"}
    folder = study.parent / "tables"
    folder.mkdir()
    (folder / "manifest.yml").write_text(yaml.safe_dump(manifest))
    output = study.parent / "other"
    assert main(["package", str(folder / "manifest.yml"), str(output)]) == ExitCode.OK
    manifest["datasets"][0]["assets"][0]["spim_path"] = "stitched:brain1/Ex_48"
    (folder / "manifest.yml").write_text(yaml.safe_dump(manifest))
    capsys.readouterr()
    assert main(["validate", str(folder / "manifest.yml")]) == ExitCode.BAD_INPUT
    assert "did you mean 'stitched:brain1/Ex_488'" in capsys.readouterr().out
    del manifest["study"]
    (folder / "manifest.yml").write_text(yaml.safe_dump(manifest))
    assert main(["validate", str(folder / "manifest.yml")]) == ExitCode.BAD_INPUT
    assert "study: study.yml" in capsys.readouterr().out


def test_a_study_that_was_moved_stitches_nothing_again(study, tmp_path, capsys):
    moved = tmp_path / "elsewhere"
    study.parent.rename(moved)
    assert main(["run", str(moved / "study.yml")]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "unchanged stitch brain1/Ex_488" in told
    assert "unchanged stitch brain1/Ex_561" in told
    image = moved / "bids/sub-01/micr/sub-01_sample-brain_stain-cFos_SPIM.ome.zarr"
    assert image.resolve() == (moved / "products/stitched/brain1/Ex_488.ome.zarr").resolve()


def test_a_wrong_manifest_is_refused_before_anything_is_stitched(tmp_path, capsys):
    text = STUDY.replace("orientation_string_xyz: RPI", "orientation_string_xyz: RPQ")
    path = write_study(tmp_path, text)
    for command in ("run", "validate"):
        assert main([command, str(path)]) == ExitCode.BAD_INPUT
        told = capsys.readouterr()
        assert "[value.orientation]" in told.out + told.err
        assert "does not exist" not in told.out + told.err
    assert states(path, capsys)["package"] == "refused"
    assert not (tmp_path / "products").exists()
    command = [*LUIGI, "--study", str(path), "--local-scheduler"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.BAD_INPUT
    assert "[value.orientation]" in done.stderr
    assert not (tmp_path / "products").exists()


def test_a_right_study_is_validated_before_its_products_are_there(tmp_path, capsys):
    assert main(["validate", str(write_study(tmp_path))]) == ExitCode.OK
    assert capsys.readouterr().out == "6 items: 0 errors\n"


STREAM = """\
stages:
  stream:
    cam: {settings: camera.yml, frames: frames.npy}
"""
CAMERA = """\
root_path: unused.ome.zarr
dimensions: [{name: t, count: 4}, {name: y, count: 8}, {name: x, count: 8}]
dtype: uint16
"""


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """Return the path of a study whose stream was written."""
    np.save(tmp_path / "frames.npy", np.arange(256, dtype="uint16").reshape(4, 8, 8))
    (tmp_path / "camera.yml").write_text(CAMERA)
    path = tmp_path / "study.yml"
    path.write_text(STREAM)
    assert main(["run", str(path)]) == ExitCode.OK
    return path


def change_frames(folder: Path) -> None:
    np.save(folder / "frames.npy", np.ones((4, 8, 8), "uint16"))


def change_source(folder: Path) -> None:
    np.save(folder / "other.npy", np.ones((4, 8, 8), "uint16"))
    (folder / "study.yml").write_text(STREAM.replace("frames.npy", "other.npy"))


def change_settings(folder: Path) -> None:
    scale = CAMERA.replace("{name: y,", "{name: y, scale: 2, unit: micrometer,")
    (folder / "camera.yml").write_text(scale)


@pytest.mark.parametrize("change", [change_frames, change_source, change_settings])
def test_a_stream_of_other_frames_is_refused_and_kept(stream, capsys, change):
    assert set(states(stream, capsys).values()) == {"done"}
    image = stream.parent / "products/streamed/cam.ome.zarr"
    before = {path: path.read_bytes() for path in image.rglob("*") if path.is_file()}
    change(stream.parent)
    assert set(states(stream, capsys).values()) == {"refused"}
    done = run_apart(stream)
    assert done.returncode == ExitCode.CONFLICT
    assert "give the stream another name" in done.stderr + done.stdout
    assert {path: path.read_bytes() for path in image.rglob("*") if path.is_file()} == before


def test_equal_frames_with_other_times_are_accepted_by_their_user(stream, capsys):
    change_frames(stream.parent)
    note = stream.parent / "products/made/stream/cam.json"
    kept = json.loads(note.read_text())
    del kept["frames"]
    note.write_text(json.dumps(kept))
    assert main(["run", str(stream)]) == ExitCode.OK
    assert set(states(stream, capsys).values()) == {"done"}


@pytest.mark.parametrize("image", ["mine.ome.zarr", "products/converted/one.ome.zarr"])
def test_an_image_that_the_user_has_converted_is_not_replaced(tmp_path, image):
    write_study(tmp_path)
    mine = tmp_path / image
    mine.parent.mkdir(parents=True, exist_ok=True)
    source = str(tmp_path / "raw/488_0.ome.tif")
    assert main(["convert", source, str(mine), "--pixel-size", "1;1;1"]) == ExitCode.OK
    before = (mine / "zarr.json").read_bytes()
    (tmp_path / "study.yml").write_text(
        f"stages: {{convert: {{one: {{source: raw/488_1.ome.tif, image: {image}}}}}}}\n"
    )
    done = run_apart(tmp_path / "study.yml")
    assert done.returncode == ExitCode.CONFLICT
    assert "was not made by this study" in done.stderr
    assert (mine / "zarr.json").read_bytes() == before


def test_a_tilde_in_work_dir_is_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = write_study(tmp_path / "study", f"work_dir: ~/made\n{STUDY}")
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    assert (tmp_path / "home/made/converted/times.ome.zarr/zarr.json").exists()
    assert not (tmp_path / "study/~").exists()


@pytest.mark.parametrize("option", ["--backend=copy", "--subject=01", "--save=f.plan", "--dot"])
def test_a_plan_of_a_study_refuses_options_of_manifests(made, capsys, option):
    words = ["plan", str(made / "study.yml"), *option.split("=")]
    assert main(words) == ExitCode.BAD_INPUT
    assert f"{option.partition('=')[0].rstrip('s')}" in capsys.readouterr().err
