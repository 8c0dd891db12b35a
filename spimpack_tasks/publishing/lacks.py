"""Problems that stand against records for portals: all facts that are missing or wrong, at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Problem, Report
from spimpack_tasks.manifest.schema_check import dotted
from spimpack_tasks.model.identifiers import is_term_id, plain_doi, plain_orcid, plain_ror
from spimpack_tasks.publishing.needs import BLOCK, NEEDS, Lack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.publishing.facts import Facts
    from spimpack_tasks.publishing.publication_block import Places
    from spimpack_tasks.publishing.records.portals import Portal


def find_problems(facts: Facts, portals: Iterable[Portal], places: Places) -> Report:
    """Return the problems with records for some portals.

    A fact that several portals want is one problem that names them all.
    """
    wanting: dict[Lack, list[str]] = {}
    for portal in portals:
        for need in portal.needs:
            for lack in NEEDS[need](facts):
                wanting.setdefault(lack, []).append(portal.title)
    report = Report()
    for lack, titles in wanting.items():
        report.add(_problem(lack, f"{lack.message}, for {', '.join(titles)}", places))
    report.extend(_problem(lack, lack.message, places) for lack in _wrong_values(facts))
    return report


def find_problems_by_portal(
    facts: Facts, portals: Iterable[Portal], places: Places
) -> dict[str, Report]:
    """Return the problems with the records of each portal by its title.

    Values that no portal takes stand under an empty title, which is missing where there are none.
    """
    wrong = [_problem(lack, lack.message, places) for lack in _wrong_values(facts)]
    found = {"": Report(wrong)} if wrong else {}
    for portal in portals:
        lacks = dict.fromkeys(lack for need in portal.needs for lack in NEEDS[need](facts))
        found[portal.title] = Report([_problem(lack, lack.message, places) for lack in lacks])
    return found


def _problem(lack: Lack, message: str, places: Places) -> Problem:
    if lack.path[:1] == ("dataset_description",):  # records are made of what was packaged
        lack = replace(lack, hint=f"{lack.hint}; then package the dataset again")
    cell = places.find_cell(*lack.cell) if lack.cell else None
    if cell and lack.cell:
        return Problem(lack.code, cell, lack.cell[1], message, lack.hint)
    return Problem(lack.code, places.find(lack.path), dotted(lack.path), message, lack.hint)


def _wrong_values(facts: Facts) -> Iterator[Lack]:
    """Yield values of the block that have not got the form, or the check digit, of their kind."""
    yield from _wrong_people(facts)
    block = facts.block
    if block.published and not _is_date(block.published):
        message, hint = f"{block.published!r} is not a date", "write it like 2026-03-01"
        yield Lack("publication.date", (BLOCK, "published"), message, hint)
    for index, funder in enumerate(block.funders):
        if funder.ror and not plain_ror(funder.ror):
            yield _wrong_ror((BLOCK, "funders", index, "ror"), funder.ror)
    for index, work in enumerate(block.related):
        if not plain_doi(work.doi):
            hint = "write it like 10.5281/zenodo.1234567"
            message = f"{work.doi!r} is not a DOI"
            yield Lack("publication.doi", (BLOCK, "related", index, "doi"), message, hint)
    for kind, terms in block.terms.items():
        for term in terms.values():
            if not is_term_id(term.id):
                hint = "write it with its prefix, like NCBITaxon:10090"
                message = f"{term.id!r} is not the identifier of a term"
                yield Lack("publication.term-id", (BLOCK, "terms", kind, term.word), message, hint)


def _wrong_people(facts: Facts) -> Iterator[Lack]:
    for index, person in enumerate(facts.block.contributors):
        path = (BLOCK, "contributors", index)
        if person.orcid and not plain_orcid(person.orcid):
            message = f"{person.orcid!r} is not an ORCID: its form or its last digit is wrong"
            hint = "copy it from https://orcid.org"
            yield Lack("publication.orcid", (*path, "orcid"), message, hint)
        home = person.affiliation
        if home and home.ror and not plain_ror(home.ror):
            yield _wrong_ror((*path, "affiliation", "ror"), home.ror)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _wrong_ror(path: tuple[str | int, ...], text: str) -> Lack:
    message = f"{text!r} is not a ROR identifier: its form or its last digits are wrong"
    return Lack("publication.ror", path, message, "copy it from https://ror.org")
