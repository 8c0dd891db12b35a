"""The section of thumbnails, in closed groups of a hundred: a browser decodes only open ones."""

from __future__ import annotations

from base64 import b64encode
from itertools import islice
from typing import TYPE_CHECKING

from spimpack_tasks.files.pages import safe
from spimpack_tasks.model.orientation import describe_orientation
from spimpack_tasks.qc.pictures import STRIP_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.report.thumbnails import Thumbnail

ON_A_PAGE = 100
"""Pictures in a section that opens as a whole."""
_EXPLAINED = """\
<p class="quiet">The middle axial, coronal and sagittal slice of each image, turned as its row says:
right is on the right. Where a specimen does not lie as the letters say, its orientation is wrong;
<code>spimpack qc IMAGE</code> helps to find the right one.</p>"""


def pictures(thumbnails: Iterator[Thumbnail]) -> Iterator[str]:
    """Yield the pictures, of which no more than a page is held at a time."""
    yield _EXPLAINED
    begin = 0
    while page := list(islice(thumbnails, ON_A_PAGE)):
        first, last = (_name(page[end]) for end in (0, -1))
        is_open = " open" if begin == 0 and len(page) < ON_A_PAGE else ""
        yield f"<details{is_open}><summary>{begin + 1:,} to {begin + len(page):,}:"
        yield f'<span class="quiet">{first} to {last}</span></summary><div class="gallery">'
        for thumbnail in page:
            yield _figure(thumbnail)
        yield "</div></details>"
        begin += len(page)
    if not begin:
        yield '<p class="quiet">There is no image with an orientation.</p>'


def _name(thumbnail: Thumbnail) -> str:
    return safe(thumbnail.image.path.rpartition("/")[2].partition(".")[0])


def _figure(thumbnail: Thumbnail) -> str:
    name = _name(thumbnail)
    if thumbnail.failure:
        shown = f'<p class="bad">✗ {safe(thumbnail.failure)}</p>'
    else:
        data = b64encode(thumbnail.jpeg).decode()
        shown = (
            f'<img loading="lazy" decoding="async" width={STRIP_SIZE[0]} height={STRIP_SIZE[1]}'
            f' alt="axial, coronal and sagittal slice of {name}"'
            f' src="data:image/jpeg;base64,{data}">'
        )
    words = describe_orientation(thumbnail.code)
    return (
        f'<figure>{shown}<figcaption>{name}<small><b title="{words}">{thumbnail.code}</b>'
        f" {words}</small></figcaption></figure>"
    )
