"""Packaging through a real luigid on loopback, with real worker processes."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import luigi
import pytest
from cluster import CONFIG, Cluster, end, images_for
from markdown_blocks import ROOT
from workspace import Workspace, small_workspace

import spimpack_tasks
from spimpack_tasks import LinkAssets, MakeAssets, PackageAndValidate, PackageDataset
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.plan import Output
from spimpack_tasks.packaging.backends.base import Backend
from spimpack_tasks.packaging.backends.registry import BACKENDS


@pytest.fixture(params=["configured", "bare"])
def luigid(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler with our configuration, and one with Luigi's own."""
    is_ours = request.param == "configured"
    with Cluster(tmp_path / "luigid", {"LUIGI_CONFIG_PATH": str(CONFIG)} if is_ours else {}) as it:
        yield it


def run(workspace: Workspace, luigid: Cluster, *further: str) -> int:
    worker = luigid.start_worker("worker", workspace, *further)
    code = end(worker)
    log = luigid.log("worker")
    assert "Traceback" not in log, log
    if code == ExitCode.BAD_INPUT:
        assert "[value.label]" in log
    return code


@pytest.mark.few(1)
@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_edits_are_seen_although_the_scheduler_remembers(
    luigid: Cluster, workers: str, tmp_path: Path
) -> None:
    workspace = small_workspace(tmp_path / "data")
    workspace.write()
    assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
    first = workspace.stamps()
    assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
    assert workspace.stamps() == first
    workspace.rows[0]["Species"] = "rat"
    workspace.write()
    assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
    changed = {path for path, what in workspace.stamps().items() if first.get(path) != what}
    assert changed == {"sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.json"}
    # Back to what it was before: the tasks of the first plan are known, and were done just now.
    workspace.rows[0]["Species"] = "mouse"
    workspace.write()
    if "LUIGI_CONFIG_PATH" in luigid.environment:
        assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
        assert {p: s[:2] for p, s in workspace.stamps().items()} == {
            p: s[:2] for p, s in first.items()
        }
        (workspace.out / "samples.tsv").unlink()
        assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
        assert (workspace.out / "samples.tsv").exists()


@pytest.mark.few(1)
def test_a_mistake_is_told_each_time(luigid: Cluster, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "data")
    workspace.rows[0]["subject"] = "a-b"
    workspace.write()
    assert run(workspace, luigid) == ExitCode.BAD_INPUT
    assert run(workspace, luigid) == ExitCode.BAD_INPUT
    workspace.rows[0]["subject"] = "01"
    workspace.write()
    assert run(workspace, luigid) == ExitCode.OK


def test_the_scheduler_learns_no_free_text(luigid: Cluster, tmp_path: Path) -> None:
    """Whoever looks at luigid's page sees ids and the user's own options, no cell of a table."""
    workspace = small_workspace(tmp_path / "data")
    canary = "<img src=x onerror=alert(1)>"
    workspace.rows[0]["Comment"] = canary
    workspace.description["Name"] = canary
    workspace.rows[0]["dataset_id"] = canary
    workspace.write()
    assert run(workspace, luigid) == ExitCode.OK
    known = str(luigid.ask("task_list", status="", upstream_status="", search=""))
    assert "WriteSidecars" in known
    assert "img" not in known
    assert "<" not in known.replace(str(tmp_path), "")


REBUILD = """
import json, sys
from luigi.task_register import load_task

for module, family, parameters, task_id in json.load(sys.stdin):
    task = load_task(module, family, parameters)
    assert task.task_id == task_id, (task_id, task.task_id)
    task.complete()
    print(family)
"""


def tasks_below(task: luigi.Task, found: dict[str, luigi.Task]) -> None:
    if task.task_id not in found:
        found[task.task_id] = task
        for other in task.deps():
            tasks_below(other, found)


def test_b31_every_task_can_be_made_from_its_parameters_in_another_process(tmp_path: Path) -> None:
    """As an assistant does; and tasks that do different work have different names."""
    workspace = small_workspace(tmp_path / "data")
    workspace.write()
    where = {"manifest": str(workspace.manifest), "output_dir": str(workspace.out)}
    found: dict[str, luigi.Task] = {}
    for backend in BACKENDS:
        choices = {
            "backend": backend,
            "checksum": True,
            "keep_source_links": True,
            "previews": True,
        }
        tasks_below(PackageDataset(**where, **choices), found)
    tasks_below(PackageAndValidate(**where), found)
    tasks_below(PackageAndValidate(**where).validation(), found)
    source, page = str(workspace.root / "raw" / "a.ims"), str(tmp_path / "page.html")
    tasks_below(spimpack_tasks.WriteQcReport(source=source, page=page), found)
    publication = {"dataset": str(workspace.out), "url": "s3://lab/study"}
    tasks_below(spimpack_tasks.PublishDataset(**publication), found)
    tasks_below(spimpack_tasks.SendImages(**publication, unit="sub-01/a.ome.zarr"), found)
    ingest = {"dataset": str(workspace.out), "dandiset": "dandi:000123"}
    tasks_below(spimpack_tasks.IngestDataset(**ingest), found)
    tasks_below(spimpack_tasks.BringUnit(**ingest, unit="sub-01/a.ome.zarr"), found)
    stitching = {"tiles": str(tmp_path / "tiles.json"), "image": str(tmp_path / "a.ome.zarr")}
    for stitch, more in {
        "StitchChannel": {},
        "StitchSlab": {"part": 0},
        "AlignTiles": {},
        "IlluminationCorrection": {},
        "PreprocessTile": {"tile": 0},
        "DeskewTile": {"tile": "0"},
    }.items():
        tasks_below(getattr(spimpack_tasks, stitch)(**stitching, **more), found)
    sharpened = {"volume": str(tmp_path / "a.ome.zarr"), "image": str(tmp_path / "b.ome.zarr")}
    tasks_below(spimpack_tasks.DeconvolveVolume(**sharpened), found)
    brain = {"data_root": str(tmp_path), "results_root": str(tmp_path / "results")}
    for align, more in {
        "PrepareAlignment": {},
        "ValidateAlignmentInputs": {},
        "DiscoverAssets": {},
        "ReorientHistology": {"channel": "a"},
        "WarpToImage": {"kind": "template"},
        "WarpToCCF": {"channel": "a"},
        "ProbeTrack": {"row": "a"},
        "TrackRegions": {"row": "a"},
        "RegisterToTemplate": {},
        "ExtractEphys": {"recording": "a"},
        "WriteAlignmentPage": {},
        "WriteDatapackage": {},
    }.items():
        tasks_below(getattr(spimpack_tasks, align)(**brain, **more), found)
    recording = {"recording": str(tmp_path), "tiles": str(tmp_path / "found.json")}
    tasks_below(spimpack_tasks.DiscoverTiles(**recording), found)
    source = {"sources": (str(tmp_path / "a.tif"),), "image": str(tmp_path / "a.ome.zarr")}
    tasks_below(spimpack_tasks.ConvertImage(**source), found)
    study = tmp_path / "study.yml"
    study.write_text("stages: {convert: {a: {source: a.tif}}}")
    tasks_below(spimpack_tasks.ProcessStudy(study=str(study)), found)
    frames = {"settings": str(tmp_path / "settings.yml"), "frames": str(tmp_path / "frames")}
    tasks_below(spimpack_tasks.WriteFrames(**frames), found)
    for base in (LinkAssets, MakeAssets, spimpack_tasks.WriteCompanions):
        tasks_below(base(**where), found)
    image = {"unit": "sub-01_sample-brain_acq-4x_SPIM", "backend": "ome-zarr:split_above=1"}
    for part in range(16):
        tasks_below(spimpack_tasks.ConvertPart(**where, **image, part=part), found)
    wanted = [
        (task.task_module, task.task_family, task.to_str_params(), task.task_id)
        for task in found.values()
    ]
    assert len({json.dumps(parts[:3]) for parts in wanted}) == len(found)
    done = subprocess.run(
        [sys.executable, "-c", REBUILD],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    public = (getattr(spimpack_tasks, name) for name in spimpack_tasks.__all__)
    families = {cls.__name__ for cls in public if inspect.isclass(cls)}
    assert set(done.stdout.split()) == families


def make_watched(output: Output, path: str) -> None:
    Path(path).symlink_to(output.source)
    for task in WatchedAssets.cluster.ask(
        "task_list", status="RUNNING", upstream_status=""
    ).values():
        WatchedAssets.seen.append((task["progress_percentage"], task["status_message"]))


class WatchedAssets(LinkAssets):
    """A backend that looks at luigid's API each time that it makes an image."""

    definition = Backend(
        name="watched",
        summary="links, watched",
        make=make_watched,
        matches=lambda output, path: str(Path(path).readlink()) == output.source,
    )
    cluster: ClassVar[Cluster]
    seen: ClassVar[list[tuple[int, str]]] = []


def test_b33_luigid_knows_how_far_a_task_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "watched", WatchedAssets.definition)
    monkeypatch.setattr("spimpack_tasks.progress.INTERVAL_S", 0)
    workspace = images_for(tmp_path / "data", 100)
    where = {"manifest": str(workspace.manifest), "output_dir": str(workspace.out)}
    with Cluster(tmp_path / "luigid", {}) as cluster:
        monkeypatch.setattr(WatchedAssets, "cluster", cluster, raising=False)
        scheduler: Any = luigi.rpc.RemoteScheduler(f"http://127.0.0.1:{cluster.port}")
        settings = {"no_install_shutdown_handler": True, "keep_alive": False}
        worker = luigi.worker.Worker(scheduler, **settings)
        assert worker.add(PackageDataset(**where, backend="watched"))
        with worker:
            assert worker.run()
    assert len(WatchedAssets.seen) == 100
    assert {(0, "0 of 2 images made"), (50, "1 of 2 images made")} <= set(WatchedAssets.seen)


@pytest.mark.slow
def test_history_and_metrics_work_with_the_versions_that_the_page_names(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "run-under-luigid.md").read_text(encoding="utf-8")
    install, start = re.findall(r"^\$ (luigid-env/bin/.*)$", page, re.MULTILINE)
    subprocess.run([sys.executable, "-m", "venv", "luigid-env"], cwd=tmp_path, check=True)
    subprocess.run(["bash", "-c", install], cwd=tmp_path, check=True, capture_output=True)
    config = tmp_path / "luigi.cfg"
    options = r"^#(?=record_task|metrics_|\[task_history|db_connection)"
    config.write_text(re.sub(options, "", CONFIG.read_text(), flags=re.MULTILINE))
    workspace = small_workspace(tmp_path / "data")
    workspace.write()
    cluster = Cluster(tmp_path / "luigid", {"LUIGI_CONFIG_PATH": str(config)})
    cluster.luigid_program = str(tmp_path / start.split()[0])
    with cluster:
        assert run(workspace, cluster) == ExitCode.OK
        history, metrics = cluster.page("history"), cluster.page("metrics")
    assert "PackageDataset" in history
    for name in ("started", "done"):
        assert f'luigi_task_{name}_total{{family="PackageDataset"}} 1.0' in metrics
    assert 'luigi_task_execution_time_seconds{family="SymlinkAssets"}' in metrics
    assert (tmp_path / "luigid" / "luigid-history.db").stat().st_size > 0


class Door(BaseHTTPRequestHandler):
    """Lets requests with the right password through to luigid, as a web server would."""

    luigid: ClassVar[str]
    wanted = "Basic " + b64encode(b"ada:open sesame").decode()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != self.wanted:
            self.send_error(401)
            return
        with urllib.request.urlopen(f"{self.luigid}{self.path}", body) as answer:
            text = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is not ours
        """Say nothing."""


@pytest.mark.parametrize(
    ("option", "password", "code"),
    [
        ("scheduler_url", "open%20sesame", ExitCode.OK),
        ("default-scheduler-url", "open%20sesame", ExitCode.OK),
        ("default-scheduler-url", "wrong", ExitCode.NOT_RUN),
    ],
)
def test_a_worker_can_log_in_to_a_server_in_front_of_luigid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, password: str, code: ExitCode
) -> None:
    workspace = small_workspace(tmp_path / "data")
    workspace.write()
    config = tmp_path / "private.cfg"
    with (
        Cluster(tmp_path / "luigid", {"LUIGI_CONFIG_PATH": str(config)}) as cluster,
        ThreadingHTTPServer(("127.0.0.1", 0), Door) as server,
    ):
        monkeypatch.setattr(Door, "luigid", f"http://127.0.0.1:{cluster.port}", raising=False)
        Thread(target=server.serve_forever).start()
        url = f"http://ada:{password}@127.0.0.1:{server.server_port}"
        config.write_text(
            f"[core]\n{option} = {url.replace('%', '%%')}\n"
            "rpc-retry-attempts = 2\nrpc-retry-wait = 0\n"
        )
        worker = cluster.start("worker", *package(cluster, workspace))
        try:
            assert end(worker) == code
        finally:
            server.shutdown()
        log = cluster.log("worker")
    assert password not in log
    assert "Traceback" not in log


def package(cluster: Cluster, workspace: Workspace) -> list[str]:
    command = [cluster.program("luigi"), "--module", "spimpack_tasks", "PackageDataset"]
    inputs = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
    return [*command, *inputs]
