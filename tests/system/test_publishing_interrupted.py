"""Publications that were killed, taken over, or had another publisher beside them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_runs import run_until
from test_publishing import (
    STATE,
    assert_published,
    clean_environment,
    demo,
    local_files,
    package,
    proxy,
    publish,
    published,
    replace_image,
    run,
    server,
    study,
)

__all__ = ["demo", "proxy", "server", "study"]  # fixtures

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("publishing")]

LOCK = f"{STATE}lock.json"


def kill_before(proxy, study: Path, url: str, variables: dict[str, str], number: int) -> None:
    """Publish, and kill the run with all its processes before its n-th writing request."""
    count = [0]

    def is_due(request):
        count[0] += request.written
        return count[0] >= number

    words = ["publish", str(study / "bids"), url]
    run_until(proxy, words, clean_environment() | variables, is_due)
    proxy.begin()


def without_records(study: Path, folder: Path) -> Path:
    """Return a copy of a study that knows of no publication."""
    shutil.copytree(study, folder, symlinks=True)
    package(folder)
    shutil.rmtree(folder / "bids" / STATE / "publications", ignore_errors=True)
    return folder


@pytest.mark.parametrize(
    ("state", "number"), [(s, n) for s in ("first", "replaced") for n in (4, 9, 17, 29, 45)]
)
def test_another_copy_goes_on_after_a_kill(server, proxy, study, state, number):
    """What a killed run has written is known to be of ours, without its records."""
    variables, prefix = server.environment(proxy.endpoint), f"copy-{state}-{number}"
    url = server.url(prefix)
    if state == "replaced":
        assert publish(study, url, variables).returncode == 0
        replace_image(study)
    server.write(f"{prefix}/colleague.txt", b"not of ours")
    kill_before(proxy, study, url, variables, number)
    other = without_records(study, study.parent / "other")
    assert local_files(other / "bids") == local_files(study / "bids")
    server.write(f"{prefix}/{LOCK}", b'{"owner": "", "host": "", "process": 0, "round": 1}')
    done = publish(other, url, variables)
    assert done.returncode == 0, done.stderr
    assert server.read(f"{prefix}/colleague.txt") == b"not of ours"
    server.remove(f"{prefix}/colleague.txt")
    assert_published(server, prefix, other / "bids")
    assert [name for name in server.files(prefix) if "/unfinished/" in name] == []


def test_kills_in_a_row_with_other_states_end_right(server, proxy, study):
    """Each run is killed; the dataset changes between them."""
    variables, url = server.environment(proxy.endpoint), server.url("row")
    for number in (12, 30, 6, 21):
        kill_before(proxy, study, url, variables, number)
        replace_image(study)
    done = publish(study, url, variables)
    assert done.returncode == 0, done.stderr
    assert_published(server, "row", study / "bids")


def test_a_flow_that_yields_a_publication_ends(server, study, tmp_path):
    (tmp_path / "flow.py").write_text("""
import luigi
from spimpack_tasks import PackageDataset, PublishDataset

class Flow(luigi.Task):
    manifest = luigi.Parameter()
    out = luigi.Parameter()
    url = luigi.Parameter()

    def run(self):
        yield PackageDataset(manifest=self.manifest, output_dir=self.out)
        yield PublishDataset(dataset=self.out, url=self.url)
        with self.output().open("w") as file:
            file.write("done")

    def output(self):
        return luigi.LocalTarget(self.out + ".published")
""")
    command = [
        *(sys.executable, "-m", "luigi", "--module", "flow", "Flow", "--local-scheduler"),
        *("--manifest", str(study / "manifest.yml"), "--out", str(study / "bids")),
        *("--url", server.url("flow"), "--workers", "2"),
    ]
    done = subprocess.run(
        command,
        env=clean_environment() | server.environment() | {"PYTHONPATH": f"{tmp_path}:."},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert_published(server, "flow", study / "bids")


def test_what_came_since_the_look_is_seen_under_the_lease(server, proxy, study, tmp_path):
    """Another publisher has had the lease, and is killed, between look and lease."""
    variables, url = server.environment(proxy.endpoint), server.url("since")
    other = without_records(study, tmp_path / "other")
    replace_image(other)
    before = local_files(study / "bids")
    done = []

    def interfere(request):
        if request.kind == "PUT" and request.key.endswith(LOCK) and not done:
            done.append(publish(other, url, server.environment()))
        return ""

    proxy.begin(interfere)
    mine = publish(study, url, variables)
    assert done[0].returncode == 0, done[0].stderr
    assert mine.returncode == 0, mine.stderr
    assert local_files(study / "bids") == before
    assert_published(server, "since", study / "bids")


def test_an_object_of_another_that_comes_meanwhile_is_left(server, proxy, study):
    variables, url = server.environment(proxy.endpoint), server.url("meanwhile")
    name = next(name for name in local_files(study / "bids") if name.endswith("/0/c/0/0/0/0"))

    def interfere(request):
        if request.kind == "PUT" and request.key.endswith(LOCK):
            server.write(f"meanwhile/{name}", b"of another")
        return ""

    proxy.begin(interfere)
    done = publish(study, url, variables)
    assert done.returncode == 3, done.stderr
    assert name in done.stderr
    assert server.read(f"meanwhile/{name}") == b"of another"
    assert f"{STATE}inventory.json" not in server.files("meanwhile")


def test_a_run_that_fails_gives_the_lease_back(server, proxy, study, tmp_path):
    variables, url = server.environment(proxy.endpoint), server.url("failed")
    proxy.begin(lambda request: "flip" if request.key.endswith("participants.tsv") else "")
    assert publish(study, url, variables).returncode == 4
    assert json.loads(server.read(f"failed/{LOCK}"))["owner"] == ""
    other = without_records(study, tmp_path / "other")
    begin = time.monotonic()
    assert publish(other, url, server.environment()).returncode == 0
    assert time.monotonic() - begin < 60


def test_metadata_of_an_image_go_before_its_chunks(server, proxy, study):
    """An image that the dataset no longer has cannot be opened without its chunks."""
    variables, url = server.environment(proxy.endpoint), server.url("gone")
    assert publish(study, url, variables).returncode == 0
    table, people = study / "scans.tsv", study / "participants.tsv"
    gone = next(n for n in local_files(study / "bids") if n.endswith(".ome.zarr/zarr.json"))
    subject = gone[4:6]
    for path, start in ((table, f"{subject}\t"), (people, f"sub-{subject}\t")):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(start)))
    package(study)
    proxy.begin()
    assert publish(study, url, variables).returncode == 0
    bodies = [request.body.decode() for request in proxy.requests if request.kind == "DELETE"]
    with_metadata = [n for n, body in enumerate(bodies) if f"{gone}<" in body]
    with_chunks = [n for n, body in enumerate(bodies) if ".ome.zarr/0/c/" in body]
    assert with_metadata
    assert max(with_metadata) < min(with_chunks)
    assert not [name for name in published(server, "gone") if f"sub-{subject}" in name]


@pytest.mark.parametrize("name", [b"bad-\xff.txt", b"two\nlines.txt"], ids=["bytes", "control"])
def test_a_name_that_no_object_has_is_refused_before_anything_is_sent(server, study, name):
    folder = os.fsencode(study / "bids" / "code")
    os.makedirs(folder)
    with open(folder + b"/" + name, "wb") as file:
        file.write(b"x")
    done = run(
        ["publish", str(study / "bids"), server.url("names"), "--include", "code"],
        server.environment(),
    )
    assert done.returncode == 3, done.stderr
    assert "rename it" in done.stderr
    assert "Traceback" not in done.stderr
    assert server.files("names") == {}
