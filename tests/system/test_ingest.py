"""Ingest into a fake DANDI archive that enforces the protocol.

Numbers in the names are those of the acceptance statements.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import children
import pytest
from dandi_records import DANDISET, write_records
from dandi_server import TOKEN, DandiServer, wait_quiet
from workspace import Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.publishing.portals import dandi_http, dandi_sending

pytestmark = pytest.mark.xdist_group("ingest")

STATE = ".spimpack"
ZARR = "sub-01/micr/sub-01_sample-brain_SPIM.ome.zarr"
SIDECAR = "sub-02/micr/sub-02_sample-brain_SPIM.json"


@pytest.fixture
def server():
    started = DandiServer()
    yield started
    started.stop()


class Study:
    """A packaged dataset with its records, and how it is ingested."""

    def __init__(self, workspace: Workspace, server: DandiServer) -> None:
        self.workspace, self.server = workspace, server
        self.bids = workspace.out
        self.records = workspace.root / "records"

    def package(self) -> None:
        assert self.workspace.run(backend="copy").exit_code == ExitCode.OK
        write_records(self.records, self.bids)

    def arguments(self, *options: str) -> list[str]:
        place = ["--records", str(self.records), "--instance", self.server.api]
        return ["ingest", str(self.bids), "dandi:000123", *place, *options]

    def ingest(self, *options: str) -> int:
        """Ingest in this process."""
        return main(self.arguments(*options))

    def run(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Ingest by the command."""
        return run([*command("spimpack_tasks.cli.main"), *self.arguments(*options)], variables)

    def luigi(self, *options: str) -> list[str]:
        """Return the words that ingest it by Luigi."""
        return [
            *command("luigi"),
            *("--module", "spimpack_tasks", "IngestDataset", "--local-scheduler"),
            *("--dataset", str(self.bids), "--dandiset", "dandi:000123"),
            *("--records", str(self.records), "--instance", self.server.api),
            *options,
        ]

    def lose_records(self) -> None:
        shutil.rmtree(self.bids / STATE / "publications", ignore_errors=True)

    def files(self) -> dict[str, object]:
        """Return what the archive is to have: bytes by path, of a Zarr those of each file."""
        found: dict[str, object] = {}
        for path in sorted(self.bids.rglob("*")):
            name = str(path.relative_to(self.bids))
            store, inside, inner = name.partition(".zarr/")
            if name.startswith(STATE) or not path.is_file():
                continue
            if inside:
                found.setdefault(f"{store}.zarr", {})[inner] = path.read_bytes()
            else:
                found[name] = path.read_bytes()
        return found

    def assert_there(self) -> None:
        assert self.server.content() == self.files()
        assert self.server.unfinished == []
        paths = self.server.paths()
        assert len(paths) == len(set(paths))
        assert self.server.metadata["name"] == DANDISET["name"]


def command(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def run(words: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DANDI")}
    return subprocess.run(
        words,
        env=environment | {"DANDI_API_KEY": TOKEN} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def study(tmp_path, server, monkeypatch):
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ome.zarr", subject="01")
    workspace.add_row("b.ims", subject="02")
    made = Study(workspace, server)
    made.package()
    monkeypatch.setenv("DANDI_API_KEY", TOKEN)
    monkeypatch.setattr(dandi_http, "_FIRST_PAUSE_S", 0.002)
    monkeypatch.setattr(dandi_sending, "_FIRST_WAIT_S", 0.005)
    return made


def change_zarr(study: Study) -> None:
    """Make a chunk of the image longer, add one, and remove one."""
    source = study.workspace.root / "raw" / "a.ome.zarr"
    chunks = sorted(p for p in source.rglob("c/**/*") if p.is_file())
    (source / "0" / "c" / "0" / "0" / "0").mkdir(parents=True, exist_ok=True)
    chunks[0].write_bytes(chunks[0].read_bytes() + b"longer")
    extra = source / "0" / "c" / "0" / "0" / "0" / "7"
    if extra.exists():
        extra.unlink()
    else:
        extra.write_bytes(b"more")
    metadata = source / "zarr.json"
    metadata.write_text(metadata.read_text() + "\n")  # what tells that an image is another one
    study.package()


@pytest.mark.few(2)
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("program", ["spimpack", "luigi"])
def test_a_dataset_is_ingested_and_a_second_run_does_nothing(server, study, program, workers):
    def start():
        if program == "spimpack":
            return study.run("--workers", workers)
        return run(study.luigi("--workers", workers), {})

    done = start()
    assert done.returncode == 0, done.stderr
    study.assert_there()
    if program == "spimpack":
        count = len(study.files())
        assert done.stdout == f"Brought {count} assets to dandi:000123 ({count} new)\n"
    server.begin()
    done = start()
    assert done.returncode == 0, done.stderr
    assert server.writes() == []


def test_s26_nothing_to_do_costs_few_requests(server, study, capsys):
    assert study.ingest() == 0
    server.begin()
    server.page = 3
    assert study.ingest() == 0
    assets = len(study.files())
    assert server.writes() == []
    assert len(server.requests) <= 3 + -(-assets // 3) + 1
    assert f"Nothing to do: {assets} assets at dandi:000123" in capsys.readouterr().out


def ingest_until(study: Study, number: int, when: str) -> int:
    """Ingest in a child that is killed at a request; return the number of requests."""
    server, child = study.server, []

    def kill(request):
        if request.number < number:
            return ""
        if request.number == number:
            os.kill(child[0], signal.SIGKILL)
        return "drop" if when == "before" or request.number > number else "lose"

    server.begin()
    ready = server.lock
    with ready:  # no request is handled before the fault is set
        child.append(children.start(study.ingest))
        server.faults = [kill]
    children.wait(child[0])
    wait_quiet(server)
    return len(server.requests)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_s26_killed_at_each_request_of_a_first_ingest(server, study, when):
    """At no time an asset has an unfinished Zarr; the next run completes what was left."""
    for number in range(1, 200):
        server.assets, server.zarrs, server.pending = {}, {}, {}
        server.storage.blobs, server.metadata = {}, {"name": "a draft"}
        study.lose_records()
        requests = ingest_until(study, number, when)
        assert server.unfinished == [], number
        server.begin()
        assert study.ingest() == 0, number
        study.assert_there()
        if requests < number:
            break
    assert number > 30
    server.begin()
    assert study.ingest() == 0
    assert server.writes() == []


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_s26_killed_at_each_request_of_a_changed_image(server, study, when):
    assert study.ingest() == 0
    change_zarr(study)
    there = (server.assets, server.zarrs, server.pending, server.storage.blobs, server.metadata)
    saved = copy.deepcopy(there)
    records = study.workspace.root / "saved"
    shutil.copytree(study.bids / STATE / "publications", records)
    for number in range(1, 100):
        state = copy.deepcopy(saved)
        server.assets, server.zarrs, server.pending, server.storage.blobs, server.metadata = state
        study.lose_records()
        shutil.copytree(records, study.bids / STATE / "publications")
        requests = ingest_until(study, number, when)
        assert server.unfinished == [], number
        server.begin()
        assert study.ingest() == 0, number
        study.assert_there()
        if requests < number:
            break
    assert number > 10


def test_s26_a_changed_image_sends_only_what_changed(server, study):
    assert study.ingest() == 0
    change_zarr(study)
    server.begin()
    assert study.ingest() == 0
    study.assert_there()
    counts = server.counts()
    assert counts["chunk"] == 3
    assert counts["asset-delete"] == counts["zarr-finalize-post"] == 1
    assert server.sent_bytes() < 10_000
    change_zarr(study)
    server.begin()
    assert study.ingest() == 0
    study.assert_there()
    assert server.counts()["zarr-files-delete"] == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_s26_assets_that_a_killed_run_made_can_be_pruned(server, study, when):
    """Their identities were lost with the replies; they are known again by what was announced."""

    def kill(request):
        if request.kind.endswith("/assets") and request.method == "POST":
            os.kill(child[0], signal.SIGKILL)
            return "drop" if when == "before" else "lose"
        return ""

    child: list[int] = []
    server.begin(kill)
    with server.lock:
        child.append(children.start(study.ingest))
    children.wait(child[0])
    wait_quiet(server)
    made = server.paths()
    assert bool(made) == (when == "after")
    server.begin()
    assert study.ingest() == 0
    drop_subject(study)
    assert study.ingest("--prune") == 0
    study.assert_there()


def test_s26_a_large_zarr_is_brought_in_batches(server, study):
    chunks = study.workspace.root / "raw" / "a.ome.zarr" / "0" / "c" / "0" / "0" / "0"
    chunks.mkdir(parents=True, exist_ok=True)
    metadata = study.workspace.root / "raw" / "a.ome.zarr" / "zarr.json"
    for number in range(600):
        (chunks / str(number)).write_bytes(b"%d" % number)
    metadata.write_text(metadata.read_text() + "\n")
    study.package()
    assert study.ingest() == 0
    study.assert_there()
    assert server.counts()["zarr-files-post"] == 3
    for number in range(250):
        (chunks / str(number)).unlink()
    metadata.write_text(metadata.read_text() + "\n")
    study.package()
    server.begin()
    assert study.ingest() == 0
    study.assert_there()
    assert server.counts()["zarr-files-delete"] == 3
    assert server.counts()["chunk"] == 1


def test_s26_lost_records_cost_no_bytes(server, study):
    assert study.ingest() == 0
    study.lose_records()
    server.begin()
    assert study.ingest() == 0
    assert server.writes() == []


def test_s27_expired_addresses(server, study):
    """Each address is refused once, whether of a part or of a chunk."""
    seen: Counter[str] = Counter()

    def expire(request):
        name = request.path.partition("?")[0]
        seen[name] += 1
        return "expire" if request.kind in {"part", "chunk"} and seen[name] <= 1 else ""

    parts = []

    def expire_parts(request):
        if request.kind == "part" and len(parts) < 5:
            parts.append(request.number)
            return "expire"
        return ""

    server.begin(
        lambda request: expire_parts(request) or (request.kind == "chunk" and expire(request))
    )
    assert study.ingest() == 0
    study.assert_there()
    assert len(parts) == 5


def test_s27_addresses_that_are_good_for_a_moment(server, study):
    """A slow client asks again for those that have expired meanwhile."""
    server.expiry_s = 0.3
    slow = []

    def wait(request):
        if request.kind == "chunk" and len(slow) < 2:
            slow.append(request.number)
            time.sleep(0.4)
        return ""

    server.begin(wait)
    assert study.ingest() == 0
    study.assert_there()
    assert server.counts()["zarr-files-post"] >= 2


@pytest.mark.parametrize("fault", ["busy", "drop", "lose"])
@pytest.mark.parametrize("each", [2, 3, 5])
def test_s27_faults_at_each_few_requests(server, study, fault, each):
    server.begin(lambda request: fault if request.number % each == 0 else "")
    assert study.ingest() == 0
    server.faults = []
    study.assert_there()
    server.begin()
    assert study.ingest() == 0
    assert server.writes() == []


@pytest.mark.parametrize("fault", ["busy", "drop", "lose"])
@pytest.mark.parametrize("each", [2, 3])
def test_s27_faults_while_an_image_changes(server, study, fault, each):
    assert study.ingest() == 0
    for _ in range(2):  # a chunk more, and a chunk less
        change_zarr(study)
        server.begin(lambda request: fault if request.number % each == 0 else "")
        assert study.ingest() == 0
        server.faults = []
        study.assert_there()


def test_s26_a_listing_without_digests_costs_no_bytes(server, study):
    server.lists_digests = False
    assert study.ingest() == 0
    server.begin()
    assert study.ingest() == 0
    assert server.writes() == []
    study.lose_records()
    server.begin()
    assert study.ingest() == 0
    assert server.sent_bytes() == 0
    server.begin()
    assert study.ingest() == 0
    assert server.writes() == []


def test_s27_changes_are_refused_while_the_archive_ingests(server, study):
    refused = []

    def ingesting(request):
        is_change = request.kind.endswith("/files") and request.method != "GET"
        if is_change and len(refused) < 3:
            refused.append(request.number)
            return "ingesting"
        return ""

    server.begin(ingesting)
    assert study.ingest() == 0
    study.assert_there()
    assert len(refused) == 3


@pytest.mark.parametrize("status", ["Uploaded", "Ingesting"])
def test_s27_a_zarr_that_is_being_ingested_is_waited_for(server, study, status):
    assert study.ingest() == 0
    server.assets = {k: a for k, a in server.assets.items() if not a.zarr}
    [zarr] = server.zarrs.values()
    zarr.status, zarr.checksum = status, None
    server.pending[zarr.zarr_id] = ["Ingesting", "Ingesting", "Complete"]
    server.begin()
    assert study.ingest() == 0
    study.assert_there()
    assert server.counts()["chunk"] == 0


def test_s27_an_upload_that_the_client_of_dandi_left_is_completed(server, study):
    """It makes the asset first, so a kill leaves one with a Zarr that lacks chunks."""
    assert study.ingest() == 0
    [zarr] = server.zarrs.values()
    [asset] = [a for a in server.assets.values() if a.zarr]
    asset.metadata = {"schemaKey": "Asset", "encodingFormat": "application/x-zarr"}
    zarr.status, zarr.checksum = "Pending", None
    zarr.files.popitem()
    zarr.files["0/left"] = (b"over", "0" * 32)
    study.lose_records()
    server.begin()
    assert study.ingest() == 0
    assert server.counts()["chunk"] == 1
    gone = next(r.number for r in server.requests if r.kind == "asset-delete")
    server.unfinished = [each for each in server.unfinished if each[0] >= gone]
    study.assert_there()


def test_s27_files_that_the_archive_has_are_not_sent(server, study):
    assert study.ingest() == 0
    server.assets, server.zarrs = {}, {}
    study.lose_records()
    server.begin()
    assert study.ingest() == 0
    study.assert_there()
    assert server.counts()["part"] == 0
    assert {r.status for r in server.requests if r.kind == "upload-initialize"} == {409}


def test_equal_files_are_sent_once(server, study):
    for name in ("CHANGES", "README"):
        (study.bids / name).write_text("equal\n")
    study.package()
    assert study.ingest() == 0
    study.assert_there()
    files = [data for data in study.files().values() if isinstance(data, bytes)]
    assert server.counts()["part"] == len(set(files)) < len(files)


def test_a_large_file_is_sent_in_parts(server, study, monkeypatch):
    from spimpack_tasks.publishing.portals import dandi_digests

    server.part_size = 4096
    monkeypatch.setattr(dandi_digests, "PART_BYTES", 4096)
    assert study.ingest() == 0
    study.assert_there()
    assert server.counts()["part"] > len(study.files())


@pytest.mark.parametrize("state", ["fresh", "same", "changed", "killed", "pruned", "metadata"])
def test_a_dry_run_counts_what_the_run_does(server, study, state, capsys):
    options = []
    if state != "fresh":
        assert study.ingest() == 0
    if state == "changed":
        change_zarr(study)
    if state == "killed":
        server.assets = {}
    if state == "pruned":
        drop_subject(study)
        options = ["--prune"]
    if state == "metadata":
        records = study.records / "dandi" / "assets.json"
        records.write_text(records.read_text().replace("by a test", "by another test"))
    server.begin()
    capsys.readouterr()
    assert study.ingest("--dry-run", "--format", "json", *options) == 0
    assert server.writes() == []
    told = json.loads(capsys.readouterr().out)
    server.begin()
    assert study.ingest(*options) == 0
    done = Counter(request.method for request in server.writes())
    if state == "killed":  # only a writing request could show which files the archive has
        assert told["bytes"] >= server.sent_bytes()
        assert not done - Counter(told["requests"])
    else:
        assert (told["requests"], told["bytes"]) == (dict(done), server.sent_bytes())
    study.assert_there()


def drop_subject(study: Study) -> None:
    """Take the second image out of the dataset."""
    del study.workspace.rows[1]
    study.package()


def test_only_assets_of_ours_are_pruned_and_only_on_request(server, study, capsys):
    assert study.ingest() == 0
    stranger = copy.deepcopy(next(a for a in server.assets.values() if a.path == "README.md"))
    stranger.asset_id, stranger.path = "stranger", "sub-02/notes.txt"
    server.assets["stranger"] = stranger
    edited = next(a for a in server.assets.values() if a.path == SIDECAR)
    del server.assets[edited.asset_id]
    edited.asset_id = "edited"
    server.assets["edited"] = edited
    drop_subject(study)
    capsys.readouterr()
    assert study.ingest() == 0
    assert "--prune deletes them" in capsys.readouterr().out
    left = {path for path in server.paths() if path.startswith("sub-02")}
    assert len(left) == 3
    server.begin()
    assert study.ingest("--prune") == 0
    left = {path for path in server.paths() if path.startswith("sub-02")}
    assert left == {"sub-02/notes.txt", SIDECAR}
    out = capsys.readouterr().out
    assert "sub-02/notes.txt" in out
    assert "changed since" in out
    assert "2 deleted" in out
    assert server.counts()["asset-delete"] == 2


def test_the_draft_keeps_what_ours_does_not_state(server, study):
    assert study.ingest() == 0
    assert server.metadata["keepMe"] == "set online"
    assert server.metadata["license"] == DANDISET["license"]


def test_other_metadata_are_replaced_without_bytes(server, study):
    assert study.ingest() == 0
    records = study.records / "dandi" / "assets.json"
    records.write_text(records.read_text().replace("by a test", "by another test"))
    server.begin()
    assert study.ingest() == 0
    assert server.counts()["asset-put"] == len(study.files())
    assert {r.kind for r in server.writes()} == {"asset-put"}
    study.assert_there()


def test_a_zarr_of_another_asset_is_not_changed(server, study):
    assert study.ingest() == 0
    [asset] = [a for a in server.assets.values() if a.zarr]
    asset.path = "elsewhere.ome.zarr"
    change_zarr(study)
    before = copy.deepcopy(server.zarrs)
    server.begin()
    done = study.run()
    assert done.returncode == ExitCode.CONFLICT
    assert "elsewhere.ome.zarr" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert server.zarrs == before


def test_a_file_that_changes_meanwhile_is_named(server, study):
    image = study.bids / "sub-02" / "micr" / "sub-02_sample-brain_SPIM.ims"

    def touch(request):
        if request.kind == "part" and image.stat().st_size == len(files[name]):
            with image.open("ab") as file:
                file.write(b"more")
        return ""

    files = study.files()
    name = str(image.relative_to(study.bids))
    server.begin(touch)
    done = study.run()
    assert done.returncode == ExitCode.FAILED
    assert name in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert server.assets == {}


@pytest.mark.parametrize("kind", ["upload", "zarr"])
def test_a_file_that_vanishes_meanwhile_is_named(server, study, kind):
    image = study.bids / ZARR if kind == "zarr" else study.bids / SIDECAR.replace(".json", ".ims")
    chunk = image if image.is_file() else next(p for p in image.rglob("c/**/*") if p.is_file())

    def remove(request):
        if request.method == "POST":
            chunk.unlink(missing_ok=True)
        return ""

    server.begin(remove)
    done = study.run()
    assert done.returncode == ExitCode.FAILED, done.stderr
    assert chunk.name in done.stderr
    assert "Traceback" not in done.stderr
    assert server.assets == {}


REFUSALS = {
    "no token": ({"DANDI_API_KEY": ""}, "set DANDI_API_KEY"),
    "wrong token": ({"DANDI_API_KEY": "wrong"}, "the token is wrong"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_line(study, case):
    variables, said = REFUSALS[case]
    done = study.run(**variables)
    assert done.returncode == ExitCode.BAD_INPUT
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_has_its_exit_code_under_luigi(study, case):
    variables, said = REFUSALS[case]
    done = run(study.luigi(), variables)
    assert done.returncode == ExitCode.BAD_INPUT, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_two_runs_at_once_do_not_mix(server, study, tmp_path):
    """From two folders both end right; in one folder the later run takes over."""
    other = Study(Workspace(tmp_path / "other"), server)
    shutil.copytree(study.workspace.out, other.bids)
    shutil.copytree(study.records, other.records)
    for second, codes in ((other, {0}), (study, {0, ExitCode.SUPERSEDED})):
        server.assets, server.zarrs, server.storage.blobs = {}, {}, {}
        server.begin()
        words = [[*command("spimpack_tasks.cli.main"), *x.arguments()] for x in (study, second)]
        running = [subprocess.Popen(each, stderr=subprocess.PIPE) for each in words]
        said = [each.communicate(timeout=120)[1] for each in running]
        assert 0 in {each.returncode for each in running} <= codes, said
        study.assert_there()


def test_a_zarr_that_is_too_deep_is_named(server, study, capsys):
    deep = study.workspace.root / "raw" / "a.ome.zarr" / "0" / "c" / "1/0/0/0/0/7"
    deep.parent.mkdir(parents=True)
    deep.write_bytes(b"x")
    metadata = study.workspace.root / "raw" / "a.ome.zarr" / "zarr.json"
    metadata.write_text(metadata.read_text() + "\n")
    study.package()
    assert study.ingest() == ExitCode.BAD_INPUT
    assert "0/c/1/0/0/0/0/7 lies more than 7 levels deep" in capsys.readouterr().err
    assert server.requests == []


def test_a_dataset_that_is_not_as_packaged_is_refused(server, study, capsys):
    (study.bids / SIDECAR).write_text("{}")
    assert study.ingest() == ExitCode.CONFLICT
    assert "not as it was packaged" in capsys.readouterr().err
    assert server.requests == []


def test_a_service_that_is_no_archive_is_named(server, study, capsys):
    server._info = lambda *_: (200, {"hello": "world"})
    assert study.ingest() == ExitCode.BAD_INPUT
    assert "not the API of a DANDI archive" in capsys.readouterr().err


def test_an_empty_file_and_lacking_records_are_named(server, study, capsys):
    (study.bids / "CITATION.cff").write_text("")
    assert study.ingest() == ExitCode.BAD_INPUT
    assert "no record of 1 file of the dataset, such as CITATION.cff" in capsys.readouterr().err
    write_records(study.records, study.bids)
    assert study.ingest() == ExitCode.BAD_INPUT
    assert "CITATION.cff is empty" in capsys.readouterr().err
    (study.bids / "CITATION.cff").unlink()
    assert study.ingest() == ExitCode.BAD_INPUT
    assert "1 record of files that are not in the dataset" in capsys.readouterr().err
    assert server.requests == []


def test_the_token_is_left_nowhere(server, study):
    configuration = study.workspace.root / "luigi.cfg"
    configuration.write_text("[core]\nlog_level=DEBUG\n")
    lines = []

    def look(_):
        lines.extend(p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists())
        return ""

    server.begin(look)
    done = run(study.luigi(), {"LUIGI_CONFIG_PATH": str(configuration)})
    assert done.returncode == 0, done.stderr
    texts = [done.stdout.encode(), done.stderr.encode(), *lines]
    texts += [path.read_bytes() for path in study.workspace.root.rglob("*") if path.is_file()]
    assert [text[:200] for text in texts if TOKEN.encode() in text] == []
    assert not any(TOKEN in request.path for request in server.requests)
