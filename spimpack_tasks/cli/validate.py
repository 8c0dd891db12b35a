"""`spimpack validate`: all problems of manifest, tables and sources, in one go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_consumers, add_format, add_inputs, options_of
from spimpack_tasks.cli.study_plan import find_study
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, InputError, Report, count_of
from spimpack_tasks.packaging.up_to_date import count_sound_images

if TYPE_CHECKING:
    import argparse


_read_study = Deferred("spimpack_tasks.study.reading:read_study")
_check_manifest = Deferred("spimpack_tasks.study.checking:check_manifest")
_prepare_run = Deferred("spimpack_tasks.packaging.prepare:prepare_run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser, output=False)
    add_consumers(parser)
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print the problems; a dataset that is up to date is not checked again."""
    study = find_study(arguments)
    if study:
        return _check_study(study, as_json=arguments.format == "json")
    options = options_of(arguments)
    images = count_sound_images(options)
    report, refusal = Report(), None
    if images is None:
        prepared = _prepare_run(options)
        refusal = prepared.refusal()
        report = refusal.report if refusal else prepared.report
        images = len(prepared.keys) if refusal is None else 0
    if arguments.format == "json":
        for problem in report.sorted():
            print(json.dumps(problem.as_dict(), ensure_ascii=False))
    else:
        found = f"{count_of(images, 'image')}: " if refusal is None else ""
        *problems, count = report.lines(verbose=arguments.verbose)
        print("\n".join([*problems, found + count]))
    return refusal.exit_code if refusal else ExitCode.OK


def _check_study(path: str, *, as_json: bool) -> int:
    """Check a study and its manifest; the other stages check their own inputs as they come."""
    report, count = Report(), 0
    try:
        study = _read_study(path)
        report, count = _check_manifest(study), len(study.items)
    except InputError as error:
        report = error.report
    if as_json:
        for problem in report.sorted():
            print(json.dumps(problem.as_dict(), ensure_ascii=False))
    else:
        found = "" if report.errors else f"{count_of(count, 'item')}: "
        *problems, errors = report.lines()
        print("\n".join([*problems, found + errors]))
    return ExitCode.BAD_INPUT if report.errors else ExitCode.OK
