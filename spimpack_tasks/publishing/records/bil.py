"""The record for the Brain Image Library: one table for each sheet of its form.

    Contributors.tsv  Funders.tsv  Publication.tsv  Instrument.tsv  Dataset.tsv  Specimen.tsv
    Image.tsv         to be pasted into the sheets of the form, cell A1 on cell A1

Facts: metadata form 2.0, from the public source of its site (brain-image-library/bil_site, commit
30fef1a). Headings are in row 4, in the sheet Contributors in row 3, and data begin in row 7. The
sheet README must stay. The library gives BILDirectory. The column z counts time points.
Light-sheet microscopy is not among its techniques: it is `other`, with the name beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.model.identifiers import licence_address, plain_doi, plain_orcid, plain_ror
from spimpack_tasks.model.orientation import OPPOSITES, SIDES
from spimpack_tasks.publishing.facts import words_of
from spimpack_tasks.publishing.records.texts import table_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.model.publication import Contributor
    from spimpack_tasks.publishing.facts import Facts, ImageFacts

Row = dict[str, object]

SHEETS = {
    "Contributors": (
        *("contributorName", "Creator", "contributorType", "nameType", "nameIdentifier"),
        *("nameIdentifierScheme", "affiliation", "affiliationIdentifier"),
        "affiliationIdentifierScheme",
    ),
    "Funders": (
        *("funderName", "fundingReferenceIdentifier", "fundingReferenceIdentifierType"),
        *("awardNumber", "awardTitle"),
    ),
    "Publication": (
        *("relatedIdentifier", "relatedIdentifierType", "PMCID", "relationType", "citation"),
    ),
    "Instrument": (
        *("MicroscopeType", "MicroscopeManufacturerAndModel", "ObjectiveName"),
        *("ObjectiveImmersion", "ObjectiveNA", "ObjectiveMagnification", "DetectorType"),
        *("DetectorModel", "IlluminationTypes", "IlluminationWavelength", "DetectionWavelength"),
        "SampleTemperature",
    ),
    "Dataset": (
        *("BILDirectory", "title", "socialMedia", "subject", "Subjectscheme", "rights"),
        *("rightsURI", "rightsIdentifier", "Image", "GeneralModality", "Technique", "Other"),
        *("Abstract", "Methods", "TechnicalInfo"),
    ),
    "Specimen": (
        *("LocalID", "Species", "NCBITaxonomy", "Age", "Ageunit", "Sex", "Genotype"),
        *("OrganLocalID", "OrganName", "SampleLocalID", "Atlas", "Locations"),
    ),
    "Image": (
        *("xAxis", "obliqueXdim1", "obliqueXdim2", "obliqueXdim3"),
        *("yAxis", "obliqueYdim1", "obliqueYdim2", "obliqueYdim3"),
        *("zAxis", "obliqueZdim1", "obliqueZdim2", "obliqueZdim3"),
        *("landmarkName", "landmarkX", "landmarkY", "landmarkZ", "Number", "displayColor"),
        *("Representation", "Flurophore", "stepSizeX", "stepSizeY", "stepSizeZ", "stepSizeT"),
        *("Channels", "Slices", "z", "Xsize", "Ysize", "Zsize", "Gbytes", "Files"),
        "DimensionOrder",
    ),
}
"""Headings of each sheet, in their order."""
_HEADING_ROWS = {"Contributors": 3}
_HEADING_ROW, _FIRST_ROW = 4, 7
_ROLES = {
    "contact": "ContactPerson",
    "data-collector": "DataCollector",
    "data-curator": "DataCurator",
    "project-leader": "ProjectLeader",
    "project-administration": "ProjectManager",
    "researcher": "Researcher",
}
_RELATIONS = ("IsCitedBy", "IsDocumentedBy")
NO_DIRECTORY = "to be assigned"
_UNKNOWN_COLOUR = "n/a"


def compose(facts: Facts) -> dict[str, str]:
    """Return the table of each sheet."""
    return {f"{name}.tsv": table_text(_sheet(name, facts)) for name in SHEETS}


def _sheet(name: str, facts: Facts) -> Iterator[list[object]]:
    """Yield the rows of a sheet from its first one, blank ones included."""
    headings, row = SHEETS[name], _HEADING_ROWS.get(name, _HEADING_ROW)
    blank: list[object] = [""] * len(headings)
    yield from [blank] * (row - 1)
    yield list(headings)
    yield from [blank] * (_FIRST_ROW - row - 1)
    for values in _ROWS[name](facts):
        yield [values.get(heading, "") for heading in headings]


def _contributors(facts: Facts) -> Iterator[Row]:
    for person in facts.contributors:
        orcid, home = plain_orcid(person.orcid), person.affiliation
        yield {
            "contributorName": person.name,
            "Creator": "Yes" if person.is_author else "No",
            "contributorType": _type_of(person),
            "nameType": "Personal",
            "nameIdentifier": f"https://orcid.org/{orcid}" if orcid else "",
            "nameIdentifierScheme": "ORCID" if orcid else "",
            "affiliation": home.name if home else "",
            "affiliationIdentifier": plain_ror(home.ror) if home else "",
            "affiliationIdentifierScheme": "ROR" if home and home.ror else "",
        }


def _type_of(person: Contributor) -> str:
    return next((_ROLES[role] for role in person.roles if role in _ROLES), "Other")


def _funders(facts: Facts) -> Iterator[Row]:
    for funder in facts.block.funders:
        yield {
            "funderName": funder.name,
            "fundingReferenceIdentifier": plain_ror(funder.ror),
            "fundingReferenceIdentifierType": "ROR" if funder.ror else "",
            "awardNumber": funder.award,
            "awardTitle": funder.award_title,
        }


def _publications(facts: Facts) -> Iterator[Row]:
    """Yield publications; of relations the library knows two."""
    for work in facts.block.related:
        relation = "IsDocumentedBy" if work.relation == "IsDescribedBy" else work.relation
        if relation in _RELATIONS:
            yield {
                "relatedIdentifier": f"https://doi.org/{plain_doi(work.doi)}",
                "relatedIdentifierType": "DOI",
                "relationType": relation,
                "citation": work.title,
            }


def _instruments(facts: Facts) -> Iterator[Row]:
    seen = []
    for image in facts.images:
        sidecar = image.sidecar
        values: Row = {
            "MicroscopeType": "light sheet microscope",
            "MicroscopeManufacturerAndModel": image.instrument,
            "ObjectiveImmersion": sidecar.get("Immersion", ""),
            "ObjectiveNA": sidecar.get("NumericalAperture", ""),
            "ObjectiveMagnification": sidecar.get("Magnification", ""),
            "IlluminationTypes": "light sheet",
            "IlluminationWavelength": ", ".join(f"{nm:g}" for nm in image.excitation_nm),
        }
        if values not in seen:
            seen.append(values)
            yield values


def _dataset(facts: Facts) -> Iterator[Row]:
    block = facts.block
    yield {
        "BILDirectory": NO_DIRECTORY,
        "title": facts.title,
        "subject": ", ".join(facts.keywords),
        "rights": str(facts.description.get("License", "")),
        "rightsURI": licence_address(facts.licence),
        "rightsIdentifier": facts.licence,
        "GeneralModality": "population imaging",
        "Technique": "other",
        "Other": "light sheet microscopy",
        "Abstract": block.description,
        "Methods": " ".join(block.protocols.values()),
    }


def _specimens(facts: Facts) -> Iterator[Row]:
    """Yield the samples, in the order of the table that Image follows."""
    for image in facts.images:
        person = facts.participant(image.participant)
        species = facts.block.term("species", person.species)
        organ = facts.block.term("anatomy", str(image.sidecar.get("BodyPart", "")))
        yield {
            "LocalID": f"sub-{person.label}",
            "Species": species.name if species else "",
            "NCBITaxonomy": f"NCBI:txid{species.id.rpartition(':')[2]}" if species else "",
            "Age": person.age.number if person.age else "",
            "Ageunit": f"{person.age.unit.capitalize()}s" if person.age else "",
            "Sex": person.sex.capitalize() or "Unknown",
            "Genotype": person.strain,
            "OrganName": organ.name if organ else "",
            "SampleLocalID": f"sub-{image.participant}_sample-{image.sample}",
            "Locations": ", ".join(words_of(image.sidecar.get("BodyPartDetails"))),
        }


def _images(facts: Facts) -> Iterator[Row]:
    """Yield a row for each image; the values of its channels stand in brackets."""
    files = {file.path: file for file in facts.files}
    for image in facts.images:
        x, y, z = image.spacing_um_xyz
        count = len(image.channels)
        yield {
            **_axes(image),
            "Number": ",".join(map(str, range(1, count + 1))),
            "displayColor": ",".join(map(_colour, image.colours)) or _UNKNOWN_COLOUR,
            "Flurophore": f"({','.join(image.channels)})" if any(image.channels) else "",
            "stepSizeX": _length(x),
            "stepSizeY": _length(y),
            "stepSizeZ": _length(z),
            "stepSizeT": "" if image.time_step_s is None else f"{image.time_step_s:g}",
            "Channels": count,
            "Slices": image.size("z"),
            "z": image.size("t"),
            "Xsize": image.size("x"),
            "Ysize": image.size("y"),
            "Zsize": image.size("z"),
            "Gbytes": f"{files[image.path].size / 10**9:.3g}",
            "Files": "" if files[image.path].is_store else 1,
            "DimensionOrder": "".join(image.axes)[::-1].upper(),
        }


def _colour(digits: str) -> str:
    """Return a colour of six hexadecimal digits as parts of one, such as `(1.0, 0.0, 0.0)`."""
    if not digits:
        return _UNKNOWN_COLOUR
    parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return f"({', '.join(f'{part:.2g}' for part in parts)})"


def _length(um: float | None) -> str:
    return "" if um is None else f"{um:g}"


def _axes(image: ImageFacts) -> Row:
    """Return from which side to which each axis runs; `N/A` where it is not known.

    The letter of an orientation is the side towards which the index increases.
    """
    letters = image.orientation_xyz or "   "
    words = (f"{SIDES[OPPOSITES[c]]}-to-{SIDES[c]}" if c in SIDES else "N/A" for c in letters)
    return dict(zip(("xAxis", "yAxis", "zAxis"), words, strict=True))


_ROWS: dict[str, Callable[[Facts], Iterator[Row]]] = {
    "Contributors": _contributors,
    "Funders": _funders,
    "Publication": _publications,
    "Instrument": _instruments,
    "Dataset": _dataset,
    "Specimen": _specimens,
    "Image": _images,
}
