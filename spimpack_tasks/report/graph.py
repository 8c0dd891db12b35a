"""The task graph of a plan, with complete and open tasks, from one inspection of the disk.

It follows from the inspection of each output, without making Luigi's tasks: a backend with one task
for each image has thousands, and each would inspect the disk again. A test compares the graph with
that of the tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of
from spimpack_tasks.model.buckets import PART, unit_of, unit_of_part
from spimpack_tasks.model.plan import SPECS, STEPS, Step, is_wanted
from spimpack_tasks.packaging.backends.registry import require_choice
from spimpack_tasks.state.checksum_lists import has_lists
from spimpack_tasks.state.checksums import lists_are_right
from spimpack_tasks.state.staging import has_part, idle_unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.packaging.prepared_run import PreparedRun
    from spimpack_tasks.state.sweep import Sweep

MOST_SHOWN = 16
"""More units of a step than these are drawn as one."""


@dataclass(frozen=True, slots=True)
class Node:
    """One task, or all units of one step."""

    name: str
    units: dict[str, bool]
    """Whether each unit is complete; a task without units has one of the name ``""``."""
    requires: tuple[str, ...] = ()
    """Names of the nodes that come first, but those that others of them require."""

    @property
    def done(self) -> int:
        """Number of complete units."""
        return sum(self.units.values())

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to do."""
        return self.done == len(self.units)

    @property
    def state(self) -> str:
        """The state in words."""
        if self.is_complete:
            return "complete" if "" in self.units else f"{count_of(self.done, 'unit')} complete"
        return "to do" if "" in self.units else f"{self.done:,} of {len(self.units):,} complete"


def task_graph(prepared: PreparedRun, sweep: Sweep) -> tuple[Node, ...]:
    """Return the tasks of a run in the order of their work, from the inspection of its outputs."""
    store, plan_id = prepared.store, prepared.plan_id
    is_current = store.current_plan_id() == plan_id and store.has_plan(plan_id)
    units = _units(prepared, sweep)
    parts = _parts(prepared, sweep)
    before_images = (PART,) if parts else ("BuildPaths",)
    of_images = require_choice(prepared.options.backend).backend.task
    is_validated = store.has_validated(plan_id)
    is_stale = bool(sweep.stale) or next(idle_unfinished(store), None) is not None
    nodes = [
        Node("ValidateManifest", {"": is_validated}),
        Node("BuildPaths", {"": is_current}, ("ValidateManifest",)),
        *([Node(PART, parts, ("BuildPaths",))] if parts else []),
        *(
            Node(name, states, before_images if name == of_images else ("BuildPaths",))
            for name, states in units.items()
        ),
        Node("PruneStale", {"": is_current and not is_stale}, tuple(units)),
    ]
    is_right = is_current and sweep.is_right
    if has_lists(store):
        are_right = is_current and lists_are_right(store)
        nodes.append(Node("WriteChecksumLists", {"": are_right}, ("PruneStale",)))
        is_right = is_right and are_right
    nodes.append(Node("PackageDataset", {"": is_right}, (nodes[-1].name,)))
    return tuple(nodes)


def _units(prepared: PreparedRun, sweep: Sweep) -> dict[str, dict[str, bool]]:
    """Return for each task that writes whether each of its units is complete."""
    keys = prepared.keys
    backend = require_choice(prepared.options.backend).backend
    is_slow = {spec.step: spec.is_slow for spec in STEPS} | {Step.ASSETS: backend.is_slow}

    def unit_in(step: Step, key: str) -> str:
        return unit_of(key, len(keys), is_slow=is_slow[step]) if SPECS[step].per_image else ""

    units: dict[str, dict[str, bool]] = {}
    tasks: dict[Step, str] = {}
    for spec in STEPS:
        if is_wanted(spec, prepared.options, backend):
            name = tasks[spec.step] = backend.task if spec.step is Step.ASSETS else spec.task
            units[name] = {unit_in(spec.step, key): True for key in keys}
    for inspection in sweep.differences:
        step = inspection.output.step
        units[tasks[step]][unit_in(step, inspection.output.asset)] = False
    return units


def _parts(prepared: PreparedRun, sweep: Sweep) -> dict[str, bool]:
    """Return for each part of an image that is divided whether it is there."""
    wrong = {each.output.path for each in sweep.differences}
    return {
        unit_of_part(output.asset, number): (
            output.path not in wrong or has_part(prepared.store, output, number)
        )
        for output in prepared.plan().outputs
        for number in range(output.part_count)
    }


def draw_dot(nodes: tuple[Node, ...]) -> Iterator[str]:
    """Yield the lines of a graph for Graphviz; an arrow leads from a task to the ones after it."""
    yield "digraph tasks {"
    yield "  rankdir=LR"
    yield '  node [shape=box, style="rounded,filled", fontname="Helvetica,sans-serif"]'
    ids = {node.name: _ids(node) for node in nodes}
    for node in nodes:
        for name, unit in ids[node.name].items():
            is_complete = node.is_complete if unit is None else node.units[unit]
            label = [node.name, *([unit] if unit else [])]
            label.append(node.state if unit is None else "complete" if is_complete else "to do")
            colours = _COMPLETE if is_complete else _TO_DO
            yield f"  {_quoted(name)} [label={_quoted(*label)}, {colours}]"
    for node in nodes:
        for first in node.requires:
            for before in ids[first]:
                for after in ids[node.name]:
                    yield f"  {_quoted(before)} -> {_quoted(after)}"
    yield "}"


_COMPLETE = 'fillcolor="#e3f1e6", color="#2f6b3c"'
_TO_DO = 'fillcolor="#fdf3dc", color="#8a5a00"'


def _ids(node: Node) -> dict[str, str | None]:
    """Return the unit of each box that a node is drawn as, by the box's name; None for all."""
    if len(node.units) > MOST_SHOWN:
        return {node.name: None}
    return {f"{node.name} {unit}".strip(): unit for unit in sorted(node.units)}


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
