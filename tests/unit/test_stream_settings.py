"""Settings of streams: values, files, and the router between acquisition and storage."""

import itertools
import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spimpack_tasks.errors import InputError
from spimpack_tasks.streams.bids import BidsPlace
from spimpack_tasks.streams.reading import parse_settings
from spimpack_tasks.streams.result import missing_ranges
from spimpack_tasks.streams.router import Router
from spimpack_tasks.streams.settings import AcquisitionSettings
from spimpack_tasks.streams.values import (
    Channel,
    Dimension,
    Plate,
    Position,
    dims_from_standard_axes,
)
from spimpack_tasks.streams.zarr_groups import image_folders

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
    "path": ("a.ome.zarr", "a.ome.tif\nformat: ome-zarr", "1:12: root_path", "path"),
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
CODES = {"stream.size"} | {f"stream.{code}" for *_, code in WRONG.values()}


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


NAN, INF = float("nan"), float("inf")
# What a program gives, and key and code of the problem. YAML has the same, or cannot hold it.
LAX = {
    "nan": ({"dims": [Dimension("z", 3, scale=NAN)]}, "dimensions[0].scale", "value.type"),
    "inf": ({"dims": [Dimension("z", 3, translation=INF)]}, "[0].translation", "value.type"),
    "nan-count": ({"dims": [Dimension("z", NAN)]}, "dimensions[0].count", "value.type"),
    "part": ({"dims": [Dimension("z", 3.5)]}, "dimensions[0].count", "value.type"),
    "bool": ({"dims": [Dimension("z", True)]}, "dimensions[0].count", "value.type"),  # noqa: FBT003
    "many": ({"dims": [Dimension("z", 2**31)]}, "dimensions[0].count", "value.range"),
    "chunk": ({"dims": [Dimension("t", chunk_size=10**12)]}, "[0].chunk_size", "value.range"),
    "positions": ({"dims": [Dimension("p", 10**6)]}, "dimensions[0].count", "stream.size"),
    "frames": (
        {"dims": [Dimension("t", 2**30), Dimension("z", 2**30)]},
        "dimensions",
        "stream.size",
    ),
    "directories": (
        {"dims": [Dimension("t", 10**8)], "format": "ome-tiff"},
        "dimensions",
        "stream.size",
    ),
    "wave": ({"dims": [Dimension("c", coords=[Channel("a", NAN)])]}, "_nm", "value.type"),
    "stage": ({"dims": [Dimension("p", coords=[Position("a", x_coord=INF)])]}, "x_", "value.type"),
    "name": ({"dims": [Dimension("c", coords=[Channel(5)])]}, "coords[0].name", "value.type"),
    "no-name": ({"dims": [Dimension("c", coords=[None])]}, "coords[0]", "value.empty"),
    "truth": ({"dims": [Dimension("c", coords=[True])]}, "coords[0]", "value.type"),
    "text": ({"dims": [Dimension("c", coords="DAPI")]}, "coords", "value.type"),
    "number": ({"dims": [Dimension("c", coords=5)]}, "coords", "value.type"),
    "keys": (
        {"dims": [Dimension("c", coords=[{"name": "a", 1: 3}])]},
        "coords[0].1",
        "key.unknown",
    ),
    "mapping": ({"dims": [{"name": "z", "cuont": 3}]}, "dimensions[0].cuont", "key.unknown"),
    "control": ({"dims": [Dimension("c", coords=["a\x01"])]}, "coords[0].name", "value.form"),
    "surrogate": ({"dims": [Dimension("c", coords=["\udc80"])]}, "coords[0]", "value.form"),
    "no-path": ({"root_path": None}, "root_path", "value.empty"),
    "bytes": ({"root_path": b"a"}, "root_path", "value.type"),
    "nul": ({"root_path": "a\0b"}, "root_path", "value.form"),
    "s3": ({"root_path": "s3://bucket/a.zarr"}, "root_path", "stream.path"),
    "home": ({"root_path": "~nobody-of-this-name/a"}, "root_path", "stream.path"),
    "unfinished": ({"root_path": "a.zarr.part"}, "root_path", "stream.path"),
    "plate": ({"plate": Plate("AB", ["1"])}, "plate.row_names", "value.type"),
    "memory": ({"memory_bytes": NAN}, "memory_bytes", "value.type"),
    "order": ({"storage_order": 5}, "storage_order", "value.type"),
    "subject": ({"bids": {"manifest": "m", "sample": "b"}}, "bids.subject", "key.missing"),
    "label": ({"bids": {"manifest": "m", "sub": 1, "sample": "b"}}, "bids.sub", "value.type"),
    "place": ({"bids": BidsPlace(None, "1", "b")}, "bids.manifest", "value.empty"),
}


def make_lax(more):
    given = {"root_path": "a"} | more
    return AcquisitionSettings(dimensions=[*given.pop("dims", []), *YX], **given)


@pytest.mark.parametrize(("more", "key", "code"), LAX.values(), ids=LAX)
def test_i18_s11_python_is_as_strict_as_yaml(more, key, code):
    with pytest.raises(InputError) as caught:
        make_lax(more)
    (problem,) = caught.value.report.problems
    assert problem.code == code
    assert key in problem.key


def test_i18_s11_python_names_all_problems_at_once():
    with pytest.raises(InputError) as caught:
        make_lax({
            "dims": [Dimension("z", NAN), {"name": "t", "cuont": 3}, 7],
            "root_path": None,
            "dtype": "int7",
            "bids": {"manifest": "", "colour": 1},
        })  # fmt: skip
    keys = {problem.key for problem in caught.value.report.problems}
    assert keys == {
        *("dimensions[0].count", "dimensions[1].cuont", "dimensions[2]", "root_path", "dtype"),
        *("bids.manifest", "bids.colour", "bids.sample", "bids.subject"),
    }


def test_i18_s11_numbers_of_numpy_are_stored_as_plain_ones():
    made = AcquisitionSettings(
        Path("a.zarr"),
        [
            {"name": "t", "count": np.uint8(3)},
            Dimension("z", np.int64(4), scale=np.float32(0.5), chunk_size=2.0),
            Dimension("p", coords=[Position("a", grid_row=np.int16(1), grid_column=0.0)]),
            Dimension("c", coords=[Channel(np.str_("DAPI"), np.float32(405))]),
            *YX,
        ],
        dtype=np.uint8,
        memory_bytes=2.0**28,
        pyramid=np.True_,
    )
    assert repr(made) == repr(
        AcquisitionSettings(
            "a.zarr",
            (
                Dimension("t", 3),
                Dimension("z", 4, scale=0.5, chunk_size=2),
                Dimension("p", coords=(Position("a", grid_row=1, grid_column=0),)),
                Dimension("c", coords=(Channel("DAPI", 405.0),)),
                *YX,
            ),
            dtype="uint8",
            memory_bytes=2**28,
        )
    )
    assert json.loads(json.dumps(made.as_data(), allow_nan=False)) == made.as_data()
    assert repr(dims_from_standard_axes({"z": np.int64(3), "y": 4.0})) == repr(
        dims_from_standard_axes({"z": 3, "y": 4})
    )


def test_i18_s11_a_whole_number_may_have_a_point_in_yaml():
    assert repr(parse_settings(YAML.replace("count: 3", "count: 3.0"))) == repr(
        parse_settings(YAML)
    )


def test_i18_s11_a_path_may_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert make_lax({"root_path": "~/a.zarr"}).root_path == "/home/me/a.zarr"


FOLDERS = {
    "metadata": (["zarr.json", "frames.jsonl", ".zattrs", ".zgroup"], ["p0", "p1", "2", "3"]),
    "series": (["OME", "ome", "a"], ["p0", "p1", "a"]),
    "case": (["A", "a"], ["A", "p1"]),
    "number": (["1", "é"], ["1", "p1"]),
    "both": (["2", "p2", "é"], ["2", "p2", "pp2"]),
}


@pytest.mark.parametrize(("names", "folders"), FOLDERS.values(), ids=FOLDERS)
def test_i18_s02_positions_never_share_a_folder_with_another_file(names, folders):
    made = make_lax({"dims": [Dimension("p", coords=[*map(Position, names)])]})
    assert image_folders(made) == folders


MISSING = {
    "none": (([], 3, 3), ()),
    "lost": (([0, 1, 4], 6, 6), ((0, 1), (4, 4))),
    "rest": (([], 2, 2**40), ((2, 2**40 - 1),)),
    "apart": (([0], 2, 5), ((0, 0), (2, 4))),
    "joined": (([0, 3, 4], 5, 9), ((0, 0), (3, 8))),
}


@pytest.mark.parametrize(("given", "ranges"), MISSING.values(), ids=MISSING)
def test_i18_s05_missing_frames_are_ranges(given, ranges):
    assert missing_ranges(*given) == ranges


def test_i18_s11_an_ome_zarr_cannot_store_z_before_time():
    with pytest.raises(InputError, match="choose ome-tiff"):
        settings({"z": 2, "t": 2, "y": 4, "x": 5}, storage_order="acquisition")


def test_i18_s04_w7_channels_of_any_type_of_voxels():
    assert settings({"c": ["DAPI"], "y": 4, "x": 5}, dtype="float32").channels
