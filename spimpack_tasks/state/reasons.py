"""Reasons why an output was written, for its receipt and for `spimpack plan`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.state.receipts import sources_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.state.receipts import Receipt
    from spimpack_tasks.state.sweep import Status

MOST_CHARACTERS = 300
"""Length of a reason in a receipt: a sidecar may change in every key."""
ADOPTED = "it was there already, as planned"
_REASONS = {
    "new": "it was new",
    "missing": "it was gone",
    "altered": "it had been changed by someone else (--overwrite)",
    "foreign": "a file of someone else was at its place (--overwrite)",
}
"""By the value of the status."""


def reason_to_write(root: str, output: Output, status: Status, receipt: Receipt | None) -> str:
    """Return why an output is written that has a status other than that it is right."""
    if status != "changed" or receipt is None:
        return _REASONS.get(status, "it was not as planned")
    if output.kind.is_made:
        return reason_to_make(output, receipt)
    if output.path.endswith(".json"):
        changes = "; ".join(changed_fields(f"{root}/{output.path}", output.text))
        if changes:
            return changes if len(changes) <= MOST_CHARACTERS else f"{changes[:MOST_CHARACTERS]}..."
    return "its text changed"


def reason_to_make(output: Output, receipt: Receipt) -> str:
    """Return why an image is not what it was."""
    if receipt.source != output.source:
        return f"source was {receipt.source}"
    if receipt.stamp != output.stamp:
        return "source changed"
    before, now = dict(receipt.sources), dict(sources_of(output))
    others = [path for path in {**before, **now} if before.get(path) != now.get(path)]
    if others and receipt.other_files:
        path = others[0]
        what = "came" if path not in before else "is left out" if path not in now else "changed"
        more = f", and {len(others) - 1:,} more" if others[1:] else ""
        return f"of its files {path} {what}{more}"
    return "what is written into it changed" if output.is_converted else "way of linking changed"


def changed_fields(path: str, text: str) -> Iterator[str]:
    """Yield each key of a JSON file that is to be another, with both values."""
    try:
        old = json.loads(read_regular(path))
    except (OSError, ValueError):
        return
    new = json.loads(text)
    for key in sorted(set(old) | set(new)):
        if old.get(key) != new.get(key):
            yield f"{key}: {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}"
