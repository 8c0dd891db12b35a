"""The JSON-LD context of the BioImage Archive's profile of RO-Crate: terms that records use.

Facts: bia-ro-crate-validator 0.3.1. A term must have the address that its models give it. The
context stands behind that of RO-Crate in one list; nested deeper it includes itself.
"""

from __future__ import annotations

from typing import Any

BIA = "http://bia/"
SCHEMA = "http://schema.org/"
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"

_SETS_OF_BIA = {
    "associatedBiologicalEntity": "associatedBiologicalEntity",
    "associatedImageAcquisitionProtocol": "associatedImageAcquisitionProtocol",
    "associatedSpecimenImagingPreparationProtocol": "associatedImagingPreparationProtocol",
    "biologicalEntity": "sampleOf",
    "fbbiId": "fbbiId",
    "imagingMethodName": "imagingMethodName",
    "imagingPreparationProtocol": "imagingPreparationProtocol",
    "intrinsicVariableDescription": "intrinsicVariableDescription",
    "relatedPublication": "relatedPublication",
    "role": "role",
    "signalChannelInformation": "signalChannelInformation",
}
_OF_BIA = (
    *("accessionId", "acknowledgement", "channelBiologicalEntity", "channelContentDescription"),
    *("doi", "growthProtocol", "imagingInstrumentDescription"),
    "signalContrastMechanismDescription",
)
_SETS_OF_SCHEMA = {
    **{n: n for n in ("author", "funder", "funding", "hasPart", "keywords", "memberOf")},
    "organismClassification": "taxonomicRange",
}
_OF_SCHEMA = ("datePublished", "description", "email", "identifier", "license", "name")


def compose_context() -> list[Any]:
    """Return the context of a record for the BioImage Archive."""
    terms: dict[str, Any] = {
        "@type": {"@container": "@set"},
        "bia": BIA,
        "csvw": "http://www.w3.org/ns/csvw#",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "schema": SCHEMA,
        "column": {"@id": "csvw:column", "@container": "@set"},
        "columnName": {"@id": "csvw:name"},
        "propertyUrl": {"@id": "csvw:propertyUrl"},
        "tableSchema": {"@id": "csvw:tableSchema"},
        "scientificName": {"@id": "http://rs.tdwg.org/dwc/terms/scientificName"},
    }
    for prefix, sets in (("bia", _SETS_OF_BIA), ("schema", _SETS_OF_SCHEMA)):
        for name, term in sets.items():
            terms[name] = {"@id": f"{prefix}:{term}", "@container": "@set"}
    terms |= {name: {"@id": f"bia:{name}"} for name in _OF_BIA}
    terms |= {name: {"@id": f"schema:{name}"} for name in _OF_SCHEMA}
    return ["https://w3id.org/ro/crate/1.1/context", dict(sorted(terms.items()))]
