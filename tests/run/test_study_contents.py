"""Products that have lost files, and studies that were moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from study_files import write_study

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

CAMERA = """\
root_path: unused.ome.zarr
dimensions: [{name: t, count: 4}, {name: y, count: 8}, {name: x, count: 8}]
dtype: uint16
"""
STREAM = "stages: {stream: {cam: {settings: camera.yml, frames: frames.npy}}}\n"
IMAGES = {
    "stitch brain1/Ex_488": "products/stitched/brain1/Ex_488.ome.zarr",
    "convert times": "products/converted/times.ome.zarr",
}


def states(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    main(["plan", str(path), "--format", "json"])
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return {f"{line['stage']} {line['item']}".rstrip(): line["state"] for line in lines}


def chunks(image: Path) -> list[Path]:
    return sorted(path for path in image.rglob("*") if path.is_file() and path.name != "zarr.json")


def content(image: Path) -> dict[str, bytes]:
    files = [path for path in image.rglob("*") if path.is_file()]
    return {str(path.relative_to(image)): path.read_bytes() for path in files}


def delete(image: Path) -> None:
    chunks(image)[0].unlink()


def shorten(image: Path) -> None:
    chunks(image)[-1].write_bytes(chunks(image)[-1].read_bytes()[:-1])


def lose_metadata(image: Path) -> None:
    (image / "zarr.json").unlink()


@pytest.mark.parametrize("item", IMAGES)
@pytest.mark.parametrize("damage", [delete, shorten, lose_metadata])
def test_a_product_that_has_lost_a_file_is_made_again(tmp_path, capsys, item, damage):
    path, image = write_study(tmp_path), tmp_path / IMAGES[item]
    stage = item.partition(" ")[0]
    assert main(["run", str(path), "--only", stage]) == ExitCode.OK
    assert states(path, capsys)[item] == "done"
    whole = content(image)
    damage(image)
    assert states(path, capsys)[item] == "to do"
    assert main(["run", str(path), "--only", stage]) == ExitCode.OK
    assert content(image) == whole
    assert states(path, capsys)[item] == "done"


def test_what_the_user_adds_to_a_product_is_no_damage(tmp_path, capsys):
    path, image = write_study(tmp_path), tmp_path / IMAGES["convert times"]
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    (image / "notes.txt").write_text("mine")
    edited = json.loads((image / "zarr.json").read_text())
    edited["attributes"]["mine"] = "a colour"
    (image / "zarr.json").write_text(json.dumps(edited))
    assert states(path, capsys)["convert times"] == "done"
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    assert (image / "notes.txt").read_text() == "mine"


def test_a_replaced_product_is_not_taken_for_a_damaged_one(tmp_path, capsys):
    """A run may die between the replacement and the list of the new files."""
    path = write_study(tmp_path)
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    list_of_files = tmp_path / "products/made/convert/times.files"
    old = list_of_files.read_text()
    path.write_text(path.read_text().replace("merge: T", "merge: C"))
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    image = tmp_path / IMAGES["convert times"]
    made = image.stat().st_ino
    list_of_files.write_text(old)
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    assert image.stat().st_ino == made
    assert list_of_files.read_text() != old
    assert states(path, capsys)["convert times"] == "done"


def test_a_stream_that_has_lost_a_file_is_refused(tmp_path, capsys):
    np.save(tmp_path / "frames.npy", np.arange(256, dtype="uint16").reshape(4, 8, 8))
    (tmp_path / "camera.yml").write_text(CAMERA)
    path = tmp_path / "study.yml"
    path.write_text(STREAM)
    assert main(["run", str(path)]) == ExitCode.OK
    image = tmp_path / "products/streamed/cam.ome.zarr"
    delete(image)
    left = content(image)
    assert states(path, capsys) == {"stream cam": "refused"}
    assert main(["run", str(path)]) == ExitCode.CONFLICT
    assert "is missing or has another size" in capsys.readouterr().out
    assert content(image) == left


def test_a_study_that_was_moved_makes_no_product_again(tmp_path, capsys):
    folder = tmp_path / "here"
    np_path = write_study(folder)
    np.save(folder / "frames.npy", np.arange(256, dtype="uint16").reshape(4, 8, 8))
    (folder / "camera.yml").write_text(CAMERA)
    text = np_path.read_text().replace(
        "  package:\n",
        "  stream:\n    cam: {settings: camera.yml, frames: frames.npy}\n  package:\n",
    )
    np_path.write_text(text)
    assert main(["run", str(np_path)]) == ExitCode.OK
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    found = states(moved / "study.yml", capsys)
    products = ("stitch brain1/Ex_488", "stitch brain1/Ex_561", "stream cam", "convert times")
    assert {name: found[name] for name in products} == dict.fromkeys(products, "done")
    images = [*(moved / "products").rglob("*.ome.zarr")]
    before = {image: image.stat().st_ino for image in images}
    assert main(["run", str(moved / "study.yml")]) == ExitCode.OK
    assert {image: image.stat().st_ino for image in images} == before
    assert set(states(moved / "study.yml", capsys).values()) == {"done"}


def test_a_moved_study_converts_what_has_changed(tmp_path, capsys):
    path = write_study(tmp_path / "here")
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    (tmp_path / "here").rename(tmp_path / "there")
    path = tmp_path / "there/study.yml"
    (tmp_path / "there/raw/488_1.ome.tif").touch()
    assert states(path, capsys)["convert times"] == "to do"


def test_an_equal_product_without_notes_is_taken(tmp_path, capsys):
    path = write_study(tmp_path)
    options = ["--only", "stitch", "--only", "convert"]
    assert main(["run", str(path), *options]) == ExitCode.OK
    shutil.rmtree(tmp_path / "products/made")
    found = states(path, capsys)
    assert {found[item] for item in IMAGES} == {"done"}
    assert main(["run", str(path), *options]) == ExitCode.OK


def test_a_stream_may_be_an_ome_tiff(tmp_path, capsys):
    np.save(tmp_path / "frames.npy", np.arange(256, dtype="uint16").reshape(4, 8, 8))
    (tmp_path / "camera.yml").write_text(CAMERA.replace(".ome.zarr", ".ome.tif\nformat: ome-tiff"))
    path, image = tmp_path / "study.yml", tmp_path / "cam.ome.tif"
    path.write_text(STREAM.replace("frames.npy", "frames.npy, image: cam.ome.tif"))
    assert main(["run", str(path)]) == ExitCode.OK
    assert np.array_equal(tifffile.imread(image), np.load(tmp_path / "frames.npy"))
    assert states(path, capsys) == {"stream cam": "done"}
    image.write_bytes(image.read_bytes()[:-1])
    assert states(path, capsys) == {"stream cam": "refused"}
