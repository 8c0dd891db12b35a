"""Reads one sheet of a workbook, as a program of its own: `python workbook.py [SHEET] < FILE`.

A workbook with one cell in the last corner of a sheet takes all memory there is, and the library
then ends its process. So it is read in a process that has little, and on which nothing depends.
Nothing of this package is imported here, since that takes longer than most workbooks.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import resource
import sys
from typing import Any

MEMORY_BYTES = 2**30
"""Memory of the process that reads a workbook, so that a bomb harms nothing else."""
MAX_ROWS = 100_000
"""As many images as the benchmarks package."""


def main() -> int:
    """Print names of sheets, rows as text and the number of the first row, or the error."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
        answer = _read(book, sys.argv[1] if len(sys.argv) > 1 else "")
    except PasswordError:
        answer = {"problem": "password"}
    except CalamineError:
        answer = {"problem": "damaged"}
    sys.stdout.buffer.write(json.dumps(answer).encode())
    return 0


def _read(book: Any, name: str) -> dict[str, Any]:
    names = book.sheet_names
    if not names or (name and name not in names):
        return {"problem": "damaged"}
    sheets = (book.get_sheet_by_name(candidate) for candidate in ([name] if name else names))
    sheet = next((sheet for sheet in sheets if sheet.start), None)
    if sheet is None:
        return {"sheets": names, "rows": [], "first": 1}
    rows = [list(map(cell_text, row)) for row in sheet.to_python(nrows=MAX_ROWS + 2)]
    return {"sheets": names, "rows": rows, "first": sheet.start[0] + 1}


def cell_text(value: object) -> str:
    """Return the text of a workbook's cell as a person sees it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        # A spreadsheet shows no more digits than that, and no decimals of a whole number.
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, dt.datetime):
        return value.isoformat() if value.time() != dt.time() else value.date().isoformat()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
