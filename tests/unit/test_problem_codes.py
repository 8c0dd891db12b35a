"""Every problem code is documented, and there is a case for it."""

import ast
import re
from collections import Counter
from pathlib import Path

from cases.bad_imports import CASES as IMPORTS
from cases.bad_imports import IMPORT_CODES, IMPORT_WARNINGS
from cases.bad_inputs import CASES
from cases.bad_scans import CASES as SCANS
from cases.bad_scans import CONFLICTS, SCAN_WARNINGS
from test_acquisition_files import ACQUISITION_WARNINGS
from test_alignment import ALIGNMENT_CODES
from test_chunk_settings import CHUNK_WARNINGS
from test_image_rules import IMAGE_WARNINGS
from test_inputs import NOTES, WARNINGS
from test_losses import OWN_CODES, OWN_WARNINGS
from test_records import RECORD_CODES
from test_row_doubts import ROW_WARNINGS
from test_stream_settings import CODES as STREAM_CODES
from test_study_places import STUDY_CODES
from test_tile_layouts import TILE_CODES

import spimpack_tasks

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"([a-z]+)\.[a-z]+(-[a-z]+)*")
FILE_ENDINGS = (".csv", ".html", ".json", ".tsv", ".yml")

# Found by other tests, or not to be had on every machine.
WITHOUT_CASE = {
    "backend.broken",  # test_plug_ins.py
    "backend.bug",  # test_plug_ins.py
    *CHUNK_WARNINGS,
    *IMAGE_WARNINGS,
    *ROW_WARNINGS,
    "backend.extra",  # test_ome_zarr_backend.py
    "backend.impossible",  # a disk without links
    "conflict.altered",
    "conflict.edited",  # test_manifest_editor.py
    "option.last-run",  # test_option_sources.py
    "option.overridden",  # test_option_sources.py
    "option.part",  # test_parts.py
    "output.room",  # test_ome_zarr_backend.py
    "scan.table",  # test_scan_again.py
    *ALIGNMENT_CODES,  # test_alignment.py
    *STREAM_CODES,  # test_stream_settings.py
    "stream.bids",  # test_stream_bids.py
    "stream.foreign",  # test_stream_foreign.py
    "table.extra",  # test_spreadsheet_tables.py
    "output.unwritable",  # root writes anywhere
    "source.outside-roots",  # test_manifest_editor.py
    "yaml.size",  # takes seconds
}


def documented():
    page = (ROOT / "docs" / "reference" / "problems.md").read_text()
    return re.findall(r"^\| `(\S+)` \|", page, flags=re.MULTILINE)


def in_source():
    """Yield the texts in the package that look like a code of a documented family."""
    families = {code.split(".")[0] for code in documented()}
    for path in Path(spimpack_tasks.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) else None
            match = CODE.fullmatch(text) if isinstance(text, str) else None
            if match and match[1] in families and not text.endswith(FILE_ENDINGS):
                yield text


def test_the_page_lists_the_codes_of_the_source_once():
    assert max(Counter(documented()).values()) == 1
    assert set(documented()) == set(in_source())


def test_each_code_is_made_from_a_constant():
    """Nothing is put together, so that a code can be found by searching for it."""
    for path in Path(spimpack_tasks.__file__).parent.rglob("*.py"):
        assert not re.search(r'Problem\(\s*f"', path.read_text()), path


def test_each_code_has_a_case():
    refused = {case.code for case in (*CASES, *SCANS, *CONFLICTS, *IMPORTS)}
    covered = refused | {code for code, _ in WARNINGS} | SCAN_WARNINGS | IMPORT_CODES
    covered |= OWN_CODES | OWN_WARNINGS | ACQUISITION_WARNINGS | {code for code, _ in NOTES}
    covered |= RECORD_CODES | TILE_CODES | STUDY_CODES
    assert covered.isdisjoint(WITHOUT_CASE)
    assert covered | WITHOUT_CASE == set(documented())


def test_warnings_are_documented_as_such():
    page = (ROOT / "docs" / "reference" / "problems.md").read_text()
    marked = set(re.findall(r"^\| `(\S+)` \| Warning: ", page, flags=re.MULTILINE))
    known = (
        SCAN_WARNINGS
        | IMPORT_WARNINGS
        | IMAGE_WARNINGS
        | ROW_WARNINGS
        | OWN_WARNINGS
        | ACQUISITION_WARNINGS
        | CHUNK_WARNINGS
    )
    assert marked == {code for code, _ in WARNINGS} | known
    noted = re.findall(r"^\| `(\S+)` \| Note, with `--for spimquant`: ", page, flags=re.MULTILINE)
    assert set(noted) == {code for code, _ in NOTES}
