"""Runs `spimpack ingest`: looks at the dandiset, brings what differs, and prints what was done."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.cli.progress_line import ByteLine, ProgressLine
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, count_of, size_in_words
from spimpack_tasks.publishing.portals.dandi import open_ingest
from spimpack_tasks.publishing.portals.dandi_estimate import preview
from spimpack_tasks.publishing.portals.dandi_look import Action
from spimpack_tasks.publishing.portals.dandi_records import parse_records
from spimpack_tasks.publishing.portals.dandi_target import INSTANCES, DandiTarget
from spimpack_tasks.publishing.progress import BytesBrought
from spimpack_tasks.publishing.publish import make_run_id

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.publishing.portals.dandi_estimate import Estimate
    from spimpack_tasks.publishing.portals.dandi_look import DandiLook

_run_ingest = Deferred("spimpack_tasks.local_publication:run_ingest")
_MOST_NAMES = 10
"""Names shown of many: they tell what kind of files it is."""
_WORDS = {
    Action.NEW: "new",
    Action.CHANGED: "changed",
    Action.DESCRIBED: "with other metadata",
    Action.SAME: "unchanged",
}


def run(arguments: argparse.Namespace) -> int:
    """Ingest the dataset, and print what was done."""
    target = DandiTarget(
        os.path.abspath(os.path.expanduser(arguments.dataset)),
        arguments.dandiset,
        INSTANCES.get(arguments.instance, arguments.instance),
        os.path.abspath(os.path.expanduser(arguments.records)) if arguments.records else "",
        arguments.prune,
    )
    target.publication()
    target.items()
    records = target.records()
    is_json = arguments.format == "json"
    if arguments.dry_run:
        with ByteLine("Comparing", lambda: None) as line:
            found, planned = preview(target, parse_records(records), line.advance)
        _show(target, found, planned, is_json=is_json)
        return ExitCode.OK
    ingest_id = target.identity(records)
    run_id = make_run_id(ingest_id)
    with ByteLine("Comparing", lambda: None) as line:
        found = open_ingest(target, ingest_id, run_id, records, line.advance)
    code = ExitCode.OK
    if found.has_changes or (target.prune and found.removed):
        with IngestLine(target, found):
            code = _run_ingest(target, ingest_id, run_id, arguments.workers)
    if code is ExitCode.OK:
        _show(target, found, None, is_json=is_json)
    return code


def _show(
    target: DandiTarget, found: DandiLook, planned: Estimate | None, *, is_json: bool
) -> None:
    if is_json:
        print(json.dumps(_facts_of(target, found, planned), ensure_ascii=False))
        return
    _print_others(target, found)
    if planned is None:
        print(_summary(target, found))
        return
    counts = ((_WORDS[action], len(found.of(action))) for action in _WORDS)
    print(f"{target.address} at {target.location().endpoint_url}")
    print(f"assets: {', '.join(f'{number:,} {word}' for word, number in counts if number)}")
    if found.draft_differs:
        print("the metadata of the dandiset differ")
    print(f"to send: at most {size_in_words(planned.bytes)}")
    requests = ", ".join(f"{n:,} {method}" for method, n in sorted(planned.requests.items()))
    print(f"writing requests: {requests or 'none'}")
    print("nothing was changed")


def _summary(target: DandiTarget, found: DandiLook) -> str:
    changed = len(found.planned) - len(found.of(Action.SAME))
    pruned = len(found.removed) if target.prune else 0
    if not (found.has_changes or pruned):
        number = count_of(len(found.planned), "asset")
        return f"Nothing to do: {number} at {target.address}"
    text = f"Brought {count_of(changed, 'asset')} to {target.address}"
    counts = [f"{len(found.of(a)):,} {_WORDS[a]}" for a in _WORDS if found.of(a)]
    counts += [f"{pruned:,} deleted"] if pruned else []
    return f"{text} ({', '.join(counts)})"


def _print_others(target: DandiTarget, found: DandiLook) -> None:
    removed = [path for path, _ in found.removed]
    later = "to be deleted" if target.prune else "left; --prune deletes them"
    for names, what in (
        (removed, f"of an earlier ingest and no longer in the dataset: {later}"),
        (found.edited, "of an earlier ingest, and changed since: left as they are"),
        (found.foreign, "not of ours: left as they are"),
    ):
        if names:
            print(f"{count_of(len(names), 'asset')} {what}:")
            print("\n".join(f"  {name}" for name in names[:_MOST_NAMES]))
            if len(names) > _MOST_NAMES:
                print(f"  and {len(names) - _MOST_NAMES:,} more")


def _facts_of(target: DandiTarget, found: DandiLook, planned: Estimate | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "dandiset": target.address,
        "instance": target.location().endpoint_url,
        "dry_run": planned is not None,
        "assets": len(found.planned),
        **{str(action): [each.path for each in found.of(action)] for action in _WORDS},
        "dandiset_differs": found.draft_differs,
        "prunes": target.prune,
        "removed": [path for path, _ in found.removed],
        "edited": found.edited,
        "foreign": found.foreign,
    }
    del facts[Action.SAME]
    if planned is not None:
        facts |= {"bytes": planned.bytes, "requests": dict(sorted(planned.requests.items()))}
    return facts


class IngestLine(ProgressLine):
    """The line of an ingest: bytes, their rate, the time left, and what is being brought."""

    def __init__(self, target: DandiTarget, found: DandiLook) -> None:
        super().__init__(self._compose)
        self._brought = BytesBrought(target.publication(), found.bytes_to_bring)

    def _compose(self) -> tuple[float, str]:
        share, text = self._brought.tell()
        return share, f"Bringing  {text}"
