"""Users without a home: batch systems and containers run programs so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from other_user import UID, OtherUser
from workspace import Workspace

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")

NOBODY_KNOWS = 54321
"""A user of whom the machine has no entry, and so no home."""
CACHES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DENO_DIR", "MPLCONFIGDIR")
CONFIGS = ("PYBIDS_CONFIG", "LUIGI_CONFIG_PATH")


class Place:
    """A study of the other user, and folders that the user may not use."""

    def __init__(self, user: OtherUser, name: str) -> None:
        folder = user.folder / name
        self.study = Workspace(folder / "study")
        self.study.add_row("a.ims", subject="01")
        self.study.add_row("b.ome.tif", subject="02")
        self.study.write()
        self.closed = folder / "closed"
        self.closed.mkdir(mode=0o700)
        (self.closed / "pybids_config.json").write_text("{}")
        self.read_only = folder / "read-only"
        self.read_only.mkdir(mode=0o755)
        self.broken = folder / "broken"
        self.broken.mkdir(mode=0o755)
        (self.broken / "pybids_config.json").write_text("no JSON")


CASES = {
    "e9-closed": lambda p: (p.read_only, UID, {"HOME": str(p.closed)}),
    "e9-unset": lambda p: (p.read_only, UID, {}),
    "e9-empty": lambda p: (p.read_only, UID, {"HOME": ""}),
    "e9-gone": lambda p: (p.read_only, UID, {"HOME": "/nowhere/at/all"}),
    "e9-read-only": lambda p: (p.read_only, UID, {"HOME": str(p.read_only)}),
    "e9-broken": lambda p: (p.read_only, UID, {"HOME": str(p.broken)}),
    "e9-no-entry": lambda p: (p.read_only, NOBODY_KNOWS, {}),
    "e9-closed-cwd": lambda p: (p.closed, UID, {"HOME": str(p.closed)}),
    "e9-broken-cwd": lambda p: (p.broken, UID, {"HOME": str(p.read_only)}),
    "e9-closed-caches": lambda p: (
        p.read_only,
        UID,
        {"HOME": str(p.closed), **{n: str(p.closed / n) for n in (*CACHES, *CONFIGS)}},
    ),
}
QUICK = {"e9-closed", "e9-no-entry"}


@pytest.fixture
def place(other_user: OtherUser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A study that every user may write to."""
    made = Place(other_user, tmp_path.name)
    folder = made.study.root
    uid = NOBODY_KNOWS if "no-entry" in request.node.name else UID
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, UID)
    return made


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name, case in CASES.items()
    ],
)
def test_packaging(case, place: Place, other_user: OtherUser) -> None:
    cwd, uid, environment = case(place)
    out = place.study.out
    where = ["--manifest", str(place.study.manifest), "--output-dir", str(out)]
    command = "luigi --module spimpack_tasks PackageDataset --local-scheduler --workers 2"
    done = other_user.run(*command.split(), *where, cwd=cwd, uid=uid, **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (out / "sub-01/micr/sub-01_sample-brain_SPIM.ims").is_symlink()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_command(case, place: Place, other_user: OtherUser) -> None:
    cwd, uid, environment = case(place)
    study, out = place.study, place.study.out
    where = ["--manifest", str(study.manifest), "--output-dir", str(out)]
    source = str(study.root / "raw" / "a.ims")
    for command in (
        ["validate", *where[:2]],
        ["package", *where, "--backend", "ome-zarr"],
        ["plan", *where, "--backend", "ome-zarr"],
        ["status", *where, "--backend", "ome-zarr"],
        ["verify", str(out), "--pixels"],
        ["bids-validate", str(out)],
        ["report", str(out)],
        ["convert", source, str(study.root / "a.ome.zarr")],
        ["convert", source, str(study.root / "a.ome.tif")],
        ["qc", source, "--output", str(study.root / "a.html")],
        ["init", str(study.root / "new"), "--scan", str(study.root / "raw")],
    ):
        done = other_user.run("spimpack", *command, cwd=cwd, uid=uid, **environment)
        assert done.returncode == 0, (command, done.stderr + done.stdout)
        assert "Traceback" not in done.stderr
