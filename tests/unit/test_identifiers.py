"""Identifiers in the publication block: forms and check digits, as their registries define them."""

from __future__ import annotations

import pytest

from spimpack_tasks.model.identifiers import (
    licence_address,
    plain_doi,
    plain_orcid,
    plain_ror,
    spdx_of,
)
from spimpack_tasks.model.publication import block_of

# ORCID's own examples, and identifiers of organizations from the site of ROR.
ORCIDS = ["0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X"]
RORS = ["05dxps055", "03yrm5c26", "02grkyz14", "01cwqze88", "04tac1482"]


@pytest.mark.parametrize("orcid", ORCIDS)
def test_an_orcid_is_found_with_and_without_address(orcid):
    assert plain_orcid(orcid) == plain_orcid(f"https://orcid.org/{orcid}") == orcid


@pytest.mark.parametrize("orcid", ORCIDS)
@pytest.mark.parametrize("at", [0, 3, 8, 13, 17])
def test_a_changed_digit_of_an_orcid_is_found(orcid, at):
    digit = str((int(orcid[at]) + 1) % 10)
    assert not plain_orcid(orcid[:at] + digit + orcid[at + 1 :])


@pytest.mark.parametrize("text", ["", "0000-0002-1825", "0000000218250097", "x", ORCIDS[0] + "\n1"])
def test_another_text_is_no_orcid(text):
    assert not plain_orcid(text)


@pytest.mark.parametrize("ror", RORS)
def test_a_ror_is_found_with_and_without_address(ror):
    address = f"https://ror.org/{ror}"
    assert plain_ror(ror) == plain_ror(f"ror.org/{ror}") == plain_ror(address) == address


@pytest.mark.parametrize("ror", RORS)
@pytest.mark.parametrize("at", [1, 4, 6, 8])
def test_a_changed_character_of_a_ror_is_found(ror, at):
    other = "1" if ror[at] != "1" else "2"
    assert not plain_ror(ror[:at] + other + ror[at + 1 :])


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("10.5281/zenodo.1234567", "10.5281/zenodo.1234567"),
        ("doi:10.5281/zenodo.1234567", "10.5281/zenodo.1234567"),
        ("https://doi.org/10.1234/a(b)c", "10.1234/a(b)c"),
        ("11.1234/a", ""),
        ("10.12/a", ""),
        ("zenodo", ""),
    ],
)
def test_a_doi_is_found(text, doi):
    assert plain_doi(text) == doi


@pytest.mark.parametrize(
    ("licence", "spdx", "address"),
    [
        ("CC0", "CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("CC-BY-4.0", "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"),
        ("cc by 4.0", "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"),
        (
            "CC-BY-NC-SA-4.0",
            "CC-BY-NC-SA-4.0",
            "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        ),
        ("PDDL", "PDDL-1.0", "https://spdx.org/licenses/PDDL-1.0"),
    ],
)
def test_a_licence_has_its_spdx_identifier_and_address(licence, spdx, address):
    assert spdx_of(licence) == spdx
    assert licence_address(spdx) == address


def test_an_unknown_licence_has_none():
    assert not spdx_of("as you like")


def test_a_term_is_found_in_any_case_and_has_an_address():
    terms = {"species": {"Mus musculus": "NCBITaxon:10090"}}
    block = block_of({"terms": terms})
    term = block.term("species", " mus MUSCULUS ")
    assert term.address == "http://purl.obolibrary.org/obo/NCBITaxon_10090"
    assert block.term("species", "rat") is None
    assert block.imaging == "FBbi:00000369"
