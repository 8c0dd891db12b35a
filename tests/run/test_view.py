"""What Neuroglancer and napari are told of an image."""

import json
import re
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from workspace import Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.demo.images import (
    BACKGROUND,
    BLOB,
    TISSUE,
    DemoImage,
    compose_pyramid,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.qc.napari_layers import add_layers
from spimpack_tasks.qc.neuroglancer import compose_state
from spimpack_tasks.qc.preview import find_contrast
from spimpack_tasks.qc.volume import read_volume
from spimpack_tasks.volumes.volume import open_volume

IMAGE = DemoImage(("autof", "β"), (12, 50, 70), (4.0, 2.6, 0.5), levels=2)
PYRAMID = compose_pyramid(IMAGE)
FULL = PYRAMID[0].voxels


def range_of(layer):
    found = re.search(r"range=\[(-?[0-9.e+-]+), (-?[0-9.e+-]+)\]", layer["shader"]).groups()
    return tuple(map(float, found))


def spoil_omero(path, **told):
    """Change what an OME-Zarr 0.5 says of its first channel."""
    data = json.loads((path / "zarr.json").read_text())
    data["attributes"]["ome"]["omero"]["channels"][0] |= told
    (path / "zarr.json").write_text(json.dumps(data))


SHOWN = {
    "g2-of-the-file": ({"start": 200, "end": 900}, [], (200, 900)),
    "g2-beyond-the-type": ({"start": -5, "end": 1e6}, [], (0, 65535)),
    "g2-with-fractions": ({"start": 200.4, "end": 900.6}, [], (200, 901)),
    "g2-all-at-one-value": ({"start": 65535, "end": 65535.5}, [], (65534, 65535)),
    "g2-computed": ({"start": 200, "end": 900}, ["--auto-contrast"], None),
    "g2-none": ({"min": 0, "max": 65535}, [], None),
    "g2-the-other-way-round": ({"start": 900, "end": 200}, [], None),
}


@pytest.mark.parametrize("case", SHOWN)
def test_the_contrast_is_that_of_the_file(case, tmp_path, capsys):
    window, options, wanted = SHOWN[case]
    write_ome_zarr(tmp_path / "a.ome.zarr", IMAGE, ngff="0.5")
    spoil_omero(tmp_path / "a.ome.zarr", window=window, color="102030")
    assert main(["view", str(tmp_path / "a.ome.zarr"), "--neuroglancer", *options]) == ExitCode.OK
    layer = json.loads(capsys.readouterr().out)["layers"][0]
    if wanted is None:
        assert range_of(layer) == pytest.approx(find_contrast(FULL[0]), abs=1)
    else:
        assert range_of(layer) == wanted
    assert 'default="#102030"' in layer["shader"]
    page = tmp_path / "page.html"
    assert main(["qc", str(tmp_path / "a.ome.zarr"), "--output", str(page)]) == ExitCode.OK
    assert 'value="#102030"' in page.read_text()


FITS = {
    "g1-wide": ((4, 20, 3000), (1.0, 1.0, 1.0)),
    "g1-high": ((4, 3000, 20), (1.0, 1.0, 1.0)),
    "g1-deep": ((900, 8, 8), (4.0, 1.0, 1.0)),
    "g1-even": ((64, 64, 64), (1.0, 2.0, 0.5)),
}


@pytest.mark.parametrize("case", FITS)
def test_the_whole_image_is_in_each_panel(case, tmp_path):
    """A pixel of the screen is `crossSectionScale` of the finest voxel of the dimensions."""
    sizes, spacing = FITS[case]
    write_ome_zarr(tmp_path / "a.ome.zarr", DemoImage(("a",), sizes, spacing, levels=1), ngff="0.5")
    state = compose_state(str(tmp_path / "a.ome.zarr"))
    um_per_pixel = state["crossSectionScale"] * min(spacing)
    z, y, x = (n * step / um_per_pixel for n, step in zip(sizes, spacing, strict=True))
    # Half of 1280 x 720, less 100 pixels of a browser and 48 of Neuroglancer, and a margin.
    for across, down in ((x, y), (x, z), (z, y)):
        assert across <= 1280 / 2 - 10
        assert down <= (720 - 100 - 48) / 2 - 10
    assert max(x / 630, z / 630, y / 276, z / 276) > 0.9  # and not smaller than it must be


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_the_state_names_source_channels_and_sizes(ngff, tmp_path):
    write_ome_zarr(tmp_path / "a b.ome.zarr", IMAGE, ngff=ngff)
    state = compose_state(str(tmp_path / "a b.ome.zarr"), "https://example.org/data/")
    assert state["dimensions"] == {"x": [5e-7, "m"], "y": [2.6e-6, "m"], "z": [4e-6, "m"]}
    assert state["position"] == [35, 25, 6]
    scheme = "zarr2" if ngff == "0.4" else "zarr3"
    for number, layer in enumerate(state["layers"]):
        assert layer["source"] == f"{scheme}://https://example.org/data/a%20b.ome.zarr/"
        assert layer["type"] == "image"
        assert layer["localDimensions"] == {"c'": [1, ""]}
        assert layer["localPosition"] == [number]
        assert layer["blend"] == "additive"
        assert layer["opacity"] == 1
        assert range_of(layer) == (0, BACKGROUND + TISSUE + BLOB)  # as the image says
    assert [layer["name"] for layer in state["layers"]] == ["autof", "β"]
    colours = [re.search('default="(#.{6})"', layer["shader"])[1] for layer in state["layers"]]
    assert colours == ["#00ff00", "#ff00ff"]


def test_an_image_of_a_dataset_is_named_from_the_datasets_folder(tmp_path, capsys):
    workspace = Workspace(tmp_path)
    workspace.add_row("b.ome.zarr", subject="02", acquisition="4x")
    workspace.run()
    image = next(workspace.out.glob("sub-02/micr/*.ome.zarr"))
    assert main(["view", str(image), "--neuroglancer"]) == ExitCode.OK
    state = json.loads(capsys.readouterr().out)
    expected = f"zarr3://http://127.0.0.1:8000/sub-02/micr/{image.name}/"
    assert {layer["source"] for layer in state["layers"]} == {expected}
    # All voxels are alike; a range needs two values.
    assert "range=[0, 1]" in state["layers"][0]["shader"]


def test_channels_of_one_name_are_told_apart(tmp_path):
    same = DemoImage(("a", "a"), (2, 8, 8), (1.0, 1.0, 1.0), levels=1)
    write_ome_zarr(tmp_path / "a.ome.zarr", same, ngff="0.4")
    state = compose_state(str(tmp_path / "a.ome.zarr"))
    assert [layer["name"] for layer in state["layers"]] == ["a (1)", "a (2)"]


def test_a_group_within_is_named(tmp_path):
    write_ome_zarr(tmp_path / "a.ome.zarr" / "0", IMAGE, ngff="0.4")
    (tmp_path / "a.ome.zarr" / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    (tmp_path / "a.ome.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    layer = compose_state(str(tmp_path / "a.ome.zarr"))["layers"][0]
    assert layer["source"] == "zarr2://http://127.0.0.1:8000/a.ome.zarr/0/"


def test_neuroglancer_wants_a_directory(tmp_path, capsys):
    write_imaris(tmp_path / "a.ims", IMAGE)
    assert main(["view", str(tmp_path / "a.ims"), "--neuroglancer"]) == ExitCode.BAD_INPUT
    assert "is no OME-Zarr directory" in capsys.readouterr().err


def test_o61_without_napari_the_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "napari", None)
    assert main(["view", str(tmp_path / "a.ims")]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err == (
        "spimpack: napari is not installed; install it with: pip install 'spimpack_tasks[view]'\n"
    )


WRITERS = {
    "a.ims": lambda path: write_imaris(path, IMAGE),
    "a.ome.zarr": lambda path: write_ome_zarr(path, IMAGE, ngff="0.4"),
    "a.ozx": lambda path: write_ozx(path, IMAGE),
    "a.ome.tif": lambda path: write_ome_tiff(path, IMAGE),
}


def window_of_demo(_):
    return 0.0, float(BACKGROUND + TISSUE + BLOB)


WINDOWS = {
    "a.ome.zarr": window_of_demo,
    "a.ozx": window_of_demo,
    "a.ims": lambda voxels: (0.0, float(voxels.max())),
}
"""What a file says of its window; OME-TIFF has no word for it."""


class Viewer:
    """What napari's viewer would be told; napari is too large for the tests' environment."""

    def __init__(self):
        self.layers, self.dims = [], SimpleNamespace()

    def add_image(self, data, *, multiscale, **told):
        levels = data if multiscale else [data]
        self.layers.append(SimpleNamespace(levels=levels, multiscale=multiscale, **told))


@pytest.mark.parametrize("name", WRITERS)
def test_o61_napari_gets_each_channel_with_its_sizes(name, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    viewer = Viewer()
    with open_volume(str(path), accept_unclear=True) as opened:
        add_layers(viewer, read_volume(str(path)), opened.levels)
        for number, layer in enumerate(viewer.layers):
            assert layer.name == ("autof", "β")[number]
            assert layer.axis_labels == ["z", "y", "x"]
            assert layer.scale == [4.0, 2.6, 0.5]
            assert layer.units == ["µm"] * 3
            assert layer.contrast_limits == WINDOWS.get(name, find_contrast)(FULL[number])
            assert layer.colormap == ("#00ff00", "#ff00ff")[number]
            assert layer.multiscale == (name != "a.ome.tif")
            for level, expected in zip(layer.levels, PYRAMID, strict=False):
                assert np.array_equal(np.asarray(level), expected.voxels[number])
            assert np.array_equal(np.asarray(layer.levels[0][3, 5:9]), FULL[number][3, 5:9])


def test_the_window_stays_until_it_is_closed(tmp_path, monkeypatch):
    write_imaris(tmp_path / "a.ims", IMAGE)
    viewer = Viewer()
    looked_at = []

    def wait():
        """Look at the image as napari does: while its window is open."""
        looked_at.extend(np.asarray(layer.levels[1]) for layer in viewer.layers)

    napari = SimpleNamespace(Viewer=lambda **_: viewer, run=wait)
    monkeypatch.setitem(sys.modules, "napari", napari)
    assert main(["view", str(tmp_path / "a.ims")]) == ExitCode.OK
    assert np.array_equal(looked_at, PYRAMID[1].voxels)


@pytest.mark.skipif(not find_spec("napari"), reason="napari is not installed")
def test_napari_itself_takes_the_layers(tmp_path):
    from napari.components import ViewerModel  # needs no display

    write_imaris(tmp_path / "a.ims", IMAGE)
    viewer = ViewerModel()
    with open_volume(str(tmp_path / "a.ims")) as opened:
        add_layers(viewer, read_volume(str(tmp_path / "a.ims")), opened.levels)
        assert [layer.name for layer in viewer.layers] == ["autof", "β"]
        assert [tuple(layer.scale) for layer in viewer.layers] == [(4.0, 2.6, 0.5)] * 2
        assert viewer.layers[1].colormap.map(1.0)[0].tolist() == [1, 0, 1, 1]
        assert {str(unit) for unit in viewer.layers[0].units} == {"micrometer"}
