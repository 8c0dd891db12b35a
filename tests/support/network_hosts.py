"""Hosts that share the disk but not the network: network namespaces, each with a real sshd.

They are joined by a bridge in a namespace of its own, so nothing of it is in the machine's network.
Making them needs root, and the programs `ip` and `sshd`; `missing` says what is not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

NETWORK = "10.213.77"
SSHD = "/usr/sbin/sshd"
SERVER = """\
Port 22
ListenAddress {address}
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/{name}.pid
StrictModes no
UsePAM no
AcceptEnv *
"""
CLIENT = """\
IdentityFile {folder}/key
UserKnownHostsFile /dev/null
StrictHostKeyChecking no
LogLevel ERROR
SetEnv {environment}
"""


def missing() -> str:
    """Return why there can be no such hosts here; nothing if there can."""
    if os.geteuid() != 0:
        return "needs root"
    lacking = [name for name in ("ip", "ssh", "ssh-keygen") if not shutil.which(name)]
    lacking += [] if os.path.exists(SSHD) else ["sshd"]
    if lacking:
        return f"needs {', '.join(lacking)}"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "needs network namespaces"


class NetworkHosts:
    """Hosts by name; the first one is where a command is run (`enter`)."""

    def __init__(self, folder: Path, names: list[str], environment: dict[str, str]) -> None:
        self.folder = folder
        self.prefix = f"spim{os.getpid()}"
        self.names = names
        self.environment = environment
        self.undo = ExitStack()
        folder.mkdir()

    def enter(self, name: str) -> list[str]:
        """Return what to put in front of a command that is to run on a host."""
        return ["ip", "netns", "exec", f"{self.prefix}-{name}"]

    def __enter__(self) -> Self:
        with self.undo:
            self._make()
            self.undo = self.undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.undo.close()

    def _make(self) -> None:
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "key"))
        os.makedirs("/run/sshd", exist_ok=True)
        self._add_namespace("switch")
        _run(*self.enter("switch"), "ip", "link", "add", "bridge", "type", "bridge")
        _run(*self.enter("switch"), "ip", "link", "set", "bridge", "up")
        for number, name in enumerate(self.names, 1):
            self._add_host(name, f"{NETWORK}.{number}")
        self._write_client()

    def _add_namespace(self, name: str) -> None:
        _run("ip", "netns", "add", f"{self.prefix}-{name}")
        self.undo.callback(_run, "ip", "netns", "del", f"{self.prefix}-{name}")
        _run(*self.enter(name), "ip", "link", "set", "lo", "up")

    def _add_host(self, name: str, address: str) -> None:
        self._add_namespace(name)
        inside, switch = self.enter(name), self.enter("switch")
        peer = ("peer", "name", "eth0", "netns", f"{self.prefix}-{name}")
        _run(*switch, "ip", "link", "add", f"to-{name}", "type", "veth", *peer)
        _run(*switch, "ip", "link", "set", f"to-{name}", "master", "bridge", "up")
        _run(*inside, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        _run(*inside, "ip", "link", "set", "eth0", "up")
        config = self.folder / f"{name}.conf"
        config.write_text(SERVER.format(address=address, folder=self.folder, name=name))
        log = (self.folder / f"{name}.log").open("wb")
        with log:
            command = [*inside, SSHD, "-D", "-e", "-f", str(config)]
            server = subprocess.Popen(command, stderr=log)
        self.undo.callback(server.wait)
        self.undo.callback(server.terminate)

    def _write_client(self) -> None:
        """Write an `ssh` that knows the hosts, and hands on the environment of the test."""
        pairs = " ".join(f'"{name}={value}"' for name, value in self.environment.items())
        hosts = "".join(
            f"Host {name}\n    HostName {NETWORK}.{number}\n"
            for number, name in enumerate(self.names, 1)
        )
        config = self.folder / "client"
        config.write_text(CLIENT.format(folder=self.folder, environment=pairs) + hosts)
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        script = self.programs / "ssh"
        script.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        script.chmod(0o755)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
