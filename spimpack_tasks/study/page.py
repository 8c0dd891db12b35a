"""Composes the page of a study: all stages, what they made, and pictures; without scripts."""

from __future__ import annotations

import glob
import os
from base64 import b64encode
from importlib.resources import files
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.files.pages import safe
from spimpack_tasks.manifest.products import PRODUCTS, STAGES
from spimpack_tasks.qc.pictures import draw_slice, encode_png
from spimpack_tasks.qc.preview import compose_preview
from spimpack_tasks.qc.slices import VIEWS
from spimpack_tasks.qc.volume import read_volume
from spimpack_tasks.study.log import read_durations
from spimpack_tasks.study.page_facts import describe_item
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.study.study import Study, StudyItem

GENERATOR = '<meta name="generator" content="spimpack_tasks study'
"""Mark in the first lines of a page that identifies it as ours."""
_TITLES = {
    "stitch": "Stitched volumes",
    "stream": "Streams",
    "convert": "Converted images",
    "package": "BIDS dataset",
    "align": "Alignment with the atlas",
    "validate": "Validation",
    "publish": "Publication",
}
_SIDE = 200
"""Pixels of the longest side of a picture."""
_STYLE = "width: auto; max-width: 100%; display: inline-block; margin-right: 0.5em"
"""A picture is shown at its size, which fits its neighbours."""
_CODE = "RAS"
"""Slices are shown as they are stored, since a product need not have an orientation."""


def compose_page(study: Study, identity: str) -> Iterator[str]:
    """Yield the lines of the page.

    Parameters
    ----------
    study
        The study, whose items are there.
    identity
        Digest of its state, by which the page is known to be up to date.
    """
    durations = read_durations(study)
    stages = [stage for stage in STAGES if stage in _TITLES and study.items_of(stage)]
    yield from _head(study, identity, stages, durations)
    for stage in stages:
        yield f'<section id="{stage}" aria-labelledby="{stage}-title">'
        yield f'<h2 id="{stage}-title">{_TITLES[stage]}</h2>'
        for item in study.items_of(stage):
            yield from _item(study, item, durations.get(item))
        yield "</section>"
    yield f"</main><footer><p>Made by spimpack_tasks {__version__} from"
    yield f"<code>{safe(study.path)}</code>.</p></footer></body></html>"


def _summary(study: Study, durations: dict[StudyItem, float]) -> Iterator[str]:
    """Yield the table of all items: where each is, how large, and how long it took."""
    yield '<section id="all"><h2>All stages</h2><div class="scroll"><table><thead><tr>'
    yield "<th>Stage</th><th>Item</th><th>Place</th><th>Took</th></tr></thead><tbody>"
    for item in study.items:
        if item.stage in _TITLES:
            took = _duration(durations[item]) if item in durations else ""
            place = safe(_shown(study, study.product(item)))
            yield f'<tr><td><a href="#{item.stage}">{item.stage}</a></td>'
            yield f"<td>{safe(item.name)}</td><td><code>{place}</code></td><td>{took}</td></tr>"
    yield "</tbody></table></div></section>"


def _head(
    study: Study, identity: str, stages: list[str], durations: dict[StudyItem, float]
) -> Iterator[str]:
    style = files("spimpack_tasks.report").joinpath("style.css").read_text(encoding="utf-8")
    name = safe(study.name)
    yield f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
{GENERATOR} {__version__}">
<meta name="study-state" content="{identity}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'">
<title>{name}: study</title>
<style>
{style}</style></head>
<body><header>
<p class="quiet">Study</p>
<h1>{name}</h1>
<p class="verdict good">✓ {count_of(len(study.items) - 1, "item")} made</p>
<nav aria-label="Sections"><ul>"""
    for stage in stages:
        yield f'<li><a href="#{stage}">{_TITLES[stage]}</a></li>'
    yield "</ul></nav></header><main>"
    yield from _summary(study, durations)


def _item(study: Study, item: StudyItem, seconds: float | None) -> Iterator[str]:
    place = study.product(item)
    took = "" if seconds is None else f' <span class="quiet">{_duration(seconds)}</span>'
    yield f"<h3>{safe(item.name or os.path.basename(place))}{took}</h3>"
    yield f"<p><code>{safe(_shown(study, place))}</code></p>"
    fact = describe_item(study, item)
    if fact:
        yield f"<p>{safe(fact)}</p>"
    links = [(text, path) for text, path in _links(study, item) if os.path.exists(path)]
    if links:
        told = ", ".join(f'<a href="{safe(_shown(study, p))}">{text}</a>' for text, p in links)
        yield f"<p>{told}</p>"
    if item.stage in PRODUCTS:
        yield from _pictures(place)


def _shown(study: Study, path: str) -> str:
    return path if "://" in path else os.path.relpath(path, os.path.dirname(_page(study)))


def _page(study: Study) -> str:
    found = study.items_of("report")
    return study.product(found[0]) if found else study.path


def _links(study: Study, item: StudyItem) -> list[tuple[str, str]]:
    place = study.product(item)
    if item.stage == "stitch":
        work = str(study.values(item).get("work_dir") or f"{place}.work")
        return [("places of the tiles", os.path.join(study.place(work), "align.html"))]
    if item.stage == "package":
        return [("report on the dataset", os.path.join(place, ".spimpack", "report.html"))]
    if item.stage == "align":
        pages = sorted(glob.glob(os.path.join(glob.escape(place), "*", "qc.html")))
        return [("borders of the atlas, tracks and regions", page) for page in pages]
    return []


def _pictures(path: str) -> Iterator[str]:
    """Yield the middle slices of an image, or why there are none."""
    try:
        preview = compose_preview(read_volume(path))
    except SpimpackError as error:
        yield f'<p class="bad">✗ {safe(error)}</p>'
        return
    yield '<figure class="slices">'
    for view in VIEWS:
        data = b64encode(encode_png(draw_slice(preview, _CODE, view, _SIDE))).decode()
        yield f'<img alt="middle slice" style="{_STYLE}" src="data:image/png;base64,{data}">'
    yield "<figcaption>The middle slices, as they are stored.</figcaption></figure>"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
