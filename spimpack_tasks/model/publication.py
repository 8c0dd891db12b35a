"""Values of the manifest's `publication` block: what portals ask for, and BIDS has no place for.

The block has passed its schema before it becomes these values. Identifiers keep the spelling of the
user; `model.identifiers` checks them, and makes the form that a portal wants.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LIGHT_SHEET = "FBbi:00000369"
"""Term of SPIM in the ontology of imaging methods of biology."""
TERM_KINDS = ("species", "strains", "anatomy", "stains")
"""Parts of `terms` that are dictionaries of words."""
_OBO = "http://purl.obolibrary.org/obo/"


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the tables, with its identifier in an ontology."""

    word: str
    id: str
    """Such as `NCBITaxon:10090`."""
    name: str
    target: str = ""
    genetic_type: str = ""

    @property
    def address(self) -> str:
        """The identifier as an address, such as `http://purl.obolibrary.org/obo/NCBITaxon_10090`."""
        return address_of(self.id)


def address_of(term: str) -> str:
    """Return the identifier of a term, such as `NCBITaxon:10090`, as an address."""
    if term.startswith(("http://", "https://")):
        return term
    prefix, _, number = term.partition(":")
    if prefix == "RRID":
        return f"https://scicrunch.org/resolver/{term}"
    return f"{_OBO}{prefix}_{number}"


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization that someone works for, or that pays."""

    name: str
    ror: str = ""


@dataclass(frozen=True, slots=True)
class Contributor:
    """A person who made the dataset."""

    name: str
    """As `Family, Given`, or as dataset_description has it."""
    orcid: str = ""
    email: str = ""
    roles: tuple[str, ...] = ()
    affiliation: Organization | None = None

    @property
    def family(self) -> str:
        """The family name."""
        return self.name.partition(",")[0].strip()

    @property
    def given(self) -> str:
        """The given names; nothing where the name is one text."""
        return self.name.partition(",")[2].strip()

    @property
    def in_order(self) -> str:
        """The name as it is spoken, given names first."""
        return f"{self.given} {self.family}".strip()

    @property
    def is_author(self) -> bool:
        """Whether the person is cited."""
        return not self.roles or "author" in self.roles

    @property
    def is_contact(self) -> bool:
        """Whether questions go to the person, so that the e-mail is published."""
        return "contact" in self.roles


@dataclass(frozen=True, slots=True)
class Funder:
    """A grant."""

    name: str
    ror: str = ""
    award: str = ""
    award_title: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval of experiments."""

    authority: str
    number: str
    country: str = ""
    jurisdiction: str = ""


@dataclass(frozen=True, slots=True)
class RelatedWork:
    """A paper, dataset or program."""

    doi: str
    relation: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class PublicationBlock:
    """The whole block; empty texts stand for what is not given."""

    title: str = ""
    description: str = ""
    version: str = ""
    publisher: str = ""
    published: str = ""
    language: str = ""
    contributors: tuple[Contributor, ...] = ()
    funders: tuple[Funder, ...] = ()
    keywords: tuple[str, ...] = ()
    terms: Mapping[str, Mapping[str, Term]] = field(default_factory=lambda: MappingProxyType({}))
    """Of each kind, the terms by their words in lower case."""
    imaging: str = LIGHT_SHEET
    ethics: tuple[Approval, ...] = ()
    related: tuple[RelatedWork, ...] = ()
    protocols: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    age_category: str = ""

    @property
    def imaging_name(self) -> str:
        """Name of the imaging method; of one that is not known here, its identifier."""
        return "light sheet microscopy" if self.imaging == LIGHT_SHEET else self.imaging

    def term(self, kind: str, word: str) -> Term | None:
        """Return the term of a word; upper and lower case do not matter."""
        return self.terms.get(kind, {}).get(word.strip().casefold())


def block_of(data: Mapping[str, Any]) -> PublicationBlock:
    """Return the values of a block that has passed its schema."""
    terms = data.get("terms", {})
    return PublicationBlock(
        **{name: data.get(name, "") for name in _TEXTS},
        contributors=tuple(map(_contributor, data.get("contributors", ()))),
        funders=tuple(Funder(**each) for each in data.get("funders", ())),
        keywords=tuple(data.get("keywords", ())),
        terms={kind: _terms(terms.get(kind, {})) for kind in TERM_KINDS},
        imaging=terms.get("imaging", LIGHT_SHEET),
        ethics=tuple(Approval(**each) for each in data.get("ethics", ())),
        related=tuple(RelatedWork(**each) for each in data.get("related", ())),
        protocols=dict(data.get("protocols", {})),
        age_category=data.get("ages", {}).get("category", ""),
    )


_TEXTS = ("title", "description", "version", "publisher", "published", "language")


def _contributor(data: Mapping[str, Any]) -> Contributor:
    home = data.get("affiliation")
    return Contributor(
        data["name"],
        data.get("orcid", ""),
        data.get("email", ""),
        tuple(data.get("roles", ())),
        Organization(**home) if home else None,
    )


def _terms(data: Mapping[str, Any]) -> dict[str, Term]:
    found = {}
    for word, value in data.items():
        given = {"id": value} if isinstance(value, str) else dict(value)
        name = given.pop("name", word)
        found[word.strip().casefold()] = Term(word, name=name, **given)
    return found
