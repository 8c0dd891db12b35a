"""The user's sources are sacred: read at most, whatever the backend and whoever interferes."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from children import start, wait
from workspace import AS_THEY_ARE, Workspace, change_backend, small_workspace, tree_of

from spimpack_tasks.errors import ConflictError, ExitCode, InputError
from spimpack_tasks.packaging.backends.registry import BACKENDS

READ_ONLY_EVENTS = {"os.listdir", "os.scandir"}
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def stat_all(root: Path) -> dict[str, tuple[int, ...]]:
    found = {}
    for path in [root, *root.rglob("*")]:
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_sources_are_never_opened_for_writing(backend: str, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    raw = workspace.root / "raw"
    before, tree = stat_all(raw), tree_of(raw)
    touched: list[str] = []

    def watch(event: str, args: tuple[object, ...]) -> None:
        paths = [str(a) for a in args if isinstance(a, str) and a.startswith(str(raw))]
        if not paths or not (event == "open" or event.startswith(("os.", "shutil."))):
            return
        if event == "open":
            flags = args[2]
            harmless = isinstance(flags, int) and not flags & CHANGING
        else:
            # A link or a second name is made from the source, in its first argument.
            makes_link = event in {"os.symlink", "os.link"} and args[0] in paths
            harmless = event in READ_ONLY_EVENTS or makes_link
        if not harmless:
            touched.append(f"{event} {args}")

    def action() -> int:
        sys.addaudithook(watch)
        workspace.run(backend=backend)
        workspace.rows[0]["subject"] = "09"
        workspace.participants[0]["participant_id"] = "09"
        workspace.run(backend=backend, overwrite=True)
        if touched:
            raise AssertionError("\n".join(touched))
        return 0

    log = tmp_path / "log"
    assert wait(start(action, str(log))) == 0, log.read_text()
    if backend != "hardlink":  # a second name shows in the inode, but not in what is compared here
        assert stat_all(raw) == before
    assert tree_of(raw) == tree


@pytest.mark.slow
def test_a_link_that_is_swapped_in_leads_no_write_outside(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ims", subject="01")
    workspace.rows = [workspace.rows[0] | {"acquisition": f"{n:03}"} for n in range(300)]
    outside = tmp_path / "outside"
    outside.mkdir()
    victim, aside = workspace.out / "sub-01", workspace.out / "aside"
    stop = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not stop.is_set():
            with suppress(OSError):
                victim.rename(aside)
                victim.symlink_to(outside)
                swaps += 1
            with suppress(OSError):
                if victim.is_symlink():
                    victim.unlink()
                aside.rename(victim)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(3):
            with suppress(ConflictError):
                workspace.run()
            shutil.rmtree(workspace.out / ".spimpack", ignore_errors=True)
    finally:
        stop.set()
        thread.join()
    assert swaps > 0
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("backend", AS_THEY_ARE)
def test_a_source_that_changes_while_packaging_is_reported(
    backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    workspace = small_workspace(tmp_path)
    source = workspace.root / "raw" / "a.ims"
    name = "resume" if BACKENDS[backend].is_slow else "make"
    make = getattr(BACKENDS[backend], name)

    def change_meanwhile(*arguments: Any) -> None:
        make(*arguments)
        os.utime(source, ns=(1, 1))

    change_backend(monkeypatch, backend, **{name: change_meanwhile})
    assert workspace.run(backend=backend).exit_code == ExitCode.FAILED
    assert "acq-4x_SPIM.ims: its source changed while it was packaged" in caplog.text
    assert not list(workspace.out.rglob("*.ims"))
    assert len(list(workspace.out.rglob("*SPIM.ome.*"))) == 2
    assert workspace.run(backend=backend).exit_code == ExitCode.OK


def test_a_source_that_vanished_is_reported(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    before = workspace.stamps()
    source = workspace.root / "raw" / "a.ims"
    source.unlink()
    with pytest.raises(InputError, match=r"source\.missing"):
        workspace.run()
    assert workspace.stamps() == before
    source.write_bytes(b"\x89HDF\r\n\x1a\nback")
    assert workspace.run().exit_code == ExitCode.OK
