"""What a packaged dataset must be, by the numbers of the acceptance list of the BIDS reference.

Each id begins with its number, here and elsewhere: `python -m pytest --collect-only -q | grep a17`
finds what holds for number 17. Most checks look at one dataset, packaged and validated once.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from workspace import SHARED, STATE, Workspace, leftovers

from spimpack_tasks.demo.images import DemoImage, write_ome_zarr
from spimpack_tasks.errors import ExitCode, InputError
from spimpack_tasks.validation.bids_validator import run_bids_validator
from spimpack_tasks.validation.result import ValidationResult

DOCS = Path(__file__).parents[2] / "docs"
TINY = DemoImage(("YoPro", "Abeta"), (4, 8, 8), (4.0, 1.8, 1.8), levels=1)

# Name of the image and of its sidecar in the dataset, by the source's.
NAMES = {
    "a.ome.zarr": "sub-01_ses-1_sample-brain_acq-4x_SPIM.ome.zarr",
    "b.zarr": "sub-02_ses-1_sample-brain_acq-4x_SPIM.ome.zarr",
    "c.ome.tif": "sub-03_ses-1_sample-brain_acq-4x_SPIM.ome.tif",
    "d.ome.tiff": "sub-04_ses-1_sample-brain_acq-4x_SPIM.ome.tif",
    "big.ome.tif": "sub-05_ses-1_sample-brain_acq-4x_SPIM.ome.btf",
    "f.ome.btf": "sub-06_ses-1_sample-brain_acq-4x_SPIM.ome.btf",
    "g.tif": "sub-07_ses-1_sample-brain_acq-4x_SPIM.tif",
    "h.tiff": "sub-08_ses-1_sample-brain_acq-4x_SPIM.tif",
    "i.ims": "sub-09_ses-1_sample-brain_acq-4x_SPIM.ims",
    "j.ozx": "sub-10_ses-1_sample-brain_acq-4x_SPIM.ozx",
    "k.ome.zarr.zip": "sub-11_ses-1_sample-brain_acq-4x_SPIM.ome.zarr.zip",
}
HIDDEN = (".ims", ".ozx", ".ome.zarr.zip")


@dataclass
class Packaged:
    """A dataset of all formats, and what the validator says of it."""

    workspace: Workspace
    verdict: ValidationResult

    @property
    def out(self) -> Path:
        return self.workspace.out

    def json(self, name: str) -> Any:
        return json.loads((self.out / name).read_text(encoding="utf-8"))

    def table(self, name: str) -> list[list[str]]:
        text = (self.out / name).read_text(encoding="utf-8")
        return [line.split("\t") for line in text.splitlines()]


def make_workspace(root: Path) -> Workspace:
    workspace = Workspace(root)
    for name, becomes in NAMES.items():
        label = becomes[len("sub-") :].partition("_")[0]
        workspace.add_row(name, subject=label, session="1", acquisition="4x")
    # BigTIFF is told by its content.
    shutil.copy(root / "raw" / "f.ome.btf", root / "raw" / "big.ome.tif")
    # The first sample is acquired twice, and its subject has a second sample.
    first = workspace.rows[0]
    first["acq_time"] = "2026-03-01T10:00:00.5+01:00"
    workspace.rows.append(first | {"acquisition": "15x", "acq_time": "n/a"})
    workspace.rows.append(first | {"sample": "liver", "sample_type": "organoid"})
    workspace.participants = [
        {"age": "", "participant_id": label, "genotype": "wt", "cage": ""}
        for label in ("sub-02", "01", *(f"{number:02}" for number in range(3, 12)))
    ]
    workspace.description["GeneratedBy"] = [{"Name": "Sheet Control", "Version": "7.1"}]
    return workspace


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    workspace = make_workspace(tmp_path_factory.mktemp("acceptance"))
    workspace.out.mkdir()
    (workspace.out / ".bidsignore").write_text("/notes.odt\n")
    (workspace.out / "notes.odt").write_text("mine")
    assert workspace.run().exit_code == ExitCode.OK
    return Packaged(workspace, run_bids_validator(workspace.out))


ENTITY_SETS = (
    {},
    {"session": "1"},
    {"acquisition": "4x"},
    {"stain": "Abeta"},
    {"run": "01"},
    {"chunk": "2"},
    {"session": "1", "acquisition": "4x", "stain": "Abeta", "run": "1", "chunk": "2"},
)


@pytest.mark.parametrize(
    ("ngff", "relative"),
    [
        pytest.param("0.4", False, id="a01-zarr-v2-absolute"),
        pytest.param("0.4", True, id="a01-zarr-v2-relative"),
        pytest.param("0.5", False, id="a01-zarr-v3-absolute"),
        pytest.param("0.5", True, id="a01-zarr-v3-relative"),
    ],
)
def test_ome_zarr_is_valid(tmp_path: Path, ngff: Any, *, relative: bool) -> None:
    workspace = Workspace(tmp_path)
    for number, entities in enumerate(ENTITY_SETS):
        path = f"raw/{number}.ome.zarr"
        write_ome_zarr(tmp_path / path, TINY, ngff=ngff)
        workspace.rows.append({"spim_path": path, "subject": f"{number}", **SHARED, **entities})
    assert workspace.run(relative_symlinks=relative).exit_code == ExitCode.OK
    links = list(workspace.out.rglob("*.ome.zarr"))
    assert {link.readlink().is_absolute() for link in links} == {not relative}
    assert len(links) == len(ENTITY_SETS)
    assert run_bids_validator(workspace.out).errors == ()


@pytest.mark.parametrize("name", [pytest.param(name, id=f"a03-{name}") for name in NAMES])
def test_names_keep_the_format(packaged: Packaged, name: str) -> None:
    link = next(packaged.out.rglob(NAMES[name]))
    assert link.resolve() == (packaged.workspace.root / "raw" / name).resolve()
    stem = NAMES[name].partition("_SPIM")[0]
    assert (link.parent / f"{stem}_SPIM.json").is_file()
    assert not (link.parent / f"{stem}_SPIM.ome.json").exists()


def test_a03_a17_all_formats_are_valid(packaged: Packaged) -> None:
    assert packaged.verdict.errors == ()


def test_a04_a_sample_has_one_row(packaged: Packaged) -> None:
    header, *rows = packaged.table("samples.tsv")
    assert header == ["sample_id", "participant_id", "sample_type"]
    brains = [["sample-brain", f"sub-{number:02}", "tissue"] for number in range(1, 12)]
    assert sorted(rows) == sorted([*brains, ["sample-liver", "sub-01", "organoid"]])


def test_a05_the_description_is_explicit(packaged: Packaged, tmp_path: Path) -> None:
    description = packaged.json("dataset_description.json")
    assert description["DatasetType"] == "raw"
    tools = description["GeneratedBy"]
    assert [tool["Name"] for tool in tools] == ["Sheet Control", "spimpack_tasks"]
    assert all(isinstance(value, str) for tool in tools for value in tool.values())
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ims", subject="01")
    workspace.description["GeneratedBy"] = tools  # as they stand in a dataset
    for _ in range(2):
        workspace.run()
        again = json.loads((workspace.out / "dataset_description.json").read_text())
        assert again["GeneratedBy"] == tools
    del workspace.description["DatasetType"]
    with pytest.raises(InputError, match=r"DatasetType.*key\.missing"):
        workspace.run()


def test_a13_participants_are_complete(packaged: Packaged) -> None:
    header, *rows = packaged.table("participants.tsv")
    assert header == ["participant_id", "age", "genotype", "cage"]
    assert [row[0] for row in rows] == [f"sub-{number:02}" for number in range(1, 12)]
    assert {tuple(row[1:]) for row in rows} == {("n/a", "wt", "n/a")}
    described = packaged.json("participants.json")
    assert all(described[column]["Description"] for column in header[1:])
    assert not [w for w in packaged.verdict.warnings if w.location.startswith("participants")]


def test_a14_no_description_of_a_table_that_is_not_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ome.zarr", subject="01")
    workspace.run()
    names = {path.name for path in workspace.out.iterdir()}
    assert not {"participants.tsv", "participants.json", "scans.json"} & names
    assert names >= {"samples.tsv", "samples.json"}
    assert run_bids_validator(workspace.out).errors == ()


def test_a15_scans_name_files_of_their_folder(packaged: Packaged) -> None:
    assert not (packaged.out / "scans.tsv").exists()
    (path,) = packaged.out.rglob("*_scans.tsv")
    assert path.parent.name == "ses-1"
    assert path.name == "sub-01_ses-1_scans.tsv"
    header, *rows = packaged.table(str(path.relative_to(packaged.out)))
    assert header == ["filename", "acq_time"]
    time = "2026-03-01T10:00:00.5+01:00"
    assert rows == [
        ["micr/sub-01_ses-1_sample-brain_acq-4x_SPIM.ome.zarr", time],
        ["micr/sub-01_ses-1_sample-liver_acq-4x_SPIM.ome.zarr", time],
    ]


@pytest.mark.parametrize("name", ["README", "README.md", "README.rst", "README.txt"])
def test_a16_a_readme_of_the_user_is_the_only_one(tmp_path: Path, name: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ims", subject="01")
    workspace.out.mkdir()
    (workspace.out / name).write_text("My own words.")
    workspace.run()
    assert [path.name for path in workspace.out.glob("README*")] == [name]
    assert (workspace.out / name).read_text() == "My own words."


def test_a16_a_readme_is_written(packaged: Packaged) -> None:
    assert (packaged.out / "README.md").stat().st_size > 150


def ignored(out: Path) -> list[str]:
    """Return the patterns in .bidsignore."""
    lines = (out / ".bidsignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def hidden_paths(names: dict[str, str]) -> set[str]:
    images = [name for name in names.values() if name.endswith(HIDDEN)]
    files = [*images, *(name.partition("_SPIM")[0] + "_SPIM.json" for name in images)]
    return {f"/{name[:6]}/ses-1/micr/{name}" for name in files}


def test_a17_what_bids_does_not_hold_is_ignored_with_its_sidecar(packaged: Packaged) -> None:
    assert set(ignored(packaged.out)) == {"/notes.odt"} | hidden_paths(NAMES)
    assert len(ignored(packaged.out)) == 1 + 2 * len(HIDDEN)


def test_a17_ignored_lines_come_once_and_go_with_the_image(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    workspace.out.mkdir()
    (workspace.out / ".bidsignore").write_text("/notes.odt\n")
    for _ in range(2):
        workspace.run()
        assert sorted(ignored(workspace.out)) == sorted({"/notes.odt"} | hidden_paths(NAMES))
    for ending in HIDDEN:
        workspace.rows = [row for row in workspace.rows if not row["spim_path"].endswith(ending)]
        workspace.run()
        left = {n: b for n, b in NAMES.items() if b in {p.name for p in workspace.out.rglob("*")}}
        assert not [name for name in left.values() if name.endswith(ending)]
        assert set(ignored(workspace.out)) == {"/notes.odt"} | hidden_paths(left)
    assert ignored(workspace.out) == ["/notes.odt"]


def test_a19_no_pattern_ends_in_a_slash(packaged: Packaged) -> None:
    assert not [pattern for pattern in ignored(packaged.out) if pattern.endswith("/")]


@pytest.mark.parametrize("backend", ["symlink", "symlink-tree"])
def test_a22_links_to_ome_zarr(tmp_path: Path, backend: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ome.zarr", subject="01")
    workspace.run(backend=backend)
    (image,) = workspace.out.rglob("*.ome.zarr")
    assert image.is_symlink() == (backend == "symlink")
    files = [path for path in image.rglob("*") if not path.is_dir()]
    assert files
    assert {path.is_symlink() for path in files} == {backend == "symlink-tree"}
    assert run_bids_validator(workspace.out).errors == ()


def test_a22_the_page_says_what_dandi_needs() -> None:
    text = (DOCS / "how-to" / "choose-a-backend.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "DANDI" in line]
    assert any("symlink-tree" in line for line in lines)


def test_a24_nothing_of_ours_lies_about(packaged: Packaged) -> None:
    ours = [path.relative_to(packaged.out) for path in packaged.out.rglob("*")]
    visible = [path for path in ours if not path.parts[0].startswith(".")]
    odd = re.compile(r"luigi|tmp|lock|_SUCCESS|~$", re.IGNORECASE)
    assert not [path for path in visible if odd.search(path.name)]
    assert {path.name for path in packaged.out.glob(".*")} == {STATE, ".bidsignore"}
    assert leftovers(packaged.out) == []


def test_a25_a_row_that_is_gone_takes_all_that_is_its_own(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for number, name in enumerate(("a.ome.zarr", "b.ome.zarr", "c.ims")):
        workspace.add_row(name, subject=f"{number}", acq_time="2026-03-01T10:00:00")
    workspace.run()
    workspace.rows = workspace.rows[1:2]
    assert workspace.run().exit_code == ExitCode.OK
    assert {path.name for path in workspace.out.glob("sub-*")} == {"sub-1"}
    samples = (workspace.out / "samples.tsv").read_text().splitlines()
    assert samples[1:] == ["sample-brain\tsub-1\ttissue"]
    assert not (workspace.out / ".bidsignore").exists()
    assert run_bids_validator(workspace.out).errors == ()


def refuse_constant(text: str) -> None:
    raise AssertionError(text)


def test_a32_files_are_plain_and_equal_from_run_to_run(packaged: Packaged, tmp_path: Path) -> None:
    texts = {
        name: content.encode("latin-1")
        for name, (kind, content) in packaged.workspace.tree().items()
        if kind == "file" and name.endswith((".json", ".tsv"))
    }
    assert len(texts) > len(NAMES)
    for name, content in texts.items():
        text = content.decode("utf-8")
        assert not text.startswith("\ufeff")
        assert "\r" not in text
        assert text.endswith("\n")
        if name.endswith(".json"):
            json.loads(text, parse_constant=refuse_constant)
    again = tmp_path / "again"
    packaged.workspace.run(output_dir=str(again))
    for name, content in texts.items():
        assert (again / name).read_bytes() == content
