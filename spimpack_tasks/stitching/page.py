"""Composes one HTML page on an alignment, without scripts or network.

It shows the tiles on the stage with an arrow for each correction, the correlation of each pair, the
residuals, and some overlaps: one tile in red and the other in green, yellow where they agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.files.pages import safe
from spimpack_tasks.stitching.tiles import turned_shape
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spimpack_tasks.stitching.align import AlignedPair, Alignment
    from spimpack_tasks.stitching.tiles import TileSet, Vector

_WIDTH = 760
"""Pixels of the drawing across."""
_LONGEST_ARROW = 0.3
"""Length of the longest arrow, as a part of the side of a tile."""
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}tr:nth-child(even){background:#8881}
svg{width:100%;height:auto}figure{display:inline-block;margin:.5rem}figcaption{font-size:.85em}
img{image-rendering:pixelated;max-width:100%}
.bad{color:#b00020}
"""


def compose_page(
    alignment: Alignment, tiles: TileSet, overlaps: Mapping[tuple[str, str], str]
) -> str:
    """Return the page.

    Parameters
    ----------
    alignment
        The places of the tiles.
    tiles
        The same tiles on the stage.
    overlaps
        Pictures of pairs by the names of their tiles, as `data:` addresses.
    """
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta name="generator" content="spimpack_tasks {__version__}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>Alignment of {len(tiles.tiles)} tiles</title>",
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>Alignment of {len(tiles.tiles)} tiles</h1>",
            *_summary(alignment),
            "<h2>Tiles on the stage</h2>",
            *_drawing(alignment, tiles),
            "<h2>Pairs</h2>",
            *_pairs(alignment.pairs),
            *_overlaps(overlaps),
            "<h2>Places</h2>",
            *_places(alignment),
            "</body></html>\n",
        ]
    )


def _summary(alignment: Alignment) -> Iterator[str]:
    measured = sum(not pair.reason for pair in alignment.pairs)
    yield f"<p>{measured} of {len(alignment.pairs)} pairs measured.</p>"
    if alignment.pitch is not None:
        pitch = alignment.pitch
        used = "used" if pitch.is_used else "not used: too uncertain"
        yield f"<p>Distance of pixels: {pitch.pitch_um:.4f} ± {pitch.error_um:.4f} µm, {used}.</p>"
    if alignment.warnings:
        yield '<ul class="bad">'
        yield from (f"<li>{safe(warning)}</li>" for warning in alignment.warnings)
        yield "</ul>"


def _drawing(alignment: Alignment, tiles: TileSet) -> Iterator[str]:
    """Yield the tiles along x and y, with arrows, and lines between measured pairs."""
    boxes = _boxes(tiles)
    low = [min(box[n] for box in boxes) for n in (0, 1)]
    high = [max(box[n + 2] for box in boxes) for n in (0, 1)]
    scale = _WIDTH / max(high[0] - low[0], 1e-9)
    height = (high[1] - low[1]) * scale
    moves = [
        (p[2] - tile.position_um_zyx[2], p[1] - tile.position_um_zyx[1])
        for p, tile in zip(alignment.positions_um_zyx, tiles.tiles, strict=True)
    ]
    side = min(min(box[2] - box[0], box[3] - box[1]) for box in boxes)
    longest = max((max(abs(dx), abs(dy)) for dx, dy in moves), default=0.0)
    factor = _LONGEST_ARROW * side / longest if longest else 0.0
    yield f'<svg viewBox="-4 -4 {_WIDTH + 8} {height + 8:.0f}" role="img">'
    yield "<title>Tiles along x and y, with their corrections</title>"
    middles = {}
    for tile, box in zip(tiles.tiles, boxes, strict=True):
        x0, y0, x1, y1 = ((v - low[n % 2]) * scale for n, v in enumerate(box))
        middles[tile.name] = ((x0 + x1) / 2, (y0 + y1) / 2)
        yield (
            f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" '
            f'fill="#4a90d922" stroke="#4a90d9"><title>{safe(tile.name)}</title></rect>'
        )
    for pair in alignment.pairs:
        (x0, y0), (x1, y1) = middles[pair.first], middles[pair.second]
        colour = "#b00020" if pair.reason else _green(pair.correlation)
        line = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
        yield f'<line {line} stroke="{colour}" stroke-width="2" stroke-dasharray="6 4"/>'
    for tile, (dx, dy) in zip(tiles.tiles, moves, strict=True):
        x, y = middles[tile.name]
        to_x, to_y = x + dx * factor * scale, y + dy * factor * scale
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        yield f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="#000" stroke-width="2"/>'
    yield "</svg>"
    yield f"<p>Arrows are {factor:,.0f} times as long as the corrections.</p>"


def _boxes(tiles: TileSet) -> list[tuple[float, float, float, float]]:
    """Return low x and y, and high x and y of each tile on the stage, in µm."""
    geometry = tiles.geometry
    _, dy, dx = geometry.spacing_um_zyx
    boxes = []
    for tile in tiles.tiles:
        frames, rows, columns = turned_shape(tile.shape_frc, geometry)
        _, y, x = tile.position_um_zyx
        width = frames * dx + columns * abs(geometry.shear_um)
        boxes.append((x, y, x + (width if geometry.is_oblique else columns * dx), y + rows * dy))
    return boxes


def _green(correlation: float) -> str:
    """Return a colour from grey to green."""
    part = min(max(correlation, 0.0), 1.0)
    return f"rgb({int(150 * (1 - part))},{int(110 + 60 * part)},{int(150 * (1 - part))})"


def _pairs(pairs: Sequence[AlignedPair]) -> Iterator[str]:
    yield "<table><tr><th>Pair</th><th>Windows</th><th>Correlation</th>"
    yield "<th>Residual (frames, rows, columns)</th></tr>"
    for pair in pairs:
        name = f"{safe(pair.first)} and {safe(pair.second)}"
        if pair.reason:
            yield f'<tr class="bad"><td>{name}</td><td colspan="3">{safe(pair.reason)}</td></tr>'
        else:
            residual = _numbers(pair.residual_frc)
            cells = f"<td>{pair.windows}</td><td>{pair.correlation:.3f}</td><td>{residual}</td>"
            yield f"<tr><td>{name}</td>{cells}</tr>"
    yield "</table>"


def _overlaps(overlaps: Mapping[tuple[str, str], str]) -> Iterator[str]:
    if overlaps:
        yield "<h2>Overlaps</h2><p>Red and green are the two tiles; yellow is where they agree.</p>"
    for (first, second), picture in overlaps.items():
        name = f"{safe(first)} and {safe(second)}"
        yield f'<figure><img src="{picture}" alt="overlap of {name}">'
        yield f"<figcaption>{name}</figcaption></figure>"


def _places(alignment: Alignment) -> Iterator[str]:
    yield "<table><tr><th>Tile</th><th>Correction (frames, rows, columns)</th>"
    yield "<th>± samples</th><th>Place z, y, x in µm</th></tr>"
    for tile in alignment.tiles:
        yield (
            f"<tr><td>{safe(tile.name)}</td><td>{_numbers(tile.correction_frc)}</td>"
            f"<td>{_numbers(tile.sigma_frc)}</td><td>{_numbers(tile.position_um_zyx)}</td></tr>"
        )
    yield "</table>"


def _numbers(values: Vector | None) -> str:
    return ", ".join(f"{round(value, 2) + 0:.2f}" for value in values or ())
