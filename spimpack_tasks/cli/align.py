"""`spimpack align`: a brain and its probes for the alignment GUI, as the tasks of Luigi make it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.choices import OPTIONS, PATHS
from spimpack_tasks.cli.arguments import positive
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, InputError, Report, UsageError, count_of

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.alignment.chain import Chain

_run_alignment = Deferred("spimpack_tasks.local_alignment:run_alignment")
_check = Deferred("spimpack_tasks.alignment.chain:checked_chain")
_check_all = Deferred("spimpack_tasks.alignment.steps:check_all")
_unsorted = Deferred("spimpack_tasks.alignment.ephys:unsorted_rows")
_EXAMPLE = "spimpack align --data-root data --results-root results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    folders = {
        "data-root": "folder of all inputs; other paths may be relative to it",
        "results-root": "folder for the results, which is made",
    }
    for name, text in folders.items():
        parser.add_argument(f"--{name}", required=True, metavar="DIR", help=text)
    for name, option in OPTIONS.items():
        is_number = isinstance(option.default, float)
        default = f" (default: {option.default})" if option.default != "" else ""
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=float if is_number else str,
            choices=option.choices or None,
            default=option.default,
            metavar=None if option.choices else "NUMBER" if is_number else _metavar(name),
            help=f"{option.text}{default}",
        )
    flags = {
        "validate-only": "check all inputs, and write nothing",
        "skip-ephys": "extract no recordings, also with --ephys-python",
        "renumber-clusters": "number the clusters of a probe over all its shanks, and sort spikes",
        "datapackage-only": "write datapackage.json again",
        "allow-partial": "leave out rows without a track, and name them in coverage.json",
    }
    for name, text in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument(
        "--qc",
        nargs="?",
        const="1",
        default="0",
        choices=("0", "1"),
        help="bring channels into the space of the CCF as well (default: 0)",
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="number of processes (default: 1)"
    )
    parser.add_argument("--verbose", action="store_true", help="show each problem on its own line")


def _metavar(name: str) -> str:
    return "PATH" if name in PATHS else "TEXT"


def run(arguments: argparse.Namespace) -> int:
    """Do it, and print the folder of the results."""
    if arguments.validate_only and arguments.datapackage_only:
        message = "--validate-only writes nothing, so --datapackage-only cannot be given with it"
        raise UsageError(message, f"{_EXAMPLE} --validate-only")
    given = vars(arguments)
    parameters: dict[str, Any] = {name: given[name] for name in OPTIONS}
    for name in ("data_root", "results_root"):
        parameters[name] = os.path.abspath(given[name])
    flags = ("allow_partial", "skip_ephys", "renumber_clusters")
    parameters |= {name: given[name] for name in flags}
    parameters["qc"] = arguments.qc == "1"
    chain: Chain = _check(parameters)
    report: Report = _check_all(chain)
    if arguments.validate_only:
        return _validate(chain, report)
    is_refused = chain.gaps and not arguments.allow_partial
    if report.warnings or is_refused:
        told = report if is_refused else Report(report.warnings)
        print("\n".join(told.lines(verbose=arguments.verbose)))
    code: int = _run_alignment(
        parameters, arguments.workers, only_package=arguments.datapackage_only
    )
    if code == ExitCode.OK:
        for problem in chain.gaps:
            print(f"left out: {problem}")
        for key in _unsorted(chain):
            print(f"without sorting, so not in datapackage.json: {key}")
        if not arguments.skip_ephys and not arguments.ephys_python:
            print("recordings are not extracted: give --ephys-python, or --skip-ephys")
        print(f"made {count_of(len(chain.good_rows), 'track')} in {chain.folder}")
    return code


def _validate(chain: Chain, report: Report) -> int:
    if report.errors:
        raise InputError(report)
    brain = chain.brain
    print(f"{brain.asset}: {count_of(len(brain.channels), 'channel')}, {brain.code_xyz}")
    frame = "native" if brain.version is None else "pipeline"
    print(f"level {brain.level}, frame {frame} ({brain.frame_reason})")
    for row in chain.good_rows:
        path = os.path.relpath(chain.annotation_path(row), chain.choices.data_root)
        print(f"line {row.line}: {row.key}: {path}")
    print("\n".join(report.lines()))
    return ExitCode.OK
