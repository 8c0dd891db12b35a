"""Settings of streams: values, files, and the router between acquisition and storage."""

import itertools
import json
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spimpack_tasks.errors import InputError
from spimpack_tasks.streams.reading import parse_settings
from spimpack_tasks.streams.router import Router
from spimpack_tasks.streams.settings import AcquisitionSettings
from spimpack_tasks.streams.values import (
    Channel,
    Dimension,
    Plate,
    Position,
    dims_from_standard_axes,
)

YX = (Dimension("y", 4), Dimension("x", 5))


def settings(sizes, **more):
    return AcquisitionSettings("a.ome.zarr", dims_from_standard_axes(sizes), **more)


SIZES = {"t": 3, "c": 2, "z": 4, "p": 2}
ORDERS = list(itertools.permutations(SIZES))


@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_i18_s01_all_24_orders_reach_each_place_once(order):
    sizes = {axis: SIZES[axis] for axis in order}
    router = Router(settings(sizes | {"y": 4, "x": 5}))
    wanted = [
        dict(zip(order, place, strict=True))
        for place in itertools.product(*(range(n) for n in sizes.values()))
    ]
    assert router.total == len(wanted) == 48
    for number, at in enumerate(wanted):
        target = router.target(number)
        assert target == (at["p"], (at["t"], at["c"], at["z"]))
        assert router.frame(target) == number


@given(st.permutations("tczp"), st.lists(st.integers(1, 4), min_size=4, max_size=4), st.data())
def test_i18_s01_any_part_of_the_axes_in_any_order_is_a_plain_nested_loop(axes, counts, data):
    axes = axes[: data.draw(st.integers(0, 4))]
    is_open = bool(axes) and axes[0] != "p" and data.draw(st.booleans())
    sizes = dict(zip(axes, counts, strict=False))
    given_sizes = sizes | ({axes[0]: None} if is_open else {})
    router = Router(settings(given_sizes | {"y": 4, "x": 5}))
    seen = set()
    for number, place in enumerate(itertools.product(*(range(n) for n in sizes.values()))):
        at = dict(zip(axes, place, strict=True))
        target = router.target(number)
        assert target == (at.get("p", 0), (at.get("t", 0), at.get("c", 0), at.get("z", 0)))
        assert router.frame(target) == number
        seen.add(target)
        grown = router.sizes_of(number + 1)
        assert all(n > i for n, i in zip(grown, target.at, strict=True))
    planes = list(router.planes(router.sizes_of(len(seen))))
    assert sorted(seen) == [(p, at) for p in range(sizes.get("p", 1)) for at in sorted(planes)]
    assert router.total is None if is_open else router.total == len(seen)


def test_i18_s01_a_tiff_stores_planes_in_the_order_of_the_acquisition_if_asked():
    dims = dims_from_standard_axes({"z": 2, "t": 2, "y": 4, "x": 5})
    tiff = AcquisitionSettings("a", dims, format="ome-tiff", storage_order="acquisition")
    assert list(Router(tiff).planes((2, 1, 2))) == [(0, 0, 0), (1, 0, 0), (0, 0, 1), (1, 0, 1)]
    ome = AcquisitionSettings("a", dims, format="ome-tiff")
    assert list(Router(ome).planes((2, 1, 2))) == [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)]


def test_i18_s11_values_are_frozen_and_derived():
    made = settings({"t": None, "c": ["DAPI", "GFP"], "z": 3, "y": 4, "x": 5})
    assert made.channels == (Channel("DAPI"), Channel("GFP"))
    assert made.is_unbounded
    assert made.num_frames is None
    assert settings({"c": ["DAPI"], "z": 3, "y": 4, "x": 5}).num_frames == 3
    with pytest.raises(FrozenInstanceError):
        made.dtype = "uint8"
    assert Plate.of_wells(96).row_names == tuple("ABCDEFGH")
    with pytest.raises(ValueError, match="96"):
        Plate.of_wells(95)


YAML = """\
root_path: a.ome.zarr
dtype: uint16
dimensions:
  - {name: t, count: 3, scale: 0.5, unit: second}
  - name: p
    coords:
      - {name: P0, plate_row: A, plate_column: "1", x_coord: 1.5}
      - {name: P1, plate_row: B, plate_column: "2"}
  - {name: c, coords: [DAPI, {name: GFP, emission_wavelength_nm: 509}]}
  - {name: y, count: 4}
  - {name: x, count: 5}
plate: {row_names: [A, B], column_names: ["1", "2"]}
"""


def test_i18_s11_yaml_json_and_python_are_the_same_values():
    made = AcquisitionSettings(
        "a.ome.zarr",
        (
            Dimension("t", 3, scale=0.5, unit="second"),
            Dimension(
                "p", coords=(Position("P0", "A", "1", x_coord=1.5), Position("P1", "B", "2"))
            ),
            Dimension("c", coords=("DAPI", Channel("GFP", emission_wavelength_nm=509))),
            *YX,
        ),
        plate=Plate(("A", "B"), ("1", "2")),
    )
    assert parse_settings(YAML) == made
    assert parse_settings(json.dumps(made.as_data())) == made


WRONG = {
    "axis": ("count: 3, scale", "count: 3, type: space, scale", "4:12: dimensions[0].name", "axis"),
    "end": ("name: y, count: 4", "name: y", "10:5: dimensions[3]", "end"),
    "unit": ("unit: second", "unit: pints", "4:43: dimensions[0].unit", "unit"),
    "row": ("plate_row: B", "plate_row: C", "8:9: dimensions[1].coords[1]", "plate"),
    "twice": ("coords: [DAPI, {name: GFP", "coords: [DAPI, {name: DAPI", "coords[1]", "coords"),
    "count": ("- name: p", "- count: 7\n    name: p", "coords: 'p' has 7", "coords"),
    "codec": ("dtype: uint16", "compression: zstd", "2:14: compression", "codec"),
    "order": ("dtype: uint16", "storage_order: [t, y, x]", "storage_order", "order"),
    "path": ("a.ome.zarr", "a.ome.tif", "1:12: root_path", "path"),
    "chunk": ("- name: p", "- chunk_size: 2\n    name: p", "chunk_size: positions have", "chunk"),
    "frame": (
        "y, count: 4}\n  - {name: x",
        "x, count: 4}\n  - {name: y",
        "4:3: dimensions",
        "frame",
    ),
    "grid": ("plate_row: B", "plate_row: B, grid_row: 1", "coords[1]", "grid"),
    "dtype": ("uint16", "uint64\nformat: ome-tiff", "2:8: dtype", "dtype"),
}
CODES = {f"stream.{code}" for *_, code in WRONG.values()}


@pytest.mark.parametrize(("old", "new", "place", "code"), WRONG.values(), ids=WRONG)
def test_i18_s11_a_broken_rule_has_its_line_and_column(old, new, place, code):
    assert old in YAML
    with pytest.raises(InputError) as caught:
        parse_settings(YAML.replace(old, new), "s.yml")
    assert f"[stream.{code}]" in str(caught.value)
    assert place in str(caught.value)


def test_i18_s11_all_problems_come_at_once():
    text = YAML.replace("count: 3", "count: -3").replace("uint16", "uint12") + "colour: 1\n"
    with pytest.raises(InputError) as caught:
        parse_settings(text, "s.yml")
    codes = [problem.code for problem in caught.value.report.problems]
    assert sorted(codes) == ["key.unknown", "value.choice", "value.range"]
    assert all(problem.place.line for problem in caught.value.report.problems)


def test_i18_s11_python_has_the_same_problems_without_a_line():
    with pytest.raises(InputError) as caught:
        AcquisitionSettings("a", (Dimension("t"), Dimension("z"), *YX), dtype="int7")
    assert "AcquisitionSettings: dtype" in str(caught.value)
    with pytest.raises(InputError, match=r"stream\.end"):
        AcquisitionSettings("a", (Dimension("t"), Dimension("z"), *YX))


def test_i18_s11_an_ome_zarr_cannot_store_z_before_time():
    with pytest.raises(InputError, match="choose ome-tiff"):
        settings({"z": 2, "t": 2, "y": 4, "x": 5}, storage_order="acquisition")


def test_i18_s04_w7_channels_of_any_type_of_voxels():
    assert settings({"c": ["DAPI"], "y": 4, "x": 5}, dtype="float32").channels
