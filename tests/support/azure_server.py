"""A blob service of Azure on loopback: Azurite, from npm; its requests are signed here by hand.

The signature is that of "Authorize with Shared Key" of Azure Storage.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from object_server import BUCKET

from spimpack_tasks.demo.object_server import choose_ports

ACCOUNT = "devstoreaccount1"
# The account that every Azurite has; it is in Azurite's own pages, and opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
WAIT_S = 60


@dataclass
class AzureServer:
    """A running service with one container."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """Return the variables with which the service is found and used."""
        address = f"{endpoint}/{ACCOUNT}" if endpoint else self.endpoint
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": address,
        }

    def url(self, prefix: str) -> str:
        return f"az://{BUCKET}/{prefix}"

    def prefix(self, url: str) -> str:
        return url.removeprefix(self.url(""))

    def files(self, prefix: str) -> dict[str, bytes]:
        """Return the objects below a prefix, by their path below it."""
        query = f"comp=list&prefix={quote(prefix + '/', safe='')}&restype=container"
        names, marker = [], ""
        while True:
            more = f"&marker={quote(marker, safe='')}" if marker else ""
            tree = ET.fromstring(self._ask("GET", f"?{query}{more}"))
            names += [name.text for name in tree.iter("Name")]
            marker = tree.findtext("NextMarker") or ""
            if not marker:
                break
        return {name.removeprefix(f"{prefix}/"): self.read(name) for name in names}

    def read(self, key: str) -> bytes:
        return self._ask("GET", f"/{quote(key)}")

    def write(self, key: str, data: bytes) -> None:
        self._ask("PUT", f"/{quote(key)}", data, {"x-ms-blob-type": "BlockBlob"})

    def remove(self, key: str) -> None:
        self._ask("DELETE", f"/{quote(key)}")

    def make_container(self) -> None:
        self._ask("PUT", "?restype=container")

    def _ask(self, method: str, path: str, data: bytes = b"", headers: dict | None = None) -> bytes:
        url = f"{self.endpoint}/{BUCKET}{path}"
        every = (headers or {}) | {
            "x-ms-date": formatdate(usegmt=True),
            "x-ms-version": "2021-08-06",
        }
        every["Authorization"] = f"SharedKey {ACCOUNT}:{_sign(method, url, len(data), every)}"
        body = data if method == "PUT" else None
        if body is not None:
            every["Content-Type"] = "application/octet-stream"
        request = urllib.request.Request(url, body, every, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _sign(method: str, url: str, length: int, headers: dict[str, str]) -> str:
    parts = urlsplit(url)
    ours = sorted((n.lower(), v) for n, v in headers.items() if n.lower().startswith("x-ms-"))
    resource = f"/{ACCOUNT}{parts.path}"
    for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True)):
        resource += f"\n{name}:{value}"
    kind = "application/octet-stream" if method == "PUT" else ""
    lines = [method, "", "", str(length or ""), "", kind, "", "", "", "", "", ""]
    text = "\n".join([*lines, *(f"{name}:{value}" for name, value in ours), resource])
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def find_program() -> str:
    """Return the path of the service's program, or skip the test."""
    root = Path(__file__).parent.parent.parent
    beside = root / ".venv-azurite" / "node_modules" / ".bin" / "azurite-blob"
    found = str(beside) if beside.exists() else shutil.which("azurite-blob")
    if not found:
        if os.environ.get("OBJECT_SERVER") == "required":
            pytest.fail("Azurite is not installed: npm install --prefix .venv-azurite azurite@3")
        pytest.skip("needs Azurite: npm install --prefix .venv-azurite azurite@3")
    return found


def start_azure() -> AzureServer:
    """Start the service, and make its container."""
    program = find_program()
    folder = Path(tempfile.mkdtemp(prefix="azure-"))
    port = choose_ports(1)[0]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program, "--silent", "--skipApiVersionCheck", "--disableTelemetry"),
                *("--location", str(folder / "data"), "--blobHost", "127.0.0.1"),
                *("--blobPort", str(port)),
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = AzureServer(folder, port, process)
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            server.make_container()
        except urllib.error.HTTPError as error:
            text = error.read()
            server.stop()
            pytest.fail(f"Azurite refuses the container: {error.code} {text[:500]!r}")
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                text = (folder / "log").read_text(errors="replace")[-2000:]
                server.stop()
                pytest.fail(f"Azurite did not start: {text}")
            time.sleep(0.2)
        else:
            return server
