"""Links to the originals of converted images, and what is told of the conversion."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from plane_sources import compose_voxels, write_nifti
from test_graph import real_graph
from workspace import Workspace, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ConflictError, ExitCode
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.report.graph import task_graph
from spimpack_tasks.state.store import Store
from spimpack_tasks.validation.bids_validator import run_bids_validator
from spimpack_tasks.verification.verify import verify_fast, verify_full
from spimpack_tasks.version import __version__

STEMS = {
    "raw/a.ims": "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM",
    "raw/d.ozx": "sub-04/micr/sub-04_sample-brain_acq-4x_SPIM",
    "raw/e.nii.gz": "sub-05/micr/sub-05_sample-brain_acq-4x_SPIM",
}
LINK = f"sourcedata/{STEMS['raw/a.ims']}.ims"
BACKENDS = ("ome-zarr", "ome-tiff")


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    workspace = small_workspace(tmp_path)
    workspace.add_row("d.ozx", subject="04", acquisition="4x", Species="rat")
    workspace.rows.append(workspace.rows[3] | {"subject": "05", "spim_path": "raw/e.nii.gz"})
    workspace.rows[4] |= {"PixelSize": "0.5;2.6;4", "orientation_string_xyz": "RAS"}
    write_nifti(tmp_path / "raw/e.nii.gz", compose_voxels((1, 2, 5, 40, 37)))
    for subject in ("04", "05"):
        workspace.participants.append({"participant_id": f"sub-{subject}", "genotype": ""})
    return workspace


def keep(space: Workspace, workers: int = 1, backend: str = "ome-tiff", **options):
    return space.run(workers, backend=backend, keep_source_links=True, **options)


def source_links(space: Workspace) -> dict[str, str]:
    tree = space.tree()
    return {p: text for p, (kind, text) in tree.items() if kind == "link" and "sourcedata" in p}


@pytest.mark.few(3)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_original_has_a_link_of_the_same_stem(space, backend, relative, workers):
    assert keep(space, workers, backend, relative_symlinks=relative).exit_code == ExitCode.OK
    links = source_links(space)
    wanted = {
        f"sourcedata/{stem}.{source.partition('.')[2]}": source for source, stem in STEMS.items()
    }
    assert links.keys() == wanted.keys()
    for path, source in wanted.items():
        assert os.path.samefile(space.out / path, space.root / source)
        assert links[path].startswith("../../../../" if relative else str(space.root))
    verdict = run_bids_validator(space.out)
    assert verdict.errors == ()
    assert not [finding for finding in verdict.warnings if "sourcedata" in finding.location]
    assert list(verify_fast(Store(str(space.out)))) == []
    before = space.stamps()
    outcome = keep(space, workers, backend, relative_symlinks=relative)
    assert outcome.lines("out")[0] == "Nothing to do: 5 unchanged in out"
    assert space.stamps() == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pybids' own
def test_others_do_not_take_a_link_for_an_image(space):
    import bids
    import bids2table

    keep(space, backend="ome-tiff:convert=all")
    assert len(source_links(space)) == 5
    found = bids.BIDSLayout(space.out, validate=False).get(suffix="SPIM")
    assert len(found) == 10
    assert not [file for file in found if "sourcedata" in file.path]
    paths = bids2table.index_dataset(space.out)["path"].to_pylist()
    assert len(paths) == 5
    assert all(path.startswith("sub-") for path in paths)


@pytest.mark.parametrize("relative", [False, True])
def test_switching_it_on_and_off_touches_nothing_else(space, relative):
    space.run(backend="ome-tiff", relative_symlinks=relative, keep_source_links=False)
    before = space.stamps()
    assert keep(space, relative_symlinks=relative).counts["changed"] == 3
    on = space.stamps()
    assert on.keys() - before.keys() == source_links(space).keys()
    assert {path: on[path] for path in before} == before
    outcome = space.run(backend="ome-tiff", relative_symlinks=relative, keep_source_links=False)
    assert outcome.exit_code == ExitCode.OK
    assert space.stamps() == before
    assert not (space.out / "sourcedata").exists()


def test_what_the_user_has_in_sourcedata_stays(space):
    space.write()
    mine = space.out / "sourcedata/sub-01/micr/notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    keep(space)
    space.run(backend="ome-tiff", keep_source_links=False)
    assert [p for p in (space.out / "sourcedata").rglob("*") if not p.is_dir()] == [mine]
    (space.out / LINK).write_text("mine too")
    with pytest.raises(ConflictError, match=r"conflict\.foreign"):
        keep(space)


def stamp_of(path: Path) -> tuple[int, int, int]:
    status = os.lstat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_original_that_lies_there_itself_stays(space, overwrite):
    original = space.out / LINK
    original.parent.mkdir(parents=True)
    (space.root / "raw/a.ims").rename(original)
    space.rows[0]["spim_path"] = str(original)
    before = stamp_of(original)
    for first in ("Packaged", "Nothing to do"):
        assert keep(space, overwrite=overwrite).lines("out")[0].startswith(first)
        assert not original.is_symlink()
        assert stamp_of(original) == before
    assert len(source_links(space)) == 2
    space.run(backend="ome-tiff", keep_source_links=False)
    assert stamp_of(original) == before


def test_a_lost_record_costs_nothing(space):
    keep(space)
    before = space.stamps()
    shutil.rmtree(space.out / ".spimpack")
    assert keep(space).exit_code == ExitCode.OK
    assert space.stamps() == before


def lose(space: Workspace) -> None:
    (space.out / LINK).unlink()


def turn(space: Workspace) -> None:
    lose(space)
    (space.out / LINK).symlink_to("/elsewhere.ims")


def overwrite(space: Workspace) -> None:
    lose(space)
    (space.out / LINK).write_text("mine")


def touch_source(space: Workspace) -> None:
    os.utime(space.root / "raw/a.ims", (1, 1))


FAULTS = {
    "missing": lose,
    "retargeted": turn,
    "replaced": overwrite,
    "source changed": touch_source,
    "source gone": lambda space: (space.root / "raw/a.ims").unlink(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_verify_tells_of_it(space, fault):
    keep(space, checksum=True)
    store = Store(str(space.out))
    assert list(verify_full(store)) == []
    FAULTS[fault](space)
    for verify in (verify_fast, verify_full):
        assert [(str(d.fault), d.path) for d in verify(store)] == [(fault, LINK)]


@pytest.mark.parametrize("fault", ["missing", "source changed"])
def test_a_run_mends_it(space, fault):
    keep(space)
    FAULTS[fault](space)
    assert keep(space).exit_code == ExitCode.OK
    assert list(verify_fast(Store(str(space.out)))) == []
    assert keep(space).lines("out")[0].startswith("Nothing to do")


def test_the_plan_tells_of_it(space, capsys):
    space.run(backend="ome-tiff", keep_source_links=False)
    command = ["--manifest", str(space.manifest), "--output-dir", str(space.out)]
    command += ["--backend", "ome-tiff"]
    assert main(["plan", *command, "--keep-source-links"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert f"{LINK} is wanted" in shown
    assert "3 changed" in shown
    keep(space)
    capsys.readouterr()
    assert main(["status", *command, "--keep-source-links"]) == ExitCode.OK
    assert "5 unchanged" in capsys.readouterr().out
    assert main(["plan", *command, "--no-keep-source-links"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "no longer wanted" in shown
    assert "3 other files removed" in shown


@pytest.mark.parametrize("is_done", [False, True])
def test_the_graph_shows_the_task(space, is_done):
    space.write()
    if is_done:
        keep(space)
    options = {"backend": "ome-tiff", "keep_source_links": True}
    draft = prepare_run(space.options(**options))
    nodes = {node.name: node.units for node in task_graph(draft, draft.sweep())}
    states, _ = real_graph(space, **options)
    assert nodes.keys() == states.keys() >= {"LinkSources"}
    assert nodes["LinkSources"] == states["LinkSources"]


NGFF = {"ome-zarr:ngff=0.4": "0.4", "ome-tiff": None, "ome-tiff:codec=zstd": None}
"""What is told of the version of OME-Zarr, if not 0.5."""
SETTINGS = {
    "ome-zarr:ngff=0.4": {"Imaris": "gzip", "NIfTI": "blosc", "zipped OME-Zarr": None},
    "ome-tiff": {"Imaris": "zlib", "NIfTI": "zlib", "zipped OME-Zarr": "zlib"},
    "ome-tiff:codec=zstd": {"Imaris": "zstd", "NIfTI": "zstd", "zipped OME-Zarr": "zstd"},
    "ome-zarr": {"Imaris": "gzip", "NIfTI": "blosc", "zipped OME-Zarr": None},
    "ome-zarr:codec=blosc": {"Imaris": "blosc", "NIfTI": "blosc", "zipped OME-Zarr": None},
}


def sidecars(space: Workspace) -> dict[str, dict]:
    found = sorted((space.out).glob("sub-*/micr/*.json"))
    return {path.name[:6]: json.loads(path.read_text()) for path in found}


def generated_by(space: Workspace) -> str:
    (entry,) = json.loads((space.out / "dataset_description.json").read_text())["GeneratedBy"]
    return entry["Description"]


@pytest.mark.parametrize("backend", SETTINGS)
def test_sidecars_tell_of_the_conversion(space, backend):
    space.run(backend=backend)
    codecs = {}
    for sidecar in sidecars(space).values():
        told = sidecar.get("ConvertedFrom")
        if told:
            assert told["Software"] == "spimpack_tasks"
            assert told["SoftwareVersion"] == __version__
            settings = told.get("Settings", {})
            codecs[told["Format"]] = settings.get("codec")
            assert settings.get("ngff") == (NGFF.get(backend, "0.5") if settings else None)
    assert codecs == SETTINGS[backend]
    for name, codec in codecs.items():
        assert (f"{name} (codec={codec}" if codec else name) in generated_by(space)
    texts = [text for path, (_, text) in space.tree().items() if path.endswith(".json")]
    assert not [text for text in texts if str(space.root) in text or "a.ims" in text]


def test_a_change_of_a_setting_is_told(space):
    space.run(backend="ome-zarr")
    before = space.stamps()
    space.run(backend="ome-zarr:codec=blosc")
    after = space.stamps()
    json_files = {p for p in before if p.endswith("SPIM.json") or p == "dataset_description.json"}
    changed = {path for path in json_files if before[path] != after[path]}
    assert changed == {"dataset_description.json", f"{STEMS['raw/a.ims']}.json"}
    assert "Imaris (codec=blosc, ngff=0.5)" in generated_by(space)


def test_links_are_told_of_as_before(space):
    space.run(backend="symlink")
    linked = sidecars(space)
    assert not [sidecar for sidecar in linked.values() if "ConvertedFrom" in sidecar]
    assert generated_by(space) == "Packaged light-sheet microscopy files into BIDS."
    space.run(backend="ome-tiff", keep_source_links=False)
    converted = sidecars(space)
    assert {n for n, s in converted.items() if "ConvertedFrom" in s} == {
        "sub-01",
        "sub-04",
        "sub-05",
    }
    for name, sidecar in converted.items():
        sidecar.pop("ConvertedFrom", None)
        assert sidecar == linked[name]


def test_a_key_of_the_user_stays(space):
    space.rows[0]["ConvertedFrom"] = "CZI"
    space.run(backend="ome-tiff", keep_source_links=False)
    assert sidecars(space)["sub-01"]["ConvertedFrom"] == "CZI"


def test_the_official_validator_has_nothing_to_say_of_it(space):
    space.run(backend="ome-tiff", keep_source_links=False)
    with_it = run_bids_validator(space.out)
    for path in space.out.glob("sub-*/micr/*.json"):
        told = json.loads(path.read_text())
        told.pop("ConvertedFrom", None)
        path.write_text(json.dumps(told))
    without = run_bids_validator(space.out)
    assert with_it.errors == without.errors == ()
    assert sorted(w.code for w in with_it.warnings) == sorted(w.code for w in without.warnings)


def test_the_plan_says_where_the_key_comes_from(space, capsys):
    space.write()
    command = ["plan", "--manifest", str(space.manifest), "--output-dir", str(space.out)]
    assert main([*command, "--backend", "ome-tiff", "--verbose"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "ConvertedFrom" in line and "backend" in line]


def test_a_request_without_a_setting_that_counts_makes_nothing_anew(space):
    space.run(backend="ome-zarr")
    before = space.stamps()
    outcome = space.run(backend="ome-zarr:convert=needed")
    assert outcome.exit_code == ExitCode.OK
    assert space.stamps() == before
