"""Fixtures of all tests."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import luigi.worker
import pytest
from other_user import OtherUser
from study import Study

from spimpack_tasks.state.session import SESSION

MAY_START = {
    "test_architecture": "import-linter, and interpreters in which nothing is imported yet",
    "test_manifest_editor": "a child that edits at the same time",
    "test_readers": "an interpreter in which nothing is imported yet",
    "test_scan": "one dataset is packaged, to be scanned",
}
"""Tests of functions that start a program or Luigi all the same, and what for."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Let most cases of a test that is marked by `few` count as slow."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("few"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for group in cases.values():
        (count,) = group[0].get_closest_marker("few").args
        # Evenly spread, since neighbours are alike.
        kept = {index * len(group) // count for index in range(count)}
        for index, item in enumerate(group):
            if index not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _inner_loop(request, monkeypatch):
    """Keep tests/unit quick: they start no program, and run nothing by Luigi."""
    is_slow = request.node.get_closest_marker("slow") is not None  # the gate alone runs it
    if request.path.parent.name != "unit" or request.path.stem in MAY_START or is_slow:
        return
    start, ours = subprocess.Popen.__init__, os.path.dirname(sys.executable)
    refused = "a test of functions starts a program, or Luigi; move it to tests/run"

    def start_others(self, args, *rest, **further):
        """Start what libraries ask for when they are imported, such as `uname` and `lscpu`."""
        program = args if isinstance(args, str | bytes | os.PathLike) else args[0]
        name = os.path.basename(os.fsdecode(program))
        if name in {"bash", "sh"} or os.path.dirname(os.fsdecode(program)) == ours:
            pytest.fail(refused)
        start(self, args, *rest, **further)

    monkeypatch.setattr(subprocess.Popen, "__init__", start_others)
    monkeypatch.setattr(luigi.worker.Worker, "run", lambda _: pytest.fail(refused))


@pytest.fixture(autouse=True)
def forget():
    """Let each test begin as a process of its own would."""
    SESSION.reset()
    # Luigi sets up its log once, for the error stream of that test, which is closed by now.
    for handler in logging.getLogger("luigi-interface").handlers:
        if type(handler) is logging.StreamHandler:
            handler.stream = sys.stderr


@pytest.fixture
def make_study(tmp_path, monkeypatch):
    """Make studies in their own folders; the last one made is the working directory."""

    made = []

    def make(name: str = "study") -> Study:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        monkeypatch.chdir(folder)
        made.append(Study(folder))
        return made[-1]

    yield make
    for folder in (folder for study in made for folder in study.cleanup):
        shutil.rmtree(folder)


@pytest.fixture
def study(make_study):
    """A valid study, as the working directory."""
    return make_study()


@pytest.fixture
def deadline():
    """Stop a test that hangs, such as on a pipe."""

    def stop(*_):
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session")
def other_user():
    """Another user of this machine, where the tests are run by root."""
    # The folders of pytest are those of one user.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield OtherUser(Path(name))
