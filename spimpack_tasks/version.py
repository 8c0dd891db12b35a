"""The version of the last release, and the address of the project.

A build writes the version into the file `VERSION` beside this module. A checkout that was never
installed has it in `CITATION.cff`.
"""

import os

PROJECT_URL = "https://spimpack-tasks.readthedocs.io"

_HERE = os.path.dirname(__file__)


def _read_version() -> str:
    try:
        with open(os.path.join(_HERE, "VERSION"), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        with open(os.path.join(_HERE, "..", "CITATION.cff"), encoding="utf-8") as file:
            return next(line.split()[1] for line in file if line.startswith("version:"))


__version__ = _read_version()
