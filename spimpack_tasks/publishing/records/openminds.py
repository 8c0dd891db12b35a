"""The record for EBRAINS: `openminds.jsonld`, a graph of openMINDS.

Facts: openMINDS 4 (PyPI openMINDS 0.6.1). Terms are instances of the library of openMINDS, with
their identifiers; a species or organ that it does not know is described here. Embedded types, such
as QuantitativeValue, stand inside of others.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.identifiers import licence_address, plain_doi, plain_orcid, plain_ror
from spimpack_tasks.publishing.records.openminds_terms import (
    LICENCES,
    ORGANS,
    PREFIX,
    SPECIES,
    camel_case,
    instance,
    kind_of,
)
from spimpack_tasks.publishing.records.texts import given, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.model.publication import Contributor
    from spimpack_tasks.publishing.facts import Facts, ImageFacts, Participant, Sample

Node = dict[str, Any]

_TECHNIQUE = ("technique", "light sheet fluorescence microscopy")
_APPROACHES = ("microscopy", "neuroimaging")
_ETHICS = {
    "": ("", ""),
    "EU": ("EUCompliant", "EU compliant"),
    "US": ("USCompliant", "US compliant"),
    "not required": ("notRequired", "not required"),
}
_DOCUMENTS = ("IsDocumentedBy", "IsDescribedBy", "IsSupplementTo", "IsCitedBy")
"""Relations to works that document the dataset, the better ones first."""


def compose(facts: Facts) -> dict[str, str]:
    """Return the file for EBRAINS."""
    nodes = [
        _version(facts),
        *_people(facts),
        *_organizations(facts),
        *_funding(facts),
        *_identifiers(facts),
        *_licences(facts),
        *_subjects(facts),
        *_samples(facts),
        *_protocols(facts),
        *_terms(facts),
    ]
    unique = {node["@id"]: node for node in nodes}
    graph = {"@context": {"@vocab": f"{PREFIX}/props/"}, "@graph": list(unique.values())}
    return {"openminds.jsonld": json_text(graph)}


def _node(identifier: str, kind: str, /, **values: Any) -> Node:
    return {"@id": identifier, "@type": kind_of(kind), **given(values)}


def _refs(identifiers: Iterable[str]) -> list[Node]:
    return [{"@id": each} for each in dict.fromkeys(identifiers)]


def _local(kind: str, name: str) -> str:
    """Return an identifier of a term that the library has not got, nothing without a name."""
    return f"_:{kind}-{name}" if name else ""


def _version(facts: Facts) -> Node:
    block = facts.block
    subjects = [_subject_id(label) for label in _labels(facts)]
    samples = [_sample_id(sample) for sample in facts.samples]
    jurisdiction = next((each.jurisdiction for each in block.ethics if each.jurisdiction), "")
    is_raw = facts.description.get("DatasetType") != "derivative"
    return _node(
        "_:dataset-version",
        "DatasetVersion",
        fullName=facts.title,
        shortName=str(facts.description.get("Name", "")) or facts.title,
        description=block.description,
        author=_refs(_person_id(person) for person in facts.authors),
        digitalIdentifier=_ref(_doi_address(facts.doi)),
        fullDocumentation=_ref(_doi_address(_document(facts))),
        relatedPublication=_refs(_doi_address(plain_doi(w.doi)) for w in block.related),
        license=_ref(_licence_id(facts.licence)),
        accessibility=_ref(instance("productAccessibility", "freeAccess")),
        ethicsAssessment=_ref(instance("ethicsAssessment", _ETHICS[jurisdiction][0])),
        dataType=_refs([instance("semanticDataType", "rawData" if is_raw else "derivedData")]),
        experimentalApproach=_refs(instance("experimentalApproach", a) for a in _APPROACHES),
        technique=_refs([instance(_TECHNIQUE[0], camel_case(_TECHNIQUE[1]))]),
        funding=_refs(f"_:funding-{index + 1}" for index in range(len(block.funders))),
        protocol=_refs(f"_:protocol-{name}" for name in block.protocols),
        studiedSpecimen=_refs([*subjects, *samples]),
        releaseDate=block.published,
        versionIdentifier=block.version,
        versionInnovation="This is the first version of this research product."
        if block.version in {"1", "1.0", "1.0.0"}
        else f"Version {block.version}",
    )


def _ref(identifier: str) -> Node:
    """Return a reference, nothing where there is no identifier."""
    return {"@id": identifier} if identifier else {}


def _doi_address(doi: str) -> str:
    return f"https://doi.org/{doi}" if doi else ""


def _document(facts: Facts) -> str:
    """Return the DOI of the work that documents the dataset best."""
    works = facts.block.related
    found = (w.doi for relation in _DOCUMENTS for w in works if w.relation == relation)
    return plain_doi(next(found, ""))


def _person_id(person: Contributor) -> str:
    return f"_:person-{'-'.join(person.name.replace(',', ' ').split()).lower()}"


def _organization_id(name: str) -> str:
    return f"_:organization-{'-'.join(name.split()).lower()}"


def _people(facts: Facts) -> Iterator[Node]:
    for person in facts.contributors:
        orcid, home = plain_orcid(person.orcid), person.affiliation
        affiliation = {
            "@type": kind_of("Affiliation"),
            "memberOf": _ref(_organization_id(home.name)) if home else {},
        }
        contact = f"{_person_id(person)}-contact" if person.is_contact and person.email else ""
        yield _node(
            _person_id(person),
            "Person",
            givenName=person.given or person.name,
            familyName=person.family if person.given else "",
            digitalIdentifier=_refs([f"https://orcid.org/{orcid}"] if orcid else []),
            affiliation=[affiliation] if home else [],
            contactInformation=_ref(contact) if contact else {},
        )
        if contact:
            yield _node(contact, "ContactInformation", email=person.email)


def _organizations(facts: Facts) -> Iterator[Node]:
    homes = [person.affiliation for person in facts.contributors if person.affiliation]
    named = [(home.name, home.ror) for home in homes]
    named += [(funder.name, funder.ror) for funder in facts.block.funders]
    for name, ror in named:
        identifier = plain_ror(ror)
        refs = _refs([identifier] if identifier else [])
        yield _node(_organization_id(name), "Organization", fullName=name, digitalIdentifier=refs)
        if identifier:
            yield _node(identifier, "RORID", identifier=identifier)


def _funding(facts: Facts) -> Iterator[Node]:
    for index, funder in enumerate(facts.block.funders):
        yield _node(
            f"_:funding-{index + 1}",
            "Funding",
            funder=_ref(_organization_id(funder.name)),
            awardNumber=funder.award,
            awardTitle=funder.award_title,
        )


def _identifiers(facts: Facts) -> Iterator[Node]:
    for doi in (facts.doi, *(plain_doi(work.doi) for work in facts.block.related)):
        if doi:
            yield _node(_doi_address(doi), "DOI", identifier=_doi_address(doi))
    for person in facts.contributors:
        orcid = plain_orcid(person.orcid)
        if orcid:
            address = f"https://orcid.org/{orcid}"
            yield _node(address, "ORCID", identifier=address)


def _licence_id(name: str) -> str:
    return instance("licenses", name) if name in LICENCES else _local("licence", name)


def _licences(facts: Facts) -> Iterator[Node]:
    name, code = facts.licence, licence_address(facts.licence)
    if name:
        yield _node(_licence_id(name), "License", fullName=name, shortName=name, legalCode=code)


def _labels(facts: Facts) -> list[str]:
    return [person.label for person in facts.participants]


def _subject_id(label: str) -> str:
    return f"_:subject-{label}"


def _sample_id(sample: Sample) -> str:
    return f"_:sample-{sample.participant}-{sample.label}"


def _subjects(facts: Facts) -> Iterator[Node]:
    for person in facts.participants:
        state = f"{_subject_id(person.label)}-state"
        yield _node(
            _subject_id(person.label),
            "Subject",
            lookupLabel=f"sub-{person.label}",
            internalIdentifier=f"sub-{person.label}",
            species=_ref(_species_or_strain(facts, person)),
            biologicalSex=_ref(instance("biologicalSex", person.sex)),
            studiedState=_refs([state]),
        )
        yield _node(
            state,
            "SubjectState",
            lookupLabel=f"sub-{person.label}",
            ageCategory=_ref(instance("ageCategory", camel_case(facts.block.age_category))),
            age=_age(person),
        )


def _age(person: Participant) -> Node:
    """Return an age, nothing where it is not given."""
    if person.age is None:
        return {}
    unit = _ref(instance("unitOfMeasurement", person.age.unit))
    number = float(person.age.number)
    return {"@type": kind_of("QuantitativeValue"), "value": number, "unit": unit}


def _species_or_strain(facts: Facts, person: Participant) -> str:
    return f"_:strain-{person.strain}" if person.strain else _species_id(facts, person)


def _species_id(facts: Facts, person: Participant) -> str:
    term = facts.block.term("species", person.species)
    number = term.id.rpartition(":")[2] if term else ""
    known = SPECIES.get(number)
    return instance("species", known) if known else _local("species", number)


def _samples(facts: Facts) -> Iterator[Node]:
    for sample in facts.samples:
        person = facts.participant(sample.participant)
        image = facts.image_of(sample)
        state = f"{_sample_id(sample)}-state"
        yield _node(
            _sample_id(sample),
            "TissueSample",
            lookupLabel=sample.name,
            internalIdentifier=sample.name,
            species=_ref(_species_or_strain(facts, person)),
            biologicalSex=_ref(instance("biologicalSex", person.sex)),
            origin=_ref(_organ_id(facts, image) if image else ""),
            type=_ref(instance("tissueSampleType", "tissueBlock")),
            studiedState=_refs([state]),
        )
        subject_state = f"{_subject_id(sample.participant)}-state"
        yield _node(
            state,
            "TissueSampleState",
            lookupLabel=sample.name,
            descendedFrom=_refs([subject_state]),
        )


def _organ_id(facts: Facts, image: ImageFacts) -> str:
    term = facts.block.term("anatomy", str(image.sidecar.get("BodyPart", "")))
    number = term.id.rpartition(":")[2] if term else ""
    known = ORGANS.get(number)
    return instance("organ", known) if known else _local("organ", number)


def _protocols(facts: Facts) -> Iterator[Node]:
    for name, text in facts.block.protocols.items():
        technique = _refs([instance(_TECHNIQUE[0], camel_case(_TECHNIQUE[1]))])
        identifier = f"_:protocol-{name}"
        yield _node(
            identifier, "Protocol", name=name.capitalize(), description=text, technique=technique
        )


def _terms(facts: Facts) -> Iterator[Node]:
    """Yield all terms that the other nodes refer to, each with its name."""
    block = facts.block
    jurisdiction = next((each.jurisdiction for each in block.ethics if each.jurisdiction), "")
    raw = "rawData" if facts.description.get("DatasetType") != "derivative" else "derivedData"
    names = [
        ("semanticDataType", raw, "raw data" if raw == "rawData" else "derived data"),
        ("productAccessibility", "freeAccess", "free access"),
        ("ethicsAssessment", *_ETHICS[jurisdiction]),
        *(("experimentalApproach", name, name) for name in _APPROACHES),
        ("technique", camel_case(_TECHNIQUE[1]), _TECHNIQUE[1]),
        ("ageCategory", camel_case(block.age_category), block.age_category),
        ("tissueSampleType", "tissueBlock", "tissue block"),
        *(("unitOfMeasurement", p.age.unit, p.age.unit) for p in facts.participants if p.age),
        *(("biologicalSex", p.sex, p.sex) for p in facts.participants if p.sex),
    ]
    for library, name, words in filter(itemgetter(1), names):
        yield _node(instance(library, name), library[0].upper() + library[1:], name=words)
    for person in facts.participants:
        yield from _species_nodes(facts, person)
    for image in facts.images:
        term = block.term("anatomy", str(image.sidecar.get("BodyPart", "")))
        if term:
            address = term.address
            identifier = _organ_id(facts, image)
            yield _node(identifier, "Organ", name=term.name, preferredOntologyIdentifier=address)


def _species_nodes(facts: Facts, person: Participant) -> Iterator[Node]:
    species = facts.block.term("species", person.species)
    strain = facts.block.term("strains", person.strain)
    if species:
        identifier = _species_id(facts, person)
        address = species.address
        yield _node(identifier, "Species", name=species.name, preferredOntologyIdentifier=address)
    if strain:
        kind = instance("geneticStrainType", camel_case(strain.genetic_type))
        is_rrid = strain.id.startswith("RRID:")
        yield _node(
            f"_:strain-{person.strain}",
            "Strain",
            name=person.strain,
            species=_ref(_species_id(facts, person)),
            geneticStrainType=_ref(kind),
            digitalIdentifier=_ref(strain.address) if is_rrid else {},
        )
        yield _node(kind, "GeneticStrainType", name=strain.genetic_type)
        if is_rrid:
            yield _node(strain.address, "RRID", identifier=strain.id)
