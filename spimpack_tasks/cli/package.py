"""`spimpack package`: the same as `luigi --module spimpack_tasks PackageDataset`.

With `--bids-validator`, the same as `PackageAndValidate`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_flag, add_inputs, options_of, positive
from spimpack_tasks.cli.progress_line import counting
from spimpack_tasks.cli.run_line import RunLine
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError
from spimpack_tasks.packaging.options import CHECKSUM, FLAGS, OPEN_FLAGS
from spimpack_tasks.pipelines import package, validate_packaged

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.packaging.saved_plan import SavedPlan

_find_validator = Deferred("spimpack_tasks.validation.bids_validator:find_validator")
_read_resolved_options = Deferred("spimpack_tasks.packaging.prepare:read_resolved_options")
_read_saved_plan = Deferred("spimpack_tasks.packaging.saved_plan:read_saved_plan")
_place_for = Deferred("spimpack_tasks.validation.report:place_for")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser, output=True)
    parser.add_argument(
        "--plan",
        default="",
        metavar="FILE",
        help="do exactly what a plan says that plan --save wrote, with its manifest, directory and "
        "options, or stop if inputs, outputs or this program have changed since",
    )
    add_flag(parser, "checksum", CHECKSUM)
    parser.add_argument(
        "--bids-validator",
        action="store_true",
        help="validate the dataset when it is packaged, as bids-validate does",
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="number of processes (default: 1)"
    )


def _read_plan(arguments: argparse.Namespace) -> SavedPlan:
    """Return the saved plan.

    Raises
    ------
    UsageError
        Another choice is made beside it, that it has as well.
    """
    inputs = ("paths", "manifest", "output_dir", "backend", "subjects", "images", *FLAGS)
    values = {name: getattr(arguments, name) for name in inputs}
    given = [n for n, value in values.items() if value or (n in OPEN_FLAGS and value is not None)]
    if given:
        name = "manifest" if given[0] == "paths" else given[0]
        message = f"the plan has manifest, directory and options: leave out {name}"
        raise UsageError(message, "spimpack package --plan plan.json")
    path = os.path.abspath(os.path.expanduser(arguments.plan))
    saved: SavedPlan = _read_saved_plan(path, checksum=arguments.checksum)
    return saved


def run(arguments: argparse.Namespace) -> int:
    """Package, print the summary, and validate if asked to."""
    saved = _read_plan(arguments) if arguments.plan else None
    options = saved.run_options() if saved else options_of(arguments)
    if arguments.bids_validator:
        _find_validator()
    with RunLine() as line:
        check = saved.require_same if saved else None
        outcome = package(options, arguments.workers, on_begin=line.begin, check=check)
    shown = arguments.output_dir or options.output_dir
    print("\n".join(outcome.lines(shown)), flush=True)
    if not arguments.bids_validator or outcome.exit_code is not ExitCode.OK:
        return outcome.exit_code
    with counting("Validating"):
        report = validate_packaged(options)
    print("\n".join(report.lines(shown, _place_for(options.output_dir))))
    is_strict = bool(_read_resolved_options(options).strict)
    return ExitCode.OK if report.verdict.is_valid(strict=is_strict) else ExitCode.INVALID
