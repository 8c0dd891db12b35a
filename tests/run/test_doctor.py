"""`spimpack doctor`: what it says of a machine that has all, and of one that lacks something."""

from __future__ import annotations

import errno
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import luigi.configuration
import pytest
from luigi.configuration.cfg_parser import LuigiConfigParser
from luigi.configuration.toml_parser import LuigiTomlParser
from study import fingerprint
from workspace import small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.doctor import disk, scheduler, software
from spimpack_tasks.doctor.answer import Answer, State
from spimpack_tasks.errors import ExitCode, MissingExtraError

BIN = Path(sys.executable).parent
ANSWER = re.compile(r"(ok|note|problem) +([^:]+): \S.*")


def by_check(answers: Iterator[Answer]) -> dict[str, Answer]:
    return {answer.check: answer for answer in answers}


def test_a_whole_machine_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "not there yet" / "bids"
    before = fingerprint(tmp_path)
    assert main(["doctor", "--output-dir", str(output)]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert all(ANSWER.fullmatch(line) for line in lines), lines
    checks = [ANSWER.fullmatch(line)[2] for line in lines]
    assert len(checks) == len(set(checks))
    assert {"python", "luigi", "extra images", "bids-validator-deno", "hard link"} < set(checks)
    assert f"{tmp_path} can be written to" in "\n".join(lines)
    before.pop(str(tmp_path))
    after = fingerprint(tmp_path)
    after.pop(str(tmp_path))
    assert after == before


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--output-dir", str(tmp_path), "--format", "json"]) == ExitCode.OK
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {answer["state"] for answer in answers} <= set(State)
    assert all(answer.keys() == {"state", "check", "message"} for answer in answers)


def test_a_dataset_is_left_as_it_is(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    before = workspace.stamps()
    answers = by_check(disk.check_output(str(workspace.out)))
    assert answers["output"].message == f"{workspace.out}/.spimpack can be written to"
    assert workspace.stamps() == before
    assert not list((workspace.out / ".spimpack").glob(".spimpack-doctor*"))


def refuse(code: int) -> object:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_disk_without_links_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [(name, refuse(errno.EPERM), told) for name, _, told in disk._WAYS]
    monkeypatch.setattr(disk, "_WAYS", tuple(ways))
    answers = by_check(disk.check_output(str(tmp_path)))
    for name in ("symbolic link", "hard link", "reflink"):
        assert answers[name].state is State.NOTE
        assert answers[name].message.startswith("Operation not permitted: ")


BROKEN_DISKS = {
    "no lock": (disk.fcntl, "flock", refuse(errno.ENOLCK), "locks", "No locks available"),
    "not writable": (disk.tempfile, "mkdtemp", refuse(errno.EROFS), "output", "Read-only file"),
    "full": (disk, "LEAST_FREE", 2**80, "free space", "make room"),
}


@pytest.mark.parametrize("name", BROKEN_DISKS)
def test_a_disk_that_does_not_do(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where, attribute, value, check, message = BROKEN_DISKS[name]
    monkeypatch.setattr(where, attribute, value)
    assert main(["doctor", "--output-dir", str(tmp_path)]) == ExitCode.FAILED
    (line,) = (x for x in capsys.readouterr().out.splitlines() if f" {check}: " in x)
    assert line.startswith("problem")
    assert message in line
    assert os.listdir(tmp_path) == []


def test_a_file_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "bids").touch()
    (answer,) = disk.check_output(str(tmp_path / "bids"))
    assert (answer.state, answer.check) == (State.PROBLEM, "output")


def lacking(*names: str) -> object:
    found = software.version

    def find(name: str) -> str:
        if name in names:
            raise PackageNotFoundError(name)
        return found(name)

    return find


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [
        "luigi>=3.8.1,<4",
        'h5py<4,>=3.14; extra == "images"',
        'numpy; python_version > "3" and extra == "images"',
        "bids-validator-deno>=3; extra == 'bids'",
    ]
    monkeypatch.setattr(software, "requires", lambda _: needs)
    assert by_check(software.check_extras())["extra images"].state is State.OK
    monkeypatch.setattr(software, "version", lacking("luigi", "h5py"))
    versions = by_check(software.check_versions())
    assert versions["luigi"].state is State.PROBLEM
    images = by_check(software.check_extras())["extra images"]
    assert images.state is State.NOTE
    assert images.message.startswith("h5py not installed (")
    assert images.message.endswith("; pip install 'spimpack_tasks[images]'")


def test_a_validator_that_is_missing_or_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\necho no >&2; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(software, "find_validator", lambda: str(program))
    (answer,) = software.check_validator()
    assert answer.state is State.PROBLEM
    assert "\n" not in answer.message

    def missing() -> str:
        raise MissingExtraError(software.PROGRAM, "bids")

    monkeypatch.setattr(software, "find_validator", missing)
    (answer,) = software.check_validator()
    assert answer.state is State.NOTE
    assert "pip install 'spimpack_tasks[bids]'" in answer.message


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def luigid(tmp_path: Path) -> Iterator[str]:
    """A central scheduler on the loopback address."""
    port = free_port()
    command = [BIN / "luigid", "--address", "127.0.0.1", "--port", str(port)]
    state = ["--state-path", tmp_path / "state.pickle"]
    process = subprocess.Popen(
        [*command, *state], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_a_scheduler_answers(luigid: str) -> None:
    (answer,) = scheduler.check_scheduler(luigid)
    assert (answer.state, answer.message) == (State.OK, f"{luigid} answers")
    config = luigi.configuration.get_config()
    host, port = luigid.removeprefix("http://").split(":")
    for name, value in (("default_scheduler_host", host), ("default_scheduler_port", port)):
        config.set("core", name, value)
    try:
        (answer,) = scheduler.check_scheduler()
    finally:
        for name in ("default_scheduler_host", "default_scheduler_port"):
            config.remove_option("core", name)
    assert (answer.state, answer.message) == (State.OK, f"{luigid} answers")


class Other(http.server.BaseHTTPRequestHandler):
    """A server of something else: a page for all, or a refusal."""

    code = 200

    def do_POST(self) -> None:
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("code", "said"), [(200, "not as luigid does"), (401, "answers 401")])
def test_another_server_is_no_scheduler(
    code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Other, "code", code)
    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://ada:secret@127.0.0.1:{server.server_port}"
            (answer,) = scheduler.check_scheduler(url)
        finally:
            server.shutdown()
            thread.join()
    assert answer.state is State.PROBLEM
    assert said in answer.message
    assert "secret" not in answer.message


def test_a_scheduler_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    where = ["--output-dir", str(tmp_path), "--scheduler-url", f"http://127.0.0.1:{free_port()}"]
    assert main(["doctor", *where]) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert "does not answer; start luigid there" in shown.out
    assert shown.err == ""


def test_a_scheduler_that_hangs_is_waited_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        (answer,) = scheduler.check_scheduler(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert answer.state is State.PROBLEM


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://[::1", "ftp://127.0.0.1/"])
def test_an_address_that_is_none(url: str) -> None:
    (answer,) = scheduler.check_scheduler(url)
    assert answer.state is State.PROBLEM


def test_luigi_is_asked_wherever_it_may_have_a_configuration() -> None:
    found = [*LuigiConfigParser._config_paths, *LuigiTomlParser._config_paths]
    assert set(found) - {os.environ.get("LUIGI_CONFIG_PATH")} == set(scheduler.CONFIG_FILES)
    text = Path(luigi.configuration.core.__file__).read_text()
    assert set(re.findall(r"\bLUIGI_[A-Z_]+", text)) == set(scheduler.CONFIG_VARIABLES)


@pytest.mark.parametrize("how", ["in the folder", "by a variable"])
def test_a_scheduler_of_the_configuration_is_asked(how: str, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    name = "luigi.cfg" if how == "in the folder" else "other.cfg"
    (tmp_path / name).write_text(f"[core]\ndefault_scheduler_url = {url}\n")
    further = {} if how == "in the folder" else {"LUIGI_CONFIG_PATH": str(tmp_path / name)}
    done = subprocess.run(
        [sys.executable, "-m", "spimpack_tasks.cli.main", "doctor"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "LUIGI_CONFIG_PATH"} | further,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{url} does not answer" in done.stdout
    assert done.stderr == ""


def test_no_scheduler_is_needed() -> None:
    (answer,) = scheduler.check_scheduler()
    assert answer.state is State.NOTE


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "there is no token"),
        ("two words", "no API key has"),
        ("0123abcd", "from DANDI_API_KEY"),
    ],
)
def test_i17_4_the_key_of_dandi_is_told_and_never_shown(monkeypatch, capsys, key, told):
    monkeypatch.setenv("DANDI_API_KEY", key)
    main(["doctor"])
    out = capsys.readouterr().out
    (line,) = [each for each in out.splitlines() if "credentials dandi" in each]
    assert told in line
    assert not key or key not in out
