"""`spimpack records`: writes the metadata records that publication portals ask for."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.cli.arguments import LateHelpOption, add_format
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, InputError, Report, UsageError, count_of
from spimpack_tasks.publishing.records.portals import choose_portals, portal_names
from spimpack_tasks.verification.recorded import recorded_store

if TYPE_CHECKING:
    import argparse

_make_records = Deferred("spimpack_tasks.publishing.records.making:make_records")
_write_records = Deferred("spimpack_tasks.publishing.records.writing:write_records")
_list_of = Deferred("spimpack_tasks.publishing.records.writing:list_of")

ALL = "all"
"""Stands for the names of all portals."""


class PortalsOption(LateHelpOption):
    """The option `--for`; its help lists the portals that are installed."""

    def compose_help(self) -> str:
        """Return the help text."""
        return f"portals, with commas between them: {', '.join(portal_names())}, or {ALL}"

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the names; the option can be repeated."""
        del parser, option_string
        names = [name.strip() for name in str(values).split(",") if name.strip()]
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *names])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dataset", metavar="DIR", help="the packaged dataset")
    parser.add_argument("--for", dest="portals", action=PortalsOption, default=[], metavar="NAMES")
    parser.add_argument(
        "-o",
        "--output-dir",
        default="",
        metavar="DIR",
        help="where to write the records (default: DIR.records beside the dataset)",
    )
    parser.add_argument(
        "--manifest",
        default="",
        metavar="FILE",
        help="the manifest with the publication block (default: that of the last run)",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show each problem on a line of its own"
    )
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compose the records, write them, and print their paths."""
    if not arguments.portals:
        message = f"give the names of portals: {', '.join(portal_names())}, or {ALL}"
        raise UsageError(message, "spimpack records bids --for dandi,datacite")
    report = Report()
    names = portal_names() if ALL in arguments.portals else arguments.portals
    portals = choose_portals(names, report)
    store = recorded_store(arguments.dataset)
    folder = os.path.abspath(
        os.path.expanduser(arguments.output_dir or f"{store.output_dir}.records")
    )
    is_json = arguments.format == "json"
    try:
        texts = _make_records(store, portals, arguments.manifest, report)
        written = _write_records(folder, texts)
    except InputError as error:
        if not is_json:
            raise
        for problem in error.report.sorted():
            print(json.dumps(problem.as_dict(), ensure_ascii=False))
        return error.exit_code
    if is_json:
        print("\n".join(_list_of(written)))
        return ExitCode.OK
    for each in written:
        print(f"{os.path.join(folder, each.path)}{'' if each.is_new else ' (as it was)'}")
    print(f"{count_of(len(written), 'file')} for {', '.join(p.title for p in portals)}")
    return ExitCode.OK
