"""Streams that enter a dataset: their rows in scans tables, and the dataset that comes of them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import zarr
from stream_models import append_all, make_frames

from spimpack_tasks.errors import InputError, Report, SpimpackError
from spimpack_tasks.manifest.load import load_inputs
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.pipelines import package
from spimpack_tasks.streams import (
    AcquisitionSettings,
    BidsPlace,
    Channel,
    Dimension,
    Position,
    create_stream,
    finish_stream,
    resume_stream,
)
from spimpack_tasks.streams import opening as openings
from spimpack_tasks.validation.bids_validator import run_bids_validator

CHANNELS = (Channel("YoPro", 488, 509), Channel("Abeta", 640))
HEAD = "spim_path\tsubject\tsample\torientation_string_xyz\tsample_staining\tnotes\n"
USERS_ROW = "other.ims\tsub-07\tbrain\tRPI\tYoPro\tkeep  this \n"
DESCRIPTION = {
    "Name": "Test",
    "BIDSVersion": "1.10.0",
    "DatasetType": "raw",
    "License": "CC0",
    "Authors": ["A One"],
}


def write_manifest(folder, **more):
    folder.mkdir(exist_ok=True)
    data = {"dataset_description": DESCRIPTION, **more}
    (folder / "manifest.yml").write_text(json.dumps(data))  # JSON is YAML


@pytest.fixture
def study(tmp_path):
    """Return a folder with a manifest and a table that has a row of the user's."""
    write_manifest(tmp_path, scans_tsv="scans.tsv")
    (tmp_path / "scans.tsv").write_text(HEAD + USERS_ROW)
    return tmp_path


def make_settings(folder, name="a.ome.zarr", positions=(), **more):
    places = (Dimension("p", coords=positions),) if positions else ()
    dims = (
        *places,
        Dimension("c", coords=CHANNELS),
        Dimension("z", 3, scale=2.0),
        Dimension("y", 16, scale=0.5),
        Dimension("x", 16, scale=0.5),
    )
    bids = {"manifest": str(folder / "manifest.yml"), "sub": "01", "sample": "brain"}
    bids |= {"orientation": "RPI", "columns": {"NumericalAperture": 0.5}}
    bids |= more.pop("bids", {})
    return AcquisitionSettings(folder / name, dims, bids=bids, **more)


def record(settings, metadata=None):
    counts = [each.count for each in settings.dimensions]
    frames = make_frames(counts)
    with create_stream(settings) as stream:
        append_all(stream, frames, metadata)
    return frames


def rows_of(path):
    head, *lines = path.read_text("utf-8").splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_i18_s12_a_finished_stream_writes_its_row(study):
    record(make_settings(study, bids={"ses": "1", "acq": "4x"}), lambda _: {"exposure_time": 0.02})
    users, row = rows_of(study / "scans.tsv")
    assert users["notes"] == "keep  this "
    assert {key: text for key, text in row.items() if text} == {
        "spim_path": "a.ome.zarr",
        "subject": "01",
        "session": "1",
        "sample": "brain",
        "acquisition": "4x",
        "orientation_string_xyz": "RPI",
        "sample_staining": "YoPro;Abeta",
        "ExcitationWavelengths": "488;640",
        "NumericalAperture": "0.5",
        "ExposureTime": "0.02",
    }
    assert sorted(os.listdir(study)) == ["a.ome.zarr", "manifest.yml", "scans.tsv"]


def test_i18_s12_what_was_acquired_becomes_a_valid_dataset(study):
    (study / "scans.tsv").unlink()
    places = [Position("left", x_coord=0), Position("right", x_coord=8)]
    frames = record(make_settings(study, positions=places, compression="blosc"))
    record(make_settings(study, "b.ome.tif", format="ome-tiff", bids={"sub": "02"}))
    tiles = make_settings(study, "c", positions=places, format="ome-tiff", bids={"sub": "03"})
    record(tiles)
    outcome = package(
        Options(manifest=str(study / "manifest.yml"), output_dir=str(study / "out")), 1
    )
    assert outcome.exit_code == 0, outcome
    micr = study / "out" / "sub-01" / "micr"
    stem = "sub-01_sample-brain_chunk-{}_SPIM"
    for number in (1, 2):
        voxels = zarr.open_array(f"{micr}/{stem.format(number)}.ome.zarr/0", mode="r")[:]
        np.testing.assert_array_equal(voxels, frames[number - 1])
        sidecar = json.loads((micr / f"{stem.format(number)}.json").read_text())
        assert sidecar["NumericalAperture"] == 0.5
        assert sidecar["ExcitationWavelengths"] == [488, 640]
        assert sidecar["PixelSize"] == [0.5, 0.5, 2.0]
        assert sidecar["SampleStaining"] == ["YoPro", "Abeta"]
    assert (study / "out/sub-02/micr/sub-02_sample-brain_SPIM.ome.btf").exists()
    assert (study / "out/sub-03/micr/sub-03_sample-brain_chunk-2_SPIM.ome.btf").exists()
    verdict = run_bids_validator(study / "out")
    assert [each for each in verdict.findings if each.severity == "error"] == []


def test_i18_s12_the_same_stream_again_replaces_nothing_that_a_user_edited(study):
    record(make_settings(study))
    text = (study / "scans.tsv").read_text().replace("0.5", "0.45")
    (study / "scans.tsv").write_text(text)
    before = os.stat(study / "scans.tsv")
    record(make_settings(study, overwrite=True))
    assert (study / "scans.tsv").read_text() == text
    assert os.stat(study / "scans.tsv") == before


@pytest.mark.parametrize("form", ["table", "inline"])
def test_i18_s12_entities_of_another_image_are_refused_before_the_first_frame(study, form):
    row = {"spim_path": "b.ims", "subject": "01", "sample": "brain"}
    if form == "table":
        with open(study / "scans.tsv", "a") as file:
            file.write("b.ims\tsub-01\tbrain\tLPI\tYoPro\t\n")
    else:
        datasets = [{"dataset_id": "a", "assets": [row]}]
        write_manifest(study, scans_tsv="scans.tsv", datasets=datasets)
    with pytest.raises(InputError, match="sub-01_sample-brain_SPIM is another image already"):
        create_stream(make_settings(study))
    assert not (study / "a.ome.zarr.part").exists()


def test_i18_s12_without_a_manifest_the_error_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="spimpack init"):
        create_stream(make_settings(tmp_path))
    assert os.listdir(tmp_path) == []


def test_i18_s12_a_manifest_that_is_not_filled_in_yet_holds_nothing_up(study):
    write_manifest(study, scans_tsv="scans.tsv", unknown_key=1)
    record(make_settings(study))
    assert len(rows_of(study / "scans.tsv")) == 2
    (study / "scans.tsv").write_text("spim_path\tsubject\nonly one cell\n")
    with pytest.raises(InputError, match="1 cell"):
        create_stream(make_settings(study, "b.ome.zarr"))


FAULTS = {
    "orientation": ({"orientation": ""}, "towards which side"),
    "label": ({"sub": "a_b"}, "letters and digits"),
    "index": ({"run": "one"}, "digits"),
    "key": ({"species": "mouse"}, r"bids.species: is not a known key"),
    "missing": ({"sample": ""}, "sample: is missing"),
    "entity": ({"positions": "desk"}, "positions: .desk. is not allowed"),
}


@pytest.mark.parametrize(("bids", "message"), FAULTS.values(), ids=FAULTS)
def test_i18_s12_wrong_places_are_refused_with_the_key(study, bids, message):
    with pytest.raises(InputError, match=message):
        make_settings(study, bids=bids)


def test_i18_s12_positions_may_be_told_apart_by_their_names(study):
    places = [Position("left"), Position("right")]
    record(make_settings(study, positions=places, bids={"positions": "acquisition"}))
    _, *rows = rows_of(study / "scans.tsv")
    assert [(row["acquisition"], row["scene"]) for row in rows] == [
        ("left", "left"), ("right", "right"),
    ]  # fmt: skip
    twins = [Position("1", "A", "1"), Position("1", "B", "1")]
    with pytest.raises(InputError, match="several positions"):
        make_settings(study, positions=twins, bids={"positions": "acquisition"})


CSVS = {
    "plain": 'spim_path,subject,sample,notes\nb.ims,07,brain,"a, ""b""\nc"\n',
    "semicolons": "\ufeffspim_path;sub;sample;notes\r\nb.ims;07;brain;1,5\r\n",
    "no-end": "spim_path,subject,sample\nb.ims,07,brain",
    "empty": "",
}


@pytest.mark.parametrize("text", CSVS.values(), ids=CSVS)
def test_i18_s12_a_table_may_be_csv(study, text):
    import csv

    write_manifest(study, scans_tsv="scans.csv")
    (study / "scans.csv").write_bytes(text.encode())
    record(make_settings(study))
    found = (study / "scans.csv").read_bytes().decode("utf-8")
    assert found.startswith("\ufeff") == text.startswith("\ufeff")
    assert ("\r\n" in found) == ("\r\n" in text)
    with open(study / "scans.csv", encoding="utf-8-sig", newline="") as file:
        separator = ";" if "sub;" in text else ","
        *others, last = csv.DictReader(file, delimiter=separator)
    assert (last["spim_path"], last["sample_staining"]) == ("a.ome.zarr", "YoPro;Abeta")
    assert ("sub" in last) == ("sub;" in text)
    assert last["sub" if "sub;" in text else "subject"] == "01"
    if text:
        assert others[0]["spim_path"] == "b.ims"
        assert others[0].get("notes", "") == {"plain": 'a, "b"\nc', "semicolons": "1,5"}.get(
            next(name for name, each in CSVS.items() if each == text), ""
        )


def test_i18_s12_a_workbook_gets_no_row(study):
    write_manifest(study, scans_tsv="scans.xlsx")
    (study / "scans.xlsx").write_bytes(b"no workbook")
    with pytest.raises(Exception, match=r"workbook|save it as") as caught:
        create_stream(make_settings(study))
    assert "Traceback" not in str(caught.value)
    assert not (study / "a.ome.zarr.part").exists()


CHILD = """\
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
from test_stream_bids import make_settings, record
for number in range(int(sys.argv[3]), int(sys.argv[3]) + 5):
    record(make_settings(Path(sys.argv[2]), f"{number}.ome.zarr", bids={"run": str(number)}))
"""


@pytest.mark.slow
def test_i18_s12_streams_of_several_processes_end_at_once(study):
    told = json.dumps([*sys.path, os.path.dirname(__file__)])
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, told, str(study), str(first)])
        for first in (10, 20, 30, 40)
    ]
    assert [child.wait(120) for child in children] == [0] * 4
    rows = rows_of(study / "scans.tsv")
    wanted = {
        f"{number}.ome.zarr" for first in (10, 20, 30, 40) for number in range(first, first + 5)
    }
    assert {row["spim_path"] for row in rows} == wanted | {"other.ims"}
    assert len(rows) == 21


def test_i18_s12_a_row_that_a_kill_kept_back_is_written_by_finish(study, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    settings = make_settings(study)
    monkeypatch.setattr(openings, "write_rows", die)
    with pytest.raises(KeyboardInterrupt):
        record(settings)
    monkeypatch.undo()
    assert len(rows_of(study / "scans.tsv")) == 1
    with pytest.raises(Exception, match="all frames are in"):
        resume_stream(settings.root_path)
    result = finish_stream(settings.root_path)
    assert (result.frames, result.missing) == (6, ())
    assert len(rows_of(study / "scans.tsv")) == 2
    assert sorted(os.listdir(study)) == ["a.ome.zarr", "manifest.yml", "scans.tsv"]


def test_i18_s12_the_place_is_kept_for_a_resumed_stream(study):
    stream = create_stream(make_settings(study))
    frames = make_frames((2, 3, 16, 16))
    append_all(stream, frames[:1])
    stream.abandon(is_quiet=True)
    stream = resume_stream(study / "a.ome.zarr")
    assert isinstance(stream.settings.bids, BidsPlace)
    append_all(stream, frames[1:])
    stream.close()
    assert [row["spim_path"] for row in rows_of(study / "scans.tsv")] == ["other.ims", "a.ome.zarr"]


NUMBER = "NumericalAperture"
# Keys of the place, and key and words of the problem.
CELLS = {
    "sides": ({"orientation": "RLP"}, "orientation_string_xyz", "'RLP' is not an orientation"),
    "twice": ({"orientation": "LLL"}, "orientation_string_xyz", "'LLL' is not an orientation"),
    "column": (
        {"orientation": "", "columns": {"orientation_string_xyz": "XYZ"}},
        "columns.orientation_string_xyz",
        "'XYZ' is not an orientation",
    ),
    "word": ({"columns": {NUMBER: "high"}}, f"columns.{NUMBER}", "must be a number"),
    "comma": ({"columns": {NUMBER: "0,5"}}, f"columns.{NUMBER}", "must be a number"),
    "truth": ({"columns": {NUMBER: True}}, f"columns.{NUMBER}", "must be a number"),
    "mapping": ({"columns": {NUMBER: {"a": 1}}}, f"columns.{NUMBER}", "cannot stand in a cell"),
    "nothing": ({"columns": {NUMBER: None}}, f"columns.{NUMBER}", "cannot stand in a cell"),
    "bytes": ({"columns": {NUMBER: b"1"}}, f"columns.{NUMBER}", "cannot stand in a cell"),
    "nan": ({"columns": {NUMBER: float("nan")}}, f"columns.{NUMBER}", "nan is not a number"),
    "array": ({"columns": {NUMBER: np.array(np.inf)}}, f"columns.{NUMBER}", "inf is not a number"),
    "lacking": ({"columns": {"a": [1, None]}}, "columns.a", "cannot stand in a cell"),
    "nested": ({"columns": {"a": [[1], [2]]}}, "columns.a", "cannot stand in a cell"),
    "separator": ({"columns": {"a": ["1;2", "3"]}}, "columns.a", "cannot stand in a cell"),
    "wave": ({"columns": {"ExcitationWavelengths": "a;b"}}, "columns.Exc", "must be a number"),
    "tab": ({"columns": {"notes": "a\tb"}}, "columns.notes", "more than one line, or tabs"),
    "line": ({"columns": {"notes": "a\nb"}}, "columns.notes", "more than one line"),
    "name": ({"columns": {5: "a"}}, "columns.5", "is not the name of a column"),
    "name-tab": ({"columns": {"a\tb": "a"}}, "columns.a", "is not the name of a column"),
    "path": ({"columns": {"spim_path": "a"}}, "columns.spim_path", "writes itself"),
    "entity": ({"columns": {"sub": "02"}}, "columns.sub", "writes itself"),
    "list": ({"columns": [1]}, "columns", "must be a mapping"),
}


@pytest.mark.parametrize(("bids", "key", "message"), CELLS.values(), ids=CELLS)
def test_i18_s12_a_cell_that_the_table_refuses_is_refused_before_the_first_frame(
    study, bids, key, message
):
    with pytest.raises(InputError) as caught:
        make_settings(study, bids=bids)
    (problem,) = caught.value.report.problems
    assert problem.key.startswith(f"bids.{key}")
    assert message in problem.message
    assert sorted(os.listdir(study)) == ["manifest.yml", "scans.tsv"]


def test_i18_s12_numbers_become_cells_in_as_few_digits_as_tell_them(study):
    columns = {
        NUMBER: np.float32(0.2),
        "ExposureTime": "0.02",
        "count": np.int64(3),
        "isFlat": np.True_,
        "gains": np.array([0.1, 2], "float32"),
        "ExcitationWavelengths": [488, 640.5],
    }
    record(make_settings(study, bids={"columns": columns}))
    row = rows_of(study / "scans.tsv")[1]
    assert {key: row[key] for key in columns} == {
        NUMBER: "0.2",
        "ExposureTime": "0.02",
        "count": "3",
        "isFlat": "true",
        "gains": "0.1;2.0",
        "ExcitationWavelengths": "488;640.5",
    }


@pytest.mark.parametrize("told", [[1], {"s": 1}, "0.02", True, None], ids=str)
def test_i18_s12_an_exposure_that_is_no_number_writes_no_cell(study, told):
    record(make_settings(study), lambda _: {"exposure_time": told})
    assert "ExposureTime" not in rows_of(study / "scans.tsv")[1]


def test_i18_s12_an_inline_manifest_gets_a_table_that_is_read(tmp_path):
    inline = {"spim_path": "b.ims", "subject": "09", "sample": "brain"}
    write_manifest(tmp_path, datasets=[{"dataset_id": "a", "assets": [inline]}])
    record(make_settings(tmp_path))
    inputs = load_inputs(str(tmp_path / "manifest.yml"), Report())
    assert {each.cell("spim_path") for each in inputs.records} == {"a.ome.zarr", "b.ims"}


def test_i18_s12_a_manifest_whose_tables_nobody_would_read_is_refused(tmp_path):
    (tmp_path / "part").mkdir()
    write_manifest(tmp_path / "part")
    write_manifest(tmp_path, include=["part/manifest.yml"])
    with pytest.raises(SpimpackError, match="includes other manifests and names no table"):
        create_stream(make_settings(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["manifest.yml", "part"]
    write_manifest(tmp_path, include=["part/manifest.yml"], scans_tsv="scans.tsv")
    record(make_settings(tmp_path))
    inputs = load_inputs(str(tmp_path / "manifest.yml"), Report())
    assert [each.cell("spim_path") for each in inputs.records] == ["a.ome.zarr"]
