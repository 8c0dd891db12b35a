"""Reasons why an output was written, for its receipt and for `spimpack plan`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.state.receipts import choices_of, sources_of

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
    before, now = dict(receipt.sources), dict(sources_of(output))
    others = [path for path in {**before, **now} if before.get(path) != now.get(path)]
    has_several = len(before) > 1 and len(now) > 1 and before.keys() & now.keys()
    if has_several and receipt.source != output.source and not others:
        return "the order of its files changed"
    if not has_several and receipt.source != output.source:
        return f"source was {receipt.source}"
    if not has_several and receipt.stamp != output.stamp:
        return "source changed"
    if others and has_several:
        path = others[0]
        what = "came" if path not in before else "is left out" if path not in now else "changed"
        more = f", and {len(others) - 1:,} more" if others[1:] else ""
        return f"of its files {path} {what}{more}"
    chosen = "; ".join(_changed_choices(output, receipt))
    if chosen:
        return f"what is chosen changed: {chosen}"
    return "what is written into it changed" if output.is_converted else "way of linking changed"


def _changed_choices(output: Output, receipt: Receipt) -> Iterator[str]:
    """Yield each choice in a source that is to be another, with both values."""
    before, now = json.loads(receipt.choices or "{}"), choices_of(output)
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            yield f"{name} {before.get(name, 'none')} -> {now.get(name, 'none')}"


def changed_fields(path: str, text: str) -> Iterator[str]:
    """Yield each key of a JSON file that is to be another, with both values."""
    try:
        old = json.loads(read_regular(path))
    except (OSError, ValueError):
        return
    if isinstance(old, dict):
        yield from _changed_values("", old, json.loads(text))


def _changed_values(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in sorted(set(old) | set(new)):
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _changed_values(f"{prefix}{key}.", before, now)
        elif _is_long(before) and _is_long(now):
            yield from _changed_items(f"{prefix}{key}", before, now)
        else:
            yield f"{prefix}{key}: {json.dumps(before)} -> {json.dumps(now)}"


def _is_long(value: Any) -> bool:
    """Tell whether a value is a list of texts that would hide what has changed in it."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(v, str) for v in value)


def _changed_items(key: str, before: Any, now: Any) -> Iterator[str]:
    """Yield what came to a list and went from it, or both lists where that says nothing."""
    came = [each for each in now if each not in before]
    gone = [each for each in before if each not in now]
    if not (came or gone) or (len(before), len(now)) == (len(gone), len(came)):
        yield f"{key}: {json.dumps(before)} -> {json.dumps(now)}"
        return
    for some, what in ((came, "came"), (gone, "went")):
        if some:
            more = f" and {len(some) - 1:,} more" if some[1:] else ""
            yield f"{key}: {json.dumps(some[0])}{more} {what}"
