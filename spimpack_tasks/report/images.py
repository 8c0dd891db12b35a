"""The section of all images, and of other files that are not as planned.

Many images are behind lines to open: by their status, and in pages of a hundred, so that a report
on thousands is as short as one on ten. A browser that searches the page opens the lines itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of, size_in_words
from spimpack_tasks.files.pages import safe
from spimpack_tasks.packaging.changes import Verdict
from spimpack_tasks.verification.verify import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.report.data import ReportData, ReportedImage

_MARKS: dict[str, tuple[str, str]] = {
    Verdict.UNCHANGED: ("good", "✓"),
    Verdict.NEW: ("warn", "+"),
    Verdict.CHANGED: ("warn", "~"),
    Verdict.MISSING: ("bad", "✗"),
    Verdict.CONFLICT: ("bad", "✗"),
    Verdict.REMOVED: ("warn", "−"),  # noqa: RUF001 - the sign for minus, beside a plus
    Fault.SOURCE_GONE: ("bad", "✗"),
    Fault.SOURCE_CHANGED: ("warn", "~"),
}

MOST_OPEN = 50
"""Rows that are listed at once; more are behind a line to open, since they fill pages that nobody
asked for."""
ON_A_PAGE = 100
"""Rows behind one line to open: some screens, through which a user can still scroll."""


def images(gathered: ReportData, contains: str = "") -> Iterator[str]:
    """Yield the table of all images, and of other files that are not as planned.

    Parameters
    ----------
    gathered
        Content of the report.
    contains
        A text that the paths to be listed have in the dataset or at the source, in any case.
    """
    counts = ", ".join(f"{number:,} {status}" for status, number in gathered.counts.items())
    folders = {os.path.dirname(image.source) for image in gathered.images}
    folder = os.path.commonpath(folders) if folders else ""
    has_groups = any(image.dataset_id for image in gathered.images)
    rows = _rows(gathered, folder, contains.casefold(), has_groups=has_groups)
    yield f"<p>{counts}. Sources are below {safe(folder)}</p>"
    if contains:
        number = sum(map(len, rows.values()))
        yield f"<p>{count_of(number, 'path')} with {safe(repr(contains))}:</p>"
    unchanged = rows.pop(Verdict.UNCHANGED, [])
    amiss = [row for listed in rows.values() for row in listed]
    if 0 < len(amiss) <= MOST_OPEN:
        yield from _table(amiss, has_groups=has_groups)
    for status, listed in rows.items() if len(amiss) > MOST_OPEN else ():
        yield from _group(listed, f"{status}: {len(listed):,}", has_groups=has_groups)
    title = f"{count_of(len(unchanged), 'unchanged image')}"
    if len(unchanged) > MOST_OPEN:
        yield from _group(unchanged, title, has_groups=has_groups)
    elif unchanged:
        yield from _table(unchanged, has_groups=has_groups)
    yield '<p class="quiet">To look at one: <code>spimpack view IMAGE</code> opens it in napari;'
    yield "<code>spimpack view IMAGE --neuroglancer</code> prints a state for Neuroglancer.</p>"


def _rows(
    gathered: ReportData, folder: str, contains: str, *, has_groups: bool
) -> dict[str, list[str]]:
    """Return the rows by status."""
    rows: dict[str, list[str]] = {}
    for image in gathered.images:
        if contains in f"{image.path}\0{image.source}".casefold():
            row = _image_row(image, folder, has_groups=has_groups)
            rows.setdefault(image.status, []).append(row)
    group = "<td>" if has_groups else ""
    for change in gathered.files:
        if change.verdict is not Verdict.UNCHANGED and contains in change.path.casefold():
            status = _status(change.verdict, change.reasons)
            row = f"<tr><td>{safe(change.path)}{status}<td>{group}<td></tr>"
            rows.setdefault(str(change.verdict), []).append(row)
    return rows


def _group(rows: list[str], title: str, *, has_groups: bool) -> Iterator[str]:
    """Yield rows behind a line to open; a few of them are open."""
    is_open = " open" if len(rows) <= MOST_OPEN else ""
    yield f"<details{is_open}><summary>{title}</summary>"
    if len(rows) <= ON_A_PAGE:
        yield from _table(rows, has_groups=has_groups)
    else:
        for begin in range(0, len(rows), ON_A_PAGE):
            page = rows[begin : begin + ON_A_PAGE]
            yield f"<details><summary>{begin + 1:,} to {begin + len(page):,}"
            yield f'<span class="quiet">{_name(page[0])} to {_name(page[-1])}</span></summary>'
            yield from _table(page, has_groups=has_groups)
            yield "</details>"
    yield "</details>"


def _name(row: str) -> str:
    """Return the name in the first cell of a row, without its extension."""
    return row.removeprefix("<tr><td>").partition("<")[0].partition(".")[0]


def _table(rows: list[str], *, has_groups: bool) -> Iterator[str]:
    yield '<table class="stack"><thead><tr>'
    for title in ("Image", "Status", "Source", *(("Group",) if has_groups else ())):
        yield f'<th scope="col">{title}'
    yield '<th scope="col" class="n">Size</tr></thead><tbody>'
    yield from rows
    yield "</tbody></table>"


def _image_row(image: ReportedImage, folder: str, *, has_groups: bool) -> str:
    # End tags of cells may be left out in HTML; with 10,000 images they are a fifth of the page.
    name = image.path.rpartition("/")[2]
    source = image.source[len(folder) :].lstrip("/")
    group = f"<td>{safe(image.dataset_id)}" if has_groups else ""
    size = "" if image.size is None else size_in_words(image.size)
    return (
        f"<tr><td>{safe(name)}{_status(image.status, image.reasons)}"
        f"<td>{safe(source)}{group}<td class=n>{size}</tr>"
    )


def _status(status: str, reasons: tuple[str, ...]) -> str:
    kind, mark = _MARKS[status]
    text = "".join(f"<small>{safe(reason)}</small>" for reason in reasons)
    return f"<td class={kind}>{mark} {status}{text}"
