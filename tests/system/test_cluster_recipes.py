"""The recipes for several processes and machines, with stand-ins for SLURM and ssh.

What this machine cannot show is left out: other hosts are this one under another name, a socket
that ssh forwards is a link to the other one, and SLURM is a script that starts the jobs of an
array. The recipes themselves, luigid and the workers are real.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cluster import Gate, end, images_for, shorten, wait_until
from markdown_blocks import ROOT, environment_of_tests
from network_hosts import NetworkHosts, missing
from workspace import Workspace, leftovers

from spimpack_tasks.errors import ExitCode

WORKFLOWS = ROOT / "workflows"
STAND_INS = ROOT / "tests" / "support" / "stand_ins"
IMAGES = 6
Process = subprocess.Popen[bytes]


class Recipe:
    """A recipe, and what it needs to run; its processes end with the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gate = Gate(root / "plugin")
        self.workspace: Workspace = images_for(root / "study", IMAGES)
        # The path of a socket has 107 bytes at most, and that of a test's folder is long.
        self.temporaries = Path(tempfile.mkdtemp())
        self.time_is_up = root / "time is up"
        self.hosts = root / "hosts"
        self.started: list[Process] = []
        programs = environment_of_tests()
        self.environment = {
            **programs,
            **self.gate.environment,
            "PATH": f"{STAND_INS}{os.pathsep}{programs['PATH']}",
            "TMPDIR": str(self.temporaries),
            "LUIGI_CONFIG_PATH": str(shorten(root)),
            "STAND_IN_TIME_IS_UP": str(self.time_is_up),
            "STAND_IN_LOG": str(self.hosts),
        }

    def start(self, *command: str | Path) -> Process:
        """Start a recipe with the gated backend, in the folder of the study."""
        inputs = ("manifest.yml", "out", "--backend", "gated")
        with (self.root / "log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *inputs],
                cwd=self.workspace.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def wait_for_workers(self, number: int) -> None:
        """Wait until so many workers have each begun an image."""
        wait_until(f"{number} workers work", lambda: len(set(self.gate.begun())) == number)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for pid in self.gate.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait()
        shutil.rmtree(self.temporaries)

    def group_of_job(self, number: int) -> int:
        """Return the process group of one job of an array."""
        mark = f"SLURM_ARRAY_TASK_ID={number}\0".encode()
        processes = (Path(f"/proc/{pid}") for pid in self.gate.processes())
        (group,) = {
            os.getpgid(int(p.name)) for p in processes if mark in (p / "environ").read_bytes()
        }
        return group

    @property
    def log(self) -> str:
        return (self.root / "log").read_text()

    def made(self) -> int:
        return sum(path.endswith(".ims") for path in self.workspace.tree())

    def check(self) -> None:
        """Check that all is there, made once, and that nothing is left of the recipe."""
        assert self.made() == IMAGES, self.log
        assert len(self.gate.images()) == len(set(self.gate.images()))
        assert not leftovers(self.workspace.out)
        assert not list(self.temporaries.iterdir())
        wait_until("nothing runs any more", lambda: not self.gate.processes())


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Recipe]:
    recipe = Recipe(tmp_path)
    yield recipe
    recipe.end()


def listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


@pytest.mark.slow
def test_luigid_recipe_shares_the_work_and_listens_on_loopback_only(recipe: Recipe) -> None:
    process = recipe.start(WORKFLOWS / "luigid.sh")
    recipe.wait_for_workers(3)
    port = int(re.findall(r"^luigid: http://127\.0\.0\.1:(\d+)$", recipe.log, re.MULTILINE)[0])
    assert listens("127.0.0.1", port)
    # Another address of this machine, which answers where luigid listens to all of them.
    assert not listens("127.0.0.2", port)
    recipe.gate.open()
    assert end(process) == ExitCode.OK
    assert f"Nothing to do: {IMAGES} unchanged in out\n" in recipe.log
    recipe.check()


LUIGID, SSH = (WORKFLOWS / "luigid.sh",), (WORKFLOWS / "ssh-hosts.sh", "node-1 node-2")


@pytest.mark.slow
@pytest.mark.parametrize("command", [LUIGID, SSH], ids=["luigid", "ssh"])
def test_a_recipe_that_is_stopped_leaves_nothing_running(
    recipe: Recipe, command: tuple[Path | str, ...]
) -> None:
    process = recipe.start(*command)
    recipe.wait_for_workers(3)
    process.terminate()
    recipe.gate.open()
    assert end(process) == 128 + signal.SIGTERM
    wait_until("nothing is left", lambda: not recipe.gate.processes())
    assert not [path for path in recipe.temporaries.iterdir() if list(path.iterdir())]


@pytest.mark.slow
def test_ssh_recipe_shares_the_work_over_a_private_socket(recipe: Recipe) -> None:
    process = recipe.start(WORKFLOWS / "ssh-hosts.sh", "node-1 unreachable node-2")
    recipe.wait_for_workers(3)
    where = Path(re.findall(r"^luigid: (/.*)$", recipe.log, re.MULTILINE)[0])
    assert [stat.S_IMODE(path.lstat().st_mode) for path in (where, where.parent)] == [0o600, 0o700]
    recipe.gate.open()
    assert end(process) == ExitCode.OK
    assert "unreachable: cannot be reached, so it is done without" in recipe.log
    assert set(recipe.hosts.read_text().split()) == {"node-1", "node-2"}
    recipe.check()


@pytest.mark.slow
def test_ssh_recipe_that_is_killed_leaves_no_assistant(recipe: Recipe) -> None:
    process = recipe.start(WORKFLOWS / "ssh-hosts.sh", "node-1")
    recipe.wait_for_workers(2)
    process.kill()
    recipe.gate.open()
    commands: Callable[[], str] = lambda: "\n".join(recipe.gate.processes().values())  # noqa: E731
    wait_until("assistants have left", lambda: "--assistant" not in commands())


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_ssh_recipe_works_between_hosts_that_share_no_network(
    recipe: Recipe, tmp_path: Path
) -> None:
    """With real ssh, between network namespaces."""
    names = ["login", "node-1", "node-2"]
    with NetworkHosts(tmp_path / "network", names, recipe.gate.environment) as hosts:
        path = environment_of_tests()["PATH"]
        recipe.environment["PATH"] = f"{hosts.programs}{os.pathsep}{path}"
        process = recipe.start(*hosts.enter("login"), WORKFLOWS / "ssh-hosts.sh", "node-1 node-2")
        recipe.wait_for_workers(3)
        places = {os.readlink(f"/proc/{pid}/ns/net") for pid in set(recipe.gate.begun())}
        assert len(places) == 3, "each worker is on a host of its own"
        recipe.gate.open()
        assert end(process) == ExitCode.OK, recipe.log
        recipe.check()


SBATCH = (STAND_INS / "sbatch", "--array=0-2", WORKFLOWS / "slurm.sbatch")


def job_logs(recipe: Recipe) -> dict[str, str]:
    logs = recipe.workspace.root.glob("spimpack-*_*.log")
    return {log.stem.rpartition("_")[2]: log.read_text() for log in logs}


@pytest.mark.slow
def test_slurm_recipe_shares_the_work_over_a_private_socket(recipe: Recipe) -> None:
    process = recipe.start(*SBATCH)
    recipe.wait_for_workers(3)
    (address,) = recipe.workspace.root.glob("spimpack-*/address")
    host, where = address.read_text().split(maxsplit=1)
    path = Path(where.strip())
    assert host == "node-0"
    assert [stat.S_IMODE(p.lstat().st_mode) for p in (path, path.parent)] == [0o600, 0o700]
    recipe.gate.open()
    assert end(process) == ExitCode.OK, (recipe.log, job_logs(recipe))
    assert recipe.hosts.read_text().split() == ["node-0", "node-0"]
    assert {path.name for path in address.parent.iterdir()} >= {"over", "luigid.log"}
    assert not address.exists()
    recipe.check()


@pytest.mark.slow
def test_slurm_recipe_hands_over_before_its_time_is_up(recipe: Recipe) -> None:
    process = recipe.start(*SBATCH)
    recipe.wait_for_workers(3)
    recipe.time_is_up.touch()
    wait_until("all are told", lambda: "SIGUSR1" in recipe.log)
    recipe.gate.open()
    assert end(process) == 1
    assert "job 0: exit code 6\n" in recipe.log
    assert recipe.made() == 3, "each finishes what it is at, and begins nothing"
    before = recipe.workspace.stamps()
    recipe.time_is_up.unlink()
    assert end(recipe.start(*SBATCH)) == ExitCode.OK
    stamps = recipe.workspace.stamps()
    assert {path: stamps[path] for path in before} == before
    recipe.check()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dies", "next_time"), [(2, []), (0, [ExitCode.OK])], ids=["last", "first"]
)
def test_slurm_recipe_outlives_a_job_that_dies(
    recipe: Recipe, dies: int, next_time: list[int]
) -> None:
    """The others do the work of an assistant; without the first job they end, for the next time."""
    process = recipe.start(*SBATCH)
    recipe.wait_for_workers(3)
    os.killpg(recipe.group_of_job(dies), signal.SIGKILL)
    recipe.gate.open()
    assert end(process) == 1
    assert f"job {dies}: exit code 137" in recipe.log
    before = recipe.workspace.stamps()
    assert [end(recipe.start(*SBATCH)) for _ in next_time] == next_time
    stamps = recipe.workspace.stamps()
    assert {path: stamps[path] for path in before} == before
    assert recipe.made() == IMAGES


def test_slurm_recipe_stops_all_jobs_at_bad_input(recipe: Recipe) -> None:
    table = recipe.workspace.root / "scans.tsv"
    table.write_text(table.read_text().replace("RPI", "RRR"))
    assert end(recipe.start(*SBATCH)) == 1
    assert recipe.log.splitlines()[1:] == ["job 0: exit code 2"]
    assert "[value.orientation]" in job_logs(recipe)["0"]
    assert "no help is needed" in job_logs(recipe)["1"]
    assert not recipe.workspace.out.exists()
    assert not list(recipe.temporaries.iterdir())


def test_no_recipe_lets_luigid_listen_to_the_network() -> None:
    text = "\n".join(path.read_text() for path in WORKFLOWS.iterdir())
    starts = re.findall(r"^ *luigid (?:.*\\\n)*.*$", text, re.MULTILINE)
    assert len(starts) == 3
    for start in starts:
        assert "--address 127.0.0.1 " in start or "--unix-socket " in start
