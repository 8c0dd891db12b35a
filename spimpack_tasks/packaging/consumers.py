"""Programs that read datasets and want more of them than BIDS does: one record each.

Their notes are composed only for users who name the program (`--for spimquant`). A note is neither
an error nor a warning, so `--strict` leaves it alone. A new program is one record in `CONSUMERS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.manifest.read_assets import PlacedAsset
    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.packaging.rules import RuleInput

_PIECES = ("run", "chunk")


@dataclass(frozen=True, slots=True)
class Consumer:
    """A program that reads datasets."""

    name: str
    """As `--for` takes it."""
    shown: str
    """As the program spells itself."""
    rules: tuple[Callable[[RuleInput], Iterator[Problem]], ...]
    """Functions from the facts to notes, as the rules are."""


def compose_notes(facts: RuleInput) -> Iterator[Problem]:
    """Yield the notes of all programs that the options name."""
    for name in facts.options.consumers:
        for rule in CONSUMERS[name].rules:
            yield from rule(facts)


def images_of_a_sample_are_alike(facts: RuleInput) -> Iterator[Problem]:
    """BIDS allows mixtures in one sample that snakebids workflows such as SPIMquant stop at."""
    for code, column, what, trait, cure in _TRAITS:
        firsts: dict[str, PlacedAsset] = {}
        for placed in facts.images:
            if not (placed.asset.source and placed.asset.extension):
                continue  # of what it would become nothing is known
            first = firsts.setdefault(placed.asset.sample_label, placed)
            if trait(placed.asset) != trait(first.asset):
                here, there = trait(placed.asset), trait(first.asset)
                line = first.record.where(column).line_in_words()
                message = f"{what} {here}, but {there} in {line}, and SPIMquant stops at this"
                yield Problem(
                    code, placed.record.where(column), column, message, cure, Severity.NOTE
                )
                break


def subjects_have_the_same_stains(facts: RuleInput) -> Iterator[Problem]:
    """SPIMquant wants the same stains of every subject."""
    stains: dict[str, set[str]] = {}
    where: dict[str, PlacedAsset] = {}
    for placed in facts.images:
        if placed.asset.sidecar["SampleStaining"]:
            subject = placed.asset.subject_label
            stains.setdefault(subject, set()).update(placed.asset.sidecar["SampleStaining"])
            where.setdefault(subject, placed)
    first = next(iter(stains), "")
    for subject, names in stains.items():
        if names != stains[first]:
            here, there = (", ".join(sorted(each)) for each in (names, stains[first]))
            message = f"sub-{subject} has {here}, but sub-{first} {there}"
            place = where[subject].record.where("sample_staining")
            cure = "SPIMquant wants the same stains of every subject: name equal stains alike"
            yield Problem(
                "dataset.mixed-stains", place, "sample_staining", message, cure, Severity.NOTE
            )
            return


def _pieces(asset: Asset) -> str:
    """Return run and chunk, which SPIMquant does not tell images by."""
    given = (f"{name}-{asset.entities[name]}" for name in _PIECES if name in asset.entities)
    return "_".join(given) or "without run and chunk"


_TRAITS: tuple[tuple[str, str, str, Callable[[Asset], str], str], ...] = (
    (
        "dataset.mixed-formats",
        "spim_path",
        "becomes",
        lambda asset: asset.extension,
        "package the formats apart, or convert all with --backend ome-zarr",
    ),
    (
        "dataset.mixed-entities",
        "subject",
        "has",
        lambda asset: ", ".join(asset.entities),
        "give all images of the sample the same entities",
    ),
    (
        "dataset.mixed-runs",
        "subject",
        "is",
        _pieces,
        "tell the images apart by session or acquisition",
    ),
)
"""Code, column, verb, what should be the same for all images of a sample, and the cure."""

SPIMQUANT = Consumer(
    "spimquant", "SPIMquant", (images_of_a_sample_are_alike, subjects_have_the_same_stains)
)
CONSUMERS = {consumer.name: consumer for consumer in (SPIMQUANT,)}
"""By the name that `--for` takes."""
