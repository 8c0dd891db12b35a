"""`spimpack validate`: all problems of manifest, tables and sources, in one go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_consumers, add_format, add_inputs, options_of
from spimpack_tasks.errors import ExitCode, count_of
from spimpack_tasks.packaging.prepare import prepare_run

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser, output=False)
    add_consumers(parser)
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print the problems."""
    prepared = prepare_run(options_of(arguments))
    refusal = prepared.refusal()
    report = refusal.report if refusal else prepared.report
    if arguments.format == "json":
        for problem in report.sorted():
            print(json.dumps(problem.as_dict(), ensure_ascii=False))
    else:
        found = f"{count_of(len(prepared.keys), 'image')}: " if refusal is None else ""
        *problems, count = report.lines(verbose=arguments.verbose)
        print("\n".join([*problems, found + count]))
    return refusal.exit_code if refusal else ExitCode.OK
