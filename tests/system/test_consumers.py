"""The tools that read BIDS agree with what was packaged, for every format and backend."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from workspace import Workspace

from spimpack_tasks.demo.images import (
    DemoImage,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.validation.bids_validator import run_bids_validator

ENTITIES = {
    "session": "1",
    "sample": "brain",
    "acquisition": "4x",
    "staining": "both",
    "run": "1",
    "chunk": "01",
    "datatype": "micr",
}
IMAGE = DemoImage(("YoPro", "Abeta"), (4, 16, 16), (4.0, 1.8, 1.8), levels=1)

# File name of each source, and the extension it has in the dataset.
FORMATS = {
    "a.ome.zarr": ".ome.zarr",
    "b.zarr": ".ome.zarr",
    "c.ome.tif": ".ome.tif",
    "d.ome.tiff": ".ome.tif",
    "e.big.ome.tif": ".ome.btf",
    "f.tif": ".tif",
    "g.ims": ".ims",
    "h.ozx": ".ozx",
    "i.ome.zarr.zip": ".ome.zarr.zip",
    "j.nii.gz": ".nii.gz",
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats") / "raw"
    folder.mkdir()
    write_ome_zarr(folder / "a.ome.zarr", IMAGE, ngff="0.4")
    write_ome_zarr(folder / "b.zarr", IMAGE, ngff="0.5")
    write_ome_tiff(folder / "c.ome.tif", IMAGE)
    write_ome_tiff(folder / "e.big.ome.tif", IMAGE, bigtiff=True)
    write_imaris(folder / "g.ims", IMAGE)
    write_ozx(folder / "h.ozx", IMAGE)
    shutil.copy(folder / "c.ome.tif", folder / "d.ome.tiff")
    shutil.copy(folder / "c.ome.tif", folder / "f.tif")
    shutil.copy(folder / "h.ozx", folder / "i.ome.zarr.zip")
    nifti = nibabel.Nifti1Image(np.zeros((4, 5, 6), "int16"), np.diag([0.0018, 0.0018, 0.004, 1]))
    nifti.header.set_xyzt_units("mm")
    nifti.to_filename(folder / "j.nii.gz")
    return folder


def package_formats(sources: Path, backend: str) -> Workspace:
    workspace = Workspace(sources.parent)
    for number, name in enumerate(FORMATS):
        workspace.rows.append(
            {
                "spim_path": f"raw/{name}",
                "subject": f"{number:02}",
                "session": "1",
                "sample": "brain",
                "acquisition": "4x",
                "stain": "both",
                "run": "1",
                "chunk": "01",
                "orientation_string_xyz": "RPI",
                "sample_staining": "YoPro;Abeta",
                "PixelSize": "1.8;1.8;4",
                "PixelSizeUnits": "um",
                "acq_time": "2026-03-01T10:00:00",
            }
        )
    workspace.participants = [
        {"participant_id": row["subject"], "age": "0.4", "sex": "F", "genotype": "wt"}
        for row in workspace.rows
    ]
    shutil.rmtree(workspace.out, ignore_errors=True)
    assert workspace.run(backend=backend).exit_code == ExitCode.OK
    return workspace


@pytest.mark.few(3)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_official_validator_finds_no_error(backend: str, sources: Path) -> None:
    workspace = package_formats(sources, backend)
    verdict = run_bids_validator(workspace.out)
    assert not verdict.errors


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pybids' own
def test_a30_pybids_lists_exactly_the_packaged_images(sources: Path) -> None:
    from bids import BIDSLayout

    workspace = package_formats(sources, "symlink")
    layout = BIDSLayout(workspace.out, validate=False)
    found = {
        (file.entities["subject"], file.entities["extension"]): file
        for file in layout.get(suffix="SPIM")
        if file.entities["extension"] != ".json"
    }
    wanted = {(f"{n:02}", extension) for n, extension in enumerate(FORMATS.values())}
    assert set(found) == wanted
    for file in found.values():
        entities = file.get_entities()
        shown = {name: str(entities[name]) for name in ENTITIES}
        assert shown == ENTITIES
        assert layout.get_metadata(file.path)["PixelSize"] == [1.8, 1.8, 4]


def test_a30_bids2table_lists_exactly_the_packaged_images(sources: Path) -> None:
    import bids2table

    workspace = package_formats(sources, "symlink-tree")
    table = bids2table.index_dataset(str(workspace.out)).to_pandas()
    images = table[(table["suffix"] == "SPIM") & (table["ext"] != ".json")]
    found = set(zip(images["sub"], images["ext"], strict=True))
    assert found == {(f"{n:02}", extension) for n, extension in enumerate(FORMATS.values())}
    assert set(images["sample"]) == {"brain"}
    assert set(images["stain"]) == {"both"}
