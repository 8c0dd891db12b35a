"""Draws the task graph as an SVG. Its shape is always the same: one column after the other."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.report.graph import Node

BOX = (160, 40)
GAP = (40, 12)
MARGIN = 2
"""Pixels around the graph, so that no line is cut."""


def draw_svg(nodes: tuple[Node, ...]) -> Iterator[str]:
    """Yield the parts of the picture, in the colours of the page; words name the states too."""
    columns = _columns(nodes)
    places = dict(_places(columns))
    width = 2 * MARGIN + len(columns) * BOX[0] + (len(columns) - 1) * GAP[0]
    height = 2 * MARGIN + max(map(_height, columns))
    done = sum(node.is_complete for node in nodes)
    yield (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-labelledby="tasks-title"><title id="tasks-title">Task graph: {done} of '
        f"{len(nodes)} steps complete. The table of steps says the same.</title>"
    )
    for node in nodes:
        for first in node.requires:
            yield _line(places[first], places[node.name])
    for node in nodes:
        yield _box(node, *places[node.name])
    yield "</svg>"


def _columns(nodes: tuple[Node, ...]) -> list[list[Node]]:
    """Return the nodes by the length of the longest chain of nodes before them."""
    depth: dict[str, int] = {}
    columns: list[list[Node]] = []
    for node in nodes:
        depth[node.name] = max((depth[name] + 1 for name in node.requires), default=0)
        if depth[node.name] == len(columns):
            columns.append([])
        columns[depth[node.name]].append(node)
    return columns


def _height(column: list[Node]) -> int:
    return len(column) * (BOX[1] + GAP[1]) - GAP[1]


def _places(columns: list[list[Node]]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield for each node the upper left corner of its box, columns centred."""
    tallest = max(map(_height, columns))
    for number, column in enumerate(columns):
        x = MARGIN + number * (BOX[0] + GAP[0])
        y = MARGIN + (tallest - _height(column)) // 2
        for row, node in enumerate(column):
            yield node.name, (x, y + row * (BOX[1] + GAP[1]))


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + BOX[0], start[1] + BOX[1] // 2
    x2, y2 = end[0], end[1] + BOX[1] // 2
    middle = (x1 + x2) // 2
    return f'<path d="M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"/>'


def _box(node: Node, x: int, y: int) -> str:
    kind = "done" if node.is_complete else "todo"
    centre = x + BOX[0] // 2
    return (
        f'<g class="{kind}"><rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="6"/>'
        f'<text x="{centre}" y="{y + 17}">{escape(node.name)}</text>'
        f'<text class="state" x="{centre}" y="{y + 32}">{escape(node.state)}</text></g>'
    )
