"""How the samples of tiles lie in space: values from paper, by the geometry of microscopes."""

import math

import pytest

from spimpack_tasks.stitching.tiles import (
    Geometry,
    Tile,
    TileSet,
    affine_um_zyx,
    count_parts,
    sample_of_um,
    turned_shape,
    um_of_sample,
)


def test_the_columns_of_a_tilted_frame_run_down_and_forward():
    geometry = Geometry(pitch_um=math.sqrt(2), step_um=2.0)
    assert um_of_sample(geometry, (3, 5, 7)) == pytest.approx((7, 5 * math.sqrt(2), 6 + 7))
    assert geometry.shear == pytest.approx(0.5)
    assert geometry.spacing_um_zyx == pytest.approx((1, math.sqrt(2), 2))


def test_planes_lie_across_z():
    geometry = Geometry(pitch_um=1.5, step_um=4.0, angle_deg=None)
    assert um_of_sample(geometry, (3, 5, 7)) == (12, 7.5, 10.5)
    assert geometry.shear == 0
    assert geometry.spacing_um_zyx == (4, 1.5, 1.5)


@pytest.mark.parametrize("angle", [None, 30.0, 45.0, 135.0])
def test_place_and_sample_are_inverse_to_each_other(angle):
    geometry = Geometry(1.83, 1.1, angle)
    place = um_of_sample(geometry, (10.25, 20.5, 30.75))
    assert sample_of_um(geometry, place) == pytest.approx((10.25, 20.5, 30.75))


def test_the_matrix_of_a_tile_includes_its_position():
    matrix = affine_um_zyx(Geometry(math.sqrt(2), 1.0), (30.0, 20.0, 10.0))
    assert [row[3] for row in matrix] == [30, 20, 10, 1]
    assert matrix[2][:3] == pytest.approx((1, 0, 1))


@pytest.mark.parametrize("turns", range(4))
def test_a_quarter_turn_swaps_rows_and_columns(turns):
    shape = turned_shape((9, 4, 6), Geometry(1, 1, rotate_90=turns))
    assert shape == ((9, 6, 4) if turns in (1, 3) else (9, 4, 6))


@pytest.mark.parametrize(
    "values",
    [
        {"pitch_um": 0},
        {"step_um": -1},
        {"step_um": math.nan},
        {"pitch_um": math.inf},
        {"angle_deg": 0},
        {"angle_deg": 180},
        {"rotate_90": 4},
    ],
    ids=str,
)
def test_impossible_geometries_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        Geometry(**({"pitch_um": 1, "step_um": 1} | values))


@pytest.mark.parametrize(
    ("tiles", "said"),
    [((), "no tile"), (("a", "a"), "share a name: a"), (("a", "b"), "uint16, uint8")],
    ids=["none", "twice", "types"],
)
def test_sets_that_are_none_are_refused(tiles, said):
    dtypes = ("uint8", "uint16") if said.startswith("uint") else ("uint16", "uint16")
    made = tuple(
        Tile(name, f"/{name}", (0, 0, 0), (1, 1, 1), dtype)
        for name, dtype in zip(tiles, dtypes, strict=False)
    )
    with pytest.raises(ValueError, match=said):
        TileSet(Geometry(1, 1), made)


@pytest.mark.parametrize(
    ("shapes", "wanted"),
    [
        ([(24, 64, 32)] * 2, 1),
        ([(600, 512, 256)], 1),  # 157 MB
        ([(600, 512, 256)] * 4, 3),
        ([(20_000, 2048, 2048)] * 12, 16),  # 2 TB
    ],
    ids=["tiny", "one", "four", "brain"],
)
def test_small_tiles_are_made_in_fewer_parts(shapes, wanted):
    tiles = [Tile(str(n), "t", (0, 0, 0), shape, "uint16") for n, shape in enumerate(shapes)]
    assert count_parts(TileSet(Geometry(1.8, 1.28), tuple(tiles))) == wanted
