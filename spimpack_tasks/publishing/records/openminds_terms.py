"""Names of instances in the library of openMINDS 4, by the identifiers of other ontologies."""

from __future__ import annotations

PREFIX = "https://openminds.om-i.org"

SPECIES = {
    "10047": "merionesUnguiculatus",
    "10090": "musMusculus",
    "10116": "rattusNorvegicus",
    "7227": "drosophilaMelanogaster",
    "7955": "danioRerio",
    "9483": "callithrixJacchus",
    "9541": "macacaFascicularis",
    "9544": "macacaMulatta",
    "9606": "homoSapiens",
    "9668": "mustelaPutorius",
    "9685": "felisCatus",
    "9913": "bosTaurus",
    "9940": "ovisAries",
}
"""By the number in NCBI Taxonomy."""
ORGANS = {
    "0000948": "heart",
    "0000955": "brain",
    "0001630": "muscle",
    "0002097": "skin",
    "0002107": "liver",
}
"""By the number in UBERON."""
LICENCES = frozenset(
    {
        "CC0-1.0",
        *(f"CC-BY{kind}-4.0" for kind in ("", "-NC", "-NC-ND", "-NC-SA", "-ND", "-SA")),
    }
)
"""Licences for data, by their names in SPDX."""


def instance(library: str, name: str) -> str:
    """Return the identifier of an instance, such as that of `species` and `musMusculus`.

    Without a name there is none, and the identifier is empty.
    """
    return f"{PREFIX}/instances/{library}/{name}" if name else ""


def kind_of(name: str) -> str:
    """Return the identifier of a type."""
    return f"{PREFIX}/types/{name}"


def camel_case(words: str) -> str:
    """Return words as names of instances are written: `prime adult` is `primeAdult`."""
    first, *rest = words.split() or [""]
    return first + "".join(word.capitalize() for word in rest)
