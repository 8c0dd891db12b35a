"""Tells, without reading a table, that a run would find nothing to do."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.input_files import have_digests
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.manifest import headers
from spimpack_tasks.manifest.merges import has_same_files
from spimpack_tasks.packaging.backends.registry import find_choice
from spimpack_tasks.packaging.plan import writer_versions
from spimpack_tasks.packaging.resolved_options import resolve_options
from spimpack_tasks.state.snapshot import (
    DatasetSnapshot,
    read_snapshot,
    write_snapshot,
)
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.packaging.prepared_run import PreparedRun
    from spimpack_tasks.state.look import Look


def find_snapshot(options: Options) -> tuple[Options, DatasetSnapshot] | None:
    """Return the snapshot of the output if neither inputs nor outputs have changed since.

    The options of which nothing is open are returned with it.
    """
    store = Store(options.output_dir)
    snapshot = read_snapshot(store)
    if snapshot is None or not options.manifest:
        return None
    # They are those of the last run: no other one has become the current one.
    last = snapshot.request[0]
    resolved = resolve_options(options, snapshot.manifest_options, last)
    choice = find_choice(resolved.backend)
    if choice is None or snapshot.request != _request(resolved, choice):
        return None
    same_texts = have_digests(snapshot.texts)
    is_same = same_texts and snapshot.has_same_sources(store) and snapshot.is_whole(store)
    return (resolved, snapshot) if is_same else None


def count_sound_images(options: Options) -> int | None:
    """Return the number of images, if all inputs are as they were when nothing was wrong with them.

    `None` stands for inputs that have to be checked. Warnings count as something wrong: their
    places are told as seen from the working directory.
    """
    found = find_snapshot(options)
    if found is None:
        return None
    snapshot = found[1]
    path = Store(options.output_dir).path("validated", snapshot.plan_id)
    is_sound = read_json(path, lambda problems: problems == [], default=False)
    return sum(snapshot.groups.values()) if is_sound else None


def take_snapshot(prepared: PreparedRun, look: Look) -> None:
    """Record the snapshot of a dataset that was found right, if this process has read the inputs.

    Parameters
    ----------
    prepared
        What the inputs come to.
    look
        The look at the dataset by which it was found right.
    """
    if prepared.dataset is None or prepared.choice is None or prepared.chosen is None:
        return
    # A header that could not be read may be complete the next time, with the same stamp.
    if any(problem.code == "source.header" for problem in prepared.report.problems):
        return
    # A change while we were at work must not be taken for what the plan was made from: sources
    # were traced when they were read.
    source_trace = prepared.source_trace.text()
    if source_trace and prepared.has_same_texts() and has_same_files(prepared.wildcards):
        snapshot = DatasetSnapshot(
            plan_id=prepared.plan_id,
            request=_request(prepared.options, prepared.choice),
            manifest_options=dict(prepared.chosen.in_manifest),
            texts=prepared.texts,
            source_count=len(prepared.sources),
            source_trace=source_trace,
            output_trace=look.trace(),
            groups=dict(Counter(asset.dataset_id for asset in prepared.dataset.assets)),
        )
        write_snapshot(prepared.store, snapshot, prepared.sources, look.lines())


def _request(options: Options, choice: Choice) -> list[Any]:
    # Relative links lead elsewhere from another real place.
    place = os.path.realpath(options.output_dir)
    return [options.as_json(), place, headers.VERSION, writer_versions(options, choice.backend)]
