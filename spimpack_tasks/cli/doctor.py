"""`spimpack doctor`: checks of this machine, and of a disk."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_format
from spimpack_tasks.doctor.answer import State
from spimpack_tasks.doctor.credentials import check_credentials
from spimpack_tasks.doctor.disk import check_open_files, check_output, check_temporary
from spimpack_tasks.doctor.scheduler import check_scheduler
from spimpack_tasks.doctor.software import check_extras, check_validator, check_versions
from spimpack_tasks.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.doctor.answer import Answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--output-dir",
        default=".",
        metavar="DIR",
        help="where a dataset is to be written, in a folder that need not be there yet "
        "(default: here); a temporary folder is made and removed",
    )
    parser.add_argument(
        "--scheduler-url",
        default="",
        metavar="URL",
        help="central scheduler that must answer, such as http://127.0.0.1:8082 (default: that of "
        "Luigi's configuration, if it names one)",
    )
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print one line for each check."""
    answers = []
    for answer in _check(arguments):
        answers.append(answer)
        is_json = arguments.format == "json"
        line = json.dumps(answer.as_dict(), ensure_ascii=False) if is_json else str(answer)
        print(line, flush=True)
    broken = any(answer.state is State.PROBLEM for answer in answers)
    return ExitCode.FAILED if broken else ExitCode.OK


def _check(arguments: argparse.Namespace) -> Iterator[Answer]:
    yield from check_versions()
    yield from check_extras()
    yield from check_validator()
    yield from check_output(os.path.abspath(os.path.expanduser(arguments.output_dir)))
    yield from check_temporary()
    yield from check_open_files()
    yield from check_credentials()
    yield from check_scheduler(arguments.scheduler_url)
