"""The sections of the page. Every text from a user or a disk goes through `safe`.

No state is shown by colour alone.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Severity, count_of, counts_in_words, size_in_words
from spimpack_tasks.files.pages import safe
from spimpack_tasks.report.formatting import duration_in_words, time_in_words
from spimpack_tasks.report.picture import draw_svg
from spimpack_tasks.report.summary import group_problems, run_state, summarise_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.report.data import ReportData
    from spimpack_tasks.report.problems import ReportedProblem

PLACES_SHOWN = 3
"""Places listed for a problem; the others are counted."""
MESSAGE_WIDTH = 240
"""Characters of a message in a row of the page."""

_SEVERITIES = {Severity.ERROR: ("bad", "✗"), Severity.WARNING: ("warn", "!")}


def dataset(gathered: ReportData) -> Iterator[str]:
    """Yield the numbers, and the card."""
    numbers = gathered.numbers
    size = size_in_words(numbers.source_bytes) if numbers.source_bytes else "unknown"
    yield '<dl class="numbers">'
    for title, value in (
        ("images", f"{numbers.images:,}"),
        ("photos", f"{numbers.photos:,}"),
        ("subjects", f"{numbers.subjects:,}"),
        ("sessions", f"{numbers.sessions:,}"),
        ("samples", f"{numbers.samples:,}"),
        ("of sources", size),
    ):
        if value != "0":
            yield f"<div><dt>{title}</dt><dd>{value}</dd></div>"
    yield "</dl>"
    if numbers.unknown_sizes:
        yield (
            f'<p class="quiet">The size is without {count_of(numbers.unknown_sizes, "folder")}:'
            " no chunk is looked at. Packaging with <code>--checksum</code> reads and counts"
            " them.</p>"
        )
    description = gathered.description
    yield from _card(
        {
            "Authors": ", ".join(map(str, description.get("Authors", []))),
            "Licence": description.get("License", ""),
            "Type": description.get("DatasetType", ""),
            "DOI": description.get("DatasetDOI", ""),
            "BIDS version": description.get("BIDSVersion", ""),
            "How images are held": gathered.backend,
            "Plan": gathered.plan_id,
            "Directory": gathered.output_dir,
        }
    )


def _card(pairs: dict[str, object]) -> Iterator[str]:
    yield '<dl class="card">'
    for title, value in pairs.items():
        if value:
            yield f"<div><dt>{title}</dt><dd>{safe(value)}</dd></div>"
    yield "</dl>"


def problems(gathered: ReportData) -> Iterator[str]:
    """Yield the problems, with similar ones in one row."""
    if gathered.validation is None:
        yield '<p class="quiet">The BIDS validator has not been asked: spimpack bids-validate</p>'
    elif gathered.is_validation_old:
        yield '<p class="warn">! The dataset was written to after it was last validated.</p>'
    groups = group_problems(gathered.problems)
    if not groups:
        yield '<p><span class="good">✓</span> No problem is known.</p>'
        return
    yield f"<p>{counts_in_words(problem.severity for problem in gathered.problems)}</p>"
    yield '<table class="stack"><thead><tr><th scope="col">Severity<th scope="col">Problem'
    yield '<th scope="col">Where<th scope="col">Found by</tr></thead><tbody>'
    for group in groups:
        first = group[0]
        kind, mark = _SEVERITIES[first.severity]
        places = list(dict.fromkeys(problem.place for problem in group))
        left = len(places) - PLACES_SHOWN
        shown = "".join(f"<small>{safe(place)}</small>" for place in places[:PLACES_SHOWN])
        more = f"<small>and {left:,} more places</small>" if left > 0 else ""
        yield (
            f'<tr><td class="{kind}">{mark} {first.severity}'
            f'<th scope="row">{safe(first.code)}<small>{safe(_listed(group))}</small>'
            f"<td>{len(group):,} ×{shown}{more}<td>{first.found_by}</tr>"  # noqa: RUF001
        )
    yield "</tbody></table>"


def _listed(group: list[ReportedProblem]) -> str:
    """Return the keys of a group of problems, or its one message."""
    keys = sorted({problem.key for problem in group} - {""})
    text = ", ".join(keys)
    if len(keys) < 2:
        text = ": ".join(filter(None, [text, group[0].message]))
    return textwrap.shorten(text, MESSAGE_WIDTH, placeholder=" ...")


def last_run(gathered: ReportData) -> Iterator[str]:
    """Yield the steps of the last run, and the picture of its tasks."""
    run = gathered.run
    if run is None:
        yield '<p class="quiet">No run is on record.</p>'
    else:
        processes = f", by {run.processes} processes" if run.processes > 1 else ""
        yield (
            f"<p>Began {time_in_words(run.started)} and took "
            f"{duration_in_words(run.ended - run.started)}{processes}: {run.numbers()}; "
            f"{run_state(run)}.</p>"
        )
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Picture of the tasks">'
    yield from draw_svg(gathered.tasks)
    yield "</div>"
    yield '<div class="scroll"><table><caption>Steps, and their work in the last run; the time'
    yield " is the sum over all workers</caption><thead><tr>"
    for title in ("Step", "State"):
        yield f'<th scope="col">{title}'
    for title in ("Images", "Time", "Longest"):
        yield f'<th scope="col" class="n">{title}'
    yield "</tr></thead><tbody>"
    for node, step in zip(gathered.tasks, summarise_steps(gathered.tasks, run), strict=True):
        mark = '<span class="good">✓</span>' if node.is_complete else '<span class="warn">○</span>'
        yield f'<tr><th scope="row">{node.name}<td>{mark} {node.state}'
        yield f'<td class="n">{step.images:,}' if step.images else "<td>"
        for seconds in (step.seconds, step.longest):
            yield f'<td class="n">{duration_in_words(seconds)}' if step.tasks else "<td>"
        yield "</tr>"
    yield "</tbody></table></div>"


def published(gathered: ReportData) -> Iterator[str]:
    """Yield the places that the dataset was published to, with links to an image."""
    for each in gathered.publications:
        state = "this state" if each.plan_id == gathered.plan_id else "an earlier state"
        links = [f'<a href="{safe(link.url)}">{safe(link.viewer)}</a>' for link in each.links]
        yield f"<h3>{safe(str(each.location))}</h3>"
        yield from _card(
            {
                "State": state,
                "Objects": f"{each.objects:,}, {size_in_words(each.bytes)}",
                "Address": each.address,
                "Inventory": each.inventory,
            }
        )
        if links:
            name = each.images[0].rpartition("/")[2]
            yield f"<p>{safe(name)} in {', '.join(links)}, if the bucket is public</p>"


def versions(gathered: ReportData) -> Iterator[str]:
    """Yield by which programs it was done."""
    pairs: dict[str, object] = {}
    if gathered.run is not None:
        pairs |= gathered.run.versions
    if gathered.validation is not None:
        verdict = gathered.validation.verdict
        pairs["bids-validator"] = verdict.validator_version
        pairs["BIDS schema"] = verdict.schema_version
    yield from _card({safe(name): value for name, value in pairs.items()})
    if not pairs:
        yield '<p class="quiet">No run is on record.</p>'
