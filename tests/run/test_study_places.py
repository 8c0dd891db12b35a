"""Where a study may write, and what its products are made of: refused before anything is made."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from study_files import STUDY, write_recording, write_study
from test_study import BAD

from spimpack_tasks.api import open_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

CONVERT = "stages: {convert: {a: {source: raw/488_0.ome.tif, image: %s}}}\n"
PACKAGE = "stages: {{package: {{manifest: m.yml, output_dir: {}}}, {}}}\n"
ALIGNED = "align: {a: {data_root: probes, results_root: %s}}"
ONE = "{source: raw/488_0.ome.tif, image: %s/a.ome.zarr}"
OTHER = "{source: products/converted/%s.ome.zarr}"
REFUSED = {
    "a product in a source": (
        "stages: {convert: {a: {source: raw, image: raw/b.ome.zarr}}}\n",
        "study.source",
    ),
    "work_dir in a source": (
        "work_dir: raw/made\nstages: {convert: {a: {source: raw}}}\n",
        "study.source",
    ),
    "work_dir with files of the user's": (f"work_dir: raw\n{STUDY}", "study.work-dir"),
    "a file as work_dir": (f"work_dir: raw/488.tsv\n{STUDY}", "study.source"),
    "the page in the dataset": (
        PACKAGE.format("bids", "report: {page: bids/a.html}"),
        "study.within",
    ),
    "the page over the dataset": (PACKAGE.format("bids", "report: {page: bids}"), "study.twice"),
    "a product in the dataset": (
        PACKAGE.format("bids", "convert: {a: {source: raw/a.tif, image: bids/a.ome.zarr}}"),
        "study.within",
    ),
    "the dataset in a product": (
        PACKAGE.format("products/converted/a.ome.zarr/bids", "convert: {a: {source: raw/a.tif}}"),
        "study.within",
    ),
    "the dataset in a derivative": (PACKAGE.format("out/bids", ALIGNED % "out"), "study.within"),
    "the dataset in a source": (
        PACKAGE.format("raw/bids", "convert: {a: {source: raw}}"),
        "study.source",
    ),
    "work_dir in the dataset": (
        "work_dir: bids/p\nstages: {package: {manifest: m.yml, output_dir: bids}}\n",
        "study.within",
    ),
    "two products through a link": (
        f"stages: {{convert: {{a: {ONE % 'link'}, b: {ONE % 'there'}}}}}\n",
        "study.twice",
    ),
    "an OME-TIFF of convert": (CONVERT % "a.ome.tif", "study.ending"),
    "a TIFF of a stream": (
        "stages: {stream: {a: {settings: c.yml, frames: f, image: a.tif}}}\n",
        "study.ending",
    ),
    "a product of what is packaged": (
        PACKAGE.format("bids", "convert: {a: {source: bids/sub-01/micr/a.ome.zarr}}"),
        "study.order",
    ),
    "a product of itself": (
        f"stages: {{convert: {{a: {OTHER % 'b'}, b: {OTHER % 'a'}}}}}\n",
        "study.order",
    ),
}


STUDY_CODES = {code for _, code in REFUSED.values()} | {
    code for _, code in BAD.values() if code.startswith("study.")
}


def paths(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_places_that_collide_are_refused_before_anything(tmp_path, capsys, name, command):
    text, code = REFUSED[name]
    write_recording(tmp_path / "raw")
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    path = tmp_path / "study.yml"
    path.write_text(text)
    before = paths(tmp_path)
    assert main([command, str(path)]) == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert code in told
    assert "study.yml:" in told
    assert paths(tmp_path) == before


ALLOWED = {
    "the study itself as work_dir": f"work_dir: .\n{STUDY}",
    "derivatives in the dataset": PACKAGE.format("bids", ALIGNED % "bids/derivatives/a"),
    "the dataset in work_dir": PACKAGE.format("products/bids", "validate: {}"),
    "tiles of an earlier run": (
        "stages: {stitch: {a: {tiles: products/tiles/b.json, work_dir: w},"
        " b: {recording: raw/488.tsv, work_dir: w}}}\n"
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_places_that_may_lie_in_one_another_are_taken(tmp_path, capsys, name):
    path = tmp_path / "study.yml"
    path.write_text(ALLOWED[name])
    main(["plan", str(path)])
    assert "study.yml" not in capsys.readouterr().err


def test_a_work_dir_in_which_a_study_has_worked_may_get_notes_of_the_user(tmp_path):
    path = write_study(tmp_path)
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    (tmp_path / "products/notes.txt").write_text("mine")
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK


def plan(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    capsys.readouterr()
    main(["plan", str(path), "--format", "json"])
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return {
        f"{line['stage']} {line['item']}".rstrip(): (line["state"], line["reason"])
        for line in lines
    }


def test_a_volume_waits_for_the_alignment_of_another(tmp_path, capsys):
    """The first channel in the study takes the places that are measured in the second one."""
    align = "products/stitched/brain1/Ex_561.ome.zarr.work/align.json"
    text = STUDY.replace("align: stage", f"align: file\n      align_file: {align}", 1)
    # An alignment knows its tiles by their names.
    text = text.replace("recording: raw/561.tsv", "recording: raw/488.tsv")
    path = write_study(tmp_path, text)
    assert plan(path, capsys)["stitch brain1/Ex_488"] == (
        "waits",
        "comes after stitch brain1/Ex_561",
    )
    assert main(["run", str(path), "--until", "stitch"]) == ExitCode.OK
    found = plan(path, capsys)
    assert found["stitch brain1/Ex_488"][0] == found["stitch brain1/Ex_561"][0] == "done"


def test_an_image_is_converted_of_a_stitched_volume_that_is_made_first(tmp_path, capsys):
    text = STUDY.replace(
        "source: [raw/488_0.ome.tif, raw/488_1.ome.tif]\n      merge: T",
        "source: products/stitched/brain1/Ex_488.ome.zarr",
    )
    path = write_study(tmp_path, text)
    assert plan(path, capsys)["convert times"][0] == "waits"
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    stitched = tmp_path / "products/stitched/brain1/Ex_488.ome.zarr"
    with (
        open_image(str(stitched)) as a,
        open_image(str(tmp_path / "products/converted/times.ome.zarr")) as b,
    ):
        assert np.array_equal(a.levels[0][:], b.levels[0][:])
    assert not os.path.exists(tmp_path / "products/stitched/brain1/Ex_561.ome.zarr")


def test_what_only_the_dataset_is_wanted_for_is_told(tmp_path, capsys):
    path = write_study(tmp_path)
    main(["plan", str(path), "--only", "package"])
    told = capsys.readouterr().out
    assert "to do     stitch brain1/Ex_488" in told
    assert "waits     package" in told
    assert "convert" not in told
    assert main(["run", str(path), "--only", "package"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "made      stitch brain1/Ex_561" in told
    assert "made      package" in told
    assert main(["run", str(path), "--only", "package"]) == ExitCode.OK
    assert "stitch" not in capsys.readouterr().out


def test_one_place_is_refused_once_with_all_that_lies_in_it(tmp_path, capsys):
    path = tmp_path / "study.yml"
    path.write_text("stages: {convert: {a: {source: .}, b: {source: .}}}\n")
    assert main(["plan", str(path)]) == ExitCode.BAD_INPUT
    assert "1 error" in capsys.readouterr().err
