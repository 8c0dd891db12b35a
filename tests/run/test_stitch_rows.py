"""Stitched volumes and deskewed tiles enter a dataset by rows of its scans table."""

import json
import math

import numpy as np
import pytest
import tifffile
import zarr
from oblique_scenes import ROOT, tile_set

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.pipelines import package
from spimpack_tasks.stitching.tile_files import write_tiles
from spimpack_tasks.stitching.tiles import Geometry
from spimpack_tasks.validation.bids_validator import run_bids_validator

V = 1.8
STEP = V / ROOT
SHAPE = (12, 16, 8)
STAGE = [(0, 0, 0), (7.5, 12 * V, 3.25)]
DESCRIPTION = {
    "Name": "Test",
    "BIDSVersion": "1.10.0",
    "DatasetType": "raw",
    "License": "CC0",
    "Authors": ["A One"],
}
CELLS = ("--cell", "sub=01", "--cell", "sample=brain", "--cell", "orientation_string_xyz=RPI")
CELLS += ("--cell", "sample_staining=NeuN")


@pytest.fixture
def study(tmp_path):
    """Return a folder with a manifest and a file of two tiles."""
    random = np.random.default_rng(5)
    paths = [tmp_path / "tile0.tif", tmp_path / "tile1.tif"]
    for path in paths:
        frames = random.integers(100, 4000, SHAPE).astype("u2")
        tifffile.imwrite(path, frames, metadata={"axes": "ZYX"}, imagej=True)
    tiles = tile_set([SHAPE] * 2, STAGE, Geometry(V, STEP), paths=paths)
    write_tiles(str(tmp_path / "tiles.json"), tiles)
    manifest = {"dataset_description": DESCRIPTION, "scans_tsv": "scans.tsv"}
    (tmp_path / "manifest.yml").write_text(json.dumps(manifest))  # JSON is YAML
    return tmp_path


def run(study, action, image, *arguments):
    """Run `spimpack stitch` with a table of rows."""
    shared = [study / "tiles.json", study / image, "--rows", study / "scans.tsv", *CELLS]
    return main(["stitch", action, *map(str, [*shared, *arguments])])


def rows_of(study):
    head, *lines = (study / "scans.tsv").read_text("utf-8").splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_i19_22_deskewed_tiles_and_a_volume_become_a_valid_dataset(study):
    for number in (0, 1):
        assert run(study, "deskew", f"{number}.ome.zarr", "--tile", f"tile{number}") == ExitCode.OK
    volume = ("--align", "stage", "--cell", "acquisition=whole")
    assert run(study, "volume", "whole.ome.zarr", *volume) == ExitCode.OK
    assert [(row["spim_path"], row["chunk"]) for row in rows_of(study)] == [
        ("0.ome.zarr", "1"), ("1.ome.zarr", "2"), ("whole.ome.zarr", ""),
    ]  # fmt: skip
    outcome = package(
        Options(manifest=str(study / "manifest.yml"), output_dir=str(study / "out")), 1
    )
    assert outcome.exit_code == 0, outcome
    micr = study / "out" / "sub-01" / "micr"
    scale = (V / math.sqrt(2), V, STEP)
    for number, place in enumerate(STAGE):
        stem = f"sub-01_sample-brain_chunk-{number + 1}_SPIM"
        sidecar = json.loads((micr / f"{stem}.json").read_text())
        wanted = [[*np.diag(scale)[n], place[n]] for n in range(3)] + [[0, 0, 0, 1]]
        assert np.allclose(sidecar["ChunkTransformationMatrix"], wanted, atol=1e-6)
        assert sidecar["ChunkTransformationMatrixAxis"] == ["Z", "Y", "X"]
        group = zarr.open_group(micr / f"{stem}.ome.zarr", mode="r")
        scales = (dict(group.attrs).get("ome") or dict(group.attrs))["multiscales"][0]
        transforms = scales["datasets"][0]["coordinateTransformations"]
        matrix = np.array(sidecar["ChunkTransformationMatrix"])
        assert np.abs(matrix[:3, 3] - transforms[1]["translation"]).max() < 1e-6
        assert np.abs(np.diag(matrix)[:3] - transforms[0]["scale"]).max() < 1e-6
    sidecar = json.loads((micr / "sub-01_sample-brain_acq-whole_SPIM.json").read_text())
    assert "ChunkTransformationMatrix" not in sidecar
    told = json.loads(sidecar["StitchingParameters"])
    assert (told["align"], told["tiles"], told["fuse"]) == ("stage", 2, "cubic")
    assert told["largest_sigma_um_zyx"] == [5.0, 5.0, 5.0]
    assert sidecar["StitchingParameters"] in (
        study / "whole.ome.zarr/zarr.json"
    ).read_text().replace('\\"', '"')
    verdict = run_bids_validator(study / "out")
    assert [each for each in verdict.findings if each.severity == "error"] == []


def test_i19_22_a_row_is_written_once_and_kept_up_to_date(study):
    table = study / "scans.tsv"
    (table).write_text("spim_path\tsub\tsample\tnotes\nother.ims\t07\tbrain\tkeep  this \n")
    tile = ("--tile", "tile1")
    assert run(study, "deskew", "1.ome.zarr", *tile) == ExitCode.OK
    users, row = rows_of(study)
    assert (users["notes"], users["sub"]) == ("keep  this ", "07")
    assert (row["sub"], row["chunk"]) == ("01", "2")
    before = table.read_text()
    assert run(study, "deskew", "1.ome.zarr", *tile) == ExitCode.OK
    assert table.read_text() == before
    data = json.loads((study / "tiles.json").read_text())
    data["tiles"][1]["position_um_zyx"] = [0, 20.5, 0]
    (study / "tiles.json").write_text(json.dumps(data))
    table.write_text(before.replace("NeuN", "cFos"))
    assert run(study, "deskew", "1.ome.zarr", *tile) == ExitCode.OK
    _, row = rows_of(study)
    assert json.loads(row["ChunkTransformationMatrix"])[1][3] == 20.5
    assert row["sample_staining"] == "cFos"


def test_i19_22_a_table_of_a_spreadsheet_program_keeps_its_mark(study):
    """The mark was part of the first column's name, so that a second column of paths was added."""
    table = study / "scans.tsv"
    table.write_bytes("\ufeffspim_path\tsub\r\nother.ims\t07\r\n".encode())
    for _ in range(2):
        assert run(study, "deskew", "1.ome.zarr", "--tile", "tile1") == ExitCode.OK
        head, *lines = table.read_bytes().decode().split("\r\n")
        assert head.startswith("\ufeffspim_path\tsub\t")
        assert [line.split("\t")[0] for line in lines] == ["other.ims", "1.ome.zarr", ""]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rows", "TABLE"), "subject is missing; add --cell subject="),
        (("--rows", "TABLE", "--cell", "sub"), "'sub': write a column and its cell"),
        (("--rows", "no/scans.tsv", *CELLS), "is not a folder"),
        (("--rows", "scans.csv", *CELLS), "does not end in .tsv"),
        (("--rows", "TABLE", *CELLS, "--cell", "spim_path=a"), "leave it out"),
        (CELLS, "name its table by --rows"),
    ],
    ids=["no subject", "no cell", "no folder", "no table", "path", "no rows"],
)
def test_i19_22_wrong_rows_are_refused_before_any_work(study, capsys, arguments, said):
    words = [str(study / "scans.tsv") if word == "TABLE" else word for word in arguments]
    before = sorted(study.iterdir())
    shared = [str(study / "tiles.json"), str(study / "whole.ome.zarr")]
    assert main(["stitch", "volume", *shared, "--align", "stage", *words]) == ExitCode.BAD_INPUT
    errors = capsys.readouterr().err
    assert said in errors
    assert "Traceback" not in errors
    assert sorted(study.iterdir()) == before
