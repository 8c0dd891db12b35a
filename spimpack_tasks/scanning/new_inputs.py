"""Writes manifest and tables for the images below a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ConflictError, InputError, Place, Problem, Report
from spimpack_tasks.files.atomic import write_together
from spimpack_tasks.manifest.template import SCHEMA_FILE, compose_manifest, compose_schema
from spimpack_tasks.scanning.folder_scan import FolderScanner
from spimpack_tasks.scanning.headers import fill_from_headers
from spimpack_tasks.scanning.options import check_options
from spimpack_tasks.scanning.tables import (
    PARTICIPANTS,
    PHOTOS,
    REPORT,
    SCANS,
    compose_tables,
    describe_scan,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.scanning.options import ScanOptions


def init_from_scan(options: ScanOptions) -> tuple[list[str], list[Problem]]:
    """Write a manifest and tables for the images below a folder.

    Returns
    -------
    The summary for the user, and warnings.

    Raises
    ------
    InputError
        The options are wrong, no image is found, or images cannot be told apart.
    ConflictError
        A manifest or a table is there already. In both cases nothing was written.
    """
    report = Report()
    request = check_options(options, report)
    if report.errors:
        raise InputError(report)
    report.extend(_conflicts(options.directory))
    if report.errors:
        raise ConflictError(report)
    result = FolderScanner(request, report).run()
    if report.errors:
        raise InputError(report)
    fill_from_headers(result, request, report)
    files = compose_tables(request, result)
    keys = {f"{name.removesuffix('.tsv')}_tsv" for name in files}
    files["manifest.yml"] = compose_manifest(
        keys, f"Made by: {options.command()}", {"Name": options.name, "License": options.license}
    )
    if not os.path.lexists(os.path.join(request.directory, SCHEMA_FILE)):
        files[SCHEMA_FILE] = compose_schema()
    os.makedirs(request.directory, exist_ok=True)
    write_together(request.directory, files)
    wrote = [f"wrote {os.path.join(options.directory, name)}" for name in sorted(files)]
    return [*wrote, *describe_scan(result)], report.warnings


def _conflicts(directory: str) -> Iterator[Problem]:
    for name in ("manifest.yml", SCANS, PARTICIPANTS, PHOTOS, REPORT):
        path = os.path.join(directory, name)
        if os.path.lexists(path):
            hint = "move it away, or write elsewhere: spimpack init DIR --scan ..."
            yield Problem("conflict.exists", Place(path), "", "is there already", hint)
