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
from spimpack_tasks.model.plan import MANIFEST_FILE, Kind
from spimpack_tasks.state.receipts import read_all_receipts, sources_of
from spimpack_tasks.state.sweep import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.state.receipts import Receipt, Receipts
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.state.sweep import Sweep


def find_own_sources(output_dir: str, sources: Iterable[str]) -> Iterator[Problem]:
    """Yield each source that is an image of the dataset itself: it would be made from itself."""
    root = f"{os.path.realpath(output_dir)}/"
    for source in sorted(sources):
        if source.startswith(f"{root}sub-"):
            path = os.path.join(output_dir, source.removeprefix(root))
            message = "is a source of this dataset, and an output belongs at its place"
            hint = "choose another --output-dir, or move it out of the dataset and name it there"
            yield Problem("conflict.source", Place(shown(path)), "", message, hint)


def find_losses(
    options: Options, store: Store, sweep: Sweep, sources: Iterable[tuple[str, str]]
) -> Iterator[Problem]:
    """Yield what speaks against removing or replacing images that the plan no longer has.

    Parameters
    ----------
    options, store, sweep
        Of the run.
    sources
        Path, and size and time, of each source of the plan.
    """
    if options.replace:
        return
    removed = _removed_images(store, sweep)
    before = _manifest_before(store)
    if removed and before and not _is_same(before, options):
        first = shown(os.path.join(options.output_dir, min(removed)))
        images = count_of(len(removed), "image")
        message = f"was made from {shown(before[0])}; this manifest would remove {images}, "
        message += f"such as {first}"
        hint = "package that one again, list both under include: in a third one above them, choose "
        hint += "another --output-dir, or use --replace to remove them"
        yield Problem(
            "conflict.other-manifest", Place(shown(options.output_dir)), "", message, hint
        )
    lost = {
        path: receipt
        for path, receipt in (removed | _exchanged_images(sweep)).items()
        if receipt.is_data and not _is_there(receipt, before, options)
    }
    # A study that was moved as a whole has its sources elsewhere, and lost none of them.
    known = {_identity(source, stamp) for source, stamp in sources} if lost else set()
    for path, receipt in sorted(lost.items()):
        away = [
            source
            for source, stamp in receipt.sources
            if stamp_text(source) != stamp and _identity(source, stamp) not in known
        ]
        if away:
            there = "is gone" if not os.path.lexists(away[0]) else "has changed"
            more = f", and {count_of(len(away) - 1, 'other source')} likewise" if away[1:] else ""
            message = f"may be the last copy of its data: {away[0]} {there}{more}"
            hint = "bring the source back and keep its row, or move the image out of the dataset; "
            hint += "--replace removes it, such as where the source is a row of another path now"
            place = Place(shown(os.path.join(options.output_dir, path)))
            yield Problem("conflict.last-copy", place, "", message, hint)


def _identity(source: str, stamp: str) -> tuple[str, ...]:
    """Return what a source is known by wherever it lies.

    Size and time to the second are not enough: images of one series, each named alike in a folder
    of its own, may have come out of one archive.
    """
    return *source.split("/")[-2:], stamp


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


def _is_there(receipt: Receipt, before: list[str], options: Options) -> bool:
    """Tell whether all files of an image are where they were, or moved with the manifest."""
    return all(_is_file_there(*each, before, options) for each in receipt.sources)


def _is_file_there(source: str, stamp: str, before: list[str], options: Options) -> bool:
    if stamp_text(source) == stamp:
        return True
    folder = f"{os.path.dirname(before[0])}/" if before else ""
    if not folder or os.path.lexists(before[0]) or not source.startswith(folder):
        return False
    moved = os.path.join(os.path.dirname(options.manifest), source.removeprefix(folder))
    return stamp_text(moved) == stamp


def manifest_text(options: Options) -> str:
    """Return the content of the file that names the manifest: its path, and that from the output.

    By the second one a study that was moved as a whole is known again.
    """
    return f"{options.manifest}\n{_path_from_output(options)}\n"


def _path_from_output(options: Options) -> str:
    return os.path.relpath(options.manifest, os.path.realpath(options.output_dir))


def _is_same(before: list[str], options: Options) -> bool:
    """Tell whether the manifest is the one before, or the one before that has been moved."""
    if os.path.realpath(before[0]) == os.path.realpath(options.manifest):
        return True
    return not os.path.lexists(before[0]) and before[1:] == [_path_from_output(options)]


def _manifest_before(store: Store) -> list[str]:
    """Return the lines about the manifest that the dataset was last made from, if they are known.

    Early versions wrote one line.
    """
    try:
        with open_regular_text(store.path(MANIFEST_FILE), errors="surrogateescape") as file:
            return file.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
