"""A real `spimpack ui` on loopback, for tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cluster import free_port

SPIMPACK = Path(sys.executable).with_name("spimpack")
PATIENCE_S = 60


@dataclass
class UiServer:
    """A server that is running."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        """The address with its token, when the server has printed it."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", self.said)):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)
        return found[0]

    def stop(self, how: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()


def start_ui(
    folder: Path, *arguments: str, command: tuple[str, ...] = (str(SPIMPACK),)
) -> UiServer:
    """Start the server with a folder as its working directory, and so as its root."""
    port = free_port()
    descriptor, log = tempfile.mkstemp(dir=folder.parent, prefix="ui-", suffix=".log")
    with os.fdopen(descriptor, "wb") as file:
        process = subprocess.Popen(
            [*command, "ui", "--no-browser", "--port", str(port), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=os.environ
            | {"XDG_STATE_HOME": str(folder.parent / "state"), "PYTHONUNBUFFERED": "1"},
        )
    return UiServer(process, port, Path(log))
