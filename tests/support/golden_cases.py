"""The cases of tests/run/test_goldens.py: what is made, and the commands that are run on it."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from golden_sources import (
    DESCRIPTION,
    SHARED,
    SIZES,
    Cells,
    add_source,
    fill_rows,
    make_study,
    rows_of,
    set_zip_times,
    write_ims,
    write_manifest,
    write_nii,
    write_ome_tif,
    write_plain_zarr,
    write_table,
)
from goldens import Step, set_times
from plane_sources import compose_voxels, write_nifti
from spreadsheets import workbook

EXAMPLE = Path(__file__).parents[2] / "configs" / "example"
STUDY = ("--manifest", "manifest.yml", "--output-dir", "out")
JSON = ("--format", "json")


@dataclass(frozen=True)
class Case:
    """What is made, and what is done with it."""

    make: Callable[[Path], None]
    steps: tuple[Step, ...]
    is_slow: bool = False
    is_damaged: bool = False


def package(*more: str) -> tuple[str, ...]:
    return ("package", *STUDY, *more)


def reports(*more: str) -> tuple[Step, ...]:
    """Return the commands that tell of a study in JSON."""
    names = ("validate", "plan", "status")
    return tuple((name, *STUDY, *more, *JSON) for name in names)


VERIFY = ("verify", "out", *JSON)

MIXTURE = rows_of("a.ims", "b.ome.zarr", "c.ome.tif", "d.ozx", "e.nii.gz")
"""A source of each format that is converted, and two that BIDS holds."""
LINKED = rows_of("a.ims", "b.ome.zarr", "c.ome.tif")
ALL = rows_of(
    "a.ims",
    "b-v2.ome.zarr",
    "c-sharded.ome.zarr",
    "d.ome.zarr.zip",
    "e.nii",
    "f/planes",
    "g_MMStack_Pos0.ome.tif",
    "t.tif",
)


def study(rows: list[Cells], **changes: object) -> Callable[[Path], None]:
    """Return what makes a study of some rows."""
    return lambda root: make_study(root, rows, **changes)


def place_example(root: Path) -> None:
    """Place the example with images where its table has them."""
    for path in EXAMPLE.iterdir():
        shutil.copyfile(path, root / path.name)
    with (root / "scans.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        x, y, z = map(float, row["PixelSize"].split(";"))
        stains = row["sample_staining"].split(";")
        write_plain_zarr(root / row["spim_path"], len(stains), (z, y, x))


def place_entities(root: Path) -> None:
    """Place a derivative in which every entity stands, with participants and photos."""
    rows = [
        {**SHARED, "subject": subject, "session": "pre", **more}
        for subject, more in (
            ("01", {"stain": "Abeta", "chunk": "1", "spim_path": "raw/a.ome.zarr"}),
            ("01", {"stain": "Abeta", "chunk": "2", "spim_path": "raw/b.ome.zarr"}),
            ("01", {"run": "2", "desc": "stitched", "spim_path": "raw/c.ome.zarr"}),
            ("02", {"sample": "spleen", "Magnification": "4", "spim_path": "raw/d.ome.zarr"}),
        )
    ]
    rows[3] |= {"sample_type": "tissue", "acq_time": "2026-03-01T10:00:00", "notes": "good"}
    description = {"DatasetType": "derivative", "Keywords": ["mouse"], "Funding": ["F 1"]}
    make_study(
        root,
        rows,
        dataset_description=DESCRIPTION | description,
        participants_tsv="people.tsv",
        sidecar_defaults={"Manufacturer": "Example Optics"},
        sidecar_columns=["notes"],
    )
    people = [
        {"participant_id": "sub-01", "sex": "F", "age": "0.4", "genotype": "wt"},
        {"participant_id": "02", "sex": "", "age": "n/a", "genotype": "5xFAD"},
    ]
    write_table(root / "people.tsv", people)
    (root / "people.json").write_text(json.dumps({"genotype": {"Description": "Of the mouse."}}))
    beginnings = {"p.jpg": b"\xff\xd8\xff", "q.png": b"\x89PNG\r\n\x1a\n", "r.tif": b"II*\x00"}
    for name, data in beginnings.items():
        (root / "raw" / name).write_bytes(data + bytes(20))
    photo = {"subject": "01", "session": "pre", "sample": "brain", "acquisition": "4x"}
    photos = [
        {**photo, "photo_path": "raw/p.jpg", "Camera": "Phone"},
        {**photo, "acquisition": "", "photo_path": "raw/q.png"},
        {**photo, "subject": "02", "sample": "spleen", "photo_path": "raw/r.tif"},
    ]
    write_table(root / "photos.tsv", photos)


def place_workbook(root: Path) -> None:
    """Place a study whose table is an xlsx, with a date in it."""
    columns = ["subject", *SHARED, "spim_path", *SIZES, "acq_time", "Recorded", "Magnification"]
    rows: list[list[object]] = [columns]
    for subject, name in (("01", "a.ome.zarr"), ("02", "b.ome.zarr")):
        add_source(root / "raw" / name)
        more = ["2026-03-01T10:00:00", "date:46024", 4]
        rows.append([subject, *SHARED.values(), f"raw/{name}", *SIZES.values(), *more])
    (root / "scans.xlsx").write_bytes(set_zip_times(workbook(rows)))
    write_manifest(root, scans_tsv="scans.xlsx")


def place_inline(root: Path) -> None:
    """Place the older form: datasets_tsv with short names, images inline, and an include."""
    for name in ("raw/a.ims", "raw/b.ome.zarr", "sub/c.ome.tif"):
        add_source(root / name)
    short = {"sub": "02", "ses": "1", "acq": "4x", "dataset_id": "set1"}
    shared = {key: text for key, text in SHARED.items() if key != "acquisition"}
    write_table(root / "datasets.tsv", [{**short, **shared, "spim_path": "raw/b.ome.zarr"}])
    asset = {"subject": "01", **SHARED, "spim_path": "raw/a.ims", "metadata": {"Species": "mouse"}}
    write_manifest(
        root,
        scans_tsv=None,
        datasets_tsv="datasets.tsv",
        datasets=[{"dataset_id": "set0", "assets": [asset]}],
        include=["sub/manifest.yml"],
    )
    data = json.loads((root / "manifest.yml").read_text())
    del data["scans_tsv"]
    (root / "manifest.yml").write_text(json.dumps(data))
    rows = [{"subject": "03", **SHARED, "spim_path": "c.ome.tif"}]
    write_table(root / "sub" / "scans.tsv", rows)
    write_manifest(root / "sub")


def place_errors(root: Path) -> None:
    """Place a study with mistakes in cells, a missing source, and a column that means nothing."""
    rows = rows_of("a.ims", "b.ome.zarr", "c.ome.tif", "d.ome.zarr")
    make_study(root, rows)
    rows = fill_rows(rows)
    rows[0] |= {"orientation_string_xyz": "RRI", "PixelSize": "1.8;x;4"}
    rows[1] |= {"subject": "0-2", "sample_staining": "YoPro"}
    rows[2] |= {"spim_path": "raw/none.ome.tif", "colour": "red"}
    rows[3] |= {"session": "", "subject": ""}
    write_table(root / "scans.tsv", rows)


def edit_study(root: Path) -> None:
    """Change a cell, take a row away, and add another."""
    rows = fill_rows(MIXTURE)
    rows[0] |= {"orientation_string_xyz": "LPS"}
    rows[3] |= {"spim_path": "raw/f.ims", "subject": "06", "sample_staining": "a;b"}
    add_source(root / "raw" / "f.ims")
    write_table(root / "scans.tsv", rows)
    set_times(root, "raw", "scans.tsv")


def spoil_dataset(root: Path) -> None:
    """Change one voxel, one text and one link, and take one file away."""
    images = root / "out"
    chunk = next(path for path in sorted(images.rglob("c/*/*/*/*")) if path.is_file())
    data = bytearray(chunk.read_bytes())
    data[40] ^= 1
    chunk.write_bytes(data)
    (images / "samples.json").write_text("{}")
    (images / "participants.tsv").unlink(missing_ok=True)
    link = next(path for path in sorted(images.rglob("*")) if path.is_symlink())
    link.unlink()
    link.symlink_to("nowhere")
    next(images.rglob("*sub-02*_SPIM.json")).unlink()


def keep_pictures(root: Path) -> None:
    """Put digests of the pictures of a page in its place; its words are not frozen."""
    for page in sorted(root.rglob("*.html")):
        pictures = re.findall(r"data:image/[^\"')]+", page.read_text())
        lines = [f"{hashlib.sha256(picture.encode()).hexdigest()}\n" for picture in pictures]
        page.with_suffix(".pictures").write_text("".join(lines))
        page.unlink()


def keep_tables(root: Path) -> None:
    """Take manifests away, whose words are not frozen."""
    for path in root.glob("*/manifest.yml"):
        path.unlink()


def place_sources(root: Path) -> None:
    for row in ALL:
        add_source(root / row["spim_path"])


def place_scan(root: Path) -> None:
    for name in ("m01/exp_a/x.ims", "m01/exp_b/y.ome.tif", "m02/exp_a/z-v2.ome.zarr"):
        add_source(root / "raw" / name)
    add_source(root / "raw" / "sub-03_sample-brain_acq-4x_SPIM.ome.zarr")


def package_demo_again(root: Path) -> None:
    """Take the demo's dataset away, so that it is packaged with times that are known."""
    shutil.rmtree(root / "demo" / "bids")
    set_times(root)


DEMO = ("--manifest", "demo/manifest.yml", "--output-dir", "demo/bids")


def demo(backend: str) -> Case:
    steps = (
        ("demo", "demo", "--backend", backend),
        package_demo_again,
        ("package", *DEMO, "--backend", backend),
        ("verify", "demo/bids", *JSON),
    )
    return Case(lambda _: None, steps)


def kept(backend: str, *more: str) -> Case:
    """Return a case of formats that BIDS holds, and some that it does not."""
    return Case(study(LINKED), (package("--backend", backend, *more), VERIFY))


def converted(backend: str, *more: str) -> Case:
    return Case(study(MIXTURE), (package("--backend", backend, *more), VERIFY))


def convert(make: Callable[[Path], None], source: str, *settings: tuple[str, ...]) -> Case:
    """Return a case of one source that is converted with several settings."""

    def place(root: Path) -> None:
        (root / "raw").mkdir()
        make(root / "raw" / source)

    steps = []
    for number, given in enumerate(settings):
        target = f"made-{number}{given[0]}"
        steps.append(("convert", f"raw/{source}", target, *given[1:], "--threads", "2"))
    return Case(place, tuple(steps))


ZARR, TIFF = ".ome.zarr", ".ome.tif"
FORMS = (
    (ZARR,),
    (ZARR, "--codec", "blosc"),
    (ZARR, "--ngff", "0.4"),
    (ZARR, "--ngff", "0.4", "--codec", "blosc"),
    (ZARR, "--axes", "tczyx", "--orientation", "RPI", "--stains", "a;b"),
    (TIFF,),
    (TIFF, "--codec", "zstd", "--pixel-size", "1.8;1.8;4"),
)
SILENT = tuple((*given[:1], "--pixel-size", "1.8;1.8;4", *given[1:]) for given in FORMS[:6])
"""For sources that do not tell the size of a voxel."""


def write_long_ims(path: Path) -> None:
    write_ims(path, shape=(40, 130, 150), chunks=((4, 32, 32), (8, 16, 32), (8, 16, 16)))


def write_long_nii(path: Path) -> None:
    write_nifti(path, compose_voxels((2, 2, 65, 140, 150)))


def write_flat(path: Path, depth: int) -> None:
    """Write an image of 230 x 230 x `depth` bytes, which needs a second level."""
    shape = (1, 1, depth, 230, 230)
    write_nifti(path, (np.arange(np.prod(shape)) % 251).astype("uint8").reshape(shape))


def place_flat(root: Path) -> None:
    """Place images of which ten times the depth is a little more, and less, than the width."""
    (root / "raw").mkdir()
    write_flat(root / "raw" / "halved.nii", 25)
    write_flat(root / "raw" / "kept.nii", 22)


CASES = {
    "example": Case(place_example, (*reports(), package(), *reports(), VERIFY)),
    "example-relative-checksum": Case(
        place_example, (package("--relative-symlinks", "--checksum"), VERIFY)
    ),
    "demo-symlink": demo("symlink"),
    "demo-ome-zarr": demo("ome-zarr"),
    "symlink": kept("symlink"),
    "symlink-relative": kept("symlink", "--relative-symlinks"),
    "symlink-tree": kept("symlink-tree"),
    "symlink-tree-relative": kept("symlink-tree", "--relative-symlinks"),
    "hardlink": kept("hardlink"),
    "copy": kept("copy", "--checksum"),
    "ome-zarr": converted("ome-zarr", "--checksum"),
    "ome-zarr-blosc-kept": converted("ome-zarr:codec=blosc", "--keep-source-links"),
    "ome-zarr-v04-relative": converted(
        "ome-zarr:ngff=0.4", "--keep-source-links", "--relative-symlinks"
    ),
    "ome-zarr-all": Case(
        study(ALL), (package("--backend", "ome-zarr:convert=all,axes=tczyx"), VERIFY)
    ),
    "ome-tiff": converted("ome-tiff"),
    "ome-tiff-zstd-kept": Case(
        study(ALL),
        (package("--backend", "ome-tiff:codec=zstd", "--keep-source-links", "--checksum"), VERIFY),
    ),
    "entities": Case(place_entities, (*reports(), package(), VERIFY)),
    "workbook": Case(place_workbook, (*reports(), package(), VERIFY)),
    "inline": Case(place_inline, (*reports(), package(), VERIFY)),
    "errors": Case(place_errors, (*reports(), package())),
    "edited": Case(
        study(MIXTURE),
        (
            package("--backend", "ome-zarr"),
            edit_study,
            *reports("--backend", "ome-zarr"),
            package("--backend", "ome-zarr"),
            package("--backend", "copy"),
            package("--backend", "copy"),
            *reports("--backend", "copy"),
            VERIFY,
        ),
    ),
    "spoiled": Case(
        study(MIXTURE),
        (
            package("--backend", "ome-zarr", "--checksum"),
            spoil_dataset,
            VERIFY,
            (*VERIFY, "--checksum", "full"),
            (*VERIFY, "--pixels"),
            *reports("--backend", "ome-zarr"),
        ),
        is_damaged=True,
    ),
    "pages": Case(
        place_sources,
        (
            *(
                ("qc", row["spim_path"], "--output", f"{Path(row['spim_path']).name}.html")
                for row in ALL
                if not row["spim_path"].endswith("t.tif")
            ),
            keep_pictures,
            ("view", "raw/b-v2.ome.zarr", "--neuroglancer"),
            ("view", "raw/c-sharded.ome.zarr", "--neuroglancer", "--auto-contrast"),
        ),
    ),
    "report": Case(
        study(MIXTURE),
        (
            package("--backend", "ome-zarr"),
            ("report", "out", "--format", "json"),
            ("report", "out", "--file", "report.html", "--thumbnails"),
            keep_pictures,
        ),
    ),
    "scan": Case(
        place_scan,
        (
            ("init", "new", "--scan", "raw", "--set", "sample=brain"),
            ("init", "other", "--scan", "raw", "--pattern", "{subject}/exp_{session}/*"),
            keep_tables,
        ),
    ),
    "convert-ims": convert(write_ims, "a.ims", *FORMS),
    "convert-ims-times": convert(
        partial(write_ims, times=3, dtype="<f4"), "a.ims", *FORMS[:3], FORMS[5]
    ),
    "convert-nii": convert(write_nii, "a.nii.gz", *FORMS),
    "convert-ome-tif": convert(write_ome_tif, "a.ome.tif", *FORMS),
    "convert-ome-zarr": convert(add_source, "a-v2.ome.zarr", *FORMS),
    "convert-flat": Case(
        place_flat,
        (
            ("convert", "raw/halved.nii", "halved.ome.zarr"),
            ("convert", "raw/kept.nii", "kept.ome.zarr"),
            ("convert", "raw/kept.nii", "kept-too.ome.zarr", "--ngff", "0.4"),
            ("convert", "raw/kept.nii", "kept.ome.tif"),
        ),
    ),
    "convert-planes": convert(add_source, "planes", *SILENT),
    "convert-imagej": convert(add_source, "t.tif", *SILENT),
    "convert-set": convert(add_source, "g_MMStack_Pos0.ome.tif", *FORMS[:6]),
    "convert-ozx": convert(add_source, "a.ozx", (ZARR,), (TIFF,)),
    "convert-long-ims": replace(
        convert(write_long_ims, "a.ims", *FORMS[:2], *FORMS[5:]), is_slow=True
    ),
    "convert-long-nii": replace(convert(write_long_nii, "a.nii", *FORMS), is_slow=True),
}
