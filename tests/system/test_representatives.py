"""The official validator sees one image of each class, and its findings are those on all."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cases.broken_datasets import BROKEN, IMAGES, IMS, TIFF, ZARR, Case
from test_validation import IMAGE, told
from workspace import Workspace

from spimpack_tasks.demo.images import write_imaris, write_ome_zarr
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.validation import representatives, validator_runs
from spimpack_tasks.validation.inventory import take_inventory
from spimpack_tasks.validation.validator_mirror import find_hidden
from spimpack_tasks.validation.validator_runs import check_officially

ENOUGH = 10**9
BEFORE = [f"00{number}" for number in range(1, 7)]
AFTER = [f"{number}" for number in range(11, 17)]


def write_small_ome_tiff(path: Path, _: object) -> None:
    """Write an OME-TIFF that the official validator reads all of: it reads the first 4 KiB."""
    sizes = {"PhysicalSizeX": 1.8, "PhysicalSizeY": 1.8, "PhysicalSizeZ": 4.0}
    units = {f"{name}Unit": "µm" for name in sizes}
    names = {"Channel": {"Name": ["YoPro", "Abeta"]}}
    metadata = {"axes": "CZYX", **sizes, **units, **names}
    tifffile.imwrite(path, np.ones((2, 2, 8, 8), "u2"), ome=True, metadata=metadata)


FORMATS = {
    ".ome.zarr": partial(write_ome_zarr, ngff="0.5"),
    ".ims": write_imaris,
    ".ome.tif": write_small_ome_tiff,
}
FAST = {"valid", "type"}


def package_many(root: Path, labels: list[str]) -> Path:
    """Package two more images of each format than the cases know, and return the dataset."""
    workspace = Workspace(root)
    subjects = ["01", "02", "03", *labels]
    for subject, (ending, write) in zip(subjects, [*FORMATS.items()] * 3, strict=True):
        source = root / "raw" / f"{subject}{ending}"
        workspace.add_row(source.name, subject=subject, acquisition="4x")
        shutil.rmtree(source) if source.is_dir() else source.unlink()
        write(source, IMAGE)
    workspace.participants = [{"participant_id": s, "genotype": "wt"} for s in subjects]
    assert workspace.run().exit_code is ExitCode.OK
    return workspace.out


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> dict[str, Path]:
    """Datasets in which the images that the cases break are shown, or are represented."""
    places = {"shown": AFTER, "represented": BEFORE}
    return {
        place: package_many(tmp_path_factory.mktemp(place), labels)
        for place, labels in places.items()
    }


def add_tables(dataset: Path) -> None:
    """Give each subject a table of its images, with times that differ."""
    for number, folder in enumerate(sorted(dataset.glob("sub-*"))):
        if not (folder / f"{folder.name}_scans.tsv").exists() and not folder.is_symlink():
            images = [p for p in folder.glob("micr/*") if p.suffix != ".json"]
            rows = [f"micr/{path.name}\t2026-01-{number + 1:02}T00:00:00\n" for path in images]
            (folder / f"{folder.name}_scans.tsv").write_text("filename\tacq_time\n" + "".join(rows))


def findings(dataset: Path, monkeypatch, least: int, part: int = ENOUGH):
    monkeypatch.setattr(representatives, "MIN_IMAGES", least)
    monkeypatch.setattr(representatives, "PART_IMAGES", part)
    root = os.path.realpath(dataset)
    return told(check_officially(root, take_inventory(root)).findings)


@pytest.fixture
def copy(many, tmp_path):
    """Return a copy of a dataset, to break."""

    def make(place: str = "shown") -> Path:
        shutil.copytree(many[place], tmp_path / "data", symlinks=True)
        return tmp_path / "data"

    return make


def compare(case: Case, dataset: Path, monkeypatch, *, tables: bool) -> None:
    case.spoil(dataset)
    if tables:
        add_tables(dataset)
    whole = findings(dataset, monkeypatch, ENOUGH)
    assert findings(dataset, monkeypatch, 1) == whole
    assert findings(dataset, monkeypatch, ENOUGH, 2) == whole


TRIALS = [
    pytest.param(
        case,
        place,
        tables,
        id=f"{case.id}-{place}{'-tables' * tables}",
        marks=() if case.id in FAST and marks.name == "slow" else marks,
    )
    for case in BROKEN
    for place, tables, marks in (
        ("shown", False, pytest.mark.slow),
        ("represented", True, pytest.mark.slow),
        ("shown", True, pytest.mark.thorough),
        ("represented", False, pytest.mark.thorough),
    )
]


@pytest.mark.few(1)
@pytest.mark.parametrize(("case", "place", "tables"), TRIALS)
def test_a_part_gets_the_verdict_of_the_whole(case, place, tables, copy, monkeypatch):
    compare(case, copy(place), monkeypatch, tables=tables)


@pytest.mark.few(2)
@pytest.mark.parametrize("place", ["shown", "represented"])
@pytest.mark.parametrize("case", IMAGES, ids=[case.id for case in IMAGES])
def test_a_broken_image_is_neither_missed_nor_blamed_on_others(case, place, copy, monkeypatch):
    dataset = copy(place)
    case.spoil(dataset)
    found = findings(dataset, monkeypatch, 1)
    assert {told[3] for told in found if told[0] in case.codes} == {TIFF}
    assert found == findings(dataset, monkeypatch, ENOUGH)


@pytest.mark.parametrize("tables", [False, True], ids=["plain", "tables"])
def test_one_image_of_each_format_is_checked(tables, copy, monkeypatch):
    dataset = copy()
    if tables:
        add_tables(dataset)
    seen = []

    def run(folder: Path):
        there = {str(path.relative_to(folder)) for path in folder.glob("sub-*/micr/*.json")}
        lines = (folder / ".bidsignore").read_text().splitlines()
        seen.append((there, [line for line in lines if line.startswith("!")]))
        return real(folder)

    real = validator_runs.run_bids_validator
    monkeypatch.setattr(validator_runs, "run_bids_validator", run)
    findings(dataset, monkeypatch, 1)
    ((sidecars, checked),) = seen
    if tables:
        assert len(sidecars) == 9
        assert len(checked) == 3 * 2  # images, one of them by its stub, and sidecars
    else:
        shown = {f"{path.partition('.')[0]}.json" for path in (ZARR, IMS, TIFF)}
        assert sidecars == shown


OTHERS = {
    "a sidecar of other values": lambda path: path.write_text(
        path.read_text().replace("1.8", "1.9", 1)
    ),
    "a sidecar that names files": lambda path: path.write_text(
        path.read_text().replace("{", '{"IntendedFor": "micr/none.ome.zarr",', 1)
    ),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_an_image_that_may_differ_is_shown(change, copy, monkeypatch):
    dataset = copy()
    for path in dataset.glob("sub-1*/micr/*.json"):
        change(path)
    root = str(dataset)
    monkeypatch.setattr(representatives, "MIN_IMAGES", 1)
    entries = take_inventory(root)
    whole = representatives.Shown(entries, find_hidden(root, entries))
    shown = representatives.choose_shown(root, whole)
    sidecars = [entry.path for entry in shown.entries if entry.path.endswith("SPIM.json")]
    equal = change is OTHERS["a sidecar of other values"]
    assert len(sidecars) == (6 if equal else 9)


@pytest.mark.parametrize("line", ["extra/\n", "*_SPIM.json\n", "!sub-11\n"])
def test_patterns_of_the_user_are_left_to_the_validator(line, copy, monkeypatch):
    dataset = copy()
    with (dataset / ".bidsignore").open("a") as file:
        file.write(line)
    monkeypatch.setattr(representatives, "MIN_IMAGES", 1)
    whole = representatives.Shown(take_inventory(str(dataset)), ())
    assert representatives.choose_shown(str(dataset), whole) is whole
