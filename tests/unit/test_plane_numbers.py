"""Numbers in names of planes: what counts them, and what only puts them in order."""

from __future__ import annotations

import pytest
from plane_sources import compose_voxels, write_tif

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files.plane_names import UnclearPlanesError, sort_planes

ORDERS = {
    "f2-seconds": (["s_20240101120500.tif", "s_20240101120000.tif"], (1, 1, 2)),
    "f2-30-digits": ([f"s_{'9' * 29}{n}.tif" for n in (3, 8)], (1, 1, 2)),
    "f2-200-digits": ([f"s_{'1' * 200}.tif", f"s_{'8' * 200}.tif"], (1, 1, 2)),
    "f2-days": (["s_20231231.tif", "s_20240101.tif"], (1, 1, 2)),
    "f2-times-of-stacks": (
        [f"T{t}_Z{z}.tif" for t in (20240101120000, 20240102120000) for z in range(3)],
        (2, 1, 3),
    ),
    "f2-padded-count": ([f"s_{n:020}.tif" for n in (7, 8, 9)], (1, 1, 3)),
    "i16-6-places-in-steps": ([f"000000_000000_{n:06}_Ch1.tif" for n in (0, 20, 40)], (1, 1, 3)),
    "i16-6-places-from-anywhere": ([f"z{n}.tif" for n in (135, 160, 185, 210)], (1, 1, 4)),
    "f2-channels-of-wavelengths": (
        [f"C{c}_Z{z}.tif" for c in (488, 561) for z in (4, 5)],
        (1, 2, 2),
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_numbers_put_planes_in_order(name: str) -> None:
    names, counts = ORDERS[name]
    assert sort_planes(names) == (sorted(names), counts)


GAPS = {
    "f2-one": (["1", "2", "4"], "lacks 1 plane: s_3.tif"),
    "f2-million": (["1", "1000001"], "lacks 999,999 planes: s_2.tif, s_3.tif, s_4.tif, s_5.tif, "),
    "f2-stamp-among-counts": (["1", "20240101120000"], "lacks 20,240,101,119,998 planes"),
    "f2-30-digits-among-counts": (["1", "9" * 30], "lacks 999,999,"),
    "f2-7-digits": (["1234567", "1234569"], "lacks 1 plane: s_1234568.tif"),
    "i16-6-one-of-steps": (["0", "20", "60", "80", "100"], "lacks 1 plane: s_40.tif"),
    "i16-6-two-are-no-step": (["0", "20"], "lacks 19 planes: s_1.tif"),
    "i16-6-no-even-steps": (["0", "20", "60"], "lacks 58 planes: s_1.tif"),
    "f2-last-of-all-stamps": (["9999999", "20240101120000"], "planes: s_10000000.tif, "),
}


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("name", GAPS)
def test_a_gap_in_a_count_is_told_in_one_line(name: str) -> None:
    numbers, says = GAPS[name]
    with pytest.raises(UnclearPlanesError) as raised:
        sort_planes([f"s_{number}.tif" for number in numbers])
    assert says in raised.value.what
    assert len(raised.value.what) < 300


def test_f2_a_plane_missing_at_one_of_the_times(tmp_path, capsys) -> None:
    names = [f"T{t}_Z{z}.tif" for t in (20240101120000, 20240102120000) for z in range(3)]
    with pytest.raises(UnclearPlanesError, match=r"lacks 1 plane: T20240101120000_Z1\.tif"):
        sort_planes([name for name in names if name != "T20240101120000_Z1.tif"])
    voxels = compose_voxels((1, 1, 2, 9, 8))
    (tmp_path / "planes").mkdir()
    for plane, stamp in enumerate((20240101120000, 20251231235959)):
        write_tif(tmp_path / "planes" / f"s_{stamp}.tif", voxels[0, 0, plane])
    assert (
        main(["convert", str(tmp_path / "planes"), str(tmp_path / "a.ome.zarr"), "--verify"]) == 0
    )
    write_tif(tmp_path / "planes" / "s_3.tif", voxels[0, 0, 0])
    code = main(["convert", str(tmp_path / "planes"), str(tmp_path / "b.ome.zarr")])
    assert code == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert "lacks" in told
    assert "number the planes without gaps" in told
