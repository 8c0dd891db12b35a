"""Composes one self-contained HTML page on one image, which needs no network.

The page contains a small volume, and its script turns, cuts and colours it. Without scripts it
shows the middle slices of each candidate. The content policy permits no other script, and loads
nothing.
"""

from __future__ import annotations

import gzip
import json
import os
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from spimpack_tasks.files.pages import safe
from spimpack_tasks.model.orientation import (
    CANONICAL,
    OPPOSITES,
    ORIENTATION_CODES,
    SIDES,
    describe_orientation,
    place_axes,
)
from spimpack_tasks.qc.pictures import draw_slice, encode_png, pixel_size
from spimpack_tasks.qc.slices import VIEWS
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.qc.preview import Preview
    from spimpack_tasks.qc.slices import View
    from spimpack_tasks.qc.volume import SmallVolume

GENERATOR = '<meta name="generator" content="spimpack_tasks qc'
"""Mark in the first lines of a page that identifies it as ours."""
COLUMN = "orientation_string_xyz"
SOME_CODES = ("RAS", "LAS", "RPS", "LPS", "RAI", "LAI", "RPI", "LPI")
"""Shown where a header has no orientation: x, y and z as they are, each in both directions."""
_SIDE, _CANDIDATE_SIDE = 330, 150
_SEEN_FROM = {
    "axial": "seen from above",
    "coronal": "seen from behind",
    "sagittal": "seen from the right",
}
_LETTER_HELP = {
    "R": "the animal's right",
    "L": "the animal's left",
    "A": "anterior: towards the nose",
    "P": "posterior: towards the tail",
    "S": "superior: towards the back (dorsal), in a brain its upper side",
    "I": "inferior: towards the belly (ventral), in a brain its lower side",
}


@dataclass(frozen=True, slots=True)
class QcPage:
    """Content of a page."""

    volume: SmallVolume
    preview: Preview
    codes: tuple[str, ...]
    """Candidates, the first of which is shown large."""
    made_from: str
    """Identity of source and options, which tells whether the page is up to date."""


def candidates_for(volume: SmallVolume, wanted: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the codes to compare: those wanted, else that of the header first."""
    known = volume.header.orientation_xyz
    return wanted or tuple(dict.fromkeys([*([known] if known else []), *SOME_CODES]))


def compose_page(page: QcPage) -> Iterator[str]:
    """Yield the lines of the page."""
    script = _resource("page.js")
    yield from _head(page, script)
    yield "<main>"
    yield from _chosen(page)
    yield from _channels(page.preview)
    yield from _candidates(page)
    yield from _help()
    yield "</main>"
    yield f"<footer><p>Made by spimpack_tasks {__version__} from"
    yield f"<code>{safe(page.volume.source)}</code>. Nothing was changed there.</p></footer>"
    yield f'<script type="application/json" id="facts">{_facts(page)}</script>'
    packed = gzip.compress(page.preview.voxels.tobytes(), 6, mtime=0)
    yield f'<script type="text/plain" id="voxels">{b64encode(packed).decode()}</script>'
    yield f"<script>{script}</script>"
    yield "</body></html>"


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _facts(page: QcPage) -> str:
    """Return the data for the script, as JSON that cannot end its HTML element."""
    facts = {
        "shape": page.preview.voxels.shape,
        "spacing": page.preview.spacing_um_xyz,
        "code": page.codes[0],
        "channels": [
            {"colour": channel.colour, "black": channel.black, "white": channel.white, "on": True}
            for channel in page.preview.channels
        ],
        "views": [
            {"across": view.across, "up": view.up, "through": view.through} for view in VIEWS
        ],
        "sides": SIDES,
    }
    return json.dumps(facts).replace("<", "\\u003c")


def _head(page: QcPage, script: str) -> Iterator[str]:
    digest = b64encode(sha256(script.encode()).digest()).decode()
    volume = page.volume
    name = safe(os.path.basename(volume.source))
    known = volume.header.orientation_xyz
    stated = f"says {known}" if known else "says nothing of its orientation"
    yield f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
{GENERATOR} {__version__}">
<meta name="made-from" content="{safe(page.made_from)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'sha256-{digest}'">
<title>{name}: orientation</title>
<style>
{_resource("page.css")}</style></head>
<body class="still"><header>
<p class="quiet">Check of the orientation</p>
<h1>{name}</h1>
<p class="quiet">{"<br>".join(safe(line) for line in volume.lines())}<br>The header {stated}.</p>"""
    if not volume.is_spacing_known:
        yield "<p>The size of a voxel is not known, so the proportions may be wrong.</p>"
    yield "<noscript><p>Without scripts only the middle slices are shown.</p></noscript>"
    yield '<p id="too-old" hidden>This browser cannot unpack the image; pictures stand still.</p>'
    yield "</header>"


def _chosen(page: QcPage) -> Iterator[str]:
    code = page.codes[0]
    options = "".join(
        f"<option{' selected' if known == code else ''}>{known}"
        for known in sorted(ORIENTATION_CODES)
    )
    yield f"""\
<section><div class="answer"><code id="answer">{code}</code>
<p>If the specimen looks right below, write this into the column <strong>{COLUMN}</strong>:
<span id="words">{describe_orientation(code)}</span>.</p></div>
<div class="controls live"><label>Orientation <select id="code">{options}</select></label>
<button type="button" data-flip="RL">Flip left and right</button>
<button type="button" data-flip="AP">Flip front and back</button>
<button type="button" data-flip="SI">Flip up and down</button>
<button type="button" data-swap="01">Swap x and y</button>
<button type="button" data-swap="02">Swap x and z</button>
<button type="button" data-swap="12">Swap y and z</button></div>"""
    yield from _views(page.preview, code, _SIDE)
    yield '<div class="slices live">'
    for view in VIEWS:
        letter = CANONICAL[view.through]
        start, end = SIDES[OPPOSITES[letter]], SIDES[letter]
        yield f"<label>{view.name}: {start} "
        yield f'<input type="range" min="0" max="100" data-axis="{view.through}" '
        yield f'aria-label="{view.name} slice"> {end}</label>'
    yield "</div></section>"


def _views(preview: Preview, code: str, side: int, of: str = "") -> Iterator[str]:
    """Yield the three middle slices; those of the chosen code (`of` is empty) follow the choice."""
    yield f'<div class="views" data-code="{of}">'
    for view in VIEWS:
        picture = b64encode(encode_png(draw_slice(preview, code, view, side))).decode()
        width, height = pixel_size(preview, code, view, side)
        yield (
            f'<figure class="view"><b class="t">{view.top}</b><b class="l">{view.left}</b>'
            f'<img data-side="{side}" width="{width}" height="{height}" alt="{view.name} slice" '
            f'src="data:image/png;base64,{picture}">'
            f'<b class="r">{view.right}</b><b class="b">{view.bottom}</b>'
            f"<figcaption><strong>{view.name.capitalize()}, {_SEEN_FROM[view.name]}</strong>"
            f'<span class="axes">{_describe_axes(code, view)}</span></figcaption></figure>'
        )
    yield "</div>"


def _describe_axes(code: str, view: View) -> str:
    across, up = (place_axes(code)[axis] for axis in (view.across, view.up))
    stated = ["xyz"[p.axis] + (" reversed" if p.is_reversed else "") for p in (across, up)]
    return f"across: {stated[0]}; up: {stated[1]}"


def _channels(preview: Preview) -> Iterator[str]:
    yield '<section class="live channels"><h2>Channels</h2>'
    for number, channel in enumerate(preview.channels):
        data = f'data-channel="{number}" data-key'
        yield f'<div class="channel"><label><input type="checkbox" {data}="on" checked>'
        yield f"{safe(channel.name)}</label>"
        yield f'<label>Colour <input type="color" {data}="colour" value="{channel.colour}"></label>'
        for key, words in (("black", "Black below"), ("white", "Bright from")):
            yield f'<label>{words} <input type="range" min="0" max="255" {data}="{key}"></label>'
        yield f'<span class="quiet">{channel.low:.4g} to {channel.bright:.4g} at first</span></div>'
    yield "</section>"


def _candidates(page: QcPage) -> Iterator[str]:
    if len(page.codes) < 2:
        return
    yield '<section><h2>Side by side</h2><p class="quiet">Each picture is what one would see if the'
    yield ' code above it were the right one.</p><div class="candidates">'
    for code in page.codes:
        chosen = " chosen" if code == page.codes[0] else ""
        yield f'<div class="candidate{chosen}" data-code="{code}"><div><h3>{code}</h3>'
        yield f'<button type="button" class="live" data-take="{code}">Show large</button></div>'
        yield from _views(page.preview, code, _CANDIDATE_SIDE, of=code)
        yield "</div>"
    yield "</div></section>"


def _help() -> Iterator[str]:
    yield _HELP
    yield "<dl>"
    for letter, words in _LETTER_HELP.items():
        yield f"<dt>{letter}<dd>{words}"
    yield "</dl></section>"


_HELP = """\
<section><h2>How to tell</h2>
<p>The letters at the edges always stand at the same places: right is on the right (the neurological
convention). The image between them changes with the code. Choose the code with which the specimen
lies as the letters say: its nose at A, its right side at R, its upper side at S. A specimen that is
almost symmetrical cannot tell left from right; a mark, or how it was mounted, can.</p>
<p>The three letters of a code say towards which side x, y and z run while their numbers
increase.</p>"""
