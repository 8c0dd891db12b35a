"""Several runs of one study at the same time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cluster import free_port
from markdown_blocks import ROOT

from spimpack_tasks.errors import ExitCode

RUN = [sys.executable, "-m", "spimpack_tasks.cli.main", "run", "study.yml"]
LUIGI = [sys.executable, "-m", "luigi", "--module", "spimpack_tasks", "ProcessStudy"]
ALONE = [*LUIGI, "--study", "study.yml", "--local-scheduler"]
STUDY = """\
stages:
  stream:
    cam: {settings: camera.yml, frames: frames, until_file: DONE, settle_s: 0.1}
"""
CAMERA = """\
root_path: unused.ome.zarr
dimensions: [{name: t, count: 2}, {name: y, count: 8}, {name: x, count: 8}]
dtype: uint16
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return the folder of a study whose camera has not ended."""
    (tmp_path / "camera.yml").write_text(CAMERA)
    (tmp_path / "study.yml").write_text(STUDY)
    (tmp_path / "frames").mkdir()
    tifffile.imwrite(tmp_path / "frames/0.tif", np.ones((8, 8), "uint16"))
    return tmp_path


def start(folder: Path, command: list[str], **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def await_stream(folder: Path) -> None:
    """Wait until a run has taken up the stream."""
    log = folder / "products/study-log.jsonl"
    until = time.monotonic() + 60
    while not (log.exists() and "began" in log.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)


def end_camera(folder: Path) -> None:
    tifffile.imwrite(folder / "frames/1.tif", np.ones((8, 8), "uint16"))
    (folder / "frames/DONE").touch()


@pytest.mark.parametrize("first", [RUN, ALONE], ids=["spimpack", "luigi"])
def test_a_second_run_says_in_one_sentence_that_another_one_works(study, first):
    process = start(study, first)
    try:
        await_stream(study)
        other = RUN if first is ALONE else [*ALONE, "--workers", "2"]
        for command in (RUN, other):
            done = subprocess.run(command, cwd=study, capture_output=True, text=True, check=False)
            assert done.returncode == ExitCode.NOT_RUN, done.stdout + done.stderr
            told = [line for line in done.stderr.splitlines() if "another run works" in line]
            assert len(told) == 1
            assert str(study / "study.yml") in told[0]
            assert "Traceback" not in done.stderr
        end_camera(study)
        assert process.communicate(timeout=120)[0] is not None
        assert process.returncode == ExitCode.OK
    finally:
        process.kill()
        process.communicate()
    assert (study / "products/streamed/cam.ome.zarr/zarr.json").exists()


def test_a_run_that_was_killed_keeps_no_other_off(study):
    process = start(study, RUN)
    await_stream(study)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    end_camera(study)
    done = subprocess.run(RUN, cwd=study, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr


@pytest.mark.slow
def test_workers_of_a_luigid_share_a_stream(study):
    port = free_port()
    config = {"LUIGI_CONFIG_PATH": str(ROOT / "configs/luigi.cfg")}
    luigid = shutil.which("luigid", path=os.path.dirname(sys.executable)) or "luigid"
    daemon = start(study, [luigid, "--address", "127.0.0.1", "--port", str(port)], **config)
    try:
        command = [*LUIGI, "--study", "study.yml", "--scheduler-port", str(port)]
        workers = [start(study, command, **config) for _ in range(2)]
        events = study / "products/study-log.jsonl"
        until = time.monotonic() + 60
        while not (events.exists() and events.read_text().count("began") >= 2):
            assert time.monotonic() < until
            time.sleep(0.1)
        end_camera(study)
        told = [worker.communicate(timeout=120)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [ExitCode.OK] * 2, told
        assert "ERROR" not in "".join(told)
    finally:
        daemon.kill()
        daemon.communicate()
    note = json.loads((study / "products/made/stream/cam.json").read_text())
    assert note["image"] == "products/streamed/cam.ome.zarr"


@pytest.mark.slow
def test_a_worker_whose_luigid_was_killed_does_not_say_that_all_is_there(study):
    port = free_port()
    (study / "luigi.cfg").write_text("[core]\nrpc_retry_attempts = 1\nrpc_retry_wait = 1\n")
    config = {"LUIGI_CONFIG_PATH": str(study / "luigi.cfg")}
    luigid = shutil.which("luigid", path=os.path.dirname(sys.executable)) or "luigid"
    daemon = start(study, [luigid, "--address", "127.0.0.1", "--port", str(port)], **config)
    try:
        command = [*LUIGI, "--study", "study.yml", "--scheduler-port", str(port)]
        worker = start(study, command, **config)
        await_stream(study)
    finally:
        daemon.kill()
        daemon.communicate()
    end_camera(study)
    told = worker.communicate(timeout=120)[0]
    assert worker.returncode == ExitCode.NOT_RUN, told
    done = subprocess.run(RUN, cwd=study, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
