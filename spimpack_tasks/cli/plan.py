"""`spimpack plan`: the changes that a run would make, and their reasons; writes nothing."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_consumers, add_format, add_inputs, options_of
from spimpack_tasks.cli.study_plan import add_stages, find_study, plan_whole, refuse_stages
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.plan import Origin
from spimpack_tasks.packaging.changes import Verdict, count_verdicts
from spimpack_tasks.packaging.prepare import look

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from spimpack_tasks.errors import ConflictError
    from spimpack_tasks.manifest.further_columns import ColumnUse
    from spimpack_tasks.packaging.changes import Change

_compose_saved_plan = Deferred("spimpack_tasks.packaging.saved_plan:compose_saved_plan")
_write_saved_plan = Deferred("spimpack_tasks.packaging.saved_plan:write_saved_plan")
_draw_dot = Deferred("spimpack_tasks.report.graph:draw_dot")
_task_graph = Deferred("spimpack_tasks.report.graph:task_graph")
_SOME = 1
"""Exit code of `--exit-code` for a run with something to do, as `diff` and `git diff` have it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    more = ", all assets, and where values come from that their rows do not give"
    add_inputs(parser, output=True, verbose=more)
    add_consumers(parser)
    add_format(parser)
    add_stages(parser, "of a study in place of a manifest: ")
    parser.add_argument(
        "--dot",
        action="store_true",
        help="print the task graph for Graphviz, with complete tasks, instead of the changes",
    )
    parser.add_argument(
        "--save",
        default="",
        metavar="FILE",
        help="write the plan to a file as well, for package --plan FILE, which does just that",
    )
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help="for scripts: on standard output, print only the images and other files that a run "
        "would write or remove; end with 0 if there are none, 1 if there are some, 2 if the run "
        "would be refused",
    )


def run(arguments: argparse.Namespace) -> int:
    """Plan, and print the changes."""
    study = find_study(arguments)
    if study:
        return plan_whole(arguments, study)
    refuse_stages(arguments)
    prepared, changes, refusal = look(options_of(arguments, writes=False))
    if arguments.save and refusal is None:
        path = os.path.abspath(os.path.expanduser(arguments.save))
        _write_saved_plan(path, _compose_saved_plan(prepared, changes))
    if arguments.exit_code:
        return _answer(changes, refusal, verbose=arguments.verbose)
    if arguments.dot:
        print("\n".join(_draw_dot(_task_graph(prepared, prepared.sweep()))))
    elif arguments.format == "json":
        for change in changes:
            print(json.dumps(change.as_dict(), ensure_ascii=False))
    else:
        *lines, counts = _lines(changes, verbose=arguments.verbose)
        columns = map(_column_line, prepared.columns if arguments.verbose else ())
        print("\n".join([*lines, *columns, counts]))
    if refusal is not None:
        print("\n".join(refusal.report.lines(verbose=arguments.verbose)), file=sys.stderr)
        return refusal.exit_code
    return ExitCode.OK


def _answer(changes: list[Change], refusal: ConflictError | None, *, verbose: bool) -> int:
    """Print the paths that a run would change, all else as errors, and return the exit code."""
    if refusal is not None:
        print("\n".join(refusal.report.lines(verbose=verbose)), file=sys.stderr)
        return ExitCode.BAD_INPUT
    paths = [change.path for change in changes if change.verdict is not Verdict.UNCHANGED]
    if paths:
        print("\n".join(paths))
    *lines, counts = _lines(changes, verbose=verbose)
    print("\n".join([*lines, counts] if verbose else [counts]), file=sys.stderr)
    return _SOME if paths else ExitCode.OK


def _column_line(use: ColumnUse) -> str:
    published, working = (", ".join(names) or "none" for names in (use.published, use.working))
    return f"{use.file}: further columns in sidecars: {published}; not published: {working}"


def _lines(changes: list[Change], *, verbose: bool) -> list[str]:
    lines = []
    for change in changes:
        if change.verdict is Verdict.UNCHANGED and not change.reasons and not verbose:
            continue
        more = f" and {change.other_sources:,} more" if change.other_sources else ""
        source = f" <- {change.source}{more}" if change.source else ""
        group = f" [{change.dataset_id}]" if change.dataset_id else ""
        lines.append(f"{change.verdict:<10}{change.path}{source}{group}")
        lines.extend(f"          {reason}" for reason in change.reasons)
        if verbose:
            lines.extend(f"          {line}" for line in _automatic_lines(change))
    counts = count_verdicts(changes)
    lines.append(", ".join(f"{number:,} {what}" for what, number in counts.items() if number))
    return lines


def _automatic_lines(change: Change) -> Iterator[str]:
    for key, automatic in change.automatic().items():
        value = json.dumps(automatic["value"], ensure_ascii=False)
        yield f"{key}: {value}, {_ORIGINS[automatic['origin']]}"


_ORIGINS = {
    Origin.HEADER: "from the image's header",
    Origin.ACQUISITION: "from the acquisition program's file beside the image",
    Origin.DEFAULTS: "from the manifest's sidecar_defaults",
    Origin.BACKEND: "from the backend",
}
