"""Facts that portals ask for: each need has a name, and finds what a dataset lacks.

A lack says where the fact belongs, in the manifest or in a cell. Problems are made of lacks in
`publishing.lacks`, which also names the portals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.model.identifiers import plain_doi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.files.yaml_marks import Path
    from spimpack_tasks.publishing.facts import Facts

BLOCK = "publication"
_LONGEST_TITLE, _LONGEST_DESCRIPTION = 150, 10_000
"""Characters that DANDI has room for."""
_NAME_OF_DANDI = re.compile(r"([\w\s\-.']+),\s+([\w\s\-.']+)")
_DANDI_LICENCES = ("CC0-1.0", "CC-BY-4.0")


@dataclass(frozen=True, slots=True)
class Lack:
    """A fact that is missing or wrong, and where it belongs."""

    code: str
    path: Path
    """In the manifest."""
    message: str
    hint: str = ""
    cell: tuple[str, str] | None = None
    """Label of a participant and column of its table, if the fact belongs there."""


def _missing(*path: str | int, hint: str = "", message: str = "is missing") -> Lack:
    return Lack("publication.missing", (BLOCK, *path), message, hint)


def _description(facts: Facts) -> Iterator[Lack]:
    if not facts.block.description:
        yield _missing("description", hint="write an abstract")


def _short_texts(facts: Facts) -> Iterator[Lack]:
    pairs = (
        ("title", facts.title, _LONGEST_TITLE),
        ("description", facts.block.description, _LONGEST_DESCRIPTION),
    )
    for key, text, most in pairs:
        if len(text) > most:
            message = f"has {len(text):,} characters, of which {most:,} fit"
            yield Lack("publication.length", (BLOCK, key), message, "shorten it")


def _people(facts: Facts) -> Iterator[Lack]:
    if not facts.contributors:
        yield _missing("contributors", hint="name the authors as Family, Given")
    elif not facts.authors:
        hint = "give one of them the role author"
        yield _missing("contributors", message="names no author", hint=hint)


def _named_people(facts: Facts) -> Iterator[Lack]:
    if not facts.block.contributors:
        yield _missing("contributors", hint="name the authors as Family, Given")


def _plain_names(facts: Facts) -> Iterator[Lack]:
    for index, person in enumerate(facts.block.contributors):
        if not _NAME_OF_DANDI.fullmatch(person.name):
            message = f"{person.name!r} holds a character that is not accepted"
            hint = "write Family, Given with letters, points, hyphens and '"
            yield Lack("publication.name", (BLOCK, "contributors", index, "name"), message, hint)


def _contact(facts: Facts) -> Iterator[Lack]:
    people = list(enumerate(facts.block.contributors))
    contacts = [(index, person) for index, person in people if person.is_contact]
    if people and not contacts:
        hint = "give one of them the role contact, and an email"
        yield _missing("contributors", message="names no contact", hint=hint)
    elif contacts and not any(person.email for _, person in contacts):
        yield _missing("contributors", contacts[0][0], "email", hint="give that of the contact")


def _orcids(facts: Facts) -> Iterator[Lack]:
    for index, person in enumerate(facts.block.contributors):
        if not person.orcid:
            hint = f"give the ORCID of {person.name}"
            yield _missing("contributors", index, "orcid", hint=hint)


def _affiliations(facts: Facts) -> Iterator[Lack]:
    for index, person in enumerate(facts.block.contributors):
        if person.affiliation is None:
            hint = f"name the organization of {person.name}"
            yield _missing("contributors", index, "affiliation", hint=hint)


def _affiliation_rors(facts: Facts) -> Iterator[Lack]:
    for index, person in enumerate(facts.block.contributors):
        if person.affiliation is not None and not person.affiliation.ror:
            hint = "look it up at https://ror.org"
            yield _missing("contributors", index, "affiliation", "ror", hint=hint)


def _grants(facts: Facts) -> Iterator[Lack]:
    if not facts.block.funders:
        yield _missing("funders", hint="name the grants that paid for the work")
    for index, funder in enumerate(facts.block.funders):
        for key in ("ror", "award", "award_title"):
            if not getattr(funder, key):
                yield _missing("funders", index, key, hint=f"give that of {funder.name}")


def _publisher(facts: Facts) -> Iterator[Lack]:
    if not facts.block.publisher:
        yield _missing("publisher", hint="name the organization that publishes the dataset")


def _published(facts: Facts) -> Iterator[Lack]:
    if not facts.block.published:
        yield _missing("published", hint="give the date as 2026-03-01")


def _version(facts: Facts) -> Iterator[Lack]:
    if not facts.block.version:
        yield _missing("version", hint='give it as "1.0.0"')


_LICENCE = ("dataset_description", "License")


def _licence(facts: Facts) -> Iterator[Lack]:
    if not facts.licence:
        given = facts.description.get("License", "")
        message = f"{given!r} has no SPDX identifier that is known here"
        hint = "write CC0-1.0, CC-BY-4.0 or another licence for data"
        yield Lack("publication.licence", _LICENCE, message, hint)


def _open_licence(facts: Facts) -> Iterator[Lack]:
    if facts.licence not in _DANDI_LICENCES:
        given = facts.description.get("License", "")
        hint = f"one of: {', '.join(_DANDI_LICENCES)}"
        yield Lack("publication.licence", _LICENCE, f"{given!r} is not accepted", hint)


def _doi(facts: Facts) -> Iterator[Lack]:
    if not facts.doi:
        path = ("dataset_description", "DatasetDOI")
        hint = "write it like doi:10.5281/zenodo.1234567, which portals reserve"
        yield Lack("publication.missing", path, "is missing, or not a DOI", hint)


def _documentation(facts: Facts) -> Iterator[Lack]:
    relations = {"IsDescribedBy", "IsDocumentedBy", "IsSupplementTo", "IsCitedBy"}
    known = {work.relation for work in facts.block.related if plain_doi(work.doi)}
    if not relations & known:
        hint = "give the DOI of a paper or protocol, with the relation IsDescribedBy"
        yield _missing("related", message="names no documentation", hint=hint)


def _ethics(facts: Facts) -> Iterator[Lack]:
    if not any(approval.jurisdiction for approval in facts.block.ethics):
        yield _missing(
            "ethics",
            message="has no jurisdiction",
            hint="give jurisdiction: EU, US or not required",
        )


def _species(facts: Facts) -> Iterator[Lack]:
    seen = set()
    for person in facts.participants:
        if not person.species:
            path = (BLOCK, "terms", "species")
            message, hint = f"sub-{person.label} has no species", "fill in the participants table"
            cell = (person.label, "species")
            yield Lack("publication.missing", path, message, hint, cell)
        elif person.species not in seen and not facts.block.term("species", person.species):
            seen.add(person.species)
            yield _termless("species", person.species, "NCBITaxon:10090", person.label, "species")
    if not facts.participants:
        message = "there is no table of participants, which has the species"
        yield _missing("terms", "species", message=message, hint="add participants.tsv")


def _termless(kind: str, word: str, like: str, label: str = "", column: str = "") -> Lack:
    message = f"{word!r} has no term"
    hint = f"add it to {kind} under terms, as {word}: {like}"
    cell = (label, column) if label else None
    return Lack("publication.term", (BLOCK, "terms", kind), message, hint, cell)


def _anatomy(facts: Facts) -> Iterator[Lack]:
    words = {str(image.sidecar.get("BodyPart", "")) for image in facts.images}
    for word in sorted(words - {"", "n/a"}):
        if not facts.block.term("anatomy", word):
            yield _termless("anatomy", word, "UBERON:0000955")


def _body_part(facts: Facts) -> Iterator[Lack]:
    for image in facts.images:
        if str(image.sidecar.get("BodyPart", "n/a")) == "n/a":
            message = f"{image.path} has no BodyPart"
            path = ("sidecar_defaults", "BodyPart")
            yield Lack("publication.missing", path, message, "give the column BodyPart")
            return


def _stains(facts: Facts) -> Iterator[Lack]:
    for word in sorted({word for image in facts.images for word in image.words}):
        if not facts.block.term("stains", word):
            yield _termless("stains", word, "CHEBI:51217")


def _strain_types(facts: Facts) -> Iterator[Lack]:
    seen = set()
    for person in facts.participants:
        term = facts.block.term("strains", person.strain) if person.strain else None
        if person.strain and person.strain not in seen and not (term and term.genetic_type):
            seen.add(person.strain)
            message = f"{person.strain!r} has no genetic type"
            hint = f"add {person.strain}: {{id: …, genetic_type: …}} to strains under terms"
            path = (BLOCK, "terms", "strains")
            yield Lack("publication.term", path, message, hint, (person.label, "strain"))


def _ages(facts: Facts) -> Iterator[Lack]:
    for person in facts.participants:
        if not person.age:
            message, hint = f"sub-{person.label} has no age", "fill in the participants table"
            path = (BLOCK, "ages")
            yield Lack("publication.missing", path, message, hint, (person.label, "age"))


def _age_category(facts: Facts) -> Iterator[Lack]:
    if not facts.block.age_category:
        yield _missing("ages", "category", hint="one such as prime adult")


def _protocol(key: str) -> Callable[[Facts], Iterator[Lack]]:
    def find(facts: Facts) -> Iterator[Lack]:
        if not facts.block.protocols.get(key):
            yield _missing("protocols", key, hint="describe it in a sentence or more")

    return find


def _instrument(facts: Facts) -> Iterator[Lack]:
    without = [image.path for image in facts.images if not image.instrument]
    if without:
        message, hint = f"{without[0]} has no microscope", "give the column Manufacturer"
        path = ("sidecar_defaults", "Manufacturer")
        yield Lack("publication.missing", path, message, hint)


def _voxel_sizes(facts: Facts) -> Iterator[Lack]:
    for image in facts.images:
        if None in image.spacing_um_xyz[:2]:
            message, hint = f"{image.path} has no size of voxels", "give the column PixelSize"
            path = ("sidecar_defaults", "PixelSize")
            yield Lack("publication.missing", path, message, hint)
            return


NEEDS: dict[str, Callable[[Facts], Iterator[Lack]]] = {
    "affiliation-rors": _affiliation_rors,
    "affiliations": _affiliations,
    "age-category": _age_category,
    "ages": _ages,
    "acquisition": _protocol("acquisition"),
    "anatomy": _anatomy,
    "authors": _people,
    "body-part": _body_part,
    "contact": _contact,
    "contributors": _named_people,
    "description": _description,
    "documentation": _documentation,
    "doi": _doi,
    "ethics": _ethics,
    "grants": _grants,
    "instrument": _instrument,
    "licence": _licence,
    "open-licence": _open_licence,
    "plain-names": _plain_names,
    "orcids": _orcids,
    "preparation": _protocol("preparation"),
    "published": _published,
    "publisher": _publisher,
    "short-texts": _short_texts,
    "species": _species,
    "stains": _stains,
    "strain-types": _strain_types,
    "version": _version,
    "voxel-sizes": _voxel_sizes,
}
"""Finders of lacks by the name of the need."""
