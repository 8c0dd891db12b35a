"""The record of an RO-Crate: `ro-crate-metadata.json`, to be put into the root of the dataset.

There is one for each version of RO-Crate that repositories take, 1.1 and 1.2, in a folder of its
own.

Facts: both versions. A value that stands alone is no list. A folder is a `Dataset` whose identifier
ends with a slash, every part is listed by the folder above it, and the root lists every file.
Identifiers of files are relative paths, percent-encoded. Of an OME-Zarr the metadata at its root
are listed, and not its chunks. In 1.2 an identifier is a PropertyValue, the root names its funders,
and one of the authors has a contact point.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote

from spimpack_tasks.model.identifiers import plain_doi, plain_orcid, plain_ror
from spimpack_tasks.publishing.records.crate import (
    NAME,
    compose_descriptor,
    compose_file,
    frame,
    list_licences,
    person_id,
    ref,
)
from spimpack_tasks.publishing.records.texts import given, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.model.publication import Contributor, Funder, Term
    from spimpack_tasks.publishing.facts import Facts, FileFacts
    from spimpack_tasks.publishing.records.crate import Entity

VERSIONS = ("1.1", "1.2")
_DESCRIPTIONS = {
    "dataset_description.json": "Description of the dataset, as BIDS has it",
    "participants.tsv": "Table of the participants",
    "participants.json": "Meanings of the columns of participants.tsv",
    "samples.tsv": "Table of the samples",
    "samples.json": "Meanings of the columns of samples.tsv",
    "README.md": "Introduction to the dataset",
    "CHANGES": "History of the dataset",
    ".bidsignore": "Names that validators of BIDS pass over",
}


def compose(facts: Facts) -> dict[str, str]:
    """Return the files of the crate, one of each version."""
    return {f"{version}/{NAME}": json_text(compose_crate(facts, version)) for version in VERSIONS}


def compose_crate(facts: Facts, version: str) -> Entity:
    """Return the crate as a version of RO-Crate has it."""
    people = [compose_person(person) for person in facts.contributors]
    terms = list(dict.fromkeys(_terms(facts)))
    entities = [
        compose_descriptor(version),
        _root(facts, people, terms),
        *list_licences(facts.licence),
        *people,
        *_contacts(facts),
        *_identifier(facts),
        *_organizations(facts),
        *(_grant(funder, index) for index, funder in enumerate(facts.block.funders)),
        *(_work(doi, title) for doi, title in _works(facts)),
        *map(_term, terms),
        *_instruments(facts),
        *_folders(facts),
        *(entity for file in facts.files for entity in _file(facts, file)),
    ]
    return frame(entities, version)


def _root(facts: Facts, people: list[Entity], terms: list[Term]) -> Entity:
    block = facts.block
    authors = {person.name for person in facts.authors}
    makers = list(zip(facts.contributors, people, strict=True))
    works = [{"@id": f"https://doi.org/{doi}"} for doi, _ in _works(facts)]
    grants = [{"@id": f"#grant-{index + 1}"} for index in range(len(block.funders))]
    organizations = list(_organizations(facts))
    payers = {organization_id(each.name, each.ror): each for each in block.funders}
    return given(
        {
            "@id": "./",
            "@type": "Dataset",
            "name": facts.title,
            "description": block.description,
            "datePublished": block.published,
            "license": [ref(entity) for entity in list_licences(facts.licence)],
            "identifier": [ref(entity) for entity in _identifier(facts)],
            "version": block.version,
            "inLanguage": block.language,
            "keywords": list(facts.keywords),
            "author": [ref(entity) for person, entity in makers if person.name in authors],
            "contributor": [ref(e) for person, e in makers if person.name not in authors],
            "publisher": [ref(e) for e in organizations if e["name"] == block.publisher][:1],
            "funding": grants,
            "funder": [{"@id": payer} for payer in payers],
            "citation": works,
            "about": [{"@id": term.address} for term in terms],
            "instrument": [ref(entity) for entity in _instruments(facts)],
            "hasPart": [{"@id": part} for part in _parts(facts)[""]],
        }
    )


def compose_person(person: Contributor) -> Entity:
    """Return the entity of a person; the identifier is the ORCID, or else the name."""
    orcid = plain_orcid(person.orcid)
    home = person.affiliation
    email = person.email if person.is_contact else ""
    return given(
        {
            "@id": f"https://orcid.org/{orcid}" if orcid else person_id(person.in_order),
            "@type": "Person",
            "name": person.in_order,
            "givenName": person.given,
            "familyName": person.family if person.given else "",
            "email": email,
            "contactPoint": {"@id": f"mailto:{email}"} if email else {},
            "affiliation": {"@id": organization_id(home.name, home.ror)} if home else {},
        }
    )


def organization_id(name: str, ror: str) -> str:
    """Return the identifier of an organization: its ROR, or else its name."""
    return plain_ror(ror) or f"#organization-{quote(name)}"


def _organizations(facts: Facts) -> Iterator[Entity]:
    homes = [person.affiliation for person in facts.contributors if person.affiliation]
    named = [(home.name, home.ror) for home in homes]
    named += [(funder.name, funder.ror) for funder in facts.block.funders]
    for name, ror in named:
        entity = {"@id": organization_id(name, ror), "@type": "Organization", "name": name}
        yield given({**entity, "url": plain_ror(ror)})
    publisher = facts.block.publisher
    if publisher and publisher not in {name for name, _ in named}:
        yield {"@id": organization_id(publisher, ""), "@type": "Organization", "name": publisher}


def _identifier(facts: Facts) -> Iterator[Entity]:
    if facts.doi:
        yield {
            "@id": f"https://doi.org/{facts.doi}",
            "@type": "PropertyValue",
            "name": f"DOI {facts.doi}",
            "propertyID": "https://registry.identifiers.org/registry/doi",
            "value": f"doi:{facts.doi}",
            "url": f"https://doi.org/{facts.doi}",
        }


def _contacts(facts: Facts) -> Iterator[Entity]:
    for person in facts.contributors:
        if person.is_contact and person.email:
            yield {
                "@id": f"mailto:{person.email}",
                "@type": "ContactPoint",
                "name": f"Contact: {person.in_order}",
                "contactType": "correspondence",
                "email": person.email,
            }


def _grant(funder: Funder, index: int) -> Entity:
    return given(
        {
            "@id": f"#grant-{index + 1}",
            "@type": "Grant",
            "name": funder.award_title or funder.award or funder.name,
            "identifier": funder.award,
            "funder": {"@id": organization_id(funder.name, funder.ror)},
        }
    )


def _works(facts: Facts) -> list[tuple[str, str]]:
    return [(plain_doi(work.doi), work.title) for work in facts.block.related]


def _work(doi: str, title: str) -> Entity:
    address = f"https://doi.org/{doi}"
    return {
        "@id": address,
        "@type": "CreativeWork",
        "name": title or address,
        "identifier": address,
    }


def _terms(facts: Facts) -> Iterator[Term]:
    for person in facts.participants:
        term = facts.block.term("species", person.species)
        if term:
            yield term
    for image in facts.images:
        term = facts.block.term("anatomy", str(image.sidecar.get("BodyPart", "")))
        if term:
            yield term


def _term(term: Term) -> Entity:
    return {
        "@id": term.address,
        "@type": "DefinedTerm",
        "name": term.name,
        "termCode": term.id,
    }


def _instruments(facts: Facts) -> list[Entity]:
    return [
        {"@id": f"#instrument-{quote(name)}", "@type": "IndividualProduct", "name": name}
        for name in facts.instruments
    ]


def part_id(file: FileFacts) -> str:
    """Return the identifier of a file, or of an image that is a folder."""
    return quote(file.path) + ("/" if file.is_store else "")


def _parts(facts: Facts) -> dict[str, dict[str, None]]:
    """Return the identifiers of the parts of each folder by its path, empty for the root.

    The root lists all files as well, as RO-Crate asks for.
    """
    parts: dict[str, dict[str, None]] = {"": {}}
    for file in facts.files:
        above = file.path.split("/")[:-1]
        folders = ["/".join(above[:depth]) for depth in range(len(above) + 1)]
        for folder, inner in pairwise(folders):
            parts.setdefault(folder, {})[f"{quote(inner)}/"] = None
        parts.setdefault(folders[-1], {})[part_id(file)] = None
        parts[""][part_id(file)] = None
    return parts


def _folders(facts: Facts) -> Iterator[Entity]:
    for folder, inner in _parts(facts).items():
        if folder:
            yield {
                "@id": f"{quote(folder)}/",
                "@type": "Dataset",
                "name": folder,
                "description": _folder_in_words(folder),
                "hasPart": [{"@id": each} for each in inner],
            }


def _folder_in_words(folder: str) -> str:
    last = folder.rpartition("/")[2]
    if last == "micr":
        return f"Microscopy of {_subject_of(folder)}"
    return f"Files of {last}"


def _subject_of(path: str) -> str:
    return " ".join(part for part in path.split("/") if part.startswith(("sub-", "ses-")))


def _file(facts: Facts, file: FileFacts) -> Iterator[Entity]:
    inner = [f"{part_id(file)}{quote(name)}" for name, _ in file.root_files]
    digest = "" if file.is_store else facts.sha256.get(file.path, "")
    yield compose_file(
        part_id(file),
        file.path,
        _file_in_words(facts, file),
        None if file.is_store else file.size,
        {"hasPart": [{"@id": each} for each in inner], "sha256": digest},
    )
    for identifier, (name, size) in zip(inner, file.root_files, strict=True):
        yield {
            "@id": identifier,
            "@type": "File",
            "name": name,
            "description": f"Metadata at the root of {file.path.rpartition('/')[2]}",
            "encodingFormat": "application/json",
            "contentSize": str(size),
        }


def _file_in_words(facts: Facts, file: FileFacts) -> str:
    if file.path in _DESCRIPTIONS:
        return _DESCRIPTIONS[file.path]
    if file.is_image:
        image = facts.image(file.path)
        size = f", {_sizes(image.shape)} voxels" if image else ""
        return f"Light-sheet image of {_subject_of(file.path)}{size}"
    if file.path.endswith("_scans.tsv"):
        return f"Times at which the images of {_subject_of(file.path)} were recorded"
    if file.path.endswith(".json") and "/" in file.path:
        return f"Metadata of the image {file.path.rpartition('/')[2].removesuffix('.json')}"
    return f"File {file.path.rpartition('/')[2]}"


def _sizes(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))
