"""An ingest brings the metadata that `spimpack records` writes, from a folder or without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dandi_server import TOKEN, DandiServer
from portal_study import PortalStudy

import spimpack_tasks
from spimpack_tasks.cli.main import main


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("DANDI_API_KEY", TOKEN)
    started = DandiServer()
    yield started
    started.stop()


@pytest.fixture
def study(tmp_path):
    return PortalStudy(tmp_path / "study")


def words(study, server, *more):
    return ["ingest", str(study.bids), "dandi:000123", "--instance", server.api, *map(str, more)]


def test_i17_7_metadata_are_composed_of_the_dataset_and_its_block(study, server, tmp_path, capsys):
    assert main(words(study, server)) == 0
    folder = study.records("dandi", tmp_path / "records") / "dandi"
    dandiset = json.loads((folder / "dandiset.json").read_text())
    assert server.metadata.items() >= dandiset.items()
    assets = json.loads((folder / "assets.json").read_text())
    assert sorted(server.paths()) == sorted(assets)
    capsys.readouterr()
    # The same records in a folder are no change.
    server.begin()
    assert main(words(study, server, "--records", tmp_path / "records")) == 0
    assert "Nothing to do: 20 assets" in capsys.readouterr().out
    assert server.writes() == []


def test_i17_7_what_dandi_wants_is_listed_and_nothing_is_sent(study, server, capsys):
    study.manifest.write_text(study.plain)
    study.package()
    assert main(words(study, server)) == 2
    err = capsys.readouterr().err
    assert "publication.description: is missing, for DANDI" in err
    assert "Traceback" not in err
    assert server.writes() == []


@pytest.mark.few(1)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_i17_7_a_flow_that_yields_an_ingest_ends(study, server, tmp_path, workers):
    (tmp_path / "flow.py").write_text("""
import luigi
from spimpack_tasks import IngestDataset

class Flow(luigi.Task):
    bids = luigi.Parameter()
    api = luigi.Parameter()

    def run(self):
        yield IngestDataset(dataset=self.bids, dandiset="dandi:000123", instance=self.api)
        with self.output().open("w") as file:
            file.write("done")

    def output(self):
        return luigi.LocalTarget(self.bids + ".ingested")
""")
    command = [
        *(sys.executable, "-m", "luigi", "--module", "flow", "Flow", "--local-scheduler"),
        *("--bids", str(study.bids), "--api", server.api, "--workers", workers),
    ]
    path = os.pathsep.join([str(tmp_path), str(Path(spimpack_tasks.__file__).parents[1])])
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(server.paths()) == 20
