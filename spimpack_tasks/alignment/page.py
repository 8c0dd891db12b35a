"""Composes one HTML page on an aligned brain, without scripts or network.

It shows slices of the image with the borders of the atlas, the tracks from three directions before
the outline of the atlas, and the regions along each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING

from spimpack_tasks.files.pages import safe
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spimpack_tasks.alignment.page_pictures import Silhouette, Slice

GENERATOR = f'<meta name="generator" content="spimpack_tasks {__version__} align">'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem}
figure{display:inline-block;margin:.5rem;vertical-align:top}figcaption{font-size:.85em}
img{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif}
.bad{color:#b00020}.key{display:inline-block;width:.8em;height:.8em;margin-right:.3em}
"""
_VIEWS = {
    "coronal": ("Coronal, seen from behind: right is right", (0, -2)),
    "sagittal": ("Sagittal: the nose is left", (-1, -2)),
    "horizontal": ("Horizontal, seen from above: the nose is up, right is right", (0, -1)),
}
"""Captions, and which coordinate from bregma runs across and down: 0 right, 1 front, 2 up, with a
minus where it runs the other way."""
_SIDE = 300
"""Pixels of a drawing of tracks across."""
_BAR_WIDTH, _BAR_HEIGHT, _LEAST_TEXT = 60, 420, 11
"""Pixels of the bar of a track, and of a region that has its name beside it."""
_COLOURS = ("#d1495b", "#1d70a2", "#2e933c", "#8e4ec6", "#c75000", "#00798c", "#a23b72", "#5c5346")
"""Of tracks, by their order; they can be told apart on white."""


@dataclass(frozen=True, slots=True)
class TrackView:
    """A track as the page shows it."""

    name: str
    samples: tuple[tuple[float, tuple[float, float, float], str], ...]
    """Distance in µm, place from bregma in µm, and region of each sample."""


@dataclass(frozen=True, slots=True)
class BrainPage:
    """Content of a page."""

    mouse: str
    channel: str
    slices: Sequence[Slice]
    silhouettes: Mapping[str, Silhouette]
    tracks: Sequence[TrackView]
    gaps: Sequence[str]


def compose_page(page: BrainPage) -> str:
    """Return the page."""
    title = f"Alignment of {safe(page.mouse)}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            GENERATOR,
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            *_gaps(page.gaps),
            f"<h2>Borders of the atlas over {safe(page.channel)}</h2>",
            *_slices(page.slices),
            "<h2>Tracks in the atlas</h2>",
            *_tracks(page),
            "<h2>Regions along the tracks</h2>",
            *(line for track in page.tracks for line in _regions(track)),
            "</body></html>\n",
        ]
    )


def _gaps(gaps: Sequence[str]) -> Iterator[str]:
    if gaps:
        yield '<p>Rows that are left out:</p><ul class="bad">'
        yield from (f"<li>{safe(gap)}</li>" for gap in gaps)
        yield "</ul>"


def _slices(slices: Sequence[Slice]) -> Iterator[str]:
    for each in slices:
        name = f"{each.view}, {each.place_mm:.2f} mm from the first voxel"
        yield f'<figure><img src="{each.picture}" alt="slice, {name}">'
        yield f"<figcaption>{name}</figcaption></figure>"


def _tracks(page: BrainPage) -> Iterator[str]:
    if not page.tracks:
        yield "<p>There is no track.</p>"
    yield "<p>"
    for number, track in enumerate(page.tracks):
        yield f'<span class="key" style="background:{_colour(number)}"></span>{safe(track.name)} '
    yield "</p>"
    for view, (caption, axes) in _VIEWS.items():
        yield "<figure>"
        yield from _projection(page, view, axes)
        yield f"<figcaption>{caption}</figcaption></figure>"


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _projection(page: BrainPage, view: str, axes: tuple[int, int]) -> Iterator[str]:
    """Yield the drawing of all tracks from one direction."""
    shade = page.silhouettes[view]
    scale = _SIDE / shade.width_um
    height = shade.height_um * scale
    yield f'<svg viewBox="0 0 {_SIDE} {height:.0f}" width="{_SIDE}" height="{height:.0f}">'
    yield f"<title>tracks, {view}</title>"
    size = f'width="{_SIDE}" height="{height:.1f}" preserveAspectRatio="none"'
    yield f'<image href="{shade.picture}" {size}/>'
    for number, track in enumerate(page.tracks):
        points = []
        for _, place, _ in track.samples:
            across, down = (place[abs(axis)] * (1 if axis >= 0 else -1) for axis in axes)
            x, y = (across - shade.left_um) * scale, (down - shade.top_um) * scale
            points.append(f"{x:.1f},{y:.1f}")
        colour = _colour(number)
        yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
        yield f'stroke-width="2"><title>{safe(track.name)}</title></polyline>'
        first, _, second = points[0].partition(",")
        yield f'<circle cx="{first}" cy="{second}" r="3" fill="{colour}"/>'
    yield "</svg>"


def _regions(track: TrackView) -> Iterator[str]:
    """Yield the bar of a track: each region as long as the way through it."""
    whole = max(track.samples[-1][0], 1e-9)
    scale = _BAR_HEIGHT / whole
    yield f'<figure><svg width="{3 * _BAR_WIDTH}" height="{_BAR_HEIGHT + 20}" '
    yield f'viewBox="0 -10 {3 * _BAR_WIDTH} {_BAR_HEIGHT + 20}">'
    yield f"<title>regions along {safe(track.name)}</title>"
    for region, start, end in _runs(track):
        y, height = start * scale, (end - start) * scale
        yield f'<rect y="{y:.1f}" width="{_BAR_WIDTH}" height="{height:.1f}" '
        yield f'fill="{_region_colour(region)}" stroke="#fff" stroke-width=".5">'
        yield f"<title>{safe(region)}: {start:.0f} to {end:.0f} µm</title></rect>"
        if height >= _LEAST_TEXT:
            y += height / 2 + 4
            yield f'<text x="{_BAR_WIDTH + 6}" y="{y:.1f}">{safe(region)}</text>'
    yield f"</svg><figcaption>{safe(track.name)}, {whole:,.0f} µm</figcaption></figure>"


def _runs(track: TrackView) -> Iterator[tuple[str, float, float]]:
    """Yield the regions in order, with the distances at which they begin and end."""
    runs = [(region, [*each]) for region, each in groupby(track.samples, key=lambda s: s[2])]
    for number, (region, samples) in enumerate(runs):
        is_last = number == len(runs) - 1
        end = samples[-1][0] if is_last else runs[number + 1][1][0][0]
        yield region, samples[0][0], end


def _region_colour(region: str) -> str:
    """Return a colour that a region has on all pages."""
    if region == "outside":
        return "#dddddd"
    hue = int.from_bytes(sha256(region.encode()).digest()[:2], "big") % 360
    return f"hsl({hue},55%,62%)"
