"""Checks the installed software against the package's own requirements; nothing is imported."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from spimpack_tasks.doctor.answer import note, ok, problem
from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.validation.bids_validator import (
    PROGRAM,
    ValidatorFailedError,
    find_validator,
    validator_version,
)
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.doctor.answer import Answer

PACKAGE = "spimpack_tasks"
EXTRAS = {
    "images": "headers of Imaris and NIfTI, previews, the demo",
    "convert": "converting images: convert, the backend ome-zarr",
    "bids": "the official BIDS validator: bids-validate, demo",
    "publish": "object stores: publish, verify s3://",
    "spreadsheets": "tables in xlsx",
    "stitch": "compiled loops and wavelets: stitch",
    "demo": "all that a demo study needs: demo --study",
    "ui": "the web pages: ui",
    "view": "napari: view",
    "zarrnii": "voxels of a dataset by zarrnii",
}
"""Extras for users, and the purpose of each."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*(?:;.*extra == ['\"]([^'\"]+)['\"])?")


def check_versions() -> Iterator[Answer]:
    """Yield the versions of Python, of this program, and of its required libraries."""
    yield ok("python", platform.python_version())
    yield ok(PACKAGE, __version__)
    for name in _requirements().get("", []):
        found = _version(name)
        if found:
            yield ok(name, found)
        else:
            yield problem(name, f"is not installed; pip install --force-reinstall {PACKAGE}")


def check_extras() -> Iterator[Answer]:
    """Yield for each extra its purpose, and whether all of it is installed."""
    required = _requirements()
    for extra, purpose in EXTRAS.items():
        missing = [name for name in required.get(extra, []) if not _version(name)]
        if missing:
            what = f"{', '.join(missing)} not installed ({purpose})"
            yield note(f"extra {extra}", f"{what}; pip install '{PACKAGE}[{extra}]'")
        else:
            yield ok(f"extra {extra}", purpose)


def check_validator() -> Iterator[Answer]:
    """Yield whether the BIDS validator is there and runs."""
    try:
        program = find_validator()
        yield ok(PROGRAM, f"{validator_version(program)}, {program}")
    except MissingExtraError as error:
        yield note(PROGRAM, str(error).partition(" ")[2])
    except ValidatorFailedError as error:
        yield problem(PROGRAM, " ".join(str(error).split()))


def _requirements() -> dict[str, list[str]]:
    """Return the requirements of the package by extra, ``""`` for always."""
    by_extra: dict[str, list[str]] = {}
    for requirement in requires(PACKAGE) or []:
        match = _REQUIREMENT.match(requirement)
        if match:
            by_extra.setdefault(match[2] or "", []).append(match[1])
    return by_extra


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
