"""Photos of samples: a table of their own, and the images they belong to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workspace import Workspace, write_table

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.validation.bids_validator import run_bids_validator

MICR = "sub-01/ses-1/micr"
IMAGES = {
    "4x": f"bids::{MICR}/sub-01_ses-1_sample-brain_acq-4x_SPIM.ome.zarr",
    "10x": f"bids::{MICR}/sub-01_ses-1_sample-brain_acq-10x_SPIM.ims",
    "spleen": f"bids::{MICR}/sub-01_ses-1_sample-spleen_SPIM.ome.tif",
}
BEGINNINGS = {".png": b"\x89PNG\r\n\x1a\n", ".tiff": b"II*\x00"}
BRAIN = {"subject": "01", "session": "1", "sample": "brain"}


def study_of(root: Path, *photos: dict[str, str]) -> Workspace:
    """Return three images of two samples, and a table of photos."""
    workspace = Workspace(root)
    workspace.add_row("a.ome.zarr", **BRAIN, acquisition="4x")
    workspace.add_row("b.ims", **BRAIN, acquisition="10x")
    workspace.add_row("c.ome.tif", **BRAIN | {"sample": "spleen"})
    for photo in photos:
        path = root / photo["photo_path"]
        path.write_bytes(BEGINNINGS.get(path.suffix, b"\xff\xd8\xff") + bytes(20))
    write_table(root / "photos.tsv", list(photos))
    return workspace


def sidecars(workspace: Workspace) -> dict[str, dict]:
    paths = workspace.out.rglob("*_photo.json")
    return {str(path.relative_to(workspace.out)): json.loads(path.read_text()) for path in paths}


@pytest.mark.parametrize(
    ("cells", "name", "images"),
    [
        pytest.param({"photo_path": "raw/p.jpg"}, "brain_photo.jpg", ["4x", "10x"], id="jpg"),
        pytest.param({"photo_path": "raw/p.JPEG"}, "brain_photo.jpg", ["4x", "10x"], id="jpeg"),
        pytest.param({"photo_path": "raw/p.png"}, "brain_photo.png", ["4x", "10x"], id="png"),
        pytest.param({"photo_path": "raw/p.tiff"}, "brain_photo.tif", ["4x", "10x"], id="tiff"),
        pytest.param({"acq": "10x"}, "brain_acq-10x_photo.jpg", ["10x"], id="of-an-acquisition"),
        pytest.param(
            {"IntendedFor": "sub-01_ses-1_sample-brain_acq-4x_SPIM.ome.zarr"},
            "brain_photo.jpg",
            ["4x"],
            id="named",
        ),
        pytest.param(
            {"IntendedFor": f"{IMAGES['4x']};micr/sub-01_ses-1_sample-spleen_SPIM.ome.tif"},
            "brain_photo.jpg",
            ["4x", "spleen"],
            id="named-as-uri-and-path",
        ),
        pytest.param(
            {"sample": "spleen", "Camera": "Phone"}, "spleen_photo.jpg", ["spleen"], id="more"
        ),
    ],
)
def test_a33_a_photo_belongs_to_images(
    tmp_path: Path, cells: dict[str, str], name: str, images: list[str]
) -> None:
    workspace = study_of(tmp_path, {**BRAIN, "photo_path": "raw/p.jpg"} | cells)
    assert workspace.run().counts["new"] == 4
    stem, _, _ = name.partition(".")
    (path, sidecar), *others = sidecars(workspace).items()
    assert not others
    assert path == f"{MICR}/sub-01_ses-1_sample-{stem}.json"
    assert sorted(sidecar.pop("IntendedFor")) == sorted(IMAGES[image] for image in images)
    assert sidecar == {key: cells[key] for key in cells if key == "Camera"}
    assert (workspace.out / MICR / f"sub-01_ses-1_sample-{name}").is_symlink()
    assert not run_bids_validator(workspace.out).errors


@pytest.mark.few(4)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("workers", [1, 2])
def test_photos_are_packaged_again_changed_and_removed_like_images(
    tmp_path: Path, backend: str, workers: int
) -> None:
    photos = [
        {**BRAIN, "photo_path": "raw/p.jpg"},
        {**BRAIN, "acq": "4x", "photo_path": "raw/q.png"},
    ]
    workspace = study_of(tmp_path, *photos)
    assert workspace.run(workers, backend=backend).exit_code == ExitCode.OK
    before = workspace.stamps()
    assert workspace.run(workers, backend=backend).counts["unchanged"] == 5
    assert workspace.stamps() == before
    write_table(tmp_path / "photos.tsv", photos[:1])
    assert workspace.run(workers, backend=backend).exit_code == ExitCode.OK
    assert {path for path in before if "acq-4x_photo" in path} == before.keys() - workspace.stamps()
    assert list(sidecars(workspace)) == [f"{MICR}/sub-01_ses-1_sample-brain_photo.json"]


def test_a_sample_that_only_a_photo_shows_is_in_the_table(tmp_path: Path) -> None:
    workspace = study_of(tmp_path, {"subject": "02", "sample": "liver", "photo_path": "raw/p.jpg"})
    workspace.run()
    assert "sample-liver\tsub-02\ttissue\n" in (workspace.out / "samples.tsv").read_text()
    assert list(sidecars(workspace).values()) == [{}]
    assert not run_bids_validator(workspace.out).errors
