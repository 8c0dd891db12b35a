"""Records for DANDI: the metadata of the dandiset, and those of each asset.

    dandiset.json    of the dandiset, without what the server gives (identifiers, citation, summary)
    assets.json      a mapping from the path of each asset to its metadata, without identifiers and
                     digests; the size of a Zarr is that of its files here

Facts: dandischema 0.8.0 (PyPI 0.14). The type of a BioSample is `tissuesample`, `slice` or `cell`,
since the server's summary of assets knows no other. An identifier with two colons, such as that of
a strain, is given as an address. Samples have qualified identifiers, since BIDS reuses labels such
as `brain` in each subject. So the server's number of samples is one too high for each label: it
counts those in file names as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.identifiers import plain_doi, plain_orcid, plain_ror
from spimpack_tasks.model.publication import address_of
from spimpack_tasks.publishing.records.media_types import media_type
from spimpack_tasks.publishing.records.texts import given, json_text

if TYPE_CHECKING:
    from spimpack_tasks.model.publication import Contributor, Funder, Organization
    from spimpack_tasks.publishing.facts import (
        Age,
        Facts,
        FileFacts,
        ImageFacts,
        Participant,
        Sample,
    )

SCHEMA_VERSION = "0.8.0"
LICENCES = ("CC0-1.0", "CC-BY-4.0")
"""Those that DANDI accepts."""
_ROLES = {
    "author": "Author",
    "contact": "ContactPerson",
    "data-collector": "DataCollector",
    "data-curator": "DataCurator",
    "data-manager": "DataManager",
    "funding": "FundingAcquisition",
    "investigation": "Investigation",
    "maintainer": "Maintainer",
    "methodology": "Methodology",
    "project-administration": "ProjectAdministration",
    "project-leader": "ProjectLeader",
    "researcher": "Researcher",
    "resources": "Resources",
    "software": "Software",
    "supervision": "Supervision",
    "validation": "Validation",
    "visualization": "Visualization",
}
_SEXES = {
    "female": ("http://purl.obolibrary.org/obo/PATO_0000383", "Female"),
    "male": ("http://purl.obolibrary.org/obo/PATO_0000384", "Male"),
}
_SAMPLE_TYPES = dict.fromkeys(
    ("cell line", "in vitro differentiated cells", "primary cell"), "cell"
)
"""Of BIDS, as DANDI names them; others count as tissue."""
_DURATIONS = {
    "year": "P{}Y",
    "month": "P{}M",
    "week": "P{}W",
    "day": "P{}D",
    "hour": "PT{}H",
    "minute": "PT{}M",
    "second": "PT{}S",
}
_OPEN_ACCESS = {"schemaKey": "AccessRequirements", "status": "dandi:OpenAccess"}


def compose(facts: Facts) -> dict[str, str]:
    """Return the files for DANDI by their names."""
    assets = {file.path: compose_asset(facts, file) for file in facts.files}
    texts = {"dandiset.json": compose_dandiset(facts), "assets.json": assets}
    return {name: json_text(value) for name, value in texts.items()}


def compose_dandiset(facts: Facts) -> dict[str, Any]:
    """Return the metadata of the dandiset."""
    block = facts.block
    people = [_person(each) for each in block.contributors]
    related = [
        given(
            {
                "schemaKey": "Resource",
                "identifier": f"doi:{plain_doi(work.doi)}",
                "name": work.title,
                "url": f"https://doi.org/{plain_doi(work.doi)}",
                "relation": f"dcite:{work.relation}",
            }
        )
        for work in block.related
    ]
    ethics = [
        {"schemaKey": "EthicsApproval", "identifier": f"{each.authority}: {each.number}"}
        for each in block.ethics
    ]
    return given(
        {
            "schemaKey": "Dandiset",
            "schemaVersion": SCHEMA_VERSION,
            "name": facts.title,
            "description": block.description,
            "contributor": [*people, *map(_funder, block.funders)],
            "license": [f"spdx:{facts.licence}"] if facts.licence else [],
            "keywords": list(facts.keywords),
            "ethicsApproval": ethics,
            "relatedResource": related,
            "acknowledgement": facts.description.get("Acknowledgements"),
            "access": [_OPEN_ACCESS],
        }
    )


def _person(person: Contributor) -> dict[str, Any]:
    roles = person.roles or ("author",)
    return given(
        {
            "schemaKey": "Person",
            "name": f"{person.family}, {person.given}" if person.given else person.name,
            "identifier": plain_orcid(person.orcid),
            "email": person.email if person.is_contact else "",
            "roleName": [f"dcite:{_ROLES[role]}" for role in roles],
            "includeInCitation": person.is_author,
            "affiliation": [_affiliation(person.affiliation)] if person.affiliation else [],
        }
    )


def _affiliation(home: Organization) -> dict[str, Any]:
    ror = plain_ror(home.ror)
    return given({"schemaKey": "Affiliation", "name": home.name, "identifier": ror})


def _funder(funder: Funder) -> dict[str, Any]:
    return given(
        {
            "schemaKey": "Organization",
            "name": funder.name,
            "identifier": plain_ror(funder.ror),
            "roleName": ["dcite:Funder"],
            "includeInCitation": False,
            "awardNumber": funder.award,
        }
    )


def compose_asset(facts: Facts, file: FileFacts) -> dict[str, Any]:
    """Return the metadata of one asset."""
    image = facts.image(file.path)
    asset: dict[str, Any] = {
        "schemaKey": "Asset",
        "schemaVersion": SCHEMA_VERSION,
        "path": file.path,
        "contentSize": file.size,
        "encodingFormat": media_type(file.path),
        "access": [_OPEN_ACCESS],
    }
    label = _subject_of(file.path)
    if label and not image:
        asset["wasAttributedTo"] = [_participant(facts, facts.participant(label))]
    return asset | _of_image(facts, image) if image else asset


def _subject_of(path: str) -> str:
    first = path.partition("/")[0]
    return first.removeprefix("sub-") if first.startswith("sub-") else ""


def _of_image(facts: Facts, image: ImageFacts) -> dict[str, Any]:
    person = facts.participant(image.participant)
    sample = facts.sample_of(image)
    technique = facts.block.imaging.replace(":", "_")
    return given(
        {
            "approach": [
                {
                    "schemaKey": "ApproachType",
                    "name": "microscopy approach; cell population imaging",
                }
            ],
            "measurementTechnique": [
                {
                    "schemaKey": "MeasurementTechniqueType",
                    "identifier": f"http://purl.obolibrary.org/obo/{technique}",
                    "name": facts.block.imaging_name,
                }
            ],
            "wasAttributedTo": [_participant(facts, person)],
            "wasDerivedFrom": [_sample(facts, sample, image)] if sample else [],
        }
    )


def _participant(facts: Facts, person: Participant) -> dict[str, Any]:
    species = facts.block.term("species", person.species)
    strain = facts.block.term("strains", person.strain)
    rrid = strain.id if strain else person.strain_rrid
    described: dict[str, Any] = {"schemaKey": "Participant", "identifier": person.label}
    if species:
        described["species"] = {
            "schemaKey": "SpeciesType",
            "identifier": species.address,
            "name": species.name,
        }
    if person.strain:
        described["strain"] = given(
            {
                "schemaKey": "StrainType",
                "identifier": address_of(rrid) if rrid else "",
                "name": person.strain,
            }
        )
    if person.sex:
        address, name = _SEXES[person.sex]
        described["sex"] = {"schemaKey": "SexType", "identifier": address, "name": name}
    if person.age:
        described["age"] = _age(person.age)
    return described


def _age(age: Age) -> dict[str, Any]:
    """Return an age since birth as an ISO 8601 duration that keeps the number of the table."""
    return {
        "schemaKey": "PropertyValue",
        "value": _DURATIONS[age.unit].format(age.number),
        "unitText": "ISO-8601 duration",
        "valueReference": {"schemaKey": "PropertyValue", "value": "dandi:BirthReference"},
    }


def _sample(facts: Facts, sample: Sample, image: ImageFacts) -> dict[str, Any]:
    part = facts.block.term("anatomy", str(image.sidecar.get("BodyPart", "")))
    anatomy = (
        [{"schemaKey": "Anatomy", "identifier": part.address, "name": part.name}] if part else []
    )
    return given(
        {
            "schemaKey": "BioSample",
            "identifier": sample.name,
            "sampleType": {
                "schemaKey": "SampleType",
                "name": _SAMPLE_TYPES.get(sample.kind, "tissuesample"),
            },
            "anatomy": anatomy,
        }
    )
