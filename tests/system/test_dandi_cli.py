"""The client of the DANDI archive and our ingest take turns at the fake archive.

The client cannot be installed beside the extra `images`, so its program is that of the environment
of these tests, or the one that `DANDI_PROGRAM` names:

    python -m pytest -m consumers tests/system/test_dandi_cli.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dandi_records import write_records
from dandi_server import TOKEN, DandiServer
from workspace import Workspace

from spimpack_tasks.errors import ExitCode

pytestmark = [
    pytest.mark.consumers,
    pytest.mark.filterwarnings("ignore"),  # pybids has many
]

OLDEST = (0, 78)
SENDING = {"part", "chunk", "complete", "upload-initialize", "asset-post", "zarr-files-post"}
"""Kinds of requests that bring bytes, or make an asset."""


@pytest.fixture(scope="module")
def dandi() -> str:
    """Return the path of the client's program, or skip the test."""
    beside = Path(sys.executable).with_name("dandi")
    program = os.environ.get("DANDI_PROGRAM") or (str(beside) if beside.exists() else "")
    if not program:
        pytest.skip("needs the package dandi, which this environment does not have")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = tuple(map(int, re.findall(r"\d+", done.stdout)[:2]))
    if done.returncode or version < OLDEST:
        pytest.skip(f"needs dandi 0.78 or later, and this environment has {done.stdout.strip()}")
    return program


@pytest.fixture
def server():
    started = DandiServer()
    yield started
    started.stop()


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """A packaged dataset with two OME-Zarrs and an Imaris file, as files of its own."""
    workspace = Workspace(tmp_path)
    for number, name in enumerate(("a.ome.zarr", "b.ome.zarr", "c.ims"), start=1):
        workspace.add_row(name, subject=f"{number:02}")
    assert workspace.run(backend="copy").exit_code == ExitCode.OK
    write_records(tmp_path / "records", workspace.out)
    return workspace.out


def upload(dandi: str, server: DandiServer, bids: Path) -> str:
    """Upload by the client, as its users do; return what it says."""
    note = bids / "dandiset.yaml"
    note.write_text("identifier: DANDI:000123\nname: Test\n")
    host = server.url.removeprefix("http://")
    home = bids.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "DANDI_NO_ET": "1",
        "HOME": str(home),
        f"{host.upper()}_API_KEY": TOKEN,
        "PATH": f"{Path(dandi).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        # The client's own dandiset.yaml is no file of BIDS, so its validation would refuse it.
        [dandi, "upload", "-i", server.url, "--validation", "skip"],
        cwd=bids,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    note.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def ingest(server: DandiServer, bids: Path) -> str:
    place = ["--records", str(bids.parent / "records"), "--instance", server.api]
    words = [*(sys.executable, "-m", "spimpack_tasks.cli.main", "ingest"), str(bids)]
    done = subprocess.run(
        [*words, "dandi:000123", *place],
        env=os.environ | {"DANDI_API_KEY": TOKEN},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kinds(server: DandiServer) -> set[str]:
    return {request.kind for request in server.writes()}


def test_s25_the_fake_archive_takes_what_the_client_uploads(dandi, server, bids):
    upload(dandi, server, bids)
    assert "sub-01/micr/sub-01_sample-brain_SPIM.ome.zarr" in server.paths()
    assert {zarr.status for zarr in server.zarrs.values()} == {"Complete"}
    assert {request.status for request in server.writes()} <= {200, 204, 409}
    server.begin()
    assert "skipped" in upload(dandi, server, bids)
    assert not kinds(server) & SENDING


def test_s25_after_our_ingest_the_client_uploads_no_byte(dandi, server, bids):
    ingest(server, bids)
    assert server.unfinished == []
    ours = server.paths()
    server.begin()
    upload(dandi, server, bids)
    assert server.sent_bytes() == 0
    assert not kinds(server) & SENDING
    assert server.paths() == ours
    assert server.unfinished == []


def test_s25_after_the_client_our_ingest_sends_no_byte(dandi, server, bids):
    upload(dandi, server, bids)
    server.begin()
    ingest(server, bids)
    assert server.sent_bytes() == 0
    assert kinds(server) <= {"asset-put", "draft-put"}
    server.begin()
    assert ingest(server, bids).startswith("Nothing to do")
    assert server.writes() == []


def test_s25_our_metadata_are_put_back_after_the_client_has_replaced_them(dandi, server, bids):
    ingest(server, bids)
    upload(dandi, server, bids)
    server.begin()
    assert "2 with other metadata" in ingest(server, bids)
    assert server.counts()["asset-put"] == 2


def test_s25_records_of_the_tests_are_valid(server, bids):
    """The schema of DANDI accepts the assets as the archive shows them."""
    models = pytest.importorskip("dandischema.models", exc_type=ImportError)
    ingest(server, bids)
    for asset in server.assets.values():
        models.Asset.model_validate(server._full_metadata(asset))
    models.Dandiset.model_validate(server._full_draft())
