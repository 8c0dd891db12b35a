"""What writes a file aside and renames it leaves devices, pipes and sockets alone."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files.atomic import Durability, replacing, write_at
from spimpack_tasks.files.pages import write_page_at


def write_replacing(path: str) -> None:
    with replacing(path, Durability.WHOLE) as aside:
        aside.file.write(b"text")


WRITERS = {
    "write_at": lambda path: write_at(path, b"text"),
    "replacing": write_replacing,
    "write_page_at": lambda path: write_page_at(path, ["text"]),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_file_stays(tmp_path, monkeypatch, name, kind):
    monkeypatch.chdir(tmp_path)  # the path of a socket has 107 bytes at most
    path = tmp_path / "place"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("place")
    before = os.lstat(path)
    with pytest.raises(OSError, match="is a device, pipe or socket"):
        WRITERS[name](str(path))
    after = os.lstat(path)
    assert (after.st_ino, stat.S_IFMT(after.st_mode)) == (
        before.st_ino,
        stat.S_IFMT(before.st_mode),
    )
    assert os.listdir(tmp_path) == ["place"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_and_a_link_are_replaced(tmp_path, name):
    (tmp_path / "other").write_text("other")
    (tmp_path / "link").symlink_to("other")
    (tmp_path / "file").write_text("before")
    for place in ("link", "file"):
        WRITERS[name](str(tmp_path / place))
        assert (tmp_path / place).read_text().strip() == "text"
    assert (tmp_path / "other").read_text() == "other"


def test_a_plan_is_not_saved_in_place_of_a_pipe(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "manifest.yml").write_text(
        "dataset_description: {Name: x, BIDSVersion: '1.10.0', DatasetType: raw, License: CC0}\n"
        "datasets: []\n"
    )
    inputs = [str(tmp_path / "manifest.yml"), str(tmp_path / "out")]
    code = main(["plan", *inputs, "--save", str(tmp_path / "pipe")])
    assert code != ExitCode.OK
    assert stat.S_ISFIFO(os.lstat(tmp_path / "pipe").st_mode)
    capsys.readouterr()
