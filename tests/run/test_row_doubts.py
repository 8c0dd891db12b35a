"""What is doubtful of rows that merge files, or choose axes or images: warnings, not errors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from dcimg_files import Dcimg, compose_frames, write_dcimg
from merge_sources import write_ome
from ome_sets import Xml, piece, stack, write
from test_image_rules import UM
from workspace import SHARED, Workspace

from spimpack_tasks.errors import Severity
from spimpack_tasks.packaging.prepare import prepare_run

ROW_WARNINGS = {"source.frames-lost", "source.gap", "source.order", "source.other-axes"}
"""Codes that are told in this file."""
SIZE = {"PixelSize": "1.8;1.8;4", "PixelSizeUnits": "um"}


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """A dataset of one image of two files."""
    workspace = Workspace(tmp_path)
    for number in (1, 2, 3, 4):
        write_ome(tmp_path / f"raw/t{number}.ome.tif", seed=number)
    workspace.rows.append(row("raw/t1.ome.tif;raw/t2.ome.tif", merge_axis="T"))
    return workspace


def row(path: str, subject: str = "01", **cells: str) -> dict[str, str]:
    return {"subject": subject, "spim_path": path} | SHARED | {"sample_staining": "A"} | cells


def warnings(space: Workspace) -> list[tuple[str, str]]:
    """Return code and message of each warning; there is no error."""
    space.write()
    problems = prepare_run(space.options(backend="ome-zarr")).report.problems
    assert [p for p in problems if p.severity is not Severity.WARNING] == []
    return [(problem.code, problem.message) for problem in problems]


def test_n1_a_list_that_is_in_order_needs_no_word(space):
    assert warnings(space) == []


@pytest.mark.parametrize(("axis", "codes"), [("T", ["source.order"]), ("C", [])])
def test_n1_a_list_in_another_order_is_told(space, axis, codes):
    stains = "A" if axis == "T" else "A;B"
    path = "raw/t2.ome.tif;raw/t1.ome.tif"
    space.rows = [row(path, merge_axis=axis, sample_staining=stains)]
    assert [code for code, _ in warnings(space)] == codes
    space.rows[0]["merge_order"] = "table"
    assert warnings(space) == []


@pytest.mark.parametrize(
    "path",
    ["raw/t1.ome.tif;raw/t2.ome.tif;raw/t4.ome.tif", "raw/t*.ome.tif"],
    ids=["list", "wildcards"],
)
def test_n3_a_missing_time_point_is_told(space, path):
    (space.root / "raw/t3.ome.tif").unlink()
    space.rows = [row(path, merge_axis="T")]
    [(code, message)] = warnings(space)
    assert code == "source.gap"
    assert "the number 3" in message
    space.rows[0]["merge_gaps"] = "accept"
    assert warnings(space) == []


def test_n3_a_missing_part_of_a_stack_is_refused(space):
    space.rows = [row("raw/t1.ome.tif;raw/t2.ome.tif;raw/t4.ome.tif", merge_axis="Z")]
    space.write()
    [error] = prepare_run(space.options(backend="ome-zarr")).report.errors
    assert error.code == "source.content"
    assert "the number 3" in error.message
    assert "merge_gaps=accept" in error.message
    space.rows[0]["merge_gaps"] = "accept"
    assert warnings(space) == []


def test_n5_axes_that_contradict_the_file_are_told(space):
    space.rows = [row("raw/t1.ome.tif", axes="TYX")]
    [(code, message)] = warnings(space)
    assert code == "source.other-axes"
    assert message == "the file says that its axes are ZYX, not TYX"
    space.rows[0]["axes"] = "ZYX"
    assert warnings(space) == []


def test_i19_01_frames_that_a_camera_has_lost_are_told(space):
    frames = compose_frames(5, 8, 9)
    write_dcimg(space.root / "raw/a.dcimg", frames, Dcimg(lost_after=2))
    space.rows = [row("raw/a.dcimg", **SIZE)]
    [(code, message)] = warnings(space)
    assert code == "source.frames-lost"
    assert message == "the camera has counted 1 frame more than the 5 that are here"
    write_dcimg(space.root / "raw/a.dcimg", frames, Dcimg(first_counter=7))
    assert warnings(space) == []


def test_n27_one_file_in_two_rows_is_told(space):
    space.rows = [row("raw/t1.ome.tif"), row("raw/t1.ome.tif", "02")]
    [(code, message)] = warnings(space)
    assert code == "source.twice"
    assert "scans.tsv line 2" in message


def test_n27_by_a_link_it_is_the_same_file(space):
    (space.root / "raw/other.ome.tif").symlink_to("t1.ome.tif")
    space.rows = [row("raw/t1.ome.tif"), row("raw/other.ome.tif", "02")]
    assert [code for code, _ in warnings(space)] == ["source.twice"]


def test_n27_a_copy_is_another_file(space):
    shutil.copy(space.root / "raw/t1.ome.tif", space.root / "raw/other.ome.tif")
    space.rows = [row("raw/t1.ome.tif"), row("raw/other.ome.tif", "02")]
    assert warnings(space) == []


def test_n27_merged_and_alone(space):
    space.rows.append(row("raw/t2.ome.tif", "02"))
    [(code, message)] = warnings(space)
    assert code == "source.twice"
    assert "scans.tsv line 2" in message


def test_n27_a_set_by_two_of_its_files(space):
    voxels = stack(1, 2, 3)
    names = ["a.ome.tif", "b.ome.tif"]
    pieces = "".join(piece(name, IFD=0, PlaneCount=3, FirstC=n) for n, name in enumerate(names))
    for number, name in enumerate(names):
        xml = Xml(voxels, tiff_data=pieces, sizes=UM).text(name)
        write(space.root / "raw" / name, voxels[0, number], xml)
    cells = {"sample_staining": "A;B"}
    space.rows = [row(f"raw/{name}", f"0{n}", **cells) for n, name in enumerate(names, 1)]
    assert [code for code, _ in warnings(space)] == ["source.twice"]


def test_n27_two_scenes_of_a_file_are_two_images(space):
    with tifffile.TiffWriter(space.root / "raw/two.ome.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(np.zeros((3, 20, 30), "u2"), metadata={"axes": "ZYX"})
    space.rows = [row("raw/two.ome.tif", f"0{n + 1}", scene=f"{n}", **SIZE) for n in range(2)]
    assert "source.twice" not in [code for code, _ in warnings(space)]
    space.rows[1]["scene"] = "0"
    assert "source.twice" in [code for code, _ in warnings(space)]


NUMBERED = {
    "decimals": ("z0", "z0.25", "z0.5", "z1"),
    "signs": ("z-10", "z-5", "z0", "z5"),
    "none": ("z", "z1", "z2", "z10"),
}


@pytest.mark.parametrize("kind", NUMBERED)
@pytest.mark.parametrize("axis", ["T", "Z"])
def test_wildcards_are_sorted_by_what_numbers_mean(space, kind, axis):
    names = NUMBERED[kind]
    written = [write_ome(space.root / f"raw/{n}.ome.tif", seed=s) for s, n in enumerate(names)]
    space.rows = [row("raw/z*.ome.tif", merge_axis=axis, merge_gaps="accept")]
    assert warnings(space) == []
    space.run(backend="ome-zarr")
    (made,) = space.out.rglob("*.ome.zarr")
    found = zarr.open(made / "0")[...].reshape(-1, 20, 30)
    assert np.array_equal(found, np.concatenate(written).reshape(found.shape))


def test_wildcards_whose_order_is_unclear_are_refused(space):
    for name in ("0.05", "0.1", "0.15"):
        write_ome(space.root / f"raw/z{name}.ome.tif")
    space.rows = [row("raw/z*.ome.tif", merge_axis="T", merge_gaps="accept")]
    space.write()
    [error] = prepare_run(space.options(backend="ome-zarr")).report.errors
    assert error.code == "source.merge"
    assert "may be decimals" in error.message
    listed = ";".join(f"raw/z{name}.ome.tif" for name in ("0.05", "0.1", "0.15"))
    space.rows = [row(listed, merge_axis="T", merge_gaps="accept")]
    assert [code for code, _ in warnings(space)] == []


@pytest.mark.parametrize("names", [("pre", "post"), ("Jan", "Feb", "Mar"), ("z0", "z0.5", "z1")])
def test_a_list_without_an_order_of_numbers_needs_no_word(space, names):
    for name in names:
        write_ome(space.root / f"raw/{name}.ome.tif")
    listed = ";".join(f"raw/{name}.ome.tif" for name in names)
    space.rows = [row(listed, merge_axis="T")]
    assert warnings(space) == []


@pytest.mark.parametrize(
    "numbers",
    [("7", "14", "28"), ("2024-01-01", "2024-01-02", "2024-01-05"), ("20240101_10", "20240101_15")],
)
def test_days_and_dates_have_no_gaps(space, numbers):
    for number in numbers:
        write_ome(space.root / f"raw/d{number}.ome.tif")
    space.rows = [row("raw/d*.ome.tif", merge_axis="T")]
    assert warnings(space) == []


@pytest.mark.parametrize(
    ("stains", "codes"),
    [
        ("DyeX;DyeY;DyeZ", []),
        ("dyex;anti-Y;DyeZ", []),
        ("DyeY;DyeX;Lectin", ["sidecar.channel-order"]),
        ("DyeX;DyeX;DyeZ", ["sidecar.channel-order"]),
    ],
)
def test_n1_a_stain_at_the_place_of_another_is_told(space, stains, codes):
    for name in "XYZ":
        write_ome(space.root / f"raw/{name}.ome.tif", names=(f"Dye{name}",))
    listed = ";".join(f"raw/{name}.ome.tif" for name in "XYZ")
    space.rows = [row(listed, merge_axis="C", sample_staining=stains)]
    assert [code for code, _ in warnings(space)] == codes


def test_why_folders_cannot_be_merged_is_told(space):
    for name, count in (("t1", 4), ("t2", 3)):
        for number in range(count):
            path = space.root / f"raw/planes/{name}/p{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, np.zeros((8, 9), "u2"))
    space.rows = [row("raw/planes/t*", merge_axis="T", **SIZE)]
    space.write()
    [error] = prepare_run(space.options(backend="ome-zarr")).report.errors
    assert "the size along z is 3 in 't2', but 4 in 't1'" in error.message
    assert "merge_shape=pad" in error.message + error.hint
