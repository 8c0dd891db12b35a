"""Several workers share slow work: at once, each image once, under limits, for no old plan."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from children import start, wait
from workspace import Workspace, small_workspace

from spimpack_tasks import pipelines
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.buckets import bucket_of
from spimpack_tasks.packaging.backends.copy import COPY
from spimpack_tasks.packaging.backends.registry import BACKENDS

if TYPE_CHECKING:
    from types import ModuleType

HERE = Path(__file__).parents[1] / "support"
BIN = Path(sys.executable).parent
CONFIG = HERE.parents[1] / "configs" / "luigi.cfg"


class Made(NamedTuple):
    """A line of the log of `slow_copy`."""

    pid: int
    asset: str
    start: float
    end: float


def read_log(folder: Path) -> list[Made]:
    """Return who made what, and when."""
    lines = (line.split() for line in (folder / "log").read_text().splitlines())
    return [Made(int(pid), asset, float(start), float(end)) for pid, asset, start, end in lines]


def most_at_once(made: list[Made]) -> int:
    """Return how many images were being made at one time."""
    changes = sorted([(m.start, 1) for m in made] + [(m.end, -1) for m in made])
    return max(accumulate(change for _, change in changes))


@pytest.fixture
def slow_copy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the slow backend, which is among the others during a test only."""
    monkeypatch.setitem(BACKENDS, "slow-copy", COPY)  # so that it goes again
    module = import_module("slow_copy")
    BACKENDS["slow-copy"] = module.SLOW_COPY
    return module


def many_images(root: Path, count: int, *, of_one_bucket: bool = False) -> Workspace:
    """Return a workspace with tiny images."""
    workspace = Workspace(root)
    for number in range(10_000):
        key = f"sub-{number:04}_sample-brain_SPIM"
        if not of_one_bucket or bucket_of(key) == "00":
            workspace.add_row(f"{number}.ims", subject=f"{number:04}", Species="mouse")
        if len(workspace.rows) == count:
            break
    workspace.write()
    return workspace


def environment(config: Path | None = None) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if name != "LUIGI_CONFIG_PATH"}
    further = {"LUIGI_CONFIG_PATH": str(config)} if config else {}
    return known | {"PYTHONPATH": str(HERE)} | further


@contextmanager
def worker(workspace: Workspace, config: Path | None, *further: str) -> Iterator[subprocess.Popen]:
    """Run the stock `luigi` on a workspace until it ends, and no longer than the block."""
    command = [BIN / "luigi", "--module", "slow_copy", "PackageDataset", "--backend", "slow-copy"]
    inputs = ["--manifest", workspace.manifest, "--output-dir", workspace.out, "--no-lock"]
    with (workspace.root / "errors").open("a") as log:
        process = subprocess.Popen(
            [*command, *inputs, *further],
            cwd=workspace.root,
            env=environment(config),
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def package(workspace: Workspace, workers: int, config: Path | None = None) -> int:
    """Run the stock `luigi` with its local scheduler, and return its exit code."""
    further = ("--local-scheduler", "--workers", str(workers))
    with worker(workspace, config, *further) as process:
        return process.wait(60)


@pytest.fixture
def luigid(tmp_path: Path) -> Iterator[int]:
    """A scheduler with our configuration; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    home = tmp_path / "luigid"
    home.mkdir()
    command = [BIN / "luigid", "--address", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--state-path", home / "state.pickle"],
            cwd=home,
            env=environment(CONFIG),
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait()


def assert_made_once(workspace: Workspace) -> list[Made]:
    """Look whether each image is there and was made once; return what is in the log."""
    made = read_log(workspace.root)
    assert sorted(m.asset for m in made) == sorted(
        f"sub-{row['subject']}_sample-brain_SPIM" for row in workspace.rows
    )
    images = {path.name: path.read_bytes() for path in workspace.out.rglob("*_SPIM.ims")}
    assert images == {
        f"sub-{row['subject']}_sample-brain_SPIM.ims": (
            workspace.root / row["spim_path"]
        ).read_bytes()
        for row in workspace.rows
    }
    assert not list((workspace.out / ".spimpack").glob("unfinished/*"))
    return made


def test_two_workers_share_the_images_of_one_bucket(tmp_path: Path) -> None:
    workspace = many_images(tmp_path, 4, of_one_bucket=True)
    assert package(workspace, 2) == ExitCode.OK
    assert most_at_once(assert_made_once(workspace)) == 2


@pytest.mark.usefixtures("slow_copy")
def test_two_equal_runs_without_a_scheduler_make_each_image_once(tmp_path: Path) -> None:
    workspace = many_images(tmp_path, 3)
    log = str(tmp_path / "errors")
    options = workspace.options(backend="slow-copy")
    runs = [start(lambda: pipelines.package(options).exit_code, log) for _ in range(2)]
    assert [wait(run) for run in runs] == [ExitCode.OK, ExitCode.OK], Path(log).read_text()
    assert_made_once(workspace)


@pytest.mark.slow
def test_three_workers_of_one_scheduler_share_the_images(luigid: int, tmp_path: Path) -> None:
    workspace = many_images(tmp_path / "data", 12, of_one_bucket=True)
    where = ("--scheduler-host", "127.0.0.1", "--scheduler-port", str(luigid))
    with (
        worker(workspace, CONFIG, *where, "--assistant"),
        worker(workspace, CONFIG, *where, "--assistant"),
        worker(workspace, CONFIG, *where) as main,
    ):
        assert main.wait(120) == ExitCode.OK
    assert len({made.pid for made in assert_made_once(workspace)}) == 3


@pytest.mark.parametrize(
    ("resources", "at_once"),
    [
        pytest.param("", {2, 3}, id="no limit", marks=pytest.mark.slow),
        pytest.param("slow-copy = 2", {2}, id="two at once", marks=pytest.mark.slow),
        pytest.param("slow-copy = 1", {1}, id="one at a time"),
        pytest.param("another = 1", {2, 3}, id="limit of another", marks=pytest.mark.slow),
    ],
)
def test_a_site_limits_how_many_images_are_made_at_once(
    resources: str, at_once: set[int], tmp_path: Path
) -> None:
    workspace = many_images(tmp_path, 6)
    config = tmp_path / "luigi.cfg"
    config.write_text(f"[resources]\n{resources}\n")
    assert package(workspace, 3, config) == ExitCode.OK
    assert most_at_once(assert_made_once(workspace)) in at_once


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_superseded_stops_in_the_middle_of_an_image(
    workers: int, slow_copy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither ends its images first nor keeps the other run from beginning."""
    workspace = small_workspace(tmp_path)
    workspace.write()
    monkeypatch.setattr(slow_copy, "STEPS", 1500)
    first = start(lambda: workspace.run(workers, backend="slow-copy").exit_code)
    while not list(workspace.out.glob(".spimpack/unfinished/*")):
        time.sleep(0.02)
    monkeypatch.setattr(slow_copy, "STEPS", 1)
    workspace.rows[0]["Species"] = "rat"
    assert workspace.run(workers, backend="slow-copy").exit_code == ExitCode.OK
    assert wait(first) == ExitCode.SUPERSEDED
    assert len(read_log(tmp_path)) == 3
    sidecar = workspace.out / "sub-01" / "micr" / "sub-01_sample-brain_acq-4x_SPIM.json"
    assert json.loads(sidecar.read_text())["Species"] == "rat"
    assert workspace.run(backend="slow-copy").counts["unchanged"] == 3
    assert not list(workspace.out.glob(".spimpack/unfinished/*"))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    code = "import sys; from spimpack_tasks.files.copying import copy_file as copy"

    def memory_kb(size: int) -> int:
        source, path = tmp_path / "source", tmp_path / "copy"
        source.touch()
        os.truncate(source, size)
        process = subprocess.Popen(
            [sys.executable, "-c", f"{code}; copy(*sys.argv[1:], id)", source, path]
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        assert path.stat().st_size == size
        path.unlink()
        return usage.ru_maxrss

    assert memory_kb(10**9) - memory_kb(10**7) < 4000


@pytest.mark.slow
def test_a_large_file_is_not_begun_again(tmp_path: Path) -> None:
    """A byte that is changed in what was copied is still changed when the copy is whole."""
    workspace = many_images(tmp_path, 1)
    source = tmp_path / workspace.rows[0]["spim_path"]
    os.truncate(source, 3 * 10**9)
    command = [BIN / "spimpack", "package", "--backend", "copy", "--manifest", workspace.manifest]
    run = [*command, "--output-dir", workspace.out]
    first = subprocess.Popen(run, stdout=subprocess.DEVNULL)
    part = None
    while part is None or part.stat().st_size < 10**9:
        part = next(workspace.out.glob(".spimpack/unfinished/*/[0-9]*"), None)
        assert first.poll() is None
    first.kill()
    first.wait()
    with part.open("r+b") as file:
        file.seek(5 * 10**8)
        file.write(b"!")
    inode = part.stat().st_ino
    subprocess.run(run, stdout=subprocess.DEVNULL, check=True)
    (image,) = workspace.out.rglob("*_SPIM.ims")
    assert image.stat().st_size == source.stat().st_size
    assert image.stat().st_ino == inode
    with image.open("rb") as file:
        file.seek(5 * 10**8)
        assert file.read(1) == b"!"
