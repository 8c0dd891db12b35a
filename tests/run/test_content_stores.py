"""Sources that lie under a digest, as DVC and git-annex keep them: only a link has the name.

Everything must be as with files that have their names: what is packaged and converted, what is
verified, and what is shown.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from markdown_blocks import environment_of_tests
from plane_sources import (
    compose_voxels,
    write_folder,
    write_nifti,
    write_pages,
    write_tif,
    write_zarr,
)
from tiny_images import write_tiny_image
from workspace import Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.manifest.headers import HEADERS_FILE
from spimpack_tasks.model.plan import Step
from spimpack_tasks.report.data import gather_data
from spimpack_tasks.report.thumbnails import make_thumbnails
from spimpack_tasks.state.store import Store
from spimpack_tasks.verification.pixels import verify_pixels
from spimpack_tasks.verification.verify import verify_fast

VOXELS = compose_voxels((1, 1, 4, 9, 12))
UNKNOWN = {"PixelSize": "0.5;2.6;4", "orientation_string_xyz": "RAS", "sample_staining": "YoPro"}


def write_planes(path: Path) -> None:
    write_folder(path, VOXELS, write_tif, "Z{z:03}.tif")


MAKERS = {
    "a.ims": (write_tiny_image, {}),
    "b.ozx": (write_tiny_image, {}),
    "c.ome.zarr.zip": (write_tiny_image, {}),
    "d.ome.zarr": (write_tiny_image, {}),
    "e.zarr": (lambda path: write_zarr(path, VOXELS), UNKNOWN),
    "f.ome.tif": (write_tiny_image, {}),
    "g.ome.btf": (write_tiny_image, {}),
    "h.tif": (lambda path: write_pages(path, VOXELS), UNKNOWN | {"axes": "ZYX"}),
    "i.nii": (lambda path: write_nifti(path, VOXELS), UNKNOWN),
    "j.nii.gz": (lambda path: write_nifti(path, VOXELS), UNKNOWN),
    "planes": (write_planes, UNKNOWN),
}
"""For each kind of source its writer, and cells of its row."""
FORMATS = {
    "a": "Imaris",
    "b": "zipped OME-Zarr",
    "c": "zipped OME-Zarr",
    "d": "OME-Zarr",
    "e": "OME-Zarr",
    "f": "OME-TIFF",
    "g": "OME-TIFF",
    "h": "TIFF",
    "i": "NIfTI",
    "j": "NIfTI",
    "planes": "folder of planes",
}
AS_THEY_ARE = ("symlink", "symlink-tree", "hardlink", "copy")
CONVERTING = ("ome-zarr", "ome-zarr:convert=all", "ome-tiff", "ome-tiff:convert=all")


def study(root: Path, backend: str, *, is_stored: bool) -> Workspace:
    """Return rows that name links; each leads to a file with its name, or to one of a store."""
    workspace = Workspace(root)
    (root / "raw").mkdir(parents=True)
    for number, (name, (write, cells)) in enumerate(MAKERS.items()):
        if name == "planes" and backend in AS_THEY_ARE:
            continue
        folder = root / "files" / f"{number:02}"
        folder.mkdir(parents=True)
        write(folder / name)
        real = folder / name
        if is_stored:
            real = real.rename(folder / "0a1b2c")
        (root / "raw" / name).symlink_to(os.path.relpath(real, root / "raw"))
        row = {"spim_path": f"raw/{name}", "subject": name.partition(".")[0], "sample": "brain"}
        shared = {"PixelSizeUnits": "um", "Species": "mouse"}
        own = {"PixelSize": "1.8;1.8;4", "orientation_string_xyz": "RPI"}
        workspace.rows.append({**row, **shared, **own, "sample_staining": "YoPro;Abeta", **cells})
    workspace.write()
    return workspace


def shape_of(workspace: Workspace) -> dict[str, str]:
    """Return each path of a dataset and what it is; of text files, what is in them."""
    found = {}
    for path, (kind, text) in workspace.tree().items():
        is_text = path.endswith((".json", ".tsv", ".md", ".bidsignore")) and "zarr/" not in path
        found[path] = text if is_text and kind == "file" else kind
    return found


@pytest.fixture(scope="module", params=[*AS_THEY_ARE, *CONVERTING])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Return a backend, and the datasets of a store and of files with names."""
    folder = tmp_path_factory.mktemp("pair")
    backend = request.param
    stored = study(folder / "stored", backend, is_stored=True)
    named = study(folder / "named", backend, is_stored=False)
    for workspace in (stored, named):
        assert workspace.run(backend=backend).exit_code == ExitCode.OK
    return backend, stored, named


def test_w1_the_dataset_is_the_same(pair) -> None:
    backend, stored, named = pair
    assert shape_of(stored) == shape_of(named)
    endings = {path.partition("_SPIM")[2] for path in stored.tree() if path.count("/") == 2}
    if backend in AS_THEY_ARE:
        assert {".ims", ".ozx", ".nii.gz"} <= endings
    else:
        made = ".ome.zarr" if backend.startswith("ome-zarr") else ".ome.tif"
        wanted = (
            {made} if backend.endswith("all") else {".ome.zarr", ".ome.tif", ".ome.btf", ".tif"}
        )
        assert endings == {".json", *wanted}
    (row,) = (row for row in stored.rows if row["subject"] == "a")
    assert Path(stored.root, row["spim_path"]).resolve().name == "0a1b2c"


def test_w1_it_is_as_recorded_and_as_its_sources(pair) -> None:
    _, stored, _ = pair
    store = Store(str(stored.out))
    assert list(verify_fast(store)) == []
    assert [d for d in verify_pixels(store, lambda _: None) if d.counts] == []


def test_w1_the_plan_carries_the_format_and_names_it_only_where_it_must(pair) -> None:
    _, stored, named = pair
    for workspace in (stored, named):
        store = Store(str(workspace.out))
        images = [
            output
            for output in store.load_plan(store.current_plan_id()).outputs
            if output.step is Step.ASSETS
        ]
        told = {o.asset.partition("_")[0].removeprefix("sub-"): o.format for o in images}
        assert told == {name: form for name, form in FORMATS.items() if name in told}
    names_of = [
        {
            output[8]
            for part in Path(workspace.out, ".spimpack", "plan").glob("*/*.json")
            for output in json.loads(part.read_text())["outputs"]
            if output[1] == "assets" and len(output) > 11
        }
        for workspace in (stored, named)
    ]
    # A choice in a source, such as of its axes, stands behind its format.
    assert {key.partition("_")[0] for key in names_of[1]} == {"sub-h"}
    files = {key for key in FORMATS if key not in {"d", "e", "planes"}}
    assert {key.partition("_")[0].removeprefix("sub-") for key in names_of[0]} == files


def test_w1_headers_are_read(pair) -> None:
    _, stored, _ = pair
    kept = json.loads((stored.out / ".spimpack" / HEADERS_FILE).read_text())["sources"]
    assert len(kept) == len(stored.rows)


def test_w1_thumbnails_are_drawn(pair) -> None:
    _, stored, _ = pair
    store = Store(str(stored.out))
    shown = list(make_thumbnails(store, gather_data(store)))
    assert len(shown) == len(stored.rows)
    assert [each.failure for each in shown if each.failure] == []


def test_w1_with_its_state_lost_nothing_is_made_again(pair) -> None:
    backend, stored, _ = pair
    before = stored.stamps()
    shutil.rmtree(stored.out / ".spimpack")
    assert stored.run(backend=backend).lines("out")[0].startswith("Nothing to do")
    assert stored.stamps() == before


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["symlink", "ome-zarr"])
def test_w1_luigi_with_two_workers(backend: str, tmp_path: Path) -> None:
    workspace = study(tmp_path / "stored", backend, is_stored=True)
    arguments = ["--manifest", "manifest.yml", "--output-dir", "out", "--backend", backend]
    command = ["luigi", "--module", "spimpack_tasks", "PackageDataset", "--local-scheduler"]
    done = subprocess.run(
        [*command, *arguments, "--previews", "--workers", "2"],
        cwd=workspace.root,
        env=environment_of_tests(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(workspace.out.glob("sub-*/micr/*_preview.png"))) == len(workspace.rows)
    ending = ".ims" if backend == "symlink" else ".ome.zarr"
    assert list(workspace.out.glob(f"sub-a/micr/*_SPIM{ending}"))


@pytest.mark.few(8)
@pytest.mark.parametrize("target", ["made.ome.zarr", "made.ome.tif"])
@pytest.mark.parametrize("name", MAKERS)
def test_w1_an_image_by_itself_is_converted_and_verified(
    name: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "store").mkdir()
    MAKERS[name][0](tmp_path / "store" / name)
    (tmp_path / "store" / name).rename(tmp_path / "store" / "0a1b2c")
    link = tmp_path / "raw" / name
    link.symlink_to("../store/0a1b2c")
    axes = ["--source-axes", "ZYX"] if name == "h.tif" else []
    assert main(["convert", str(link), str(tmp_path / target), "--verify", *axes]) == ExitCode.OK
    assert "is equal to its source" in capsys.readouterr().out
    assert main(["qc", str(link), "--output", str(tmp_path / "page.html")]) == ExitCode.OK


def test_w1_two_names_of_one_file_are_two_formats(tmp_path: Path) -> None:
    """The header of one must not be taken for that of the other."""
    workspace = Workspace(tmp_path)
    (tmp_path / "raw").mkdir()
    write_tiny_image(tmp_path / "raw" / "a.ome.tif").rename(tmp_path / "raw" / "0a1b2c")
    cells = {"sample": "brain", "Species": "mouse", "PixelSize": "1.8;1.8;4"}
    cells |= {"PixelSizeUnits": "um", "orientation_string_xyz": "RPI"}
    cells["sample_staining"] = "YoPro;Abeta"
    for subject, name in (("01", "a.ome.tif"), ("02", "a.tif")):
        (tmp_path / "raw" / name).symlink_to("0a1b2c")
        workspace.rows.append({"spim_path": f"raw/{name}", "subject": subject, **cells})
    assert workspace.run().exit_code == ExitCode.OK
    kept = json.loads((workspace.out / ".spimpack" / HEADERS_FILE).read_text())["sources"]
    assert len(kept) == 2


def test_w1_a_folder_is_scanned(tmp_path: Path) -> None:
    workspace = study(tmp_path / "stored", "ome-zarr", is_stored=True)
    inputs = tmp_path / "inputs"
    command = ["init", str(inputs), "--scan", str(workspace.root / "raw")]
    assert main([*command, "--pattern", "{subject}.*", "--set", "sample=brain"]) == ExitCode.OK
    table = (inputs / "scans.tsv").read_text()
    assert all(name in table for name in MAKERS if name != "planes")


def test_w1_photos_are_packaged(tmp_path: Path) -> None:
    from PIL import Image

    workspace = Workspace(tmp_path)
    workspace.add_row("a.ims", subject="01", Species="mouse")
    workspace.write()
    photos = {"p.jpg": "JPEG", "q.png": "PNG"}
    for name, form in photos.items():
        Image.new("RGB", (4, 4)).save(tmp_path / f"{form}-0a1b", form)
        (tmp_path / name).symlink_to(f"{form}-0a1b")
    lines = ["photo_path\tsubject\tsample\tacquisition"]
    lines += [f"{name}\t01\tbrain\t{form}" for name, form in photos.items()]
    (tmp_path / "photos.tsv").write_text("\n".join([*lines, ""]))
    data = json.loads(workspace.manifest.read_text()) | {"photos_tsv": "photos.tsv"}
    workspace.manifest.write_text(json.dumps(data))
    where = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
    assert main(["package", *where, "--backend", "ome-zarr"]) == ExitCode.OK
    assert {path.suffix for path in workspace.out.glob("sub-01/micr/*_photo.*")} >= {".jpg", ".png"}
    shutil.rmtree(workspace.out / ".spimpack")
    assert main(["package", *where, "--backend", "ome-zarr"]) == ExitCode.OK
