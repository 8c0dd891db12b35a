"""Sources for tests/run/test_goldens.py: equal bytes at each call, and no code of the package.

Tables come from here as well. Times of files are set by tests/support/goldens.py.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from imaris_variants import Variant, write_variant
from ome_sets import Xml, in_order, stack, write, write_micro_manager
from plane_sources import compose_voxels, write_folder, write_nifti, write_tif
from zarr_layouts import write_store

ZIP_TIME = (2026, 1, 2, 3, 4, 6)
DESCRIPTION = {
    "Name": "Goldens",
    "BIDSVersion": "1.10.0",
    "DatasetType": "raw",
    "License": "CC0",
    "Authors": ["A One", "B Two"],
}
SHARED = {
    "sample": "brain",
    "acquisition": "4x",
    "orientation_string_xyz": "RPI",
    "sample_staining": "YoPro;Abeta",
}
SIZES = {"PixelSize": "1.8;1.8;4", "PixelSizeUnits": "um"}
Cells = dict[str, str]


def write_plain_zarr(
    path: Path, channels: int = 2, spacing_um_zyx: tuple[float, ...] = (4.0, 1.8, 1.8)
) -> None:
    """Write an OME-Zarr 0.5 by hand: one level, one chunk, not compressed."""
    shape = [channels, 4, 8, 6]
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = {"type": "scale", "scale": [1.0, *spacing_um_zyx]}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset]}]}
    array = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    }
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    chunk = path / "0" / "c" / "0" / "0" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    (path / "zarr.json").write_text(json.dumps(group))
    (path / "0" / "zarr.json").write_text(json.dumps(array))
    chunk.write_bytes(np.arange(np.prod(shape), dtype="<u2").tobytes())


def write_zipped_zarr(path: Path) -> None:
    """Write the same in one zip, not compressed, with all times set."""
    folder = path.with_name(f"{path.name}.folder")
    write_plain_zarr(folder)
    names = sorted(
        (str(entry.relative_to(folder)) for entry in folder.rglob("*") if entry.is_file()),
        key=lambda name: (not name.endswith("zarr.json"), name.count("/"), name),
    )
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name, ZIP_TIME), (folder / name).read_bytes())
    for entry in sorted(folder.rglob("*"), reverse=True):
        entry.rmdir() if entry.is_dir() else entry.unlink()
    folder.rmdir()


def set_zip_times(data: bytes) -> bytes:
    """Return a zip of the same files with the time of ours."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, ZIP_TIME), old.read(name))
    return made.getvalue()


def write_ome_tif(path: Path, order: str = "XYZCT", seed: int = 0) -> None:
    voxels = stack(1, 2, 3, seed)
    write(path, in_order(voxels, order), Xml(voxels, order).text(path.name))


def write_imagej(path: Path) -> None:
    """Write a plain TIFF as ImageJ does: hyperstack of two channels."""
    import tifffile

    voxels = stack(1, 2, 3).transpose(0, 2, 1, 3, 4)
    tifffile.imwrite(path, voxels, imagej=True, metadata={"axes": "TZCYX"})


def write_planes(path: Path) -> None:
    write_folder(path, compose_voxels((1, 2, 5, 20, 17)), write_tif, "C{c}_Z{z:04}.tif")


def write_ims(path: Path, **changes: object) -> None:
    write_variant(path, Variant(**{"channels": 2} | changes))  # type: ignore[arg-type]


def write_set(path: Path) -> None:
    """Write an OME-TIFF in two files, the name of the first of which is `path`."""
    prefix = path.name.partition("_MMStack_")[0]
    write_micro_manager(path.parent, prefix, [stack(1, 2, 3), stack(1, 2, 3, 1)])


def write_nii(path: Path) -> None:
    write_nifti(path, compose_voxels((1, 2, 5, 20, 17)))


SOURCES = {
    ".ims": write_ims,
    "_MMStack_Pos0.ome.tif": write_set,
    "-v2.ome.zarr": lambda path: write_store(path, "v2"),
    "-sharded.ome.zarr": lambda path: write_store(path, "v3-sharded"),
    ".zarr": write_plain_zarr,
    ".ome.zarr.zip": write_zipped_zarr,
    ".ozx": write_zipped_zarr,
    ".ome.tif": write_ome_tif,
    ".tif": write_imagej,
    ".nii.gz": write_nii,
    ".nii": write_nii,
    "planes": write_planes,
}
"""How a source is made, by the first of these endings that its name has."""


def add_source(path: Path) -> None:
    """Make a source of the format that its name tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    next(make for ending, make in SOURCES.items() if path.name.endswith(ending))(path)


def write_table(path: Path, rows: list[Cells]) -> None:
    """Write a table whose columns are those of all rows."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines))


def write_manifest(root: Path, **changes: object) -> None:
    data = {"dataset_description": DESCRIPTION, "scans_tsv": "scans.tsv", **changes}
    (root / "manifest.yml").write_text(json.dumps(data, indent=1))


def make_study(root: Path, rows: list[Cells], **changes: object) -> None:
    """Make a manifest, its table and the sources that this names; `sub-01` is the first row."""
    rows = fill_rows(rows)
    for row in rows:
        if not (root / row["spim_path"]).exists():
            add_source(root / row["spim_path"])
    write_table(root / "scans.tsv", rows)
    write_manifest(root, **changes)


def fill_rows(rows: list[Cells]) -> list[Cells]:
    """Return rows with what all share, and a number for a subject, where they do not say it."""
    return [
        {"subject": f"{number:02}", **SHARED, **row} for number, row in enumerate(rows, start=1)
    ]


def rows_of(*names: str) -> list[Cells]:
    """Return a row for each source; those whose headers give no size give one."""
    silent = ("planes", "/t.tif")
    return [
        {"spim_path": f"raw/{name}", **(SIZES if f"/{name}".endswith(silent) else {})}
        for name in names
    ]
