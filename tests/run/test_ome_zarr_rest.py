"""What an OME-Zarr holds besides its image: carried over where that can be, otherwise told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import plane_sources as sources
import pytest
import yaozarrs
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import open_ome_zarr
from plane_harm import tree_of
from test_image_rules import made, problems, workspace_of
from zarr_readers import read_with_zarr

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.ome_zarr.metadata import METADATA
from spimpack_tasks.volumes.read_header import read_header

VOXELS = sources.compose_voxels((1, 2, 9, 20, 17))
LABELS = [np.arange(1 * 9 * 20 * 17, dtype="uint32").reshape(1, 9, 20, 17) % 991]
LABELS.append(LABELS[0][:, ::2, ::2, ::2])
"""Two levels, the second of every other voxel."""
SPACING = sources.SPACING_UM


def run(*arguments: object) -> int:
    return main([*map(str, arguments)])


def change(path: Path, edit) -> None:
    """Change the attributes of a group of either version; those of OME in 0.5."""
    name = "zarr.json" if (path / "zarr.json").exists() else ".zattrs"
    data = json.loads((path / name).read_text())
    edit(data["attributes"].get("ome", data["attributes"]) if name == "zarr.json" else data)
    (path / name).write_text(json.dumps(data))


def attributes_of(path: Path) -> dict:
    name = "zarr.json" if (path / "zarr.json").exists() else ".zattrs"
    data = json.loads((path / name).read_text())
    return data["attributes"]["ome"] if name == "zarr.json" else data


def lines_of(path: Path) -> list[tuple[list[float], list[float]]]:
    """Return scale and translation of each level."""
    [multiscale] = attributes_of(path)["multiscales"]
    steps = [each["coordinateTransformations"] for each in multiscale["datasets"]]
    return [(scale["scale"], shift["translation"]) for scale, shift in steps]


def move(path: Path, translation: list[float], owner: str = "datasets") -> None:
    def edit(told: dict) -> None:
        [multiscale] = told["multiscales"]
        place = multiscale["datasets"][0] if owner == "datasets" else multiscale
        step = {"type": "translation", "translation": translation}
        place["coordinateTransformations"] = [*place.get("coordinateTransformations", []), step]

    change(path, edit)


def write_label(
    image: Path, name: str = "nuclei", version: int = 3, levels=LABELS, **about
) -> Path:
    """Put a label image into an OME-Zarr."""
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": each, "type": "space", "unit": "micrometer"} for each in "zyx"]
    datasets = []
    for number in range(len(levels)):
        steps = [2**number] * 3
        scale = [1, *np.multiply(steps, SPACING)]
        shift = [0, *((np.array(steps) - 1) / 2 * SPACING)]
        transforms = [{"type": "scale", "scale": scale}]
        transforms.append({"type": "translation", "translation": shift})
        datasets.append({"path": f"s{number}", "coordinateTransformations": transforms})
    told = {"multiscales": [{"axes": axes, "datasets": datasets, "version": "0.4"}]}
    told["image-label"] = {"colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}], **about}
    told = json.loads(json.dumps(told, default=float))
    given = {"ome": told | {"version": "0.5"}} if version == 3 else told
    group = zarr.create_group(image / "labels" / name, zarr_format=version, attributes=given)
    for number, voxels in enumerate(levels):
        group.create_array(
            f"s{number}", shape=voxels.shape, dtype=voxels.dtype, chunks=(1, 4, 8, 8)
        )[:] = voxels
    names = sorted(path.name for path in (image / "labels").iterdir() if path.is_dir())
    listed = {"ome": {"labels": names, "version": "0.5"}} if version == 3 else {"labels": names}
    zarr.open_group(image / "labels", mode="a", zarr_format=version).attrs.update(listed)
    return image / "labels" / name


# --- a place


PLACES = {
    "b5-of-the-level": ("datasets", [0, 0, 100.5, -20, 3], (100.5, -20, 3)),
    "b5-of-all": ("multiscales", [0, 0, 1, 2, 3], (1, 2, 3)),
    "b5-none": ("datasets", [0, 0, 0, 0, 0], (0, 0, 0)),
}


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("case", PLACES)
def test_a_translation_is_carried_over(tmp_path: Path, case: str, ngff: str, capsys) -> None:
    owner, translation, wanted = PLACES[case]
    sources.write_zarr(tmp_path / "a.ome.zarr", VOXELS)
    move(tmp_path / "a.ome.zarr", translation, owner)
    out = tmp_path / "out.ome.zarr"
    assert run("convert", tmp_path / "a.ome.zarr", out, "--ngff", ngff) == ExitCode.OK
    assert "warning" not in capsys.readouterr().err
    assert lines_of(out)[0] == ([1, 1, *SPACING], [0, 0, *wanted])
    again = tmp_path / "again.ome.zarr"
    assert run("convert", out, again) == ExitCode.OK
    assert lines_of(again)[0] == lines_of(out)[0]
    tiff = tmp_path / "out.ome.tif"
    assert run("convert", tmp_path / "a.ome.zarr", tiff) == ExitCode.OK
    assert ("a translation" in capsys.readouterr().err) == any(wanted)
    assert (b"a translation" in tiff.read_bytes()) == any(wanted)


def test_b5_units_and_the_scale_of_all_count(tmp_path: Path) -> None:
    sources.write_zarr(tmp_path / "a.ome.zarr", VOXELS)
    move(tmp_path / "a.ome.zarr", [0, 0, 1, 2, 3])

    def edit(told: dict) -> None:
        [multiscale] = told["multiscales"]
        for axis in multiscale["axes"][2:]:
            axis["unit"] = "millimeter"
        steps = [{"type": "scale", "scale": [1, 1, 0.5, 0.5, 0.5]}]
        steps.append({"type": "translation", "translation": [0, 0, 0.25, 0, 0]})
        multiscale["coordinateTransformations"] = steps

    change(tmp_path / "a.ome.zarr", edit)
    header = read_header(str(tmp_path / "a.ome.zarr"), "OME-Zarr")
    assert header.origin_um_xyz == (1500, 1000, 750)
    assert header.spacing_um_xyz == tuple(500 * step for step in SPACING[::-1])


STRANGE = {
    "b5-no-unit": lambda m: [axis.pop("unit", None) for axis in m["axes"]],
    "b5-time": lambda m: m["datasets"][0]["coordinateTransformations"][1].update(
        translation=[7, 0, 0, 0, 0]
    ),
    "b5-text": lambda m: m["datasets"][0]["coordinateTransformations"][1].update(translation="x"),
    "b5-short": lambda m: m["datasets"][0]["coordinateTransformations"][1].update(translation=[1]),
    "b5-in-a-file": lambda m: m["datasets"][0]["coordinateTransformations"][1].update(
        translation=None, path="x"
    ),
    "b5-affine": lambda m: m["datasets"][0]["coordinateTransformations"].append({"type": "affine"}),
    "b5-huge": lambda m: m["datasets"][0]["coordinateTransformations"][1].update(
        translation=[0, 0, 10**400, 0, 0]
    ),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_translation_that_cannot_be_taken_is_told(tmp_path: Path, case: str, capsys) -> None:
    sources.write_zarr(tmp_path / "a.ome.zarr", VOXELS)
    move(tmp_path / "a.ome.zarr", [0, 0, 1, 2, 3])
    change(tmp_path / "a.ome.zarr", lambda told: STRANGE[case](told["multiscales"][0]))
    out = tmp_path / "out.ome.zarr"
    assert run("convert", tmp_path / "a.ome.zarr", out, "--verify") == ExitCode.OK
    assert "holds more than is converted" in capsys.readouterr().err
    assert lines_of(out)[0][1] == [0, 0, 0, 0, 0]
    assert "left_out" in json.loads((out / "zarr.json").read_text())["attributes"]["spimpack_tasks"]


def test_b5_other_multiscales_are_told(tmp_path: Path, capsys) -> None:
    sources.write_zarr(tmp_path / "a.ome.zarr", VOXELS)
    change(
        tmp_path / "a.ome.zarr",
        lambda told: told["multiscales"].extend([{**told["multiscales"][0], "name": "other"}, 7]),
    )
    out = tmp_path / "out.ome.zarr"
    assert run("convert", tmp_path / "a.ome.zarr", out, "--verify") == ExitCode.OK
    err = capsys.readouterr().err
    assert "image 2 'other'" in err
    assert "image 3" in err
    told = json.loads((out / "zarr.json").read_text())["attributes"]["spimpack_tasks"]["left_out"]
    assert told == "image 2 'other'; image 3"


# --- labels


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("version", [2, 3])
def test_b5_labels_are_carried_over(tmp_path: Path, version: int, ngff: str, capsys) -> None:
    source, out = tmp_path / "a.ome.zarr", tmp_path / "out.ome.zarr"
    sources.write_zarr(source, VOXELS, version)
    write_label(source, version=version, properties=[{"label-value": 1, "class": "β"}])
    write_label(source, "vessels", version, LABELS[:1])
    assert run("convert", source, out, "--ngff", ngff, "--verify") == ExitCode.OK
    assert "warning" not in capsys.readouterr().err
    for level, wanted in enumerate(LABELS):
        found = read_with_zarr(out / "labels" / "nuclei", level)
        assert found.dtype == wanted.dtype
        assert np.array_equal(found[0], wanted)
    lines = lines_of(out / "labels" / "nuclei")
    assert lines[0] == ([1, *SPACING], [0, 0, 0, 0])
    assert lines[1] == ([1, 8, 5.2, 1], [0, 2, 1.3, 0.25])
    about = attributes_of(out / "labels" / "nuclei")["image-label"]
    assert about["colors"] == [{"label-value": 1, "rgba": [255, 0, 0, 255]}]
    assert about["properties"] == [{"label-value": 1, "class": "β"}]
    assert about["source"] == {"image": "../../"}
    assert attributes_of(out / "labels")["labels"] == ["nuclei", "vessels"]
    for place in ("", "labels/nuclei", "labels/vessels"):
        assert yaozarrs.validate_zarr_store(str(out / place)).ome_version() == ngff
    label = open_ome_zarr(zarr.open_group(str(out / "labels/nuclei"), mode="r"), version=ngff)
    assert type(label).__name__ == "ImageLabel"
    shown = [str(node.zarr) for node in Reader(parse_url(str(out)))()]
    assert any("nuclei" in node for node in shown)
    again = tmp_path / "again.ome.zarr"
    assert run("convert", out, again, "--ngff", ngff, "--threads", 1) == ExitCode.OK
    same = [tree_of(path / "labels") for path in (out, again)]
    assert same[0] == same[1]
    tiff = tmp_path / "out.ome.tif"
    assert run("convert", source, tiff) == ExitCode.OK
    assert "labels 'nuclei'" in capsys.readouterr().err
    assert b"labels 'vessels'" in tiff.read_bytes()


@pytest.mark.parametrize("factor", [0.001, 1, 1000], ids=["nanometer", "micrometer", "millimeter"])
def test_b5_labels_without_units_lie_in_those_of_the_image(tmp_path: Path, factor: float) -> None:
    unit = {0.001: "nanometer", 1: "micrometer", 1000: "millimeter"}[factor]
    source, out = tmp_path / "a.ome.zarr", tmp_path / "out.ome.zarr"
    sources.write_zarr(source, VOXELS)
    label = write_label(source)

    def in_unit(told: dict) -> None:
        for axis in told["multiscales"][0]["axes"]:
            if axis["type"] == "space":
                axis["unit"] = unit

    def without(told: dict) -> None:
        for axis in told["multiscales"][0]["axes"]:
            axis.pop("unit", None)

    change(source, in_unit)
    change(label, without)
    assert run("convert", source, out) == ExitCode.OK
    wanted = [1, *(each * factor for each in SPACING)]
    assert lines_of(out / "labels/nuclei")[0][0] == pytest.approx(wanted)


def test_b5_labels_follow_the_size_and_the_place_of_the_image(tmp_path: Path) -> None:
    source, out = tmp_path / "a.ome.zarr", tmp_path / "out.ome.zarr"
    sources.write_zarr(source, VOXELS)
    move(source, [0, 0, 10, 20, 30])
    move(write_label(source), [0, 10, 20, 30], "multiscales")
    assert run("convert", source, out) == ExitCode.OK
    assert lines_of(out / "labels/nuclei")[0] == ([1, *SPACING], [0, 10, 20, 30])
    other = tmp_path / "other.ome.zarr"
    assert run("convert", source, other, "--pixel-size", "1;5.2;8") == ExitCode.OK
    # Twice the size along each axis.
    assert lines_of(other)[0] == ([1, 1, 8, 5.2, 1], [0, 0, 10, 20, 30])
    assert lines_of(other / "labels/nuclei")[0] == ([1, 8, 5.2, 1], [0, 10, 20, 30])
    assert lines_of(other / "labels/nuclei")[1] == ([1, 16, 10.4, 2], [0, 14, 22.6, 30.5])


def list_labels(path: Path, names: list[object]) -> None:
    zarr.create_group(path / "labels", attributes={"ome": {"labels": names, "version": "0.5"}})


def link_label(path: Path) -> None:
    """Make a label of an image elsewhere."""
    label = write_label(path, "x")
    elsewhere = path.parent.with_name(f"{path.parent.name}-elsewhere")
    os.rename(label, elsewhere)
    os.symlink(elsewhere, label)


BAD_LABELS = {
    "b5-float": lambda path: write_label(path, "x", levels=[LABELS[0].astype("f4")]),
    "b5-gone": lambda path: list_labels(path, ["x"]),
    "b5-climbing": lambda path: list_labels(path, ["../0"]),
    "b5-dots": lambda path: list_labels(path, [".."]),
    "b5-number": lambda path: list_labels(path, [7]),
    "b5-line-end": lambda path: list_labels(path, ["x\n"]),
    "b5-no-json": lambda path: (write_label(path, "x") / "zarr.json").write_text("{"),
    "b5-group-no-json": lambda path: (write_label(path, "x").parent / "zarr.json").write_text("["),
    "b5-link": link_label,
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_that_cannot_be_taken_are_told(tmp_path: Path, case: str, capsys) -> None:
    source, out = tmp_path / "a.ome.zarr", tmp_path / "out.ome.zarr"
    sources.write_zarr(source, VOXELS)
    BAD_LABELS[case](source)
    assert run("convert", source, out, "--verify") == ExitCode.OK
    assert "holds more than is converted: labels" in capsys.readouterr().err
    assert not (out / "labels").exists()
    assert read_header(str(source), "OME-Zarr").label_names == ()


def test_b5_a_damaged_label_is_named(tmp_path: Path, capsys) -> None:
    source, out = tmp_path / "a.ome.zarr", tmp_path / "out.ome.zarr"
    sources.write_zarr(source, VOXELS)
    label = write_label(source)
    chunk = min(path for path in (label / "s0/c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-9])
    assert run("convert", source, out) != ExitCode.OK
    assert "nuclei" in capsys.readouterr().err
    assert not out.exists()


def test_b5_a_wrong_label_is_found(tmp_path: Path, capsys) -> None:
    source, out = tmp_path / "a.ome.zarr", tmp_path / "out.ome.zarr"
    sources.write_zarr(source, VOXELS)
    write_label(source)
    assert run("convert", source, out) == ExitCode.OK
    array = zarr.open_array(out / "labels/nuclei/1", mode="r+")
    array[0, 0, 0, 0] += 1
    assert run("convert", source, out, "--verify") == ExitCode.CONFLICT
    assert "labels/nuclei: level 1, " in capsys.readouterr().out


def files_of(image: Path) -> dict[str, int]:
    files = (path for path in image.rglob("*") if path.is_file() and path.name not in METADATA)
    return {str(path.relative_to(image)): path.stat().st_ino for path in files}


@pytest.mark.parametrize("ngff", NGFF)
def test_b5_an_edit_of_metadata_leaves_labels(tmp_path: Path, ngff: str) -> None:
    workspace = workspace_of(tmp_path, "a.ome.zarr", sample_staining="a;b", PixelSize="0.5;2.6;4")
    source = tmp_path / "raw" / "a.ome.zarr"
    sources.write_zarr(source, VOXELS)
    write_label(source)
    choice = f"ome-zarr:convert=all,ngff={ngff}"
    assert problems(workspace, backend=choice) == []
    assert workspace.run(backend=choice).exit_code == ExitCode.OK
    before = files_of(made(workspace, ".ome.zarr"))
    assert any("labels" in name for name in before)
    workspace.rows[0]["sample_staining"] = "c;d"
    workspace.write()
    assert workspace.run(backend=choice).exit_code == ExitCode.OK
    assert files_of(made(workspace, ".ome.zarr")) == before
    assert run("verify", workspace.out, "--pixels") == ExitCode.OK
    [problem] = problems(workspace, backend="ome-tiff:convert=all")
    assert problem.code == "source.left-out"
    assert "labels 'nuclei'" in problem.message
