"""`spimpack init`: a commented manifest and a table to fill in, or filled in from a folder tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import fill, indent
from typing import TYPE_CHECKING

from spimpack_tasks.cli.progress_line import counting
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, InputError, Place, Problem, Report
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.files.roots import roots_of_environment
from spimpack_tasks.manifest.template import template_files
from spimpack_tasks.scanning.layouts import read_layout, shipped_layouts
from spimpack_tasks.scanning.new_inputs import init_from_scan, preview_scan
from spimpack_tasks.scanning.options import ScanOptions

if TYPE_CHECKING:
    import argparse

_update_from_scan = Deferred("spimpack_tasks.editing.scan_update:update_from_scan")
"""It imports what edits tables, which nobody else needs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "directory", nargs="?", default=".", metavar="DIR", help="where (default: here)"
    )
    parser.add_argument(
        "--scan",
        metavar="ROOT",
        help="list the images below this folder in the table, with values from their headers",
    )
    _add_layouts(parser)
    _add_options_of_a_scan(parser)
    parser.add_argument("--name", default="", metavar="TEXT", help="name of the dataset")
    parser.add_argument(
        "--license",
        default="",
        metavar="TEXT",
        help="licence of the data, such as CC0; nobody else can choose it",
    )


def _add_layouts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--layout",
        default="",
        metavar="NAME",
        help="rules for the folders of a microscope or laboratory: a name that --layouts lists, or "
        "a YAML file; the options below go before them",
    )
    parser.add_argument(
        "--layouts",
        nargs="?",
        const="",
        metavar="NAME",
        help="list the layouts that come with the program, or print one to begin a file with",
    )


def _add_options_of_a_scan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pattern",
        action="append",
        default=[],
        metavar="PATTERN",
        help="path of images below ROOT, such as '{subject}/exp_{session}/*.ims', or a regular "
        "expression behind re:, such as 're:(?P<subject>M[0-9]+)/.*'; the first of several that "
        "fits counts (default: names such as sub-01_acq-4x)",
    )
    parser.add_argument(
        "--level",
        action="append",
        default=[],
        metavar="ENTITY=LABEL",
        help="names of folders below ROOT, one level after another: session=TP for TP001 or "
        "exp_TP001, '*' for any name; T=TAG_, C=... or Z=... at the end for parts of one image",
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="ENTITY=TEMPLATE",
        help="make a label of captures of --pattern, which may then have any name, such as "
        "subject='{cohort}{number:02}', where :02 fills up with zeros",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="leave out names such as '*preview*', or paths below ROOT; may be given several times",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="give a column one value in all rows, in place of headers, such as sample=brain",
    )
    parser.add_argument(
        "--default",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="give a column a value in rows where neither path nor header has one, such as "
        "session=01",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print each path with its labels, and why others are ignored; write nothing",
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="add the images that have come since to the tables in DIR, or to those of a manifest "
        "of another name; they stay as they are otherwise, and the manifest says what was scanned",
    )
    parser.add_argument("--verbose", action="store_true", help="name each ignored path")


def run(arguments: argparse.Namespace) -> int:
    """Write the files."""
    if arguments.layouts is not None:
        return _show_layouts(arguments.layouts)
    if arguments.scan is None and not arguments.update:
        _refuse_options_of_a_scan(arguments)
        given = {"Name": arguments.name, "License": arguments.license}
        _write_templates(Path(arguments.directory), given)
        return ExitCode.OK
    options = ScanOptions(
        root=arguments.scan or "",
        directory=arguments.directory,
        patterns=tuple(arguments.pattern),
        levels=tuple(arguments.level),
        excludes=tuple(arguments.exclude),
        settings=tuple(arguments.set),
        defaults=tuple(arguments.default),
        labels=tuple(arguments.label),
        name=arguments.name,
        license=arguments.license,
    )
    if arguments.layout:
        report = Report()
        layout = read_layout(arguments.layout, report)
        if report.errors:
            raise InputError(report)
        options = layout.added_to(options)
    with counting("Scanning"):
        lines, warnings = _scan(arguments, options)
    for problem in warnings:
        print(problem, file=sys.stderr)
    print("\n".join(lines))
    return ExitCode.OK


def _scan(arguments: argparse.Namespace, options: ScanOptions) -> tuple[list[str], list[Problem]]:
    """Scan as the arguments say; return lines for the user, and warnings."""
    if arguments.update:
        return _update(options, writes=not arguments.dry_run, verbose=arguments.verbose)
    if arguments.dry_run:
        return preview_scan(options, verbose=arguments.verbose)
    return init_from_scan(options)


def _update(
    options: ScanOptions, *, writes: bool, verbose: bool
) -> tuple[list[str], list[Problem]]:
    given = os.path.abspath(options.directory)
    manifest = given if os.path.isfile(given) else os.path.join(given, "manifest.yml")
    if not os.path.exists(manifest):
        hint = "begin with spimpack init DIR --scan ROOT, or correct the path"
        problem = Problem("file.missing", Place(shown(manifest)), "", "does not exist", hint)
        raise InputError(Report([problem]))
    roots = roots_of_environment() or ("/",)
    update = _update_from_scan(manifest, options, roots, writes=writes, verbose=verbose)
    if writes:
        return update.lines, update.warnings
    return [*update.findings, *update.lines, "nothing was written"], update.warnings


def _show_layouts(name: str) -> int:
    """Print one layout as it is, or a line about each."""
    report = Report()
    if name:
        read_layout(name, report)
        if report.errors:
            raise InputError(report)
        print(shipped_layouts().get(name) or Path(name).read_text(encoding="utf-8"), end="")
        return ExitCode.OK
    for each in shipped_layouts():
        print(f"{each}\n{indent(fill(read_layout(each, report).about, 76), '    ')}")
    return ExitCode.OK


def _refuse_options_of_a_scan(arguments: argparse.Namespace) -> None:
    for name in ("layout", "pattern", "level", "label", "exclude", "set", "default", "dry_run"):
        if getattr(arguments, name):
            option = name.replace("_", "-")
            message, hint = f"is missing beside --{option}", "name the folder to look through"
            place = Place("command line")
            raise InputError(Report([Problem("option.missing", place, "--scan", message, hint)]))


def _write_templates(directory: Path, given: dict[str, str]) -> None:
    """Write the files that are not there yet."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in template_files(given).items():
        path = directory / name
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            print(f"{path} is there already and was left as it is")
        else:
            print(f"wrote {path}")
    print(f"Fill them in, then run: spimpack validate --manifest {directory / 'manifest.yml'}")
