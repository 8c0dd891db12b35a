"""The record for DataCite: `datacite.json`, attributes of a DOI.

Facts: DataCite Metadata Schema 4.5 in its JSON form. `publisher` is an object since 4.5, and
`identifiers` is no key of it: the DOI is `doi`, with its prefix and suffix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.identifiers import licence_address, plain_doi, plain_orcid, plain_ror
from spimpack_tasks.publishing.records.texts import given, json_text

if TYPE_CHECKING:
    from spimpack_tasks.model.publication import Contributor, Funder
    from spimpack_tasks.publishing.facts import Facts

_SCHEMA = "http://datacite.org/schema/kernel-4"
_ROR = "https://ror.org"
_ROLES = {
    "contact": "ContactPerson",
    "data-collector": "DataCollector",
    "data-curator": "DataCurator",
    "data-manager": "DataManager",
    "project-leader": "ProjectLeader",
    "project-administration": "ProjectManager",
    "researcher": "Researcher",
    "investigation": "Researcher",
    "supervision": "Supervisor",
}
"""Roles that DataCite has a type of contributor for; others are `Other`."""


def compose(facts: Facts) -> dict[str, str]:
    """Return the file for DataCite."""
    block = facts.block
    doi = facts.doi
    prefix, _, suffix = doi.partition("/")
    contributors = [
        _person(person) | {"contributorType": role}
        for person in facts.contributors
        for role in dict.fromkeys(_ROLES.get(r, "Other") for r in person.roles if r != "author")
    ]
    record = given(
        {
            "doi": doi,
            "prefix": prefix,
            "suffix": suffix,
            "types": {"resourceTypeGeneral": "Dataset", "resourceType": "BIDS dataset"},
            "creators": [_person(person) for person in facts.authors],
            "titles": [given({"title": facts.title, "lang": block.language})],
            "publisher": given({"name": block.publisher}),
            "publicationYear": block.published[:4],
            "dates": _dates(block.published),
            "language": block.language,
            "version": block.version,
            "subjects": _subjects(facts),
            "contributors": contributors,
            "relatedIdentifiers": _related(facts),
            "sizes": [f"{sum(file.size for file in facts.files)} bytes"],
            "formats": list(dict.fromkeys(image.format for image in facts.images)),
            "rightsList": _rights(facts),
            "descriptions": _descriptions(facts),
            "fundingReferences": [_funder(funder) for funder in block.funders],
            "schemaVersion": _SCHEMA,
        }
    )
    return {"datacite.json": json_text(record)}


def _dates(published: str) -> list[dict[str, str]]:
    return [{"date": published, "dateType": "Issued"}] if published else []


def _rights(facts: Facts) -> list[dict[str, str]]:
    if not facts.licence:
        return []
    return [
        {
            "rights": str(facts.description.get("License", "")),
            "rightsUri": licence_address(facts.licence),
            "rightsIdentifier": facts.licence,
            "rightsIdentifierScheme": "SPDX",
            "schemeUri": "https://spdx.org/licenses/",
        }
    ]


def _person(person: Contributor) -> dict[str, Any]:
    orcid = plain_orcid(person.orcid)
    home = person.affiliation
    affiliation = []
    if home:
        ror = plain_ror(home.ror)
        scheme = {"affiliationIdentifierScheme": "ROR", "schemeUri": _ROR} if ror else {}
        affiliation = [given({"name": home.name, "affiliationIdentifier": ror}) | scheme]
    identifier = {
        "nameIdentifier": f"https://orcid.org/{orcid}",
        "nameIdentifierScheme": "ORCID",
        "schemeUri": "https://orcid.org",
    }
    return given(
        {
            "name": person.name,
            "nameType": "Personal",
            "givenName": person.given,
            "familyName": person.family if person.given else "",
            "nameIdentifiers": [identifier] if orcid else [],
            "affiliation": affiliation,
        }
    )


def _subjects(facts: Facts) -> list[dict[str, str]]:
    subjects: list[dict[str, str]] = [{"subject": word} for word in dict.fromkeys(facts.keywords)]
    for person in facts.participants:
        term = facts.block.term("species", person.species)
        if term:
            subject = {
                "subject": term.name,
                "subjectScheme": "NCBI Taxonomy",
                "valueUri": term.address,
            }
            subjects += [subject] if subject not in subjects else []
    return subjects


def _related(facts: Facts) -> list[dict[str, str]]:
    return [
        {
            "relatedIdentifier": plain_doi(work.doi),
            "relatedIdentifierType": "DOI",
            "relationType": work.relation,
        }
        for work in facts.block.related
    ]


def _descriptions(facts: Facts) -> list[dict[str, str]]:
    block = facts.block
    texts = (
        (block.description, "Abstract"),
        ("\n\n".join(block.protocols.values()), "Methods"),
    )
    return [
        given({"description": text, "descriptionType": kind, "lang": block.language})
        for text, kind in texts
        if text
    ]


def _funder(funder: Funder) -> dict[str, str]:
    ror = plain_ror(funder.ror)
    return given(
        {
            "funderName": funder.name,
            "funderIdentifier": ror,
            "funderIdentifierType": "ROR" if ror else "",
            "awardNumber": funder.award,
            "awardTitle": funder.award_title,
        }
    )
