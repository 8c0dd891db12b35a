"""A sidecar names the version that converted its image, also after this program was updated."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from workspace import Workspace, small_workspace

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.state.session import SESSION

BACKENDS = ("ome-zarr:convert=all", "ome-tiff:convert=all")


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return small_workspace(tmp_path)


@pytest.fixture
def update(monkeypatch):
    """Become another version of this program."""

    def become(version: str) -> None:
        ours = [each for name, each in sys.modules.items() if name.startswith("spimpack_tasks")]
        for module in ours:
            if hasattr(module, "__version__"):
                monkeypatch.setattr(module, "__version__", version)
        SESSION.reset()

    return become


def told(space: Workspace) -> dict[str, str]:
    """Return the version that each sidecar names, by the subject."""
    found = {}
    for path in sorted(space.out.glob("sub-*/micr/*.json")):
        found[path.name[:6]] = json.loads(path.read_text())["ConvertedFrom"]["SoftwareVersion"]
    return found


def images(space: Workspace) -> dict[str, tuple[int, int]]:
    """Return inode and time of each image."""
    found = [*space.out.glob("sub-*/micr/*.ome.zarr"), *space.out.glob("sub-*/micr/*.ome.tif")]
    return {path.name[:6]: (os.stat(path).st_ino, os.stat(path).st_mtime_ns) for path in found}


def remove(space: Workspace) -> None:
    (image,) = (p for p in space.out.glob("sub-01/micr/*.ome.*"))
    shutil.rmtree(image) if image.is_dir() else image.unlink()


def edit(space: Workspace) -> None:
    space.rows[0]["sample_staining"] = "YoPro;NeuN"


def touch(space: Workspace) -> None:
    os.utime(space.root / "raw/a.ims", (1, 1))


def note(space: Workspace) -> None:
    space.rows[0]["Species"] = "rat"


CHANGES = {
    "nothing": (lambda _: None, "1.0.0"),
    "another value of the sidecar": (note, "1.0.0"),
    "a value that is in the image": (edit, "2.0.0"),
    "the source": (touch, "2.0.0"),
    "the image is gone": (remove, "2.0.0"),
}
"""What happens between two runs by two versions, and the version that is told of this image."""


@pytest.mark.few(5)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_version_is_that_of_the_conversion(space, update, backend, change, workers):
    update("1.0.0")
    options = {"backend": backend}
    assert space.run(**options).exit_code == ExitCode.OK
    assert told(space) == dict.fromkeys(["sub-01", "sub-02", "sub-03"], "1.0.0")
    before = images(space)
    happen, expected = CHANGES[change]
    happen(space)
    update("2.0.0")
    assert space.run(workers, **options).exit_code == ExitCode.OK
    assert told(space) == {"sub-01": expected, "sub-02": "1.0.0", "sub-03": "1.0.0"}
    after = images(space)
    assert {key for key in after if after[key] == before[key]} == {
        key for key, version in told(space).items() if version == "1.0.0"
    }
    written = space.stamps()
    SESSION.reset()
    assert space.run(workers, **options).exit_code == ExitCode.OK
    assert space.stamps() == written
    # A version that made nothing of the dataset comes to the same.
    update("3.0.0")
    assert space.run(workers, **options).exit_code == ExitCode.OK
    assert told(space) == {"sub-01": expected, "sub-02": "1.0.0", "sub-03": "1.0.0"}
    assert images(space) == after


def test_a_moved_dataset_tells_the_same(space, update):
    update("1.0.0")
    options = {"backend": "ome-tiff:convert=all"}
    space.run(**options)
    update("2.0.0")
    shutil.copytree(space.out, space.root / "copy", symlinks=True)
    shutil.rmtree(space.out)
    (space.root / "copy").rename(space.out)
    assert space.run(**options).exit_code == ExitCode.OK
    assert set(told(space).values()) == {"1.0.0"}


def test_links_name_no_version(space, update):
    update("1.0.0")
    space.run(backend="symlink")
    before = {path: stamp for path, stamp in space.stamps().items() if path.startswith("sub-")}
    update("2.0.0")
    space.run(backend="symlink")
    after = {path: stamp for path, stamp in space.stamps().items() if path.startswith("sub-")}
    assert after == before
