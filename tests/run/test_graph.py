"""The picture of the tasks: the same graph, and the same states, as Luigi's own tasks have."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from workspace import STATE, Workspace, small_workspace

from spimpack_tasks import PackageDataset
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.report.graph import MOST_SHOWN, Node, draw_dot, task_graph
from spimpack_tasks.report.picture import draw_svg


def remove(workspace: Workspace, path: str) -> None:
    workspace.run()
    (workspace.out / path).unlink()


def edit(workspace: Workspace) -> None:
    workspace.run()
    workspace.rows[0]["Species"] = "rat"


STATES = {
    "nothing": lambda _: None,
    "complete": lambda w: w.run(),
    "removed sidecar": lambda w: remove(w, "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.json"),
    "removed link": lambda w: remove(w, "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ims"),
    "removed description": lambda w: remove(w, "dataset_description.json"),
    "edited table": edit,
    "validated only": lambda w: remove(w, f"{STATE}/current"),
    "with checksums": lambda w: w.run(checksum=True),
    "old checksums": lambda w: (w.run(checksum=True), remove(w, f"{STATE}/SHA256SUMS.trees")),
}


def nodes_of(workspace: Workspace, **changes: str) -> tuple[Node, ...]:
    workspace.write()
    draft = prepare_run(workspace.options(**changes))
    return task_graph(draft, draft.sweep())


def real_graph(
    workspace: Workspace, **changes: str
) -> tuple[dict[str, dict[str, bool]], dict[str, set[str]]]:
    """Return the states of Luigi's tasks by name and unit, and what each name requires at last."""
    options = workspace.options(**changes)
    root = PackageDataset(
        manifest=options.manifest,
        output_dir=options.output_dir,
        backend=options.backend,
        keep_source_links=options.keep_source_links,
        previews=options.previews,
    )
    states: dict[str, dict[str, bool]] = defaultdict(dict)
    requires: dict[str, set[str]] = defaultdict(set)
    pending, seen = [root], set()
    while pending:
        task = pending.pop()
        if task.task_id in seen:
            continue
        seen.add(task.task_id)
        states[task.task_family][getattr(task, "unit", "")] = task.complete()
        for first in task.deps():
            requires[task.task_family].add(first.task_family)
            pending.append(first)
    return dict(states), {name: closure(name, requires) for name in states}


def closure(name: str, requires: dict[str, set[str]]) -> set[str]:
    direct = requires.get(name, set())
    return direct.union(*(closure(first, requires) for first in direct))


@pytest.mark.parametrize("backend", ["symlink", "copy"])
@pytest.mark.parametrize("name", STATES)
def test_the_graph_is_that_of_the_tasks(name: str, backend: str, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.write()
    STATES[name](workspace)
    nodes = nodes_of(workspace, backend=backend)
    states, requires = real_graph(workspace, backend=backend)
    assert {node.name: node.units for node in nodes} == states
    direct = {node.name: set(node.requires) for node in nodes}
    assert {name: closure(name, direct) for name in direct} == requires


def test_buckets_are_those_of_the_tasks(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for number in range(70):
        workspace.add_row("a.ims", subject=f"{number:02}")
    states, _ = (nodes_of(workspace), real_graph(workspace))[1]
    assert {node.name: node.units for node in nodes_of(workspace)} == states


def test_the_dot_of_few_images_shows_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    (workspace.out / "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.json").unlink()
    before = workspace.stamps()
    where = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
    capsys.readouterr()
    assert main(["plan", *where, "--dot"]) == ExitCode.OK
    dot = capsys.readouterr().out
    assert dot.startswith("digraph tasks {\n")
    assert dot.endswith("}\n")
    name = "WriteSidecars sub-02_sample-brain_acq-4x_SPIM"
    label = name.replace(" ", r"\n") + r"\nto do"
    assert f'  "{name}" [label="{label}", ' in dot
    assert f'  "BuildPaths" -> "{name}"\n' in dot
    assert dot.count("complete") == 8 + 2 + 3 + 1
    assert workspace.stamps() == before


def test_many_units_are_drawn_as_one() -> None:
    few = Node("Few", {str(n): True for n in range(MOST_SHOWN)})
    many = Node("Many", {str(n): n < 5 for n in range(MOST_SHOWN + 1)}, ("Few",))
    lines = list(draw_dot((few, many)))
    assert sum(line.startswith('  "Few ') and "label" in line for line in lines) == MOST_SHOWN
    (one,) = (line for line in lines if line.startswith('  "Many"'))
    assert rf'label="Many\n5 of {MOST_SHOWN + 1} complete"' in one


def test_names_are_quoted() -> None:
    (line,) = (line for line in draw_dot((Node('a"b\\', {"": True}),)) if "label" in line)
    assert line.startswith(r'  "a\"b\\" [label="a\"b\\\ncomplete"')


def test_the_picture_is_well_formed_and_within_its_frame(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    svg = ET.fromstring("".join(draw_svg(nodes_of(workspace))))
    _, _, width, height = map(int, svg.attrib["viewBox"].split())
    boxes = [(int(r.attrib["x"]), int(r.attrib["y"])) for r in svg.iter("rect")]
    assert len(boxes) == len(set(boxes)) == 12
    for box in svg.iter("rect"):
        assert int(box.attrib["x"]) + int(box.attrib["width"]) <= width
        assert int(box.attrib["y"]) + int(box.attrib["height"]) <= height
    texts = [text.text for text in svg.iter("text")]
    assert texts.count("complete") == 10
    assert texts.count("3 units complete") == 2
    assert len(list(svg.iter("path"))) == 1 + 8 + 8 + 1
    assert re.match(r"Task graph: 12 of 12 steps complete", svg.findtext("title", ""))
