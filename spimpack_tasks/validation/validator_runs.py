"""Gets the official validator's verdict on a dataset, in one pass where one is enough.

Without `full`, the validator sees a mirror of the dataset. Images that `.bidsignore` hides are
given stubs there, so that it checks their sidecars as well. That can be the same pass, unless a
sidecar might be inherited: one that only hidden images use would pass for used.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING

from spimpack_tasks.validation.bids_validator import ValidatorFailedError, run_bids_validator
from spimpack_tasks.validation.inventory import EntryKind
from spimpack_tasks.validation.representatives import Shown, choose_shown, split_by_subject
from spimpack_tasks.validation.validator_mirror import find_hidden, is_closed, mirror_dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.validation.inventory import Entry
    from spimpack_tasks.validation.result import Finding, ValidationResult
    from spimpack_tasks.validation.validator_mirror import HiddenImage

# About the name of a file. That of a hidden image is not valid in BIDS: therefore it is hidden.
_ABOUT_NAMES = frozenset(
    {
        "ALL_FILENAME_RULES_HAVE_ISSUES",
        "CASE_COLLISION",
        "DATATYPE_MISMATCH",
        "ENTITY_NOT_IN_RULE",
        "ENTITY_WITH_NO_LABEL",
        "EXTENSION_MISMATCH",
        "FILENAME_MISMATCH",
        "INVALID_ENTITY_LABEL",
        "INVALID_LOCATION",
        "MISSING_REQUIRED_ENTITY",
        "NOT_INCLUDED",
        "SIDECAR_WITHOUT_DATAFILE",
    }
)
_WITHOUT_IMAGE = frozenset({"dataset_description.json"})


def check_officially(
    root: str, entries: tuple[Entry, ...], *, full: bool = False
) -> ValidationResult:
    """Return the official validator's result on a dataset and its hidden sidecars.

    Parameters
    ----------
    root
        Absolute path of the dataset.
    entries
        Its entries.
    full
        Whether the validator sees the dataset itself, with all chunks.

    Raises
    ------
    MissingExtraError
        The validator is not installed.
    ValidatorFailedError
        The official validator failed.
    """
    hidden = find_hidden(root, entries)
    if not full and not may_inherit(entries, hidden):
        return _check_shown(root, Shown(entries, hidden))
    if full and is_closed(root):
        message = f"the BIDS validator cannot read below /dev: {root}; leave out --full"
        raise ValidatorFailedError(message)
    plain = run_bids_validator(Path(root)) if full else _run(root, Shown(entries, ()))
    if not hidden:
        return plain
    second = _run(root, Shown(entries, hidden))
    return replace(plain, findings=(*plain.findings, *_about_hidden(second, hidden)))


def _check_shown(root: str, whole: Shown) -> ValidationResult:
    """Return the result on a dataset without inherited sidecars, from as few images as possible."""
    shown = choose_shown(root, whole)
    result = _run(root, shown) if shown.classes else _run_parts(root, whole)
    if not shown.explains(result.findings):
        shown, result = whole, _run_parts(root, whole)
    hidden = whole.hidden
    findings = shown.repeat((*_about_others(result, hidden), *_about_hidden(result, hidden)))
    return replace(result, findings=tuple(findings))


def _run_parts(root: str, whole: Shown) -> ValidationResult:
    """Return the result on a dataset of any size, in bounded memory."""
    results = [_run(root, part) for part in split_by_subject(whole)]
    # A finding on a file that all parts have is one finding.
    findings = reduce(or_, (Counter(result.findings) for result in results))
    return replace(results[0], findings=tuple(findings.elements()))


def _run(root: str, shown: Shown) -> ValidationResult:
    with mirror_dataset(root, shown.entries, shown.hidden, shown.ignored) as folder:
        return run_bids_validator(Path(folder))


def may_inherit(entries: Iterable[Entry], hidden: tuple[HiddenImage, ...]) -> bool:
    """Tell whether there is a sidecar without an image or table of the same name beside it."""
    own = {image.sidecar for image in hidden} | _WITHOUT_IMAGE
    files = [e.path for e in entries if e.kind in {EntryKind.FILE, EntryKind.STORE}]
    stems = {_stem(path) for path in files if not path.endswith(".json")}
    return any(p.endswith(".json") and p not in own and _stem(p) not in stems for p in files)


def _stem(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _about_others(verdict: ValidationResult, hidden: tuple[HiddenImage, ...]) -> Iterator[Finding]:
    ours = {place for image in hidden for place in (image.sidecar, image.stub)}
    return (finding for finding in verdict.findings if _place(finding) not in ours)


def _about_hidden(verdict: ValidationResult, hidden: tuple[HiddenImage, ...]) -> Iterator[Finding]:
    """Yield the findings on the content of hidden sidecars, under their names in the dataset."""
    known = {image.sidecar: image.sidecar for image in hidden}
    known |= {image.stub: image.image for image in hidden}
    for finding in verdict.findings:
        place = known.get(_place(finding))
        if place and finding.code not in _ABOUT_NAMES:
            yield replace(finding, location=place)


def _place(finding: Finding) -> str:
    return finding.location.removesuffix("/")
