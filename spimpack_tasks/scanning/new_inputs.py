"""Writes manifest and tables for the images below a folder."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ConflictError, InputError, Place, Problem, Report, count_of
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
    folder_of_tables,
    hint_at_patterns,
    list_findings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.scanning.found import ScanResult
    from spimpack_tasks.scanning.options import ScanOptions, ScanRequest


def preview_scan(options: ScanOptions, *, verbose: bool) -> tuple[list[str], list[Problem]]:
    """Return what a scan finds: each image with its labels, what is ignored, and warnings.

    Nothing is written, and no header is read.

    Raises
    ------
    InputError
        The options are wrong, no image is found, or images cannot be told apart.
    """
    report = Report()
    request, result = scan(options, report)
    used = sum(len(image.paths) for image in result.images) + len(result.photos)
    counts = f"{count_of(used, 'path')} used, {len(result.skipped):,} ignored"
    hint = hint_at_patterns(result.images)
    listed = list_findings(request, result, verbose=verbose)
    lines = [*listed, *hint, f"{counts}; nothing was written"]
    return lines, report.warnings


def scan(
    options: ScanOptions, report: Report, *, conflicts: Iterable[Problem] = ()
) -> tuple[ScanRequest, ScanResult]:
    """Look through a folder; warnings go to the report.

    Raises
    ------
    InputError
        The options are wrong, no image is found, or images cannot be told apart.
    ConflictError
        There are conflicts, which are looked for before the folder is.
    """
    request = check_options(options, report)
    if report.errors:
        raise InputError(report)
    report.extend(conflicts)
    if report.errors:
        raise ConflictError(report)
    result = FolderScanner(request, report).run()
    if report.errors:
        raise InputError(report)
    return request, result


def scan_keys(options: ScanOptions, request: ScanRequest) -> dict[str, str | list[str]]:
    """Return what the manifest says about a scan, so that the next one needs no options."""
    given = {
        "patterns": options.patterns,
        "levels": options.levels,
        "labels": options.labels,
        "exclude": options.excludes,
        "set": options.settings,
        "default": options.defaults,
    }
    lists = {name: list(values) for name, values in given.items() if values}
    return {"folder": folder_of_tables(request), **lists}


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
    request, result = scan(options, report, conflicts=_conflicts(options.directory))
    fill_from_headers(result, request, report)
    files = compose_tables(request, result)
    keys = {f"{name.removesuffix('.tsv')}_tsv" for name in files}
    given = {"Name": options.name, "License": options.license}
    origin, kept = f"Made by: {options.command()}", scan_keys(options, request)
    if result.unused_patterns:
        used = [each for each in options.patterns if each not in result.unused_patterns]
        kept["patterns"] = used
    files["manifest.yml"] = compose_manifest(keys, origin, given, kept)
    if not os.path.lexists(os.path.join(request.directory, SCHEMA_FILE)):
        files[SCHEMA_FILE] = compose_schema()
    os.makedirs(request.directory, exist_ok=True)
    write_together(request.directory, files)
    wrote = [f"wrote {os.path.join(options.directory, name)}" for name in sorted(files)]
    lacking = " and ".join(name for name, value in given.items() if not value)
    to_fill = [f"To fill in, in manifest.yml: {lacking}"] if lacking else []
    manifest = shlex.quote(os.path.join(options.directory, "manifest.yml"))
    then = f"Then run: spimpack validate {manifest}"
    return [*wrote, *describe_scan(result), *to_fill, then], report.warnings


def _conflicts(directory: str) -> Iterator[Problem]:
    for name in ("manifest.yml", SCANS, PARTICIPANTS, PHOTOS, REPORT):
        path = os.path.join(directory, name)
        if os.path.lexists(path):
            hint = "move it away, or write elsewhere: spimpack init DIR --scan ..."
            yield Problem("conflict.exists", Place(path), "", "is there already", hint)
