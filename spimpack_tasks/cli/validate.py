"""`spimpack validate`: all problems of manifest, tables and sources, in one go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_consumers, add_format, add_inputs, options_of
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, Report, count_of
from spimpack_tasks.packaging.up_to_date import count_sound_images

if TYPE_CHECKING:
    import argparse


_prepare_run = Deferred("spimpack_tasks.packaging.prepare:prepare_run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser, output=False)
    add_consumers(parser)
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print the problems; a dataset that is up to date is not checked again."""
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
