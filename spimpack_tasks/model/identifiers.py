"""Identifiers of people, organizations, works, terms and licences: whether they are well formed.

Nothing is looked up: a check digit tells most typing errors, and only the network tells the rest.
"""

from __future__ import annotations

import re

_CURIE = re.compile(r"[A-Za-z][A-Za-z0-9_.]*:\S+")
_TEN = 10
"""Check digit that ORCID writes as X."""
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
"""Digits of base 32 without i, l, o and u."""
_ROR_MODULUS, _ROR_SCALE = 97, 100


def plain_orcid(text: str) -> str:
    """Return an ORCID as `0000-0002-1825-0097`, empty where it is not one.

    The last digit is a check of the others (ISO 7064, MOD 11-2).
    """
    plain = re.sub(r"\Ahttps?://orcid\.org/", "", text.strip())
    if not re.fullmatch(r"[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]", plain):
        return ""
    total = 0
    for digit in plain.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return plain if plain[-1] == ("X" if check == _TEN else str(check)) else ""


def plain_ror(text: str) -> str:
    """Return a ROR identifier as `https://ror.org/05dxps055`, empty where it is not one.

    The last two digits are a check of the others (ISO 7064, MOD 97-10).
    """
    plain = re.sub(r"\A(https?://)?ror\.org/", "", text.strip().lower())
    if not re.fullmatch(rf"0[{_CROCKFORD}]{{6}}[0-9]{{2}}", plain):
        return ""
    number = 0
    for digit in plain[:-2]:
        number = number * len(_CROCKFORD) + _CROCKFORD.index(digit)
    check = 98 - (number * _ROR_SCALE) % _ROR_MODULUS
    return f"https://ror.org/{plain}" if int(plain[-2:]) == check else ""


def plain_doi(text: str) -> str:
    """Return a DOI as `10.5281/zenodo.1234567`, empty where it is not one."""
    plain = re.sub(
        r"\A(doi:\s*|(https?://)?(dx\.)?doi\.org/)", "", text.strip(), flags=re.IGNORECASE
    )
    return plain if re.fullmatch(r"10\.[0-9]{4,9}(\.[0-9]+)*/\S+", plain) else ""


def is_term_id(text: str) -> bool:
    """Tell whether a text is an identifier with a prefix, such as `UBERON:0000955`."""
    return bool(_CURIE.fullmatch(text))


_LICENCES = {
    "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0",
    "pddl": "PDDL-1.0",
    "pddl-1.0": "PDDL-1.0",
    **{f"cc-by{kind}-4.0": f"CC-BY{kind.upper()}-4.0" for kind in ("", "-nc", "-sa", "-nd")},
    **{f"cc-by-nc-{kind}-4.0": f"CC-BY-NC-{kind.upper()}-4.0" for kind in ("sa", "nd")},
    **{f"cc-by-{version}": f"CC-BY-{version}" for version in ("1.0", "2.0", "2.5", "3.0")},
    "odbl-1.0": "ODbL-1.0",
    "odc-by-1.0": "ODC-By-1.0",
}


def spdx_of(licence: str) -> str:
    """Return the SPDX identifier of a licence for data, empty where it is not known.

    Blanks count as hyphens, and `CC0` is its only version.
    """
    key = re.sub(r"\s+", "-", licence.strip().lower()).removeprefix("spdx:")
    return _LICENCES.get(key, "")


def licence_address(spdx: str) -> str:
    """Return the address of a licence by its SPDX identifier, empty where there is none."""
    if not spdx:
        return ""
    if spdx == "CC0-1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    if spdx.startswith("CC-"):
        kind, _, version = spdx.removeprefix("CC-").lower().rpartition("-")
        return f"https://creativecommons.org/licenses/{kind}/{version}/"
    return f"https://spdx.org/licenses/{spdx}"
