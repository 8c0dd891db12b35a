"""Studies that are killed, shared by workers of luigid, and run by the recipe for SLURM."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster import free_port
from markdown_blocks import ROOT
from study_files import write_study

from spimpack_tasks.errors import ExitCode

pytestmark = pytest.mark.slow
RUN = [sys.executable, "-m", "spimpack_tasks.cli.main", "run", "study.yml"]
LUIGI = [sys.executable, "-m", "luigi", "--module", "spimpack_tasks", "ProcessStudy"]
KILLS = 10
OF_TIMES = {"study-log.jsonl", "ro-crate-metadata.json"}


def content(folder: Path) -> dict[str, bytes | str]:
    """Return bytes of files and texts of links that a study has made, but none that tell times."""
    found: dict[str, bytes | str] = {}
    for top in ("products", "bids"):
        for path in sorted((folder / top).rglob("*")):
            name = str(path.relative_to(folder))
            if ".spimpack" in name or path.name in OF_TIMES or name == "products/made/run":
                continue
            if path.is_symlink():
                found[name] = os.readlink(path)
            elif path.is_file():
                found[name] = path.read_bytes()
    return found


def wipe(folder: Path) -> None:
    for name in ("products", "bids"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "study.html").unlink(missing_ok=True)


def run(folder: Path, command: list[str] = RUN) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_that_is_killed_anywhere_ends_with_the_same_bytes(tmp_path, workers):
    write_study(tmp_path)
    began = time.monotonic()
    run(tmp_path)
    took = time.monotonic() - began
    wanted = content(tmp_path)
    assert len(wanted) > 20
    moments = random.Random(workers)
    wipe(tmp_path)
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*RUN, "--workers", str(workers)],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(moments.uniform(0.2 * took, took))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if moments.random() < 0.3:
            wipe(tmp_path)
    run(tmp_path, [*RUN, "--workers", str(workers)])
    assert content(tmp_path) == wanted
    assert not list(tmp_path.rglob(".*.unfinished"))


def test_workers_of_luigid_share_a_study(tmp_path):
    write_study(tmp_path)
    run(tmp_path)
    wanted = content(tmp_path)
    wipe(tmp_path)
    port = free_port()
    environment = os.environ | {"LUIGI_CONFIG_PATH": str(ROOT / "configs/luigi.cfg")}
    daemon = subprocess.Popen(
        [
            f"{os.path.dirname(sys.executable)}/luigid",
            "--address",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        options = ["--study", "study.yml", "--scheduler-port", str(port)]
        workers = [
            subprocess.Popen(
                [*LUIGI, *options],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(2)
        ]
        told = [worker.communicate(timeout=300)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [ExitCode.OK] * 2, told
    finally:
        daemon.kill()
        daemon.wait()
    assert content(tmp_path) == wanted


def test_the_recipe_for_slurm_runs_a_study(tmp_path):
    write_study(tmp_path)
    programs = f"{ROOT / 'tests/support/stand_ins'}{os.pathsep}{os.path.dirname(sys.executable)}"
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "LUIGI_CONFIG_PATH": str(ROOT / "configs/luigi.cfg"),
        "STAND_IN_TIME_IS_UP": str(tmp_path / "time is up"),
        "STAND_IN_LOG": str(tmp_path / "hosts"),
    }
    command = ["sbatch", "--array=0-1", str(ROOT / "workflows/slurm.sbatch"), "study.yml"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    logs = "\n".join(path.read_text() for path in tmp_path.glob("spimpack-*_*.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert (tmp_path / "study.html").exists()
    assert (tmp_path / "bids/dataset_description.json").exists()
