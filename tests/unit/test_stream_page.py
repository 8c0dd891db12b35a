"""The page on streams: each example runs, and leaves the image that it names."""

import os
import re

import pytest
from markdown_blocks import ROOT

from spimpack_tasks import streams
from spimpack_tasks.cli.main import main

PAGE = ROOT / "docs" / "how-to" / "stream-frames.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
CASES = {
    "a single image": "scan.ome.zarr",
    "a plate": "Plate.of_wells",
    "no end": '"t": None',
    "a plan": "for event in plan",
    "skipping": "stream.skip()",
    "a dataset": "BidsPlace(",
    "watching": "StreamWatch(",
    "mesoSPIM-control": "MesospimWriter",
}


@pytest.mark.parametrize("case", CASES)
def test_i18_there_is_an_example_of_each_case(case):
    assert any(CASES[case] in block for block in BLOCKS)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_i18_each_example_runs(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "import useq" in block:
        pytest.importorskip("useq", reason="plans of useq-schema")
    if "manifest.yml" in block:
        assert main(["init", "."]) == 0
    before = set(os.listdir(tmp_path))
    capsys.readouterr()
    exec(compile(block, str(PAGE), "exec"), {"__name__": "example"})
    made = re.search(r'(?:AcquisitionSettings\(|root_path=)\s*"([^"]*)"', block)
    assert set(os.listdir(tmp_path)) - before == ({made[1]} if made else set())
    printed = capsys.readouterr().out
    if "manifest.yml" in block:
        assert "raw.ome.zarr\t" in (tmp_path / "scans.tsv").read_text("utf-8")
    if "pints" in block:
        assert "settings.yml:3:14: compression" in printed
        assert "settings.yml:5:42: dimensions[0].unit" in printed


@pytest.mark.parametrize("name", streams.__all__)
def test_i18_each_name_is_documented(name):
    assert name in streams._HOMES
    assert len((getattr(streams, name).__doc__ or "").splitlines()[0]) > 15
