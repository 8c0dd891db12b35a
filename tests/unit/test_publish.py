"""Outputs get their names, whatever stands in the way, and whenever the last run was killed."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from workspace import tree_of

from spimpack_tasks.files.atomic import OpenTree
from spimpack_tasks.files.blocks import make_block
from spimpack_tasks.model.plan import Kind, Output, Plan, Step
from spimpack_tasks.state import publish as publishing
from spimpack_tasks.state.publish import Failure, ImageMaker, prune, publish
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.sweep import Status, differences_of, sweep

KINDS = [Kind.TEXT, Kind.SEED, Kind.LINK, Kind.BLOCK]
PATH = "folder/x"


def matches(output: Output, path: str) -> bool:
    raise AssertionError(output, path)  # there are no images here


def make(output: Output, path: str) -> None:
    raise AssertionError(output, path)


MAKER = ImageMaker(matches, make)


class Killed(BaseException):
    """In place of the end of the process."""


def plan_of(kind: Kind, text: str, path: str = PATH) -> Plan:
    whole = make_block([text]) if kind is Kind.BLOCK else text
    digest = sha256(f"{kind}{text}".encode()).hexdigest()
    output = Output(path, Step.DESCRIPTION, kind, digest, text=whole)
    return Plan(digest[:16], "symlink", (output,))


def run(store: Store, plan: Plan, *, overwrite: bool = False) -> list[Failure]:
    store.make_current(plan)
    return publish(store, plan.plan_id, plan.outputs, MAKER, overwrite=overwrite)


def content(path: Path) -> str:
    return str(path.readlink()) if path.is_symlink() else path.read_text()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "out"))
    store.create()
    return store


def run_killed(store: Store, plan: Plan, when: str) -> None:
    """Run, and die before or after the output gets its name."""

    class DyingTree(OpenTree):
        def move_in(self, temporary: str, path: str, aside: str = "") -> None:
            if when == "after the name":
                super().move_in(temporary, path, aside)
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "OpenTree", DyingTree)
        with pytest.raises(Killed):
            run(store, plan)


@pytest.mark.parametrize("last", ["first", "second", "third"])
@pytest.mark.parametrize("when", ["before the name", "after the name"])
@pytest.mark.parametrize("begun", ["fresh", "again"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_is_understood_by_the_next_edit(
    kind: Kind, begun: str, when: str, last: str, store: Store
) -> None:
    if begun == "again":
        assert run(store, plan_of(kind, "first")) == []
    run_killed(store, plan_of(kind, "second"), when)
    wanted = plan_of(kind, last)
    assert run(store, wanted) == []
    assert content(Path(store.output_dir, PATH)) == wanted.outputs[0].text
    assert sweep(store, wanted, matches).is_right


@pytest.mark.parametrize("when", ["before the name", "after the name"])
@pytest.mark.parametrize("begun", ["fresh", "again"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_killed_run_wrote_is_taken_away_where_it_is_not_wanted(
    kind: Kind, begun: str, when: str, store: Store
) -> None:
    if begun == "again":
        run(store, plan_of(kind, "first"))
    run_killed(store, plan_of(kind, "second"), when)
    other = plan_of(kind, "other", path="y")
    assert run(store, other) == []
    assert sweep(store, other, matches).stale == (PATH,)
    assert prune(store, other) == (1, [])
    assert {path.name for path in Path(store.output_dir).iterdir()} == {"y", ".spimpack"}
    assert sweep(store, other, matches).is_right


IN_THE_WAY = {
    "a file": (lambda path: path.write_text("mine"), Status.FOREIGN, True),
    "a link": (lambda path: path.symlink_to("mine"), Status.FOREIGN, True),
    "a folder": (lambda path: path.mkdir(), Status.FOREIGN, True),
    "a file where a folder must be": (
        lambda path: (path.parent.rmdir(), path.parent.write_text("mine")),
        Status.BLOCKED,
        False,
    ),
    "a link where a folder must be": (
        lambda path: (path.parent.rmdir(), path.parent.symlink_to(".")),
        Status.BLOCKED,
        False,
    ),
}


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.LINK])
@pytest.mark.parametrize("name", IN_THE_WAY)
def test_what_came_in_the_way_after_planning_is_written_over_only_if_asked(
    name: str, kind: Kind, store: Store
) -> None:
    place, status, can_be_written = IN_THE_WAY[name]
    path = Path(store.output_dir, PATH)
    path.parent.mkdir()
    place(path)
    plan = plan_of(kind, "ours")
    store.make_current(plan)
    assert [finding.status for finding in differences_of(store, plan.outputs, matches)] == [status]
    before = tree_of(Path(store.output_dir))
    (failure,) = run(store, plan)
    assert failure.path == PATH
    assert tree_of(Path(store.output_dir)) == before
    assert bool(run(store, plan, overwrite=True)) is not can_be_written
    if can_be_written:
        assert content(path) == "ours"
        assert sweep(store, plan, matches).is_right


def test_what_the_user_changed_is_neither_written_over_nor_taken_away(store: Store) -> None:
    path = Path(store.output_dir, PATH)
    run(store, plan_of(Kind.TEXT, "first"))
    path.write_text("mine")
    (failure,) = run(store, plan_of(Kind.TEXT, "second"))
    assert (failure.path, path.read_text()) == (PATH, "mine")
    other = plan_of(Kind.TEXT, "other", path="y")
    run(store, other)
    assert prune(store, other) == (0, [PATH])
    assert path.read_text() == "mine"
    assert sweep(store, other, matches).stale == ()


def test_lines_of_the_user_around_a_block_stay(store: Store) -> None:
    path = Path(store.output_dir, PATH)
    run(store, plan_of(Kind.BLOCK, "first"))
    path.write_text(f"mine\n{path.read_text()}also mine\n")
    assert run(store, plan_of(Kind.BLOCK, "second")) == []
    assert path.read_text() == f"mine\n{make_block(['second'])}also mine\n"
    other = plan_of(Kind.TEXT, "other", path="y")
    run(store, other)
    assert prune(store, other) == (1, [])
    assert path.read_text() == "mine\nalso mine\n"
