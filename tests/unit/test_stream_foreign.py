"""Plans of useq-schema and settings of ome-writers, as settings of streams."""

import json

import numpy as np
import pytest
import tifffile
from stream_models import images_of, make_frames
from test_stream_zarr import attributes_of, check_image

from spimpack_tasks.errors import InputError
from spimpack_tasks.streams import (
    AcquisitionSettings,
    create_stream,
    dims_from_standard_axes,
    dims_from_useq,
    event_metadata,
    parse_settings,
    settings_of,
)

useq = pytest.importorskip("useq", reason="plans of useq-schema")
writers = pytest.importorskip("ome_writers", reason="settings of ome-writers")
YX = {"frame_yx": (20, 16), "pixel_size_um": 0.5}


def shape_of(plan, **more):
    return settings_of(plan, root_path="a", **YX, **more)


def test_i18_s11_a_plan_is_acquired_event_by_event(tmp_path):
    plan = useq.MDASequence(
        axis_order="tpcz",
        time_plan={"interval": 2.5, "loops": 3},
        stage_positions=[(1, 2, 30), {"x": 4, "y": 5, "z": 60, "name": "cortex"}],
        channels=["DAPI", {"config": "FITC", "exposure": 20}],
        z_plan={"range": 4, "step": 2},
    )
    frames = make_frames((3, 2, 2, 3, 20, 16))
    with create_stream(plan, root_path=tmp_path / "a", dtype="uint16", **YX) as stream:
        for event in plan:
            at = tuple(event.index[axis] for axis in "tpcz")
            stream.append(frames[at], event_metadata(event))
    for number, image in enumerate(images_of(frames, "tpczyx")):
        check_image(tmp_path / "a" / ("0", "cortex")[number], image)
    ome = attributes_of(tmp_path / "a" / "cortex")["multiscales"][0]["datasets"][0]
    scale, translation = (each[each["type"]] for each in ome["coordinateTransformations"])
    assert scale == [2.5, 1, 2, 0.5, 0.5]
    assert translation == [0, 0, 58, 5, 4]
    lines = (tmp_path / "a" / "cortex" / "0" / "frames.jsonl").read_text()
    assert '"exposure_time": 0.02' in lines


ORDERS = ["tpcz", "tpzc", "zcpt", "ptcz", "ctzp"]


@pytest.mark.parametrize("order", ORDERS)
def test_i18_s11_the_order_of_a_plan_is_kept(order):
    plan = useq.MDASequence(
        axis_order=order,
        time_plan={"interval": 1, "loops": 2},
        stage_positions=[(0, 0), (1, 1), (2, 2)],
        channels=["A", "B"],
        z_plan={"range": 6, "step": 2},
    )
    counts = {"t": 2, "p": 3, "c": 2, "z": 4}
    made = shape_of(plan)
    assert [each.name for each in made.dimensions] == [*order, "y", "x"]
    assert made.shape == (*(counts[axis] for axis in order), 20, 16)


def test_i18_s11_grids_become_positions():
    grid = useq.GridRowsColumns(rows=2, columns=2, fov_width=10, fov_height=10)
    plan = useq.MDASequence(
        axis_order="pgc", stage_positions=[(0, 0), (100, 0)], grid_plan=grid, channels=["A"]
    )
    made = shape_of(plan)
    assert made.shape == (8, 1, 20, 16)
    assert [each.name for each in made.positions][:5] == ["0_g0", "0_g1", "0_g2", "0_g3", "1_g0"]
    assert [(each.x_coord, each.y_coord) for each in made.positions[4:6]] == [(95, 5), (105, 5)]
    apart = plan.replace(axis_order="pcg", channels=["A", "B"])
    with pytest.raises(InputError, match="one behind the other"):
        shape_of(apart)


def test_i18_s11_wells_become_a_plate():
    wells = useq.WellPlatePlan(
        plate="96-well", a1_center_xy=(0, 0), selected_wells=([0, 1], [0, 11]),
        well_points_plan=useq.RandomPoints(num_points=2, random_seed=1, fov_width=1, fov_height=1),
    )  # fmt: skip
    made = shape_of(useq.MDASequence(stage_positions=wells, channels=["A"]))
    assert (len(made.plate.row_names), len(made.plate.column_names)) == (8, 12)
    places = [(each.plate_row, each.plate_column) for each in made.positions]
    assert places == [("A", "1"), ("A", "1"), ("B", "12"), ("B", "12")]


def test_i18_s11_events_that_focus_are_no_frames():
    focus = {"autofocus_motor_offset": 1, "axes": ("t",)}
    plan = useq.MDASequence(
        channels=["A"], time_plan={"interval": 1, "loops": 4}, autofocus_plan=focus
    )
    assert shape_of(plan).num_frames == 4


UNEVEN = {
    "uneven-z": ({"z_plan": {"relative": [0, 1, 5]}}, "z", None),
    "downwards": ({"z_plan": {"range": 4, "step": 2, "go_up": False}}, "z", 2.0),
}


@pytest.mark.parametrize(("more", "axis", "scale"), UNEVEN.values(), ids=UNEVEN)
def test_i18_s11_a_distance_that_is_not_even_is_not_invented(more, axis, scale):
    plan = useq.MDASequence(channels=["A"], stage_positions=[(0, 0, 0)], **more)
    assert shape_of(plan).along(axis).scale == scale


JAGGED = {
    "times": {
        "channels": [{"config": "A", "acquire_every": 2}, "B"],
        "time_plan": {"interval": 1, "loops": 3},
    },
    "stack": {
        "channels": [{"config": "A", "do_stack": False}, "B"],
        "z_plan": {"range": 4, "step": 2},
    },
    "positions": {
        "channels": ["A"],
        "stage_positions": [
            {"x": 1, "y": 1, "sequence": {"grid_plan": {"rows": 1, "columns": 2}}},
            (2, 2),
        ],
    },
}


@pytest.mark.parametrize("more", JAGGED.values(), ids=JAGGED)
def test_i18_s11_a_jagged_plan_is_refused_with_the_first_frame_that_lacks(more):
    with pytest.raises(InputError, match=r"jagged: it has no frame at \w=\d"):
        shape_of(useq.MDASequence(**more))


def test_i18_s11_a_plan_without_pixels_or_frames_is_refused():
    with pytest.raises(InputError, match="frame_yx"):
        settings_of(useq.MDASequence(channels=["A"]), root_path="a")
    with pytest.raises(InputError, match="no frames"):
        shape_of(useq.MDASequence())
    with pytest.raises(InputError, match="dict is not known"):
        settings_of({})


def test_i18_s11_settings_of_ome_writers_are_accepted(tmp_path):
    dims = [
        writers.Dimension(name="t", count=2, type="time", unit="second", scale=3.0),
        writers.Dimension(
            name="p",
            type="position",
            coords=[
                writers.Position(name="a", plate_row="A", plate_column="1", x_coord=7),
                writers.Position(name="b", plate_row="B", plate_column="2"),
            ],
        ),
        writers.Dimension(
            name="c",
            type="channel",
            coords=[
                writers.Channel(name="GFP", emission_wavelength_nm=509, color="green"),
                "DAPI",
            ],
        ),
        writers.Dimension(name="y", count=20, type="space", chunk_size=10, scale=0.5),
        writers.Dimension(name="x", count=16, type="space", chunk_size=16, scale=0.5),
    ]
    given = writers.AcquisitionSettings(
        root_path=str(tmp_path / "a.ome.zarr"),
        dimensions=dims,
        dtype="uint16",
        compression="blosc-zstd",
        plate=writers.Plate(row_names=["A", "B"], column_names=["1", "2"], name="wells"),
    )
    frames = make_frames((2, 2, 2, 20, 16))
    with create_stream(given) as stream:
        assert stream.settings.compression == "blosc"
        assert stream.settings.channels[0].emission_wavelength_nm == 509
        assert len(stream.settings.channels[0].color) in (0, 6)
        for frame in frames.reshape(-1, 20, 16):
            stream.append(frame)
    for place, image in zip(("A/1/a", "B/2/b"), images_of(frames, "tpcyx"), strict=True):
        check_image(tmp_path / "a.ome.zarr" / place, image)


def test_i18_s11_settings_of_ome_writers_for_tiff_and_refusals(tmp_path):
    dims = writers.dims_from_standard_axes({"z": 3, "y": 20, "x": 16})
    path = tmp_path / "a.ome.tif"
    told = {"root_path": str(path), "dimensions": dims, "dtype": "uint16"}
    frames = make_frames((3, 20, 16))
    with create_stream(writers.AcquisitionSettings(**told, format="ome-tiff")) as stream:
        for frame in frames:
            stream.append(frame)
    np.testing.assert_array_equal(tifffile.imread(path), frames)
    with pytest.raises(InputError, match="'scratch' is not written"):
        settings_of(writers.AcquisitionSettings(**told, format="scratch"))
    with pytest.raises(InputError, match="'lzw' is not a codec"):
        settings_of(writers.AcquisitionSettings(**told, format="ome-tiff", compression="lzw"))


def test_i18_s11_settings_of_ours_can_be_changed():
    made = shape_of(useq.MDASequence(channels=["A"]))
    assert settings_of(made, root_path="b.ome.zarr").root_path == "b.ome.zarr"


def test_i18_s11_a_plan_has_dimensions_under_the_names_of_ome_writers():
    plan = useq.MDASequence(
        axis_order="tpcz",
        time_plan={"interval": 2, "loops": 3},
        stage_positions=[(1, 2, 3), (4, 5, 6)],
        channels=["DAPI", "GFP"],
        z_plan={"range": 4, "step": 2},
    )
    more = {"pixel_size_um": 0.5, "chunk_shapes": {"z": 1}, "shard_shapes": {"z": 3}}
    ours = dims_from_useq(plan, 16, 20, **more)
    theirs = writers.useq_to_acquisition_settings(plan, 16, 20, **more)["dimensions"]
    assert [(each.name, each.count) for each in ours] == [
        (each.name, each.count) for each in theirs
    ]
    assert [each.scale for each in ours[-2:]] == [each.scale for each in theirs[-2:]]
    assert [(each.chunk_size, each.shard_size_chunks) for each in ours if each.name == "z"] == [
        (1, 3)
    ]


def test_i18_s11_a_stream_has_what_that_of_ome_writers_has(tmp_path):
    with create_stream(
        settings_of(useq.MDASequence(channels=["A"]), root_path=tmp_path / "a", **YX)
    ) as stream:
        public = {name for name in dir(writers.OMEStream) if not name.startswith("_")}
        assert public <= {*dir(stream)}
        assert not stream.closed
        stream.append(np.ones((20, 16), "uint16"))
    assert stream.closed


NAMES = {
    "tiff": ("a.ome.tiff", {}, "ome-tiff", "none"),
    "tif": ("a.OME.TIF", {"compression": "zlib"}, "ome-tiff", "zlib"),
    "zarr": ("a.ome.zarr", {"compression": "blosc-zstd"}, "ome-zarr", "blosc"),
    "folder": ("a", {"compression": "blosc-lz4"}, "ome-zarr", "lz4"),
    "none": ("a", {"compression": None}, "ome-zarr", "none"),
    "object": ("a", {"format": writers.OmeTiffFormat()}, "ome-tiff", "none"),
    "old": ("a.zarr", {"format": "ome-zarr-0.4"}, "ome-zarr-0.4", "none"),
}


@pytest.mark.parametrize(("path", "more", "form", "codec"), NAMES.values(), ids=NAMES)
def test_i18_s11_names_of_ome_writers_are_understood(path, more, form, codec):
    dims = dims_from_standard_axes({"z": 2, "y": 4, "x": 4})
    made = AcquisitionSettings(path, dims, **more)
    assert (made.format, made.compression) == (form, codec)
    if more.get("format") is None or isinstance(more["format"], str):
        data = {"root_path": path, "dimensions": [{"name": n, "count": 4} for n in "yx"], **more}
        made = parse_settings(json.dumps(data))
        assert (made.format, made.compression) == (form, codec)


def test_i18_s11_a_name_with_two_f_has_its_metadata_beside_it(tmp_path):
    dims = dims_from_standard_axes({"z": 1, "y": 20, "x": 16})
    with create_stream(AcquisitionSettings(tmp_path / "a.ome.tiff", dims)) as stream:
        stream.append(np.ones((20, 16), "uint16"), {"delta_t": 1})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.frames.jsonl", "a.ome.tiff"]
    assert tifffile.imread(tmp_path / "a.ome.tiff").all()
