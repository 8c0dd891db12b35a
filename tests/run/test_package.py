"""Packaging as a whole: golden trees, steps by name, the stock luigi binary, concurrent runs."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import luigi
import pytest
from luigi.retcodes import run_with_retcodes
from workspace import AS_THEY_ARE, SHARED, Workspace, change_backend, small_workspace, write_table

import spimpack_tasks
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.plan import Output, Plan
from spimpack_tasks.packaging.backends.symlink import make_link
from spimpack_tasks.state.store import Store
from spimpack_tasks.version import __version__

GOLDEN = Path(__file__).parents[1] / "golden"
LUIGI = Path(sys.executable).with_name("luigi")

DESCRIPTION = """\
dataset_description:
  Name: My SPIM Dataset
  BIDSVersion: 1.9.0
  DatasetType: raw
  License: CC-BY-4.0
  Authors:
    - Author Name 1
    - Author Name 2
"""


def scans_vintage(workspace: Workspace) -> None:
    """The manifest of SPIMpack's README: scans_tsv without dataset_id."""
    workspace.manifest.write_text(
        DESCRIPTION + "scans_tsv: scans.tsv\nparticipants_tsv: participants.tsv\n"
    )
    rows = vintage_rows()
    write_table(workspace.root / "scans.tsv", rows)
    people = [{"participant_id": f"sub-{r['subject']}", "sex": "F", "age": ""} for r in rows]
    write_table(workspace.root / "participants.tsv", people)


def datasets_vintage(workspace: Workspace) -> None:
    """The older manifest: datasets_tsv with dataset_id and short names, and inline assets."""
    rows = [{"dataset_id": "set1", **row} for row in vintage_rows()]
    short = {"subject": "sub", "session": "ses", "acquisition": "acq"}
    first, *rest = [{short.get(key, key): value for key, value in row.items()} for row in rows]
    write_table(workspace.root / "datasets.tsv", rest)
    inline = "".join(
        f"        {key}: '{value}'\n" for key, value in first.items() if key != "dataset_id"
    )
    workspace.manifest.write_text(
        DESCRIPTION
        + "  RequiredMicroscopyFields: [Species]\ndatasets_tsv: datasets.tsv\n"
        + "datasets:\n  - dataset_id: set0\n    assets:\n      -\n"
        + inline
    )


def vintage_rows() -> list[dict[str, str]]:
    further = {"Species": "mouse", "Magnification": "4x", "acq_time": "2026-03-01T10:00:00"}
    rows = [
        {"subject": "01", "session": "01", "acquisition": "4x1", "spim_path": "raw/a.ims"},
        {"subject": "02", "session": "01", "acquisition": "4x1", "spim_path": "raw/b.ome.zarr"},
        {"subject": "03", "session": "01", "acquisition": "4x1", "spim_path": "raw/c.ome.tiff"},
    ]
    return [row | SHARED | further for row in rows]


def render(workspace: Workspace) -> str:
    """Return a whole tree as text, whatever differs from run to run replaced by a name."""
    raw_folder = workspace.root / "raw"
    images = {
        str(path.relative_to(raw_folder)): path.read_bytes()
        for path in sorted(raw_folder.rglob("*"))
        if path.is_file()
    }
    lines = []
    for path, (kind, content) in sorted(workspace.tree().items()):
        raw = content.encode("latin-1")
        # What an image holds depends on the libraries that wrote it.
        same = [name for name, image in images.items() if image == raw]
        shown = f"the bytes of {same[0]}" if same else raw.decode()
        if kind == "link":
            lines.append(f"{path} -> {shown}")
        elif kind == "directory":
            lines.append(f"{path}/")
        else:
            lines += [path, *(f"    {line}" for line in shown.splitlines())]
    text = "\n".join(lines) + "\n"
    text = text.replace(str(workspace.root), "{root}")
    return text.replace(f'"{__version__}"', '"{version}"')  # CHANGES has a version of its own


@pytest.mark.few(8)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("backend", [*AS_THEY_ARE, "symlink relative", "symlink-tree relative"])
@pytest.mark.parametrize("vintage", [scans_vintage, datasets_vintage])
def test_golden_tree(vintage: object, backend: str, workers: int, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for name in ("a.ims", "b.ome.zarr", "c.ome.tiff"):
        workspace.add_source(name)
    vintage(workspace)  # type: ignore[operator]
    name, _, relative = backend.partition(" ")
    task = spimpack_tasks.PackageDataset(
        manifest=workspace.manifest,
        output_dir=workspace.out,
        backend=name,
        relative_symlinks=bool(relative),
    )
    assert luigi.build([task], local_scheduler=True, workers=workers, log_level="ERROR")
    golden = GOLDEN / f"{vintage.__name__}-{backend.replace(' ', '-')}.txt"  # type: ignore[attr-defined]
    text = render(workspace)
    if "UPDATE_GOLDEN" in os.environ:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_two_places_and_two_times_give_equal_bytes(tmp_path: Path) -> None:
    trees = []
    for name in ("one", "two"):
        workspace = small_workspace(tmp_path / name)
        workspace.run(relative_symlinks=True)
        trees.append(workspace.tree())
    assert trees[0] == trees[1]


STEPS = {
    "ValidateManifest": set(),
    "BuildPaths": set(),
    "WriteDescription": {"dataset_description.json"},
    "WriteParticipants": {"participants.tsv", "participants.json"},
    "WriteSamples": {"samples.tsv", "samples.json"},
    "WriteScans": set(),
    "WriteReadme": {"README.md", "CHANGES"},
    "WriteBidsIgnore": {".bidsignore"},
    "WriteSidecars": {f"sub-0{n}_sample-brain_acq-4x_SPIM.json" for n in (1, 2, 3)},
    "LinkAssets": {
        "sub-01_sample-brain_acq-4x_SPIM.ims",
        "sub-02_sample-brain_acq-4x_SPIM.ome.zarr",
        "sub-03_sample-brain_acq-4x_SPIM.ome.tif",
    },
}
STEPS["SymlinkAssets"] = STEPS["HardlinkAssets"] = STEPS["CopyAssets"] = STEPS["LinkAssets"]
STEPS["PruneStale"] = set().union(*STEPS.values())


@pytest.mark.few(8)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_runs_alone_by_name(name: str, workers: int, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.write()
    step = getattr(spimpack_tasks, name)
    task = step(manifest=workspace.manifest, output_dir=workspace.out)
    assert luigi.build([task], local_scheduler=True, workers=workers, log_level="ERROR")
    assert task.complete()
    inside = ("zarr.json", "0")
    files = {
        Path(path).name
        for path, (kind, _) in workspace.tree().items()
        if (kind != "directory" or path.endswith(".zarr")) and Path(path).name not in inside
    }
    assert files == STEPS[name]


def run_luigi(workspace: Workspace, *further: str) -> subprocess.CompletedProcess[str]:
    command = [LUIGI, "--module", "spimpack_tasks", "PackageDataset", "--local-scheduler"]
    where = ["--manifest", workspace.manifest.name, "--output-dir", "out"]
    environment = {k: v for k, v in os.environ.items() if k != "LUIGI_CONFIG_PATH"}
    return subprocess.run(
        [*command, *where, *further],
        cwd=workspace.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_exit_codes_of_the_stock_luigi_binary(workers: str, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.write()
    ended = []
    for further in ((), ("--backend", "copy"), ("--backend", "symlnk")):
        run = run_luigi(workspace, "--workers", workers, *further)
        ended.append(run.returncode)
        assert "Traceback" not in run.stderr + run.stdout
        assert len((run.stderr + run.stdout).splitlines()) <= 25
    sidecar = next(workspace.out.rglob("*_SPIM.json"))
    sidecar.write_text("{}")
    run = run_luigi(workspace, "--workers", workers)
    ended.append(run.returncode)
    assert "conflict.altered" in run.stderr
    assert "Traceback" not in run.stderr
    assert ended == [ExitCode.OK, ExitCode.OK, ExitCode.BAD_INPUT, ExitCode.CONFLICT]


@pytest.mark.parametrize("program", ["luigi", "spimpack"])
def test_many_warnings_do_not_drown_the_summary(program: str, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for number in range(30):
        workspace.add_row(f"{number}.ims", subject=f"{number:02}")
        workspace.rows[-1]["sample_staining"] = "Abeta"  # of two channels
    workspace.write()
    options = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
    if program == "luigi":
        run = run_luigi(workspace)
    else:
        command = [sys.executable, "-m", "spimpack_tasks.cli.main", "package", *options]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == ExitCode.OK, run.stderr
    assert len((run.stderr + run.stdout).splitlines()) <= 25
    assert run.stderr.count("[sidecar.channels] (30 times: lines 2-31)") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_failed_asset_does_not_stop_the_others(workers: str, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    # A name that the disk refuses only when the copy is made: the chunk file is unreadable as data.
    bad = workspace.root / "raw" / "b.ome.zarr" / "0" / "c" / "0" / "0" / "0" / "0"
    bad.unlink()
    bad.symlink_to("nowhere")
    workspace.write()
    run = run_luigi(workspace, "--workers", workers, "--backend", "copy")
    assert run.returncode == ExitCode.FAILED
    told = "SPIM.ome.zarr: '0/c/0/0/0/0' in it is a link to 'nowhere', which is not there"
    assert f"sub-02_sample-brain_acq-4x_{told}" in run.stderr
    assert "Traceback" not in run.stderr
    names = {path.name for path in workspace.out.rglob("*_SPIM*")}
    assert {
        "sub-01_sample-brain_acq-4x_SPIM.ims",
        "sub-03_sample-brain_acq-4x_SPIM.ome.tif",
    } < names
    assert "sub-02_sample-brain_acq-4x_SPIM.ome.zarr" not in names
    bad.unlink()
    bad.write_bytes(b"data")
    assert run_luigi(workspace, "--workers", workers, "--backend", "copy").returncode == ExitCode.OK


def test_the_users_own_exit_codes_win(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.rows[0]["subject"] = "a-b"
    workspace.write()
    (tmp_path / "luigi.cfg").write_text("[retcode]\ntask-failed = 77\n")
    assert run_luigi(workspace).returncode == 77


def test_an_early_failure_is_no_takeover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    workspace.rows[0]["Species"] = "rat"

    def full_disk(_store: Store, _plan: Plan) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "make_current", full_disk)
    assert workspace.run().exit_code == ExitCode.FAILED


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Luigi's own lock file
def test_luigi_says_when_another_run_took_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.write()

    def take_over(output: Output, path: str) -> None:
        (workspace.out / ".spimpack" / "current").write_text("another")
        make_link(output, path)

    change_backend(monkeypatch, "symlink", make=take_over)
    where = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
    command = ["--module", "spimpack_tasks", "PackageDataset", *where, "--local-scheduler"]
    with pytest.raises(SystemExit) as ended:
        run_with_retcodes([*command, "--no-lock"])
    assert ended.value.code == ExitCode.SUPERSEDED


def test_the_summary_names_the_groups(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ims", subject="01", dataset_id="pilot")
    workspace.add_row("b.ims", subject="02", dataset_id="main")
    workspace.add_row("c.ims", subject="03", dataset_id="main")
    lines = workspace.run().lines("out")
    assert lines == ["Packaged out: 3 new", "main: 2 images", "pilot: 1 image"]


def test_spimpack_and_luigi_do_the_same(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.write()
    assert run_luigi(workspace).returncode == ExitCode.OK
    tree = workspace.tree()
    shutil.rmtree(workspace.out)
    spimpack = Path(sys.executable).with_name("spimpack")
    arguments = ["--manifest", "manifest.yml", "--output-dir", "out", "--backend", "symlink"]
    subprocess.run([spimpack, "package", *arguments], cwd=tmp_path, check=True)
    assert workspace.tree() == tree


def test_at_most_64_tasks_for_a_light_step(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ims", subject="0000")
    workspace.rows = [workspace.rows[0] | {"subject": f"{n:04}"} for n in range(200)]
    workspace.write()
    task = spimpack_tasks.PackageDataset(manifest=workspace.manifest, output_dir=workspace.out)
    families = [inner.task_family for inner in task.requires()]
    assert families.count("WriteSidecars") <= 64
    assert families.count("SymlinkAssets") <= 64
    assert luigi.build([task], local_scheduler=True, log_level="ERROR")
    assert len(list(workspace.out.rglob("*_SPIM.ims"))) == 200


@pytest.mark.slow
def test_two_runs_at_once_end_as_one_of_them(tmp_path: Path) -> None:
    """Two manifests, one output: the tree is exactly one of the two, without a traceback."""
    first = small_workspace(tmp_path / "first")
    second = small_workspace(tmp_path / "second")
    for row in second.rows:
        row["Species"] = "rabbit"
    second.rows.pop()
    wanted = []
    for workspace in (first, second):
        workspace.run()
        wanted.append(workspace.tree())
        shutil.rmtree(workspace.out)
    out = tmp_path / "out"
    spimpack = Path(sys.executable).with_name("spimpack")
    for _ in range(10):
        runs = [
            subprocess.Popen(
                [spimpack, "package", "--manifest", w.manifest, "--output-dir", out],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for w in (first, second)
        ]
        said = [run.communicate()[0] for run in runs]
        codes = [run.returncode for run in runs]
        assert not any(re.search("Traceback", text) for text in said), said
        assert ExitCode.OK in codes, said
        assert set(codes) <= {ExitCode.OK, ExitCode.SUPERSEDED, ExitCode.CONFLICT}, said
        tree = Workspace(tmp_path).tree()
        assert tree in wanted, said
        shutil.rmtree(out)
