"""The dataset tells by itself how a stitched image was made."""

import json

import numpy as np
import pytest
import tifffile
from oblique_scenes import ROOT, tile_set

from spimpack_tasks.cli.main import main
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.pipelines import package
from spimpack_tasks.stitching.tile_files import write_tiles
from spimpack_tasks.stitching.tiles import Geometry
from spimpack_tasks.volumes.ome_zarr.provenance import find_stitching, read_provenance

V = 1.8
SHAPE = (12, 16, 8)
DESCRIPTION = {
    "Name": "Test",
    "BIDSVersion": "1.10.0",
    "DatasetType": "raw",
    "License": "CC0",
    "Authors": ["A One"],
}
HEAD = ["spim_path", "subject", "sample", "orientation_string_xyz", "sample_staining"]
KEY = "StitchingParameters"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a file of two tiles, a volume of another origin, and a manifest."""
    random = np.random.default_rng(5)
    paths = [tmp_path / "tile0.tif", tmp_path / "tile1.tif"]
    for path in paths:
        frames = random.integers(100, 4000, SHAPE).astype("u2")
        tifffile.imwrite(path, frames, metadata={"axes": "ZYX"}, imagej=True)
    stage = [(0, 0, 0), (7.5, 12 * V, 3.25)]
    tiles = tile_set([SHAPE] * 2, stage, Geometry(V, V / ROOT), paths=paths)
    write_tiles(str(tmp_path / "tiles.json"), tiles)
    return tmp_path


def stitch(folder, *choices):
    shared = [str(folder / "tiles.json"), str(folder / "whole.ome.zarr")]
    assert main(["stitch", "volume", *shared, "--align", "stage", *choices]) == 0


def write_rows(folder, names, **columns):
    head = [*HEAD, *columns]
    rows = [
        [name, f"{number:02}", "brain", "RPI", "NeuN", *columns.values()]
        for number, name in enumerate(names, start=1)
    ]
    (folder / "scans.tsv").write_text("\n".join("\t".join(row) for row in [head, *rows]) + "\n")
    manifest = {"dataset_description": DESCRIPTION, "scans_tsv": "scans.tsv"}
    (folder / "manifest.yml").write_text(json.dumps(manifest))  # JSON is YAML


def packaged(folder):
    manifest, output = str(folder / "manifest.yml"), str(folder / "out")
    outcome = package(Options(manifest=manifest, output_dir=output), 1)
    assert outcome.exit_code == 0, outcome
    return {
        path.name.split("_")[0]: (json.loads(path.read_text()), path.stat().st_mtime_ns)
        for path in (folder / "out").rglob("*_SPIM.json")
    }


def test_i22_2_the_sidecar_of_a_stitched_volume_tells_its_parameters(folder):
    stitch(folder)
    images = [str(folder / name) for name in ("whole.ome.zarr", "other.ome.zarr")]
    assert main(["rechunk", *images, "--codec", "gzip"]) == 0
    write_rows(folder, ["whole.ome.zarr", "other.ome.zarr"])
    found = packaged(folder)
    for sidecar, _ in found.values():
        told = json.loads(sidecar[KEY])
        assert (told["align"], told["tiles"], told["destripe"]) == ("stage", 2, "none")
    # Changed parameters rewrite the sidecar of that image alone.
    stitch(folder, "--fuse", "linear")
    again = packaged(folder)
    assert json.loads(again["sub-01"][0][KEY])["fuse"] == "linear"
    assert again["sub-02"] == found["sub-02"]
    assert packaged(folder) == again


def test_i22_2_a_column_wins_over_what_the_volume_tells(folder):
    stitch(folder)
    write_rows(folder, ["whole.ome.zarr"], **{KEY: "by hand"})
    assert packaged(folder)["sub-01"][0][KEY] == "by hand"


def test_i22_2_info_tells_how_a_volume_was_stitched(folder, capsys):
    stitch(folder)
    capsys.readouterr()
    assert main(["info", str(folder / "whole.ome.zarr")]) == 0
    shown = capsys.readouterr().out
    assert '  stitched    {"align": "stage"' in shown
    assert "microscope" not in shown
    told = find_stitching(read_provenance(str(folder / "whole.ome.zarr")))
    assert told[KEY] in shown


STITCHED = {"stitched_from": "2 tiles"}
GOOD = STITCHED | {"parameters": '{"tiles": 2}'}


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (GOOD, {KEY: '{"tiles": 2}'}),
        ({"earlier": json.dumps({"earlier": json.dumps(GOOD)})}, {KEY: '{"tiles": 2}'}),
        (STITCHED, {}),
        ({"parameters": '{"tiles": 2}'}, {}),
        (STITCHED | {"parameters": "deconvolution: {}"}, {}),
        (STITCHED | {"parameters": "[1]"}, {}),
        (STITCHED | {"parameters": {"tiles": 2}}, {}),
        (STITCHED | {"parameters": "[" * 100_000}, {}),
        ({"earlier": "no JSON"}, {}),
        ("no mapping", {}),
        (None, {}),
    ],
    ids=[
        *("stitched", "converted twice", "no parameters", "not stitched", "deconvolved", "a list"),
        *("no text", "deep", "no JSON", "no mapping", "nothing"),
    ],
)
def test_i22_2_only_parameters_of_a_stitched_volume_count(told, wanted):
    assert find_stitching(told) == wanted
