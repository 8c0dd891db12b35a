"""The record for search engines: `schema-org.jsonld`, to be put into the page of a dataset.

Facts: schema.org/Dataset, with the properties that Google Dataset Search documents; it wants a
description of 50 to 5,000 characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.identifiers import licence_address, plain_doi, plain_orcid, plain_ror
from spimpack_tasks.publishing.records.media_types import media_type
from spimpack_tasks.publishing.records.texts import given, json_text

if TYPE_CHECKING:
    from spimpack_tasks.model.publication import Contributor, Funder
    from spimpack_tasks.publishing.facts import Facts

_MOST = 5_000
"""Characters of a description that Google takes."""


def compose(facts: Facts) -> dict[str, str]:
    """Return the file for search engines."""
    block = facts.block
    address = f"https://doi.org/{facts.doi}" if facts.doi else ""
    kinds = sorted({media_type(image.path) for image in facts.images})
    record = given(
        {
            "@context": "https://schema.org/",
            "@type": "Dataset",
            "@id": address,
            "name": facts.title,
            "description": block.description[:_MOST],
            "identifier": address,
            "license": licence_address(facts.licence),
            "version": block.version,
            "datePublished": block.published,
            "inLanguage": block.language,
            "keywords": list(facts.keywords),
            "isAccessibleForFree": True,
            "creator": [_person(person) for person in facts.authors],
            "publisher": given({"@type": "Organization", "name": block.publisher})
            if block.publisher
            else {},
            "funding": [_grant(funder) for funder in block.funders],
            "citation": [f"https://doi.org/{plain_doi(work.doi)}" for work in block.related],
            "measurementTechnique": block.imaging_name,
            "about": _about(facts),
            "encodingFormat": kinds,
        }
    )
    return {"schema-org.jsonld": json_text(record)}


def _person(person: Contributor) -> dict[str, Any]:
    orcid, home = plain_orcid(person.orcid), person.affiliation
    return given(
        {
            "@type": "Person",
            "@id": f"https://orcid.org/{orcid}" if orcid else "",
            "name": person.in_order,
            "givenName": person.given,
            "familyName": person.family if person.given else "",
            "affiliation": _organization(home.name, home.ror) if home else {},
        }
    )


def _organization(name: str, ror: str) -> dict[str, Any]:
    return given({"@type": "Organization", "@id": plain_ror(ror), "name": name})


def _grant(funder: Funder) -> dict[str, Any]:
    return given(
        {
            "@type": "Grant",
            "identifier": funder.award,
            "name": funder.award_title,
            "funder": _organization(funder.name, funder.ror),
        }
    )


def _about(facts: Facts) -> list[dict[str, str]]:
    terms = [facts.block.term("species", person.species) for person in facts.participants]
    parts = [
        facts.block.term("anatomy", str(image.sidecar.get("BodyPart", "")))
        for image in facts.images
    ]
    return [
        {"@type": "DefinedTerm", "@id": term.address, "name": term.name, "termCode": term.id}
        for term in dict.fromkeys([*terms, *parts])
        if term
    ]
