"""`spimpack ui`: who can reach it, how it starts and how it ends."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="needs the extra ui")
from streamlit.testing.v1 import AppTest
from ui_server import UiServer, start_ui

import spimpack_tasks
from spimpack_tasks.cli import ui
from spimpack_tasks.cli.main import main
from spimpack_tasks.running.supervised import TOKEN_VARIABLE
from spimpack_tasks.ui import access

APP = Path(spimpack_tasks.__file__).parent / "ui" / "app.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UiServer]:
    folder = tmp_path_factory.mktemp("served") / "root"
    folder.mkdir()
    server = start_ui(folder)
    try:
        assert server.url
        yield server
    finally:
        server.stop()


def listening(port: int) -> list[str]:
    """Return the addresses at which somebody listens on a port, as the kernel writes them."""
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                found.append(local.rpartition(":")[0])
    return found


def test_it_listens_on_loopback_only(server: UiServer) -> None:
    assert listening(server.port) == ["0100007F"]


OWN = "127.0.0.1:{port}"
REQUESTS = {
    "its own page": (OWN, "http://127.0.0.1:{port}", 101),
    "by name": ("localhost:{port}", "http://localhost:{port}", 101),
    "another port, as ssh forwards it": ("localhost:9000", "http://localhost:9000", 101),
    "a page of another site": (OWN, "http://evil.example", 403),
    "a page of no site": (OWN, "null", 403),
    "another name for this address": ("evil.example:{port}", "http://evil.example:{port}", 403),
    "another name, its own origin": ("evil.example:{port}", "http://127.0.0.1:{port}", 403),
    "its own name as a part of another": (
        "127.0.0.1.evil.example",
        "http://127.0.0.1.evil.example",
        403,
    ),
}


@pytest.mark.parametrize(("host", "origin", "status"), REQUESTS.values(), ids=REQUESTS)
def test_only_its_own_pages_may_talk_to_it(
    host: str, origin: str, status: int, server: UiServer
) -> None:
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host.format(port=server.port)}",
        f"Origin: {origin.format(port=server.port)}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: streamlit",
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = connection.recv(100)
    assert answer.split()[1] == str(status).encode()


def test_f12_the_frame_that_anybody_gets_is_empty(server: UiServer) -> None:
    """As the page on security says: it is Streamlit's own, and tells nothing of ours."""
    token = server.url.partition("token=")[2]
    request = f"GET /?manifest=/etc/passwd HTTP/1.0\r\nHost: evil.example:{server.port}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 " in answer.partition(b"\r\n")[0]
    assert token.encode() not in answer
    assert b"passwd" not in answer


def test_the_address_is_said_with_the_way_to_it(server: UiServer) -> None:
    host = socket.gethostname()
    assert f"ssh -L {server.port}:127.0.0.1:{server.port} {host}" in server.said
    cmdline = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    assert server.url.partition("token=")[2].encode() not in cmdline


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "terminate"])
def test_it_ends_when_it_is_told_to(how: int, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    server = start_ui(tmp_path / "root")
    assert server.url
    assert server.stop(how) == 0
    assert "Traceback" not in server.said
    assert server.said.endswith("the pages are closed, and runs that they started are stopped\n")
    assert listening(server.port) == []


def test_options_of_streamlit_are_not_taken_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "root" / ".streamlit").mkdir(parents=True)
    (tmp_path / "root" / ".streamlit" / "config.toml").write_text(
        '[server]\naddress = "0.0.0.0"\nallowedHosts = ["evil.example"]\n'
    )
    server = start_ui(tmp_path / "root")
    try:
        assert server.url
        assert listening(server.port) == ["0100007F"]
    finally:
        server.stop()


def test_a_taken_port_is_said(server: UiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "--port", str(server.port)]) == 2
    assert capsys.readouterr().err == (
        f"spimpack: port {server.port} is taken; name another one with --port, or none\n"
    )


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_a_wrong_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ui", f"--port={port}"])
    assert f"{port!r} is not a port, which is a number from 1 to 65535" in capsys.readouterr().err


def test_a_free_port_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken, socket.socket() as other:
        for probe in (taken, other):
            probe.bind(("127.0.0.1", 0))
        ports = taken.getsockname()[1], other.getsockname()[1]
        other.close()
        monkeypatch.setattr(ui, "PORTS", ports)
        assert ui._free_port() == ports[1]
        monkeypatch.setattr(ui, "PORTS", ports[:1])
        with pytest.raises(ui.StartRefusedError, match="are all taken"):
            ui._free_port()


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ui, "find_spec", lambda _: None)
    assert main(["ui"]) == 2
    assert "pip install 'spimpack_tasks[ui]'" in capsys.readouterr().err


def test_a_root_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "--root", str(tmp_path / "gone")]) == 2
    assert "give --root a directory that is there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "roots"),
    [
        ([], ["{cwd}"]),
        (["--root", "a", "--root", "{cwd}/b"], ["{cwd}/a", "{cwd}/b"]),
        (["--manifest", "a/m.yml"], ["{cwd}"]),
        (["--manifest", "{cwd}/../m.yml"], ["{cwd}", "{parent}"]),
        (["--manifest", "b/m.yml", "--root", "a"], ["{cwd}/a"]),
    ],
    ids=["none", "given", "manifest inside", "manifest outside", "manifest outside of a root"],
)
def test_roots(
    given: list[str], roots: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / "cwd" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cwd")
    seen = []
    monkeypatch.setattr(ui, "_serve", lambda _, page: seen.extend(page))
    monkeypatch.setattr(ui, "_announce", lambda *_: None)
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    names = {"cwd": tmp_path / "cwd", "parent": tmp_path}
    assert main(["ui", *(text.format(**names) for text in given)]) == 0
    wanted = [f"--root={root.format(**names)}" for root in roots]
    assert [argument for argument in seen if argument.startswith("--root")] == wanted


def open_pages(monkeypatch: pytest.MonkeyPatch, root: Path, **query: str) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["app.py", f"--root={root}"])
    page = AppTest.from_file(str(APP), default_timeout=30)
    for name, value in query.items():
        page.query_params[name] = value
    return page.run()


@pytest.mark.parametrize("given", [{}, {"token": ""}, {"token": "wrong"}, {"token": "tökén"}])
def test_without_the_token_nothing_is_shown(
    given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "right")
    page = open_pages(monkeypatch, tmp_path, **given)
    assert [error.value for error in page.error] == [
        "This address is not complete. Use the one that spimpack ui has printed."
    ]
    assert not page.title
    assert not page.button
    assert not page.text_input


def test_with_the_token_the_pages_are_shown_and_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "right")
    page = open_pages(monkeypatch, tmp_path, token="right")
    assert page.title
    assert not page.error
    page.query_params.clear()
    page.run()
    assert page.title
    assert page.query_params["token"] == "right"


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("2001:db8::1", False),
    ],
)
def test_an_address_of_this_machine_is_known(address: str, *, is_ours: bool) -> None:
    assert access._is_loopback(address) == is_ours


def test_started_by_hand_the_pages_are_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert open_pages(monkeypatch, tmp_path).title
