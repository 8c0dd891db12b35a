"""Prints what the BioImage Archive's parser finds in a crate, as JSON: `bia_check.py FOLDER`.

Its command line with `--report-json` finds nothing in any crate, so the parser is called. It needs
Python 3.13, and an older roc-validator than others.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from shipped_context import serve


def check(folder: str) -> list[dict[str, str]]:
    """Return the findings."""
    serve()
    from bia_ro_crate.core.parser.ro_crate_parser import ROCrateParser

    parser = ROCrateParser(Path(folder))
    failure = ""
    try:
        parser.parse()
    except ExceptionGroup as error:
        failure = str(error)
    found = [{"severity": i.severity.name, "message": i.message} for i in parser.issues]
    if failure and not any(each["severity"] == "ERROR" for each in found):
        found.append({"severity": "ERROR", "message": failure})
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.write(json.dumps(check(sys.argv[1])))
