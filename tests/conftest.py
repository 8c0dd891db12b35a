"""Fixtures of all tests."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from other_user import OtherUser
from study import Study


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
