"""Tells, without reading a table, that a run would find nothing to do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.input_files import digest_now
from spimpack_tasks.manifest import headers
from spimpack_tasks.packaging.plan import writer_versions
from spimpack_tasks.state.snapshot import Seal, read_seal, trace_sources, write_seal
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.packaging.draft import Draft
    from spimpack_tasks.packaging.options import Options


def find_seal(options: Options, choice: Choice | None) -> Seal | None:
    """Return the seal of the output if neither inputs nor outputs have changed since.

    Without a choice, the backend that the options name cannot be used.
    """
    store = Store(options.output_dir)
    seal = read_seal(store) if choice is not None else None
    if choice is None or seal is None or seal.request != _request(options, choice):
        return None
    same_texts = all(digest_now(path) == digest for path, digest in seal.texts.items())
    return seal if same_texts and seal.has_same_sources(store) and seal.is_whole(store) else None


def seal_dataset(draft: Draft, outputs: list[str], trace: str) -> None:
    """Seal a dataset that was found right, if this process has read the inputs.

    Parameters
    ----------
    draft
        What the inputs come to.
    outputs, trace
        What is sealed, and what it was like before it was found right.
    """
    if draft.dataset is None or draft.choice is None:
        return
    # What changed while we were at work must not be taken for what the plan was made from.
    source_trace = trace_sources(draft.sources)
    if draft.is_current():
        seal = Seal(
            plan_id=draft.plan_id,
            request=_request(draft.options, draft.choice),
            texts=draft.texts,
            source_count=len(draft.sources),
            source_trace=source_trace,
            output_trace=trace,
            groups=dict(Counter(asset.dataset_id for asset in draft.dataset.assets)),
        )
        write_seal(draft.store, seal, draft.sources, outputs)


def _request(options: Options, choice: Choice) -> list[Any]:
    return [options.as_json(), headers.VERSION, writer_versions(options, choice.backend)]
