"""What is said of a dataset: the same of its shadow as of itself, and what only we say."""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cases.broken_datasets import (
    BROKEN,
    IMS,
    IMS_JSON,
    OWN,
    TIFF,
    ZARR,
    ZARR_JSON,
    Case,
    edit_json,
    parameters,
)
from workspace import Workspace

import spimpack_tasks
from spimpack_tasks.demo.images import DemoImage, write_imaris, write_ome_tiff, write_ome_zarr
from spimpack_tasks.errors import ExitCode, Severity
from spimpack_tasks.validation.bids_validator import PROGRAM
from spimpack_tasks.validation.dataset_files import DatasetFiles
from spimpack_tasks.validation.inventory import EntryKind, take_inventory
from spimpack_tasks.validation.own_checks import CHECKS
from spimpack_tasks.validation.validate import validate
from spimpack_tasks.validation.validator_mirror import find_hidden, mirror_dataset
from spimpack_tasks.validation.validator_runs import check_officially, may_inherit

ROOT = Path(__file__).parents[2]
IMAGE = DemoImage(("YoPro", "Abeta"), (4, 16, 16), (4.0, 1.8, 1.8), levels=1)
FAST = {
    "valid",
    "name",
    "type",
    "empty-store",
    "a23-broken-link",
    "a18-hidden-type",
    "a18-inherited-by-hidden",
}


def package_real_images(root: Path, backend: str = "symlink") -> Path:
    """Package an OME-Zarr, an Imaris file and an OME-TIFF, and return the dataset."""
    workspace = Workspace(root)
    for number, name in enumerate(("a.ome.zarr", "b.ims", "c.ome.tif"), 1):
        workspace.add_row(name, subject=f"0{number}", acquisition="4x")
    raw = root / "raw"
    shutil.rmtree(raw / "a.ome.zarr")
    write_ome_zarr(raw / "a.ome.zarr", IMAGE, ngff="0.5")
    (raw / "b.ims").unlink()
    write_imaris(raw / "b.ims", IMAGE)
    write_ome_tiff(raw / "c.ome.tif", IMAGE)
    workspace.participants = [{"participant_id": f"0{n}", "genotype": "wt"} for n in (1, 2, 3)]
    assert workspace.run(backend=backend).exit_code is ExitCode.OK
    return workspace.out


@pytest.fixture(scope="session")
def packaged(tmp_path_factory) -> Path:
    return package_real_images(tmp_path_factory.mktemp("packaged"))


@pytest.fixture(scope="session")
def baseline(packaged) -> set[str]:
    """The codes that are found in the valid dataset."""
    return {finding.code for finding in validate(str(packaged)).verdict.findings}


@pytest.fixture
def dataset(packaged, tmp_path) -> Path:
    """A copy of the valid dataset, to break."""
    shutil.copytree(packaged, tmp_path / "data set", symlinks=True)
    return tmp_path / "data set"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a program in the place of the official validator."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")

    def write(script: str) -> None:
        (place / PROGRAM).write_text(f"#!/bin/sh\n{script}\n")
        (place / PROGRAM).chmod(0o755)

    return write


def told(findings):
    """Return what is compared: a message may name the place where the shadow lies."""
    return sorted((f.code, f.sub_code, f.severity, f.location, f.line) for f in findings)


def test_the_valid_dataset_is_valid(packaged, baseline):
    verdict = validate(str(packaged)).verdict
    assert verdict.errors == ()
    assert baseline == {"SIDECAR_KEY_RECOMMENDED", "JSON_KEY_RECOMMENDED"}


def compare_modes(case: Case, dataset: Path, baseline: set[str]) -> None:
    case.spoil(dataset)
    shadowed, full = (validate(str(dataset), full=mode).verdict for mode in (False, True))
    official = {code for code in case.codes if not code.startswith("SPIMPACK_")}
    for verdict in (shadowed, full):
        found = {finding.code for finding in verdict.findings}
        assert found - baseline >= case.codes - baseline
        assert {c for c in found - baseline if not c.startswith("SPIMPACK_")} == official
    if case.counts_chunks:
        folders = (
            {(f.code, f.location.split("SPIM")[0]) for f in verdict.findings}
            for verdict in (shadowed, full)
        )
        assert next(folders) == next(folders)
    else:
        assert told(shadowed.findings) == told(full.findings)


@pytest.mark.few(3)
@pytest.mark.parametrize("case", parameters([c for c in BROKEN if c.id in FAST]))
def test_the_shadow_gets_the_verdict_of_the_dataset(case, dataset, baseline):
    compare_modes(case, dataset, baseline)


@pytest.mark.parametrize("case", parameters([c for c in BROKEN if c.id not in FAST], slow=True))
def test_the_shadow_gets_every_verdict_of_the_dataset(case, dataset, baseline):
    compare_modes(case, dataset, baseline)


def check_ourselves(root: Path):
    facts = DatasetFiles(str(root), take_inventory(str(root)))
    return [finding for check in CHECKS for finding in check(facts)]


@pytest.mark.parametrize("case", parameters(OWN))
def test_our_own_checks(case, dataset):
    assert check_ourselves(dataset) == []
    case.spoil(dataset)
    found = check_ourselves(dataset)
    assert {finding.code for finding in found} == case.codes
    for finding in found:
        assert (
            not finding.location
            or os.path.lexists(dataset / finding.location)
            or (finding.code == "SPIMPACK_SAMPLES_MISSING")
        )
        assert finding.message.endswith(".")
        assert str(dataset) not in finding.message


def test_a_missing_library_is_told_once(dataset, monkeypatch):
    shutil.copytree(dataset / "sub-02", dataset / "sub-04", symlinks=True)
    for path in (dataset / "sub-04" / "micr").iterdir():
        path.rename(path.with_name(path.name.replace("sub-02", "sub-04")))
    monkeypatch.setitem(sys.modules, "h5py", None)
    (finding,) = (f for f in check_ourselves(dataset) if f.code == "SPIMPACK_LIBRARY_MISSING")
    assert finding.severity is Severity.WARNING
    assert "of 2 images" in finding.message
    assert "spimpack_tasks[images]" in finding.message


def test_a_finding_is_not_told_twice(dataset):
    """What the official validator sees as well is left to it."""
    (dataset / ZARR).unlink()
    (dataset / ZARR).symlink_to("/no/such.ome.zarr")
    assert "SPIMPACK_LINK_BROKEN" in {finding.code for finding in check_ourselves(dataset)}
    codes = {finding.code for finding in validate(str(dataset)).verdict.findings}
    assert "SYMLINK_BROKEN" in codes
    assert "SPIMPACK_LINK_BROKEN" not in codes


def documented() -> dict[str, str]:
    """Return code and severity of each row of the reference."""
    page = (ROOT / "docs" / "reference" / "validation.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(SPIMPACK_[A-Z_]+)` \| (error|warning) \|", page, flags=re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_our_codes_are_those_of_the_page_and_each_has_a_case():
    package = Path(spimpack_tasks.__file__).parent / "validation"
    source = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    assert set(re.findall(r"SPIMPACK_[A-Z_]+[A-Z]", source)) == set(documented())
    covered = {code for case in OWN for code in case.codes} | {"SPIMPACK_LIBRARY_MISSING"}
    assert covered == set(documented())


@pytest.mark.parametrize("case", parameters([case for case in OWN if case.codes]))
def test_severities_are_those_of_the_page(case, dataset):
    case.spoil(dataset)
    for finding in check_ourselves(dataset):
        assert str(finding.severity) == documented()[finding.code]


def test_the_shadow_is_not_in_the_dataset_and_does_not_stay(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "elsewhere").mkdir()
    entries = take_inventory(str(dataset))
    before = sorted(dataset.rglob("*"))
    hidden = find_hidden(str(dataset), entries)
    with suppress(InterruptedError), mirror_dataset(str(dataset), entries, hidden) as folder:
        assert not Path(folder).is_relative_to(dataset)
        stub = Path(folder, IMS.replace(".ims", ".ome.zarr"))
        assert (stub / "zarr.json").read_bytes() == b"{}"
        assert f"/{IMS_JSON}\n" not in Path(folder, ".bidsignore").read_text()
        assert Path(folder, TIFF).samefile(dataset / TIFF)
        raise InterruptedError
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert sorted(dataset.rglob("*")) == before


def test_a27_no_chunk_is_looked_at(dataset):
    """A store whose folders cannot be read is one thing like any other."""
    (dataset / ZARR).unlink()
    (dataset / ZARR).mkdir()
    (dataset / ZARR / "zarr.json").write_text("{}")
    (dataset / ZARR / "0").symlink_to("0")  # whoever enters it goes round in a circle
    entries = take_inventory(str(dataset))
    inside = [entry.path for entry in entries if entry.path.startswith(f"{ZARR}/")]
    assert inside == []
    with mirror_dataset(str(dataset), entries) as folder:
        assert os.listdir(Path(folder, ZARR)) == ["zarr.json"]


def test_folders_that_lead_back_end(dataset):
    (dataset / "sub-01" / "again").symlink_to("..")
    kinds = {entry.path: entry.kind for entry in take_inventory(str(dataset))}
    assert kinds["sub-01/again"] is EntryKind.CYCLE
    assert {f.code for f in validate(str(dataset)).verdict.errors} == {"SYMLINK_CYCLE"}


def test_one_pass_says_what_two_say(dataset):
    """Sidecars of hidden images are checked along with the rest, unless one might be inherited."""
    edit_json(IMS_JSON, PixelSize="1")(dataset)
    edit_json(ZARR_JSON, PixelSizeUnits=...)(dataset)
    entries = take_inventory(str(dataset))
    hidden = find_hidden(str(dataset), entries)
    assert not may_inherit(entries, hidden)
    one = check_officially(str(dataset), entries)
    (dataset / "task-rest_bold.json").write_text("{}")
    entries = take_inventory(str(dataset))
    assert may_inherit(entries, hidden)
    two = check_officially(str(dataset), entries)
    unused = {f for f in two.findings if f.location.startswith("task-rest")}
    assert told(set(two.findings) - unused) == told(one.findings)
    assert {"SIDECAR_WITHOUT_DATAFILE"} <= {finding.code for finding in unused}


def test_hidden_findings_bear_the_names_that_the_user_knows(dataset):
    edit_json(IMS_JSON, PixelSizeUnits=..., PixelSize="1")(dataset)
    errors = validate(str(dataset)).verdict.errors
    places = [(finding.code, finding.location) for finding in errors]
    assert places == [
        ("SIDECAR_KEY_REQUIRED", IMS),
        ("JSON_SCHEMA_VALIDATION_ERROR", IMS_JSON),
    ]


def test_the_users_own_lines_are_obeyed_in_the_shadow(dataset):
    edit_json(IMS_JSON, PixelSize="1")(dataset)
    (dataset / "extra.txt").write_text("x")
    codes = [finding.code for finding in validate(str(dataset)).verdict.errors]
    assert codes == ["NOT_INCLUDED", "JSON_SCHEMA_VALIDATION_ERROR"]
    text = (dataset / ".bidsignore").read_text()
    (dataset / ".bidsignore").write_text(f"*.txt\n{text}\n!/{IMS_JSON}")
    codes = [finding.code for finding in validate(str(dataset)).verdict.errors]
    assert codes == ["JSON_SCHEMA_VALIDATION_ERROR"]


@pytest.mark.slow
def test_a28_many_participants_are_no_mismatch(dataset):
    (dataset / "samples.json").unlink()
    participants, samples = ["participant_id"], ["sample_id\tparticipant_id\tsample_type"]
    for number in range(1200):
        subject = f"sub-{number:04}"
        participants.append(subject)
        samples.append(f"sample-a\t{subject}\ttissue")
        stem = dataset / subject / "micr" / f"{subject}_sample-a_SPIM"
        stem.parent.mkdir(parents=True)
        Path(f"{stem}.json").write_text('{"PixelSize": [1.8, 1.8, 4], "PixelSizeUnits": "um"}')
        Path(f"{stem}.ome.zarr").symlink_to((dataset / ZARR).resolve())
    for number in (1, 2, 3):
        shutil.rmtree(dataset / f"sub-0{number}")
    (dataset / "participants.tsv").write_text("\n".join(participants) + "\n")
    (dataset / "participants.json").unlink()
    (dataset / "samples.tsv").write_text("\n".join(samples) + "\n")
    assert validate(str(dataset)).verdict.errors == ()
    with (dataset / "samples.tsv").open("a") as table:
        table.write("sample-b\tsub-0000\tshoe\n")
    (error,) = validate(str(dataset)).verdict.errors
    assert (error.code, error.line) == ("TSV_VALUE_INCORRECT_TYPE", 1202)
