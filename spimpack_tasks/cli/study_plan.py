"""The plan of a study, stage by stage, for `spimpack plan`; and options that choose stages."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.manifest.products import STAGES
from spimpack_tasks.packaging.options import FLAGS

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.study.planning import PlannedItem
    from spimpack_tasks.study.study import Study

# Most plans are of a manifest.
_choose_items = Deferred("spimpack_tasks.study.choosing:choose_items")
_is_study_file = Deferred("spimpack_tasks.study.reading:is_study_file")
_read_study = Deferred("spimpack_tasks.study.reading:read_study")
_plan_study = Deferred("spimpack_tasks.study.planning:plan_study")
_SOME = 1
"""Exit code of `--exit-code` for a run with something to do, as `diff` and `git diff` have it."""


def add_stages(parser: argparse.ArgumentParser, before: str = "") -> None:
    """Declare the options that choose stages; `before` begins their help."""
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="STAGE",
        help=f"{before}make what this stage makes, and what that is made of where it is not there; "
        f"may be given several times. Stages are {', '.join(STAGES)}",
    )
    parser.add_argument(
        "--until", default="", metavar="STAGE", help=f"{before}the last stage that is wanted"
    )


def find_study(arguments: argparse.Namespace) -> str:
    """Return the path of the study that stands in place of a manifest, empty where none does."""
    given = [*arguments.paths, arguments.manifest]
    names = [name for name in given if name]
    path = os.path.abspath(os.path.expanduser(names[0])) if len(names) == 1 else ""
    return path if path and not arguments.output_dir and _is_study_file(path) else ""


def refuse_stages(arguments: argparse.Namespace) -> None:
    """Refuse options that choose stages where there is no study.

    Raises
    ------
    UsageError
        There are some.
    """
    if arguments.only or arguments.until:
        raise UsageError("--only and --until are for a study", "spimpack plan study.yml")


def plan_whole(arguments: argparse.Namespace, path: str) -> int:
    """Print what a run of a study would make, and why; return the exit code."""
    _refuse_options(arguments)
    study: Study = _read_study(path)
    items = _choose_items(study, ",".join(arguments.only), arguments.until)
    planned: list[PlannedItem] = _plan_study(study, items)
    if arguments.format == "json":
        for each in planned:
            print(json.dumps(_as_dict(study, each), ensure_ascii=False))
    else:
        print("\n".join(line for each in planned for line in lines_of(study, each)))
    if any(each.state == "refused" for each in planned):
        return ExitCode.BAD_INPUT
    is_done = all(each.state == "done" for each in planned)
    return ExitCode.OK if is_done or not arguments.exit_code else _SOME


def _refuse_options(arguments: argparse.Namespace) -> None:
    """Refuse options of `spimpack plan` that a study does not take.

    Raises
    ------
    UsageError
        There are some.
    """
    given = [
        f"--{name.replace('_', '-')}"
        for name in (*_OF_MANIFESTS, *FLAGS)
        if getattr(arguments, name, None)
    ]
    if given:
        message = f"{', '.join(given)} cannot be chosen for a study; write it into its file"
        raise UsageError(message, "spimpack plan study.yml")


_OF_MANIFESTS = ("backend", "subjects", "images", "save", "dot", "consumers")
"""Options of a plan of a manifest alone."""


def lines_of(study: Study, planned: PlannedItem, word: str = "") -> list[str]:
    """Return state, or another word for it, item, place and reason of an item for people."""
    place = study.product(planned.item)
    lines = [
        f"{word or planned.state:<10}{planned.item}  {place if '://' in place else shown(place)}"
    ]
    return [*lines, f"          {planned.reason}"] if planned.reason else lines


def _as_dict(study: Study, planned: PlannedItem) -> dict[str, str]:
    return {
        "stage": planned.item.stage,
        "item": planned.item.name,
        "state": str(planned.state),
        "reason": planned.reason,
        "path": study.product(planned.item),
    }
