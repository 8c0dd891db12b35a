"""Tells, without reading a table, that a run would find nothing to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.packaging import headers
from spimpack_tasks.packaging.load import text_now
from spimpack_tasks.packaging.plan import writer_versions
from spimpack_tasks.registry import has_backend
from spimpack_tasks.state.seal import (
    Seal,
    SealedInputs,
    read_seal,
    trace_sources,
    write_seal,
)
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from spimpack_tasks.packaging.draft import Draft
    from spimpack_tasks.packaging.options import Options


def find_seal(options: Options) -> Seal | None:
    """Return the seal of the output if neither inputs nor outputs have changed since."""
    store = Store(options.output_dir)
    seal = read_seal(store) if has_backend(options.backend) else None
    untouched = seal is not None and _is_untouched(seal.inputs, options) and seal.is_whole(store)
    return seal if untouched else None


def _is_untouched(inputs: SealedInputs, options: Options) -> bool:
    return (
        inputs.request == _request(options)
        and all(_digest(text_now(path)) == digest for path, digest in inputs.texts.items())
        and trace_sources(inputs.sources) == inputs.trace
    )


def seal_dataset(draft: Draft, outputs: list[str], trace: str) -> None:
    """Seal a dataset that was found right, if this process has read the inputs.

    Parameters
    ----------
    draft
        What the inputs come to.
    outputs, trace
        What is sealed, and what it was like before it was found right.
    """
    if draft.dataset is None:
        return
    # What changed while we were at work must not be taken for what the plan was made from.
    sources = trace_sources(draft.sources)
    if draft.is_current():
        texts = {path: _digest(text) for path, text in draft.texts.items()}
        inputs = SealedInputs(_request(draft.options), texts, draft.sources, sources)
        groups = Counter(asset.dataset_id for asset in draft.dataset.assets)
        write_seal(draft.store, Seal(draft.plan_id, inputs, outputs, trace, dict(groups)))


def _request(options: Options) -> list[Any]:
    return [asdict(options), headers.VERSION, writer_versions(options.backend)]


def _digest(text: str | None) -> str:
    return "" if text is None else blake2b(text.encode(), digest_size=16).hexdigest()
