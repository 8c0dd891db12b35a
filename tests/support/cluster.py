"""A scheduler and workers in processes of their own, for tests that kill them."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from markdown_blocks import ROOT, environment_of_tests
from workspace import Workspace

CONFIG = ROOT / "configs" / "luigi.cfg"
PATIENCE_S = 600
# What configs/luigi.cfg says, in a time that a test can wait for.
SHORT = {
    ("core", "rpc-retry-wait"): "1",
    ("worker", "wait_interval"): "0.2",
    ("worker", "wait_jitter"): "0.1",
    ("scheduler", "worker_disconnect_delay"): "5",
    ("scheduler", "retry_delay"): "1",
    ("scheduler", "disable_persist"): "5",
}


def shorten(folder: Path) -> Path:
    """Write our configuration with short delays, and return its path."""
    config = configparser.ConfigParser()
    config.read(CONFIG)
    for (section, option), value in SHORT.items():
        assert option in config[section], option
        config[section][option] = value
    path = folder / "luigi.cfg"
    with path.open("w") as file:
        config.write(file)
    return path


def images_for(folder: Path, number: int) -> Workspace:
    """Return a workspace with so many images, written."""
    workspace = Workspace(folder)
    for index in range(number):
        workspace.add_row(f"{index}.ims", subject=f"{index:02}", acquisition="4x")
    workspace.write()
    return workspace


class Gate:
    """The gated backend, installed, and its gate."""

    def __init__(self, folder: Path) -> None:
        """Do what `pip install` does with a backend."""
        information = folder / "gated_backend-1.0.dist-info"
        information.mkdir(parents=True)
        shutil.copy(ROOT / "tests" / "support" / "cases" / "gated_backend.py", folder)
        (information / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: gated-backend\nVersion: 1.0\n"
        )
        (information / "entry_points.txt").write_text(
            "[spimpack_tasks.backends]\ngated = gated_backend:GatedAssets\n"
        )
        self.log = folder / "begun"
        self.gate = folder / "gate"
        self.environment = {
            "PYTHONPATH": str(folder),
            "GATED_BACKEND_LOG": str(self.log),
            "GATED_BACKEND_GATE": str(self.gate),
        }

    def open(self) -> None:
        """Let the images be made."""
        self.gate.touch()

    def begun(self) -> list[int]:
        """Return the process of each image that was begun, in order."""
        if not self.log.exists():
            return []
        return [int(line.split()[0]) for line in self.log.read_text().splitlines()]

    def images(self) -> list[str]:
        """Return each image that was begun."""
        return [line.split()[1] for line in self.log.read_text().splitlines()]

    def processes(self) -> dict[int, str]:
        """Return what still runs of all that was started with this gate, with its command line."""
        mark = f"GATED_BACKEND_LOG={self.log}\0".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes():
                    command = (entry / "cmdline").read_bytes()
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode()
        return found

    def wait_for(self, worker: subprocess.Popen[bytes]) -> None:
        """Wait until a worker, or a process of it, has begun an image."""
        wait_until(
            f"{worker.args} works",
            lambda: worker.pid in {_group(process) for process in self.begun()},
        )


def _group(process: int) -> int:
    try:
        return os.getpgid(process)
    except ProcessLookupError:
        return 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until(what: str, is_so: Callable[[], Any]) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = is_so()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain until {what}")


class Cluster:
    """One luigid on loopback, and workers; `with` ends them all."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {
            k: v for k, v in environment_of_tests().items() if k != "LUIGI_CONFIG_PATH"
        } | environment
        self.port = free_port()
        self.luigid_program = self.program("luigid")
        self.processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir(exist_ok=True)

    def __enter__(self) -> Self:
        self.start_luigid()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start(self, log: str, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own, so that its children can be killed with it."""
        with (self.folder / log).open("ab") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def program(self, name: str) -> str:
        path = shutil.which(name, path=self.environment["PATH"])
        assert path
        return path

    def start_luigid(self) -> None:
        """Start luigid, on the port and with the state of the one before."""
        where = ("--address", "127.0.0.1", "--port", str(self.port))
        state = ("--state-path", "state.pickle", "--logdir", str(self.folder))
        self.luigid = self.start("luigid.out", self.luigid_program, *where, *state)
        wait_until("luigid answers", self.answers)

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def ask(self, method: str, **arguments: Any) -> Any:
        """Return the answer of luigid's API."""
        query = urllib.parse.urlencode({"data": json.dumps(arguments)})
        return json.loads(self.page(f"api/{method}?{query}"))["response"]

    def page(self, path: str) -> str:
        """Return what luigid shows under a path."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}") as answer:
            return str(answer.read().decode())

    def start_worker(
        self, name: str, workspace: Workspace, *further: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker; its output is in a file of its name."""
        command = (
            "luigi --module spimpack_tasks PackageDataset --scheduler-host 127.0.0.1 --no-lock"
        )
        program, *arguments = command.split()
        inputs = ("--manifest", str(workspace.manifest), "--output-dir", str(workspace.out))
        port = ("--scheduler-port", str(self.port))
        return self.start(name, self.program(program), *arguments, *inputs, *port, *further)

    def log(self, name: str) -> str:
        return (self.folder / name).read_text()


def end(worker: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a process, and return its exit code."""
    return worker.wait(PATIENCE_S)


def phase_out(assistant: subprocess.Popen[bytes]) -> int:
    """Tell an assistant to finish what it is at and to leave; return its exit code."""
    assistant.send_signal(signal.SIGUSR1)
    return end(assistant)
