"""Composes the report as one self-contained HTML page, without scripts or network.

The style is for a screen, a phone and paper, light or dark.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Severity, count_of, counts_in_words
from spimpack_tasks.files.pages import safe
from spimpack_tasks.packaging.changes import Verdict
from spimpack_tasks.report import sections
from spimpack_tasks.report.formatting import time_as_iso, time_in_words
from spimpack_tasks.report.gallery import pictures
from spimpack_tasks.report.images import images
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.report.data import ReportData
    from spimpack_tasks.report.thumbnails import Thumbnail

GENERATOR = '<meta name="generator" content="spimpack_tasks report'
"""Mark in the first lines of a page that identifies it as ours."""

_SECTIONS = {
    "Dataset": sections.dataset,
    "Problems": sections.problems,
    "Last run": sections.last_run,
    "Versions": sections.versions,
}


def compose_page(
    gathered: ReportData, thumbnails: Iterator[Thumbnail] | None = None, contains: str = ""
) -> Iterator[str]:
    """Yield the lines of the page.

    Parameters
    ----------
    gathered
        Content of the report.
    thumbnails
        Taken one by one, while the page is written.
    contains
        A text that the paths of the listed images have; all of them are listed if it is empty.
    """
    contents = {title: compose(gathered) for title, compose in _SECTIONS.items()}
    if gathered.publications:
        contents["Published"] = sections.published(gathered)
    contents["Images"] = images(gathered, contains)
    if thumbnails is not None:
        contents["Pictures"] = pictures(thumbnails)
    yield from _head(gathered, list(contents))
    yield "<main>"
    for title, lines in contents.items():
        anchor = _anchor(title)
        yield f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
        yield f'<h2 id="{anchor}-title">{title}</h2>'
        yield from lines
        yield "</section>"
    yield "</main>"
    yield from _foot(gathered)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _head(gathered: ReportData, titles: list[str]) -> Iterator[str]:
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    name = safe(gathered.description["Name"])
    numbers = gathered.numbers
    kind, mark = ("good", "✓") if gathered.is_complete else ("bad", "✗")
    yield f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
{GENERATOR} {__version__}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'">
<title>{name}: report</title>
<style>
{style}</style></head>
<body><header>
<p class="quiet">Report on a BIDS dataset</p>
<h1>{name}</h1>
<p class="quiet">{count_of(numbers.images, "image")} of {count_of(numbers.subjects, "subject")},
as of <time datetime="{time_as_iso(gathered.made)}">{time_in_words(gathered.made)}</time></p>
<p class="verdict {kind}">{mark} {_verdict(gathered)}</p>
{_verdict_of_validator(gathered)}
{_counts(gathered)}
<nav aria-label="Sections"><ul>"""
    for title in titles:
        yield f'<li><a href="#{_anchor(title)}">{title}</a></li>'
    yield "</ul></nav></header>"


def _verdict(gathered: ReportData) -> str:
    amiss = sum(not image.is_unchanged for image in gathered.images)
    errors = sum(problem.severity is Severity.ERROR for problem in gathered.problems)
    suffix = f"; {count_of(errors, 'error')}" if errors else ""
    if not gathered.is_complete:
        return f"Not complete: {_attention(gathered, amiss)}{suffix}"
    sources = f", but {count_of(amiss, 'source')} changed or gone since" if amiss else ""
    return f"Complete: every output is in place{sources}{suffix}"


def _attention(gathered: ReportData, amiss: int) -> str:
    """Return the number of images, and of other files, that are not as planned."""
    files = sum(change.verdict is not Verdict.UNCHANGED for change in gathered.files)
    parts = []
    if amiss:
        images = count_of(len(gathered.images), "image")
        parts.append(f"{amiss:,} of {images} need{'s' if amiss == 1 else ''} attention")
    if files:
        parts.append(f"{count_of(files, 'other file')} missing, changed or no longer wanted")
    return ", ".join(parts) or "the run did not end, so run it again"


def _verdict_of_validator(gathered: ReportData) -> str:
    """Return whether the dataset is valid BIDS, as far as that is known."""
    if gathered.validation is None:
        return '<p class="verdict open">○ Not validated as BIDS</p>'
    verdict = gathered.validation.verdict
    is_valid = verdict.is_valid(strict=False)
    mark, kind, text = ("✓", "good", "Valid BIDS") if is_valid else ("✗", "bad", "Not valid BIDS")
    text += f": {counts_in_words(finding.severity for finding in verdict.findings)}"
    if gathered.is_validation_old:
        mark, kind, text = "!", "warn", f"{text}, before the last run"
    return f'<p class="verdict {kind}">{mark} {text}</p>'


def _counts(gathered: ReportData) -> str:
    """Return the number of problems of all sources by severity, and of images by status."""
    found = counts_in_words(problem.severity for problem in gathered.problems)
    statuses = ", ".join(f"{number:,} {status}" for status, number in gathered.counts.items())
    kind = "bad" if any(p.severity is Severity.ERROR for p in gathered.problems) else "quiet"
    return (
        f'<p class="counts"><a class="{kind}" href="#problems">Problems: {found}</a> '
        f'<a class="quiet" href="#images">Images: {statuses or "none"}</a></p>'
    )


def _foot(gathered: ReportData) -> Iterator[str]:
    yield f"<footer><p>Made by spimpack_tasks {__version__} from"
    yield f"<code>{safe(gathered.output_dir)}</code>. The same as JSON:"
    yield "<code>spimpack report --format json</code></p></footer>"
    yield "</body></html>"
