"""Finds data that a run would remove and that nobody may have meant to lose.

A row that is taken out of a table takes its image out of the dataset. A user who edits a table
means that. It is a mistake where another manifest is used for the same dataset, and it may be one
where the image is the last copy of its data, because the source is gone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, count_of
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.files.regular import open_regular_text
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.state.receipts import read_all_receipts, sources_of
from spimpack_tasks.state.sweep import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.state.receipts import Receipts
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.state.sweep import Sweep

MANIFEST_FILE = "manifest"
"""Name of the file of the state that holds the path of the manifest of the current plan."""


def find_own_sources(output_dir: str, sources: Iterable[str]) -> Iterator[Problem]:
    """Yield each source that is an image of the dataset itself: it would be made from itself."""
    root = f"{os.path.realpath(output_dir)}/"
    for source in sorted(sources):
        if source.startswith(f"{root}sub-"):
            path = os.path.join(output_dir, source.removeprefix(root))
            message = "is a source of this dataset, and an output belongs at its place"
            hint = "choose another --output-dir, or move it out of the dataset and name it there"
            yield Problem("conflict.source", Place(shown(path)), "", message, hint)


def find_losses(options: Options, store: Store, sweep: Sweep) -> Iterator[Problem]:
    """Yield what speaks against removing or replacing images that the plan no longer has."""
    if options.replace:
        return
    removed = _removed_images(store, sweep)
    before = _manifest_before(store)
    if removed and before and os.path.realpath(before) != os.path.realpath(options.manifest):
        first = shown(os.path.join(options.output_dir, min(removed)))
        images = count_of(len(removed), "image")
        message = (
            f"was made from {shown(before)}; this manifest would remove {images}, such as {first}"
        )
        hint = "package that one again, list both under include: in a third one above them, choose "
        hint += "another --output-dir, or use --replace to remove them"
        yield Problem(
            "conflict.other-manifest", Place(shown(options.output_dir)), "", message, hint
        )
    for path, receipt in sorted((removed | _exchanged_images(sweep)).items()):
        lost = [source for source, stamp in receipt.sources if stamp_text(source) != stamp]
        if receipt.is_data and lost:
            there = "is gone" if not os.path.lexists(lost[0]) else "has changed"
            more = f", and {count_of(len(lost) - 1, 'other source')} likewise" if lost[1:] else ""
            message = f"may be the last copy of its data: {lost[0]} {there}{more}"
            hint = "bring the source back and keep its row, move the image out of the dataset, or "
            hint += "use --replace to remove it"
            place = Place(shown(os.path.join(options.output_dir, path)))
            yield Problem("conflict.last-copy", place, "", message, hint)


def _removed_images(store: Store, sweep: Sweep) -> Receipts:
    """Return the receipts of the images that are there and that the plan no longer has."""
    if not sweep.stale:
        return {}
    stale = set(sweep.stale)
    return {
        path: receipt
        for part in read_all_receipts(store).values()
        for path, receipt in part.items()
        if path in stale
        and receipt.kind is Kind.IMAGE
        and os.path.lexists(f"{store.output_dir}/{path}")
    }


def _exchanged_images(sweep: Sweep) -> Receipts:
    """Return the receipts of the images that would be replaced by those of another source."""
    return {
        inspection.output.path: inspection.receipt
        for inspection in sweep.differences
        if inspection.receipt is not None
        and inspection.status is Status.CHANGED
        and inspection.output.kind is Kind.IMAGE
        and not _paths(inspection.receipt.sources) <= _paths(sources_of(inspection.output))
    }


def _paths(sources: list[tuple[str, str]]) -> set[str]:
    return {path for path, _ in sources}


def _manifest_before(store: Store) -> str:
    """Return the path of the manifest that the dataset was last made from, empty if unknown."""
    try:
        with open_regular_text(store.path(MANIFEST_FILE), errors="surrogateescape") as file:
            return file.read().strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
