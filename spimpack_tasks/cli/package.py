"""`spimpack package`: the same as `luigi --module spimpack_tasks PackageDataset`.

With `--bids-validator`, the same as `PackageAndValidate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_flag, add_inputs, options_of, positive
from spimpack_tasks.cli.progress_line import counting
from spimpack_tasks.cli.run_line import RunLine
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.options import CHECKSUM
from spimpack_tasks.pipelines import package, validate_packaged

if TYPE_CHECKING:
    import argparse

_find_validator = Deferred("spimpack_tasks.validation.bids_validator:find_validator")
_read_resolved_options = Deferred("spimpack_tasks.packaging.prepare:read_resolved_options")
_place_for = Deferred("spimpack_tasks.validation.report:place_for")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser, output=True)
    add_flag(parser, "checksum", CHECKSUM)
    parser.add_argument(
        "--bids-validator",
        action="store_true",
        help="validate the dataset when it is packaged, as bids-validate does",
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="number of processes (default: 1)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Package, print the summary, and validate if asked to."""
    options = options_of(arguments)
    if arguments.bids_validator:
        _find_validator()
    with RunLine() as line:
        outcome = package(options, arguments.workers, on_begin=line.begin)
    print("\n".join(outcome.lines(arguments.output_dir)), flush=True)
    if not arguments.bids_validator or outcome.exit_code is not ExitCode.OK:
        return outcome.exit_code
    with counting("Validating"):
        report = validate_packaged(options)
    print("\n".join(report.lines(arguments.output_dir, _place_for(options.output_dir))))
    is_strict = bool(_read_resolved_options(options).strict)
    return ExitCode.OK if report.verdict.is_valid(strict=is_strict) else ExitCode.INVALID
