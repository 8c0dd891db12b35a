"""The record for the BioImage Archive: a crate of its profile of RO-Crate, and a list of the files.

    ro-crate-metadata.json    study, people, samples, protocols
    file_list.tsv             each file, with its dataset, sample, specimen and protocol

Both go into the root of the dataset. The archive gives the accession number.

Facts: bia-ro-crate-validator 0.3.1. Each entity has exactly one class of the profile, whose names
differ from those of its models: `bia:SignalChannel`, `bia:Grant`. The list of files must have
columns for `http://bia/filePath` and `schema:isPartOf`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from spimpack_tasks.model.identifiers import licence_address, plain_doi, plain_orcid, plain_ror
from spimpack_tasks.publishing.records.bia_context import BIA, RDF_TYPE, SCHEMA, compose_context
from spimpack_tasks.publishing.records.crate import NAME, compose_descriptor
from spimpack_tasks.publishing.records.texts import given, json_text, table_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.model.publication import Contributor
    from spimpack_tasks.publishing.facts import Facts, Participant, Sample
    from spimpack_tasks.publishing.records.crate import Entity

NO_ACCESSION = "to be assigned"
_LIST = "file_list.tsv"
_DATASET = "#dataset"
_PREPARATION = "#preparation"
_COLUMNS = {
    "file_path": f"{BIA}filePath",
    "dataset": f"{SCHEMA}isPartOf",
    "type": RDF_TYPE,
    "biological_entity": f"{BIA}associatedBiologicalEntity",
    "specimen": f"{BIA}associatedSubject",
    "acquisition": f"{BIA}associatedImageAcquisitionProtocol",
}


def compose(facts: Facts) -> dict[str, str]:
    """Return the files for the BioImage Archive."""
    entities = [
        compose_descriptor("1.1"),
        _study(facts),
        *map(_person, facts.contributors),
        *_affiliations(facts),
        *_grants(facts),
        *_publications(facts),
        _dataset(facts),
        *_samples(facts),
        *_taxa(facts),
        *_protocols(facts),
        *_channels(facts),
        *_list_entities(),
    ]
    unique = {entity["@id"]: entity for entity in entities}
    crate = {"@context": compose_context(), "@graph": list(unique.values())}
    return {NAME: json_text(crate), _LIST: table_text(_rows(facts))}


def _study(facts: Facts) -> Entity:
    block = facts.block
    works = [_doi_address(work.doi) for work in block.related]
    grants = [f"#grant-{index + 1}" for index in range(len(block.funders))]
    return given(
        {
            "@id": "./",
            "@type": ["Dataset", "bia:Study"],
            "name": facts.title,
            "description": block.description,
            "author": _refs(_person_id(person) for person in facts.contributors),
            "license": licence_address(facts.licence),
            "datePublished": block.published,
            "keywords": list(facts.keywords),
            "acknowledgement": facts.description.get("Acknowledgements"),
            "accessionId": NO_ACCESSION,
            "doi": facts.doi,
            "relatedPublication": _refs(works),
            "funding": _refs(grants),
            "hasPart": _refs([_DATASET, _LIST]),
        }
    )


def _refs(identifiers: Iterable[str]) -> list[Entity]:
    return [{"@id": each} for each in dict.fromkeys(identifiers)]


def _doi_address(doi: str) -> str:
    return f"https://doi.org/{plain_doi(doi)}"


def _person_id(person: Contributor) -> str:
    orcid = plain_orcid(person.orcid)
    return f"https://orcid.org/{orcid}" if orcid else f"#person-{quote(person.in_order)}"


def _affiliation_id(name: str, ror: str) -> str:
    return plain_ror(ror) or f"#organization-{quote(name)}"


def _person(person: Contributor) -> Entity:
    home = person.affiliation
    return given(
        {
            "@id": _person_id(person),
            "@type": ["Person", "bia:Contributor"],
            "name": person.in_order,
            "email": person.email if person.is_contact else "",
            "role": list(person.roles),
            "memberOf": _refs([_affiliation_id(home.name, home.ror)] if home else []),
        }
    )


def _affiliations(facts: Facts) -> Iterator[Entity]:
    for person in facts.contributors:
        home = person.affiliation
        if home:
            yield {
                "@id": _affiliation_id(home.name, home.ror),
                "@type": ["Organization", "bia:Affiliation"],
                "name": home.name,
            }


def _grants(facts: Facts) -> Iterator[Entity]:
    """Yield grants with their funders; one that is an affiliation too has another identifier."""
    for index, funder in enumerate(facts.block.funders):
        payer = f"#funder-{quote(funder.name)}"
        yield given(
            {
                "@id": f"#grant-{index + 1}",
                "@type": ["Grant", "bia:Grant"],
                "name": funder.award_title,
                "identifier": funder.award,
                "funder": _refs([payer]),
            }
        )
        yield given(
            {
                "@id": payer,
                "@type": ["Organization", "bia:FundingBody"],
                "name": funder.name,
                "identifier": plain_ror(funder.ror),
            }
        )


def _publications(facts: Facts) -> Iterator[Entity]:
    for work in facts.block.related:
        yield given(
            {
                "@id": _doi_address(work.doi),
                "@type": ["ScholarlyArticle", "bia:Publication"],
                "name": work.title,
                "doi": plain_doi(work.doi),
            }
        )


def _dataset(facts: Facts) -> Entity:
    samples = [_sample_id(sample) for sample in facts.samples]
    return given(
        {
            "@id": _DATASET,
            "@type": ["Dataset", "bia:Dataset"],
            "name": str(facts.description.get("Name", "")) or facts.title,
            "description": "Images and tables, laid out as BIDS has it",
            "associatedBiologicalEntity": _refs(samples),
            "associatedSpecimenImagingPreparationProtocol": _refs([_PREPARATION]),
            "associatedImageAcquisitionProtocol": _refs(_acquisitions(facts).values()),
        }
    )


def _sample_id(sample: Sample) -> str:
    return f"#{quote(sample.name)}"


def _specimen_id(sample: Sample) -> str:
    return f"#specimen-{quote(sample.name)}"


def _samples(facts: Facts) -> Iterator[Entity]:
    for sample in facts.samples:
        person = facts.participant(sample.participant)
        species = facts.block.term("species", person.species)
        yield given(
            {
                "@id": _sample_id(sample),
                "@type": ["bia:BioSample"],
                "name": sample.name,
                "description": f"{sample.label} of {person.species or 'participant'} "
                f"{sample.participant}",
                "intrinsicVariableDescription": list(_variables(person)),
                "organismClassification": _refs([_taxon_id(species.id)] if species else []),
                "growthProtocol": {"@id": "#growth"} if _growth(facts) else {},
            }
        )
        yield {
            "@id": _specimen_id(sample),
            "@type": ["bia:Specimen"],
            "biologicalEntity": _refs([_sample_id(sample)]),
            "imagingPreparationProtocol": _refs([_PREPARATION]),
        }


def _variables(person: Participant) -> Iterator[str]:
    """Yield what sets a participant apart; of a human nothing is needed."""
    if person.is_human:
        return
    pairs = (("strain", person.strain), ("sex", person.sex), ("age", person.age))
    yield from (f"{name}: {value}" for name, value in pairs if value)


def _taxon_id(term: str) -> str:
    return f"NCBI:txid{term.rpartition(':')[2]}"


def _taxa(facts: Facts) -> Iterator[Entity]:
    for person in facts.participants:
        term = facts.block.term("species", person.species)
        if term:
            yield {
                "@id": _taxon_id(term.id),
                "@type": ["bia:Taxon"],
                "scientificName": term.name,
            }


def _growth(facts: Facts) -> str:
    return facts.block.protocols.get("growth", "")


def _acquisitions(facts: Facts) -> dict[str, str]:
    """Return the identifier of a protocol for each microscope."""
    return {name: f"#acquisition-{i + 1}" for i, name in enumerate(facts.instruments)}


def _protocols(facts: Facts) -> Iterator[Entity]:
    protocols = facts.block.protocols
    if _growth(facts):
        yield {
            "@id": "#growth",
            "@type": ["bia:Protocol"],
            "name": "Growth",
            "description": _growth(facts),
        }
    yield given(
        {
            "@id": _PREPARATION,
            "@type": ["bia:SpecimenImagingPreparationProtocol"],
            "name": "Preparation of the samples",
            "description": protocols.get("preparation", ""),
            "signalChannelInformation": _refs(each["@id"] for each in _channels(facts)),
        }
    )
    for instrument, identifier in _acquisitions(facts).items():
        values = {
            "@id": identifier,
            "@type": ["bia:ImageAcquisitionProtocol"],
            "name": f"Light-sheet imaging with {instrument}",
            "description": protocols.get("acquisition", ""),
            "imagingInstrumentDescription": instrument,
            "imagingMethodName": [facts.block.imaging_name],
            "fbbiId": [f"http://purl.obolibrary.org/obo/{facts.block.imaging.replace(':', '_')}"],
        }
        yield given(values)


def _channels(facts: Facts) -> list[Entity]:
    words = dict.fromkeys(word for image in facts.images for word in image.words)
    terms = [(word, facts.block.term("stains", word)) for word in words]
    return [
        given(
            {
                "@id": f"#channel-{quote(word)}",
                "@type": ["bia:SignalChannel"],
                "signalContrastMechanismDescription": "fluorescence",
                "channelContentDescription": word,
                "channelBiologicalEntity": term.target if term else "",
                "identifier": term.id if term else "",
            }
        )
        for word, term in terms
    ]


def _list_entities() -> Iterator[Entity]:
    yield {
        "@id": _LIST,
        "@type": ["File", "bia:FileList", "csvw:Table"],
        "name": "List of the files",
        "tableSchema": {"@id": "#file-list-schema"},
    }
    columns = [f"#column-{name}" for name in _COLUMNS]
    yield {"@id": "#file-list-schema", "@type": ["csvw:Schema"], "column": _refs(columns)}
    for identifier, (name, address) in zip(columns, _COLUMNS.items(), strict=True):
        yield {
            "@id": identifier,
            "@type": ["csvw:Column"],
            "columnName": name,
            "propertyUrl": address,
        }


def _rows(facts: Facts) -> Iterator[list[str]]:
    yield list(_COLUMNS)
    acquisitions = _acquisitions(facts)
    for file in facts.files:
        image = facts.image(file.path)
        sample = facts.sample_of(image) if image else None
        yield [
            file.path,
            _DATASET,
            f"{BIA}Image" if image else "",
            _sample_id(sample) if sample else "",
            _specimen_id(sample) if sample else "",
            acquisitions.get(image.instrument, "") if image else "",
        ]
