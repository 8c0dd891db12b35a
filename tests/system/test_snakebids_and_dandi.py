"""What workflows of snakebids and the archive DANDI make of a packaged dataset.

These tests need the extra `consumers`, which cannot be installed beside the extra `images`:

    python -m pytest -m consumers tests/system/test_snakebids_and_dandi.py
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from workspace import Workspace

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.prepare import prepare_run

pytestmark = [
    pytest.mark.consumers,
    pytest.mark.filterwarnings("ignore"),  # pybids, snakemake and dandi have many
]

# The inputs of SPIMquant 0.3 (spimquant/config/snakebids.yml).
SPIMQUANT = {
    "spim": {
        "filters": {"suffix": "SPIM", "extension": ["ome.zarr", "ims"], "sample": "brain"},
        "wildcards": ["subject", "session", "sample", "acquisition", "staining"],
    }
}
MIXTURES = {"dataset.mixed-formats", "dataset.mixed-entities", "dataset.mixed-runs"}

Rows = dict[str, dict[str, str]]


def rows_of(*sources: str, **shared: str) -> Rows:
    numbered = enumerate(sources, start=1)
    return {source: {"subject": f"{number:02}", **shared} for number, source in numbered}


ALL_ENTITIES = {"session": "1", "acquisition": "4x", "stain": "Abeta"}
ZARR = ("a.ome.zarr", "b.ome.zarr", "c.ome.zarr")
ONE_WITHOUT_SESSION = rows_of(*ZARR, session="1") | rows_of("a.ome.zarr")
ONE_WITH_STAIN = rows_of(*ZARR) | rows_of("a.ome.zarr", stain="Abeta")
OTHER_RUNS = rows_of(*ZARR, run="1") | rows_of("a.ome.zarr", run="2")
OTHER_CHUNKS = rows_of(*ZARR, chunk="1") | rows_of("a.ome.zarr", chunk="2")
OTHER_SAMPLE = rows_of(*ZARR) | rows_of("a.ims", sample="spleen", session="1")
OTHER_SESSIONS = rows_of(*ZARR, session="1") | rows_of("a.ome.zarr", session="2")


def package(root: Path, rows: Rows, backend: str = "symlink") -> Workspace:
    workspace = Workspace(root)
    for source, cells in rows.items():
        workspace.add_row(source, **cells)
    assert workspace.run(backend=backend).exit_code == ExitCode.OK
    return workspace


def entities_found(dataset: Path) -> list[dict[str, str]]:
    from snakebids import generate_inputs

    component = generate_inputs(bids_dir=dataset, pybids_inputs=SPIMQUANT)["spim"]
    images = {str(path) for path in dataset.rglob("*_SPIM.*") if path.suffix != ".json"}
    assert set(component.expand()) == images
    columns = component.zip_lists
    found = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return sorted(found, key=lambda entities: entities["subject"])


@pytest.mark.parametrize("backend", ["symlink", "symlink-tree"])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(rows_of(*ZARR), id="a20-zarr"),
        pytest.param(rows_of("a.ims", "b.ims"), id="a20-ims"),
        pytest.param(rows_of(*ZARR, **ALL_ENTITIES), id="a20-zarr-all-entities"),
        pytest.param(rows_of("a.ims", "b.ims", **ALL_ENTITIES), id="a20-ims-all-entities"),
        pytest.param(OTHER_SESSIONS, id="a20-sessions-that-differ"),
    ],
)
def test_spimquant_finds_all_images(tmp_path: Path, rows: Rows, backend: str) -> None:
    workspace = package(tmp_path, rows, backend)
    assert not warned_of(workspace)
    short = {"acquisition": "acq"}
    assert entities_found(workspace.out) == [
        {"sample": "brain"} | {short.get(name, name): label for name, label in cells.items()}
        for cells in rows.values()
    ]


def warned_of(workspace: Workspace) -> set[str]:
    options = replace(workspace.options(), consumers=("spimquant",))
    return MIXTURES & {problem.code for problem in prepare_run(options).report.problems}


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        pytest.param(rows_of("a.ome.zarr", "b.ims"), "dataset.mixed-formats", id="a20-formats"),
        pytest.param(ONE_WITHOUT_SESSION, "dataset.mixed-entities", id="a20-sessions"),
        pytest.param(ONE_WITH_STAIN, "dataset.mixed-entities", id="a20-stains"),
        pytest.param(OTHER_RUNS, "dataset.mixed-runs", id="a20-runs"),
        pytest.param(OTHER_CHUNKS, "dataset.mixed-runs", id="a20-chunks"),
    ],
)
def test_spimquant_stops_where_we_warn(tmp_path: Path, rows: Rows, code: str) -> None:
    from snakebids.exceptions import ConfigError

    workspace = package(tmp_path, rows)
    assert warned_of(workspace) == {code}
    with pytest.raises(ConfigError, match="Multiple path templates"):
        entities_found(workspace.out)


def test_a20_images_of_other_samples_are_left_out(tmp_path: Path) -> None:
    from snakebids import generate_inputs

    workspace = package(tmp_path, OTHER_SAMPLE)
    assert not warned_of(workspace)
    component = generate_inputs(bids_dir=workspace.out, pybids_inputs=SPIMQUANT)["spim"]
    assert sorted(component.zip_lists["subject"]) == ["01", "02", "03"]


def assets_of_dandi(dataset: Path) -> dict[str, str]:
    """Return the class that DANDI gives to each image it finds, by file name."""
    from dandi.files import find_dandi_files

    found = find_dandi_files(dataset, dandiset_path=dataset, allow_all=True)
    return {
        file.filepath.name: type(file).__name__
        for file in found
        if "_SPIM." in file.filepath.name and file.filepath.suffix != ".json"
    }


@pytest.mark.parametrize(
    ("backend", "zarr", "said"),
    [
        pytest.param("symlink-tree", ["ZarrBIDSAsset"], "", id="a22-symlink-tree"),
        pytest.param("copy", ["ZarrBIDSAsset"], "", id="a22-copy"),
        pytest.param("hardlink", ["ZarrBIDSAsset"], "", id="a22-hardlink"),
        pytest.param("symlink", [], "Ignoring unsupported symbolic link", id="a22-symlink"),
    ],
)
def test_dandi_takes_real_directories_only(
    tmp_path: Path, backend: str, zarr: list[str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = package(tmp_path, rows_of("a.ome.zarr", "b.ims"), backend)
    logging.getLogger("dandi").propagate = True
    found = assets_of_dandi(workspace.out)
    assert found.pop("sub-02_sample-brain_SPIM.ims") == "GenericBIDSAsset"
    assert list(found.values()) == zarr
    assert ("Ignoring" in caplog.text) == bool(said)
    assert said in caplog.text


def dandi_validate(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("dandi")
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [program, "validate", folder],
        env=os.environ | {"DANDI_NO_ET": "1", "PATH": path, "HOME": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("backend", ["symlink-tree"], ids=["a31-dandiset"])
def test_dandi_validates_a_dandiset(tmp_path: Path, backend: str) -> None:
    workspace = package(tmp_path, rows_of("a.ome.zarr", "b.ome.zarr"), backend)
    (tmp_path / "dandiset").mkdir()
    place = tmp_path / "dandiset" / "bids"
    workspace.out.rename(place)
    (place.parent / "dandiset.yaml").write_text("identifier: DANDI:000000\nname: Test\n")
    done = dandi_validate(place.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    sidecar = next(place.rglob("*_SPIM.json"))
    sidecar.write_text('{"PixelSize": "1.8", "PixelSizeUnits": "um"}')
    assert dandi_validate(place.parent).returncode == 1
