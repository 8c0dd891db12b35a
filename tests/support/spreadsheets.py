"""Workbooks for tests to import: xlsx is made by hand, and one old xls is kept here as text."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from xml.sax.saxutils import escape

_XLS = (
    "eNrtWE1oE0EU/maTND+k+amp0AolBGy1tmD14qVdW6o9pVQv/iDYv0VKJZGoBz1oteYoCJ4UL4V68FL14g8q6M2D"
    "ENGDIAiJHnsSFDy0Wd972W2TqtCAFirzLfNm5s18M2/nzc/uvC3Ei3MPW0tYgz54ULaDaKjSKQpBNxMDlds2J904"
    "QMHW2FQIBsiRDT48a3zjZx+yv0sw8MD7iiTwmcIJnMFwNmMlNxADYsOYYht6SSrcIU0ELWJVk8gJkVtE3peaz0Xu"
    "F811kb1Ut6iOo2AOd+5zZvFRIyVlEXC7j4XzUTQ9aMZrnsWXb6hKXR/6c1NjpzdZQZs3jHmQQ4esjJXjfBR3EQKO"
    "EbrT6e7BwSIS5Ox5fLeTwDd3Vb9Mav3G6hVI/6NW7/+DPkBOXKu/aXiBGdijskjyCCPi5RIv0lMT1hI6aE7ADens"
    "+bOWB+g/ZVGlgWwuQ7N+dw+LPSHe3WU3iNXsBo2ySsIkJxGVdFzWSozMWbr39V16fMQ8KZoZOQEq58R2Ngs2rjCD"
    "yBEp8azITmHsEnlVWt0m6VaRCTKW4vaRZidxcFbqXJPSdupnr+C92VGV3kHp/OKhJ235L+ZOSi8MlS4mFj6Yc0jR"
    "uTVJfH5m0aW61O1bjKemGytnT/kksuWX/SVgxBzbbecwjGKZVxQhLrKS49FRKznDGStmq9+wlbB5PF5Q/0rYEdnf"
    "UgWDmMwzpJ1aniE8HuFLRsjxySI102c04REX0h64ihA0NDQ0NDQ0NDQ0Vu90DOeb3Ov8KPBXv9+511mmUNbXJP8t"
    "DiNLzzn6qTyADMU5XKhr/myFT7ltqXVy3PtCxhHqPYdpjIsd03XPX/prU9Xvs25i7O8toXr7L9dj5z/u/yeuJtJk"
)


def old_workbook() -> bytes:
    """Return an xls of the sheet Mice: Mouse 01, 02; Age 3, 2.5; Born 2026-01-02, empty."""
    return zlib.decompress(base64.b64decode(_XLS))


def workbook(
    rows: list[list[object]],
    sheet: str = "Mice",
    also: str = "",
    *,
    corner: bool = False,
    first_is_empty: bool = False,
) -> bytes:
    """Return an xlsx: texts are texts, numbers numbers, and `date:46024` is a day.

    Parameters
    ----------
    rows
        The first sheet; `None` is a cell where nothing was ever written.
    sheet, also
        Names of the sheets; the second one, if any, is empty.
    first_is_empty
        Swap the two sheets.
    corner
        Put a cell into the last corner that a sheet has.
    """
    names = [name for name in (sheet, also) if name]
    numbers = range(1, len(names) + 1)
    filled, empty = _sheet(rows, _CORNER if corner else ""), _sheet([])
    sheets = (empty, filled) if first_is_empty else (filled, empty)
    parts = {
        "[Content_Types].xml": _types(numbers),
        "_rels/.rels": _relations([("1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": _book(names),
        "xl/_rels/workbook.xml.rels": _relations(
            [(str(n), "worksheet", f"worksheets/sheet{n}.xml") for n in numbers]
            + [("9", "styles", "styles.xml")]
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": sheets[0],
        "xl/worksheets/sheet2.xml": sheets[1],
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return packed.getvalue()


_OPEN = "http://schemas.openxmlformats.org"
_MAIN = f"{_OPEN}/spreadsheetml/2006/main"
_LINKS = f"{_OPEN}/officeDocument/2006/relationships"


def _types(numbers: range) -> str:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    sheets = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
        for n in numbers
    )
    return (
        f'<Types xmlns="{_OPEN}/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/>{sheets}</Types>'
    )


def _relations(relations: list[tuple[str, str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="r{name}" Type="{_LINKS}/{kind}" Target="{target}"/>'
        for name, kind, target in relations
    )
    return f'<Relationships xmlns="{_OPEN}/package/2006/relationships">{inner}</Relationships>'


def _book(names: list[str]) -> str:
    sheets = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"/>'
        for n, name in enumerate(names, start=1)
    )
    return f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets>{sheets}</sheets></workbook>'


_CORNER = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'


def _sheet(rows: list[list[object]], more: str = "") -> str:
    inner = "".join(
        f'<row r="{number}">{"".join(_cells(row, number))}</row>'
        for number, row in enumerate(rows, start=1)
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{inner}{more}</sheetData></worksheet>'


def _cells(row: list[object], number: int):
    for letter, value in zip("ABCDEFGHIJKL", row, strict=False):
        place = f'r="{letter}{number}"'
        if isinstance(value, bool):
            yield f'<c {place} t="b"><v>{int(value)}</v></c>'
        elif isinstance(value, str) and value.startswith("date:"):
            yield f'<c {place} s="1"><v>{value.removeprefix("date:")}</v></c>'
        elif isinstance(value, str):
            text = f'<t xml:space="preserve">{escape(value)}</t>'
            yield f'<c {place} t="inlineStr"><is>{text}</is></c>'
        elif value is not None:
            yield f"<c {place}><v>{value}</v></c>"
