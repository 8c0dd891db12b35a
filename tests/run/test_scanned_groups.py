"""Images of several files from a scan to the dataset, and files that come to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from test_scan_groups import CALL, TREE, init, make

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill_in() -> None:
    """Fill in what a scan of these files leaves open."""
    path = Path("study/scans.tsv")
    head, *lines = path.read_text().splitlines()
    columns = head.split("\t")
    at = columns.index("orientation_string_xyz"), columns.index("sample_staining")
    filled = []
    for line in lines:
        cells = line.split("\t")
        cells[at[0]], cells[at[1]] = "RPI", "YoPro"
        filled.append("\t".join(cells))
    path.write_text("\n".join([head, *filled, ""]))


def test_i16_4_an_update_adds_to_rows_and_says_so(capsys):
    make(*TREE)
    assert init(*CALL, "--name", "n", "--license", "CC0") == ExitCode.OK
    fill_in()
    words = ("package", "study/manifest.yml", "bids", "--backend", "ome-zarr")
    assert main([*words]) == ExitCode.OK
    before = Path("study/scans.tsv").read_text().splitlines()
    make(
        *TREE, "sub-01/exp_TP002/TAG_03/x", "sub-02/exp_TP002/TAG_01/y", "sub-02/exp_TP002/TAG_02/y"
    )
    shutil.copy("study/scans.tsv", "before.tsv")
    capsys.readouterr()
    update = ("init", "study", "--update")
    assert main([*update, "--dry-run"]) == ExitCode.OK
    told = "scans.tsv:3 gets 1 more file to merge along T: sub-01/exp_TP002/TAG_03/x.ome.tif"
    out = capsys.readouterr().out
    assert told in out
    assert Path("before.tsv").read_bytes() == Path("study/scans.tsv").read_bytes()
    assert main([*update]) == ExitCode.OK
    out = capsys.readouterr().out
    assert told in out
    assert "1 new image, 5 in the table before" in out
    after = Path("study/scans.tsv").read_text().splitlines()
    assert [line for line in after if line not in before] == [after[2], after[6]]
    assert after[2] == before[2].replace(
        "image2.ome.tif", f"image2.ome.tif;{Path.cwd()}/raw/sub-01/exp_TP002/TAG_03/x.ome.tif"
    )
    assert main([*update]) == ExitCode.OK
    assert "0 new images, 6 in the table before" in capsys.readouterr().out
    fill_in()
    assert main([*words]) == ExitCode.OK
    array = zarr.open("bids/sub-01/ses-TP002/micr/sub-01_ses-TP002_sample-brain_SPIM.ome.zarr/0")
    rng = [np.random.default_rng(seed) for seed in (1, 2, 6)]
    wanted = [r.integers(0, 65535, (3, 20, 30), dtype="u2", endpoint=True) for r in rng]
    assert np.array_equal(array[...].reshape(3, 3, 20, 30), np.stack(wanted))


def test_n1_an_update_puts_a_file_between_those_that_are_there():
    make("sub-01/TAG_01/a", "sub-01/TAG_03/a")
    call = ("--level", "subject=sub-", "--level", "T=TAG_")
    assert init(*call, "--name", "n", "--license", "CC0") == ExitCode.OK
    make("sub-01/TAG_01/a", "sub-01/TAG_02/a", "sub-01/TAG_03/a", "sub-01/TAG_04/a")
    assert main(["init", "study", "--update"]) == ExitCode.OK
    head, line = Path("study/scans.tsv").read_text().splitlines()
    cell = dict(zip(head.split("\t"), line.split("\t"), strict=True))["spim_path"]
    names = [path.removeprefix(f"{Path.cwd()}/raw/sub-01/") for path in cell.split(";")]
    assert names == [f"TAG_0{number}/a.ome.tif" for number in (1, 2, 3, 4)]
