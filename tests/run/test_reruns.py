"""A rerun does exactly what an edit touches: every path is compared by content, time and inode."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import luigi
import pytest
from workspace import Workspace, leftovers, small_workspace

from spimpack_tasks import PackageDataset
from spimpack_tasks.errors import ConflictError, ExitCode
from spimpack_tasks.model.plan import SPECS, STEPS, Step
from spimpack_tasks.packaging import plan as plan_module
from spimpack_tasks.packaging.tasks.planning import BuildPaths, DatasetTask
from spimpack_tasks.packaging.tasks.writing import LinkAssets
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.store import Store

ONE = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM"
TWO = "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM"
THREE = "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM"


def plan_with(*tasks: str) -> frozenset[str]:
    """Return the tasks that run under a new plan: the steps that it touches, and the last one."""
    return frozenset({*tasks, "PruneStale"})


NOT_A_STEP = {"ValidateManifest", "BuildPaths", "PackageDataset"}


@dataclass(frozen=True)
class Case:
    """What is done between two runs, and which paths the second run may touch."""

    action: str
    edit: Callable[[Workspace], None]
    rewritten: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    options: tuple[tuple[str, object], ...] = ()
    reruns: frozenset[str] = frozenset()
    """The steps that run."""


def cell(row: int, column: str, value: str) -> Callable[[Workspace], None]:
    def edit(workspace: Workspace) -> None:
        workspace.rows[row][column] = value

    return edit


def new_source(workspace: Workspace) -> None:
    workspace.add_source("d.ims")
    workspace.rows[0]["spim_path"] = "raw/d.ims"


def shuffle(workspace: Workspace) -> None:
    workspace.rows = [dict(reversed(row.items())) for row in reversed(workspace.rows)]
    workspace.participants.reverse()


def rename_subject(workspace: Workspace) -> None:
    workspace.rows[2]["subject"] = "09"
    workspace.participants[2]["participant_id"] = "sub-09"


def remove_row(workspace: Workspace) -> None:
    workspace.rows.pop(2)


def add_row(workspace: Workspace) -> None:
    workspace.add_row("e.ome.zarr", subject="03", acquisition="8x")


def on_output(change: Callable[[Path], None]) -> Callable[[Workspace], None]:
    return lambda workspace: change(workspace.out)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


TABLES = frozenset({"samples.tsv", "README.md"})
CASES = [
    Case("nothing", lambda _: None),
    Case(
        "one cell",
        cell(0, "Species", "rat"),
        frozenset({f"{ONE}.json"}),
        reruns=plan_with("WriteSidecars"),
    ),
    Case("another source", new_source, frozenset({f"{ONE}.ims"}), reruns=plan_with("LinkAssets")),
    Case(
        "touched source",
        lambda w: touch(w.root / "raw/a.ims"),
        reruns=plan_with("LinkAssets"),
    ),
    Case("grown source", lambda w: grow(w.root / "raw/a.ims"), reruns=plan_with("LinkAssets")),
    Case(
        "touched zarr",
        lambda w: touch(w.root / "raw/b.ome.zarr/zarr.json"),
        reruns=plan_with("LinkAssets"),
    ),
    Case(
        "dataset name",
        lambda w: w.description.update(Name="Other"),
        frozenset({"dataset_description.json", "README.md", "CHANGES"}),
        reruns=plan_with("WriteDescription", "WriteReadme"),
    ),
    Case(
        "dataset keyword",
        lambda w: w.description.update(Keywords=["brain"]),
        frozenset({"dataset_description.json"}),
        reruns=plan_with("WriteDescription"),
    ),
    Case("rows and columns in another order", shuffle),
    Case(
        "relative links",
        lambda _: None,
        frozenset({f"{ONE}.ims", f"{TWO}.ome.zarr", f"{THREE}.ome.tif"}),
        options=(("relative_symlinks", True),),
        reruns=plan_with("LinkAssets"),
    ),
    Case(
        "removed sidecar",
        on_output(lambda o: (o / f"{ONE}.json").unlink()),
        frozenset({f"{ONE}.json"}),
        reruns=frozenset({"WriteSidecars"}),
    ),
    Case(
        "removed link",
        on_output(lambda o: (o / f"{ONE}.ims").unlink()),
        frozenset({f"{ONE}.ims"}),
        reruns=frozenset({"LinkAssets"}),
    ),
    Case(
        "truncated sidecar",
        on_output(lambda o: (o / f"{ONE}.json").write_text("")),
        frozenset({f"{ONE}.json"}),
        reruns=frozenset({"WriteSidecars"}),
    ),
    Case(
        "lost state",
        on_output(lambda o: shutil.rmtree(o / ".spimpack")),
        reruns=plan_with(
            *("LinkAssets", "WriteBidsIgnore", "WriteDescription", "WriteParticipants"),
            *("WriteReadme", "WriteSamples", "WriteSidecars"),
        ),
    ),
    Case(
        "renamed subject",
        rename_subject,
        frozenset({"samples.tsv", "participants.tsv"}),
        frozenset({p.replace("03", "09") for p in (f"{THREE}.json", f"{THREE}.ome.tif")}),
        frozenset({f"{THREE}.json", f"{THREE}.ome.tif"}),
        reruns=plan_with("LinkAssets", "WriteParticipants", "WriteSamples", "WriteSidecars"),
    ),
    Case(
        "removed row",
        remove_row,
        TABLES,
        removed=frozenset({f"{THREE}.json", f"{THREE}.ome.tif"}),
        reruns=plan_with("WriteReadme", "WriteSamples"),
    ),
    Case(
        "added row",
        add_row,
        added=frozenset(
            f"sub-03/micr/sub-03_sample-brain_acq-8x_SPIM.{e}" for e in ("json", "ome.zarr")
        ),
        reruns=plan_with("LinkAssets", "WriteSidecars"),
    ),
    Case(
        "hidden image gone",
        lambda w: (w.rows.pop(0), w.participants.pop(0)),
        frozenset({"samples.tsv", "participants.tsv", "README.md"}),
        removed=frozenset({f"{ONE}.json", f"{ONE}.ims", ".bidsignore"}),
        reruns=plan_with("WriteParticipants", "WriteReadme", "WriteSamples"),
    ),
]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[], set[str]]]:
    """Give the steps that have run since it was last asked, in whichever process."""
    log = tmp_path / "started"

    def note(task: DatasetTask) -> None:
        with log.open("a") as file:
            file.write("LinkAssets\n" if isinstance(task, LinkAssets) else f"{task.task_family}\n")

    def tell() -> set[str]:
        families = set(log.read_text().split()) if log.exists() else set()
        log.unlink(missing_ok=True)
        return families - NOT_A_STEP

    DatasetTask.event_handler(luigi.Event.START)(note)
    yield tell
    DatasetTask.remove_event_handler(luigi.Event.START, note)


def table_of_cases() -> list[str]:
    """Return the table of docs/explanation/reruns.md."""
    lines = ["| What was done | Tasks that run | Written anew | Added | Removed |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for case in CASES:
        steps = ", ".join(sorted(case.reruns))
        cells = [case.action, steps or "none"]
        cells += [names_of(paths) for paths in (case.rewritten, case.added, case.removed)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def names_of(paths: frozenset[str]) -> str:
    """Return what stands for some paths in the table: the user's three images are 1, 2 and 3."""
    shown = []
    for path in sorted(paths):
        subject = re.match(r"sub-0?(\d)/micr/", path)
        kind = "sidecar" if path.endswith(".json") else "image"
        shown.append(f"{kind} of sub-0{subject[1]}" if subject else f"`{path}`")
    return ", ".join(shown) or "nothing"


def test_the_page_has_the_table_of_the_cases() -> None:
    page = Path(__file__).parents[2] / "docs" / "explanation" / "reruns.md"
    text = page.read_text()
    begin, end = "<!-- CASES of tests/run/test_reruns.py -->\n\n", "\n\n<!-- end -->"
    before, _, rest = text.partition(begin)
    table, _, after = rest.partition(end)
    wanted = "\n".join(table_of_cases())
    if os.environ.get("REFRESH_DOCS"):
        page.write_text(before + begin + wanted + end + after)
    else:
        assert table == wanted


@pytest.mark.few(12)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.action)
def test_rerun_touches_exactly_what_changed(
    case: Case, workers: int, tmp_path: Path, started: Callable[[], set[str]]
) -> None:
    workspace = small_workspace(tmp_path)
    assert workspace.run(workers).exit_code == ExitCode.OK
    case.edit(workspace)
    before = workspace.stamps() | {
        path: ("restored",) for path in case.rewritten if not os.path.lexists(workspace.out / path)
    }
    started()
    assert workspace.run(workers, **dict(case.options)).exit_code == ExitCode.OK
    assert started() == case.reruns
    after = workspace.stamps()
    assert {p for p in before if p in after and before[p] != after[p]} == case.rewritten
    assert set(after) - set(before) == case.added
    assert set(before) - set(after) == case.removed
    assert leftovers(workspace.out) == []
    tree = workspace.tree()
    shutil.rmtree(workspace.out)
    workspace.run(workers, **dict(case.options))
    assert workspace.tree() == tree


def workspace_is_right(workspace: Workspace) -> bool:
    return PackageDataset(manifest=workspace.manifest, output_dir=workspace.out).complete()


def test_a_new_writer_version_reruns_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    before = workspace.stamps()
    newer = replace(SPECS[Step.SIDECARS], version=2)
    monkeypatch.setitem(SPECS, Step.SIDECARS, newer)
    steps = tuple(newer if spec.step is Step.SIDECARS else spec for spec in STEPS)
    monkeypatch.setattr(plan_module, "STEPS", steps)
    SESSION.reset()
    assert not workspace_is_right(workspace)
    assert workspace.run().exit_code == ExitCode.OK
    assert workspace_is_right(workspace)
    assert workspace.stamps() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_overtaken_run_wrote_meanwhile_is_put_right(workers: int, tmp_path: Path) -> None:
    """A step that was right need not run, but may be undone until our plan is the current one."""
    workspace = small_workspace(tmp_path)
    workspace.run()
    sidecar = workspace.out / f"{TWO}.json"
    workspace.rows[0]["Species"] = "rat"

    def overtake(_: BuildPaths) -> None:
        sidecar.unlink()

    BuildPaths.event_handler(luigi.Event.START)(overtake)
    try:
        assert workspace.run(workers).exit_code == ExitCode.OK
    finally:
        BuildPaths.remove_event_handler(luigi.Event.START, overtake)
    assert sidecar.exists()
    assert workspace_is_right(workspace)


def test_a_run_that_was_overtaken_and_forgotten_says_so(tmp_path: Path) -> None:
    """The other plan was the current one before ours, and is it again; ours is gone."""
    workspace = small_workspace(tmp_path)
    workspace.run()
    store = Store(str(workspace.out))
    other = store.load_plan(store.current_plan_id())
    workspace.rows[0]["Species"] = "rat"
    workspace.write()
    task = PackageDataset(manifest=str(workspace.manifest), output_dir=str(workspace.out))
    assert task.verdict() is None
    store.make_current(task.prepared.plan())
    store.make_current(other)
    shutil.rmtree(store.path("plan", task.plan_id))
    assert task.verdict() is ExitCode.SUPERSEDED


def test_removed_rows_leave_what_the_user_changed(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    sidecar = workspace.out / f"{THREE}.json"
    sidecar.write_text('{"mine": true}')
    workspace.rows.pop(2)
    assert workspace.run().exit_code == ExitCode.OK
    assert sidecar.read_text() == '{"mine": true}'
    assert not os.path.lexists(workspace.out / f"{THREE}.ome.tif")
    assert workspace.run().exit_code == ExitCode.OK


def test_foreign_files_survive_everything(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    foreign = {
        "README.md": "my own words",
        "CHANGES": "2.0.0\n - mine\n",
        "derivatives/x/data.txt": "1",
        "code/run.sh": "2",
        "sub-03/notes.txt": "3",
        ".bidsignore": "/my-pattern\n" + (workspace.out / ".bidsignore").read_text() + "/after\n",
    }
    for path, text in foreign.items():
        (workspace.out / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace.out / path).write_text(text)
    workspace.rows.pop(2)
    workspace.rows.pop(0)
    assert workspace.run().exit_code == ExitCode.OK
    for path, text in foreign.items():
        if path != ".bidsignore":
            assert (workspace.out / path).read_text() == text
    assert (workspace.out / ".bidsignore").read_text() == "/my-pattern\n/after\n"


def write(path: str, text: str = "mine") -> Callable[[Path], None]:
    def change(out: Path) -> None:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        if (out / path).is_symlink():
            (out / path).unlink()
        (out / path).write_text(text)

    return change


def retarget(out: Path) -> None:
    (out / f"{ONE}.ims").unlink()
    (out / f"{ONE}.ims").symlink_to("/elsewhere.ims")


def link_folder(out: Path) -> None:
    shutil.rmtree(out / "sub-01", ignore_errors=True)
    (out.parent / "elsewhere").mkdir()
    (out / "sub-01").symlink_to(out.parent / "elsewhere")


def make_directory(out: Path) -> None:
    (out / f"{ONE}.json").unlink(missing_ok=True)
    (out / f"{ONE}.json").mkdir(parents=True)


CONFLICTS = {
    "foreign description": (False, write("dataset_description.json"), "conflict.foreign"),
    "foreign sidecar": (False, write(f"{ONE}.json"), "conflict.foreign"),
    "foreign image": (False, write(f"{ONE}.ims"), "conflict.foreign"),
    "directory in the way": (False, make_directory, "conflict.foreign"),
    "edited sidecar": (True, write(f"{ONE}.json"), "conflict.altered"),
    "edited description": (True, write("dataset_description.json"), "conflict.altered"),
    "retargeted link": (True, retarget, "conflict.altered"),
    "real file for a link": (True, write(f"{TWO}.ome.zarr"), "conflict.altered"),
    "folder became a link": (True, link_folder, "conflict.folder"),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflicts_are_refused_before_the_first_write(name: str, tmp_path: Path) -> None:
    packaged, change, code = CONFLICTS[name]
    workspace = small_workspace(tmp_path)
    if packaged:
        workspace.run()
    change(workspace.out)
    before = workspace.tree()
    workspace.rows[1]["Species"] = "dog"
    with pytest.raises(ConflictError) as caught:
        workspace.run()
    assert {problem.code for problem in caught.value.report.problems} == {code}
    assert workspace.tree() == before
    if name != "folder became a link":
        assert workspace.run(overwrite=True).exit_code == ExitCode.OK
        tree = workspace.tree()
        shutil.rmtree(workspace.out)
        workspace.run()
        assert workspace.tree() == tree
    else:
        with pytest.raises(ConflictError):
            workspace.run(overwrite=True)
        assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_source_itself_is_never_overwritten(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    source = workspace.out / f"{ONE}.ims"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"precious")
    workspace.add_row("a.ims", subject="01", acquisition="4x")
    workspace.rows[0]["spim_path"] = str(source)
    for overwrite in (False, True):
        with pytest.raises(ConflictError, match="is a source of this dataset"):
            workspace.run(overwrite=overwrite)
        assert source.read_bytes() == b"precious"


def test_another_name_of_an_output_is_never_written_through(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    sidecar, elsewhere = workspace.out / f"{ONE}.json", tmp_path / "elsewhere.json"
    elsewhere.hardlink_to(sidecar)
    before = elsewhere.read_text()
    workspace.rows[0]["Species"] = "rat"
    assert workspace.run().exit_code == ExitCode.OK
    assert '"rat"' in sidecar.read_text()
    assert elsewhere.read_text() == before
