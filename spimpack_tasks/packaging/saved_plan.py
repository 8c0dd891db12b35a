"""Plans that a user saves, so that a later run does exactly what was shown, or stops.

A file holds the options, the identity of the plan, the state of all inputs, and the action of a run
on each path. A run from it compares all of that with what it finds. A path that is by now as
planned is no difference, so a run that was stopped halfway can be started again.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError, count_of
from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.roots import roots_of_environment
from spimpack_tasks.packaging.changes import Verdict
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.packaging.changes import Change
    from spimpack_tasks.packaging.prepared_run import PreparedRun

_ABOUT = "saved plan of spimpack, for spimpack package --plan"
MOST_LISTED = 20
"""Differences that are listed; the others are counted."""


class SavedPlanError(SpimpackError):
    """A saved plan cannot be used, or written; the message says why, and what to do."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """The plan that was shown, and the inputs that it came from."""

    about: str
    spimpack_tasks: str
    """Version of this program."""
    plan: str
    """Identity of the plan."""
    options: dict[str, Any]
    """Options, nothing open."""
    texts: dict[str, str]
    """Digest of manifest and tables by absolute path."""
    sources: dict[str, str]
    """Size and time of each source."""
    changes: dict[str, str]
    """Verdict on each path that is not unchanged."""

    def run_options(self) -> Options:
        """Return the options of a run; the folders that may be read are those of this process."""
        # JSON has no tuples, and options must be hashable.
        values: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in self.options.items()
        }
        return Options(**values, roots=roots_of_environment())

    def require_same(self, prepared: PreparedRun, changes: list[Change]) -> None:
        """Compare the plan with what a run would do now.

        Raises
        ------
        SavedPlanError
            Something differs; the message lists it.
        """
        now = compose_saved_plan(prepared, changes)
        found = [*self._differences(now)]
        if found:
            more = len(found) - MOST_LISTED
            lines = [*found[:MOST_LISTED], *([f"and {more:,} more"] if more > 0 else [])]
            listed = "".join(f"\n  {line}" for line in lines)
            count = count_of(len(found), "change")
            message = f"the saved plan fits no more, so nothing was done: {count} since{listed}"
            message += "\nlook at it again, and save it: spimpack plan --save"
            raise SavedPlanError(message)

    def _differences(self, now: SavedPlan) -> Iterator[str]:
        if self.spimpack_tasks != now.spimpack_tasks:
            yield f"this is spimpack_tasks {now.spimpack_tasks}; it was {self.spimpack_tasks}"
        inputs = [*_compare("edited", self.texts, now.texts)]
        inputs += _compare("changed", self.sources, now.sources)
        yield from inputs
        if self.plan != now.plan and not inputs:
            yield f"the same inputs come to the plan {now.plan}, and not {self.plan}"
        for path in sorted(self.changes.keys() | now.changes.keys()):
            before = self.changes.get(path, str(Verdict.UNCHANGED))
            verdict = now.changes.get(path, str(Verdict.UNCHANGED))
            if verdict not in {before, Verdict.UNCHANGED}:
                yield f"{path}: was {before}, and is {verdict}"


def _compare(word: str, before: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            yield f"{path}: is no input any more"
        elif path not in before:
            yield f"{path}: is a new input"
        elif before[path] != now[path]:
            yield f"{path}: was {word}"


def compose_saved_plan(prepared: PreparedRun, changes: list[Change]) -> SavedPlan:
    """Return what a run would do, and from what."""
    options = prepared.options
    of_process = {"roots", "writes", "consumers"}
    names = [field.name for field in fields(options) if field.name not in of_process]
    assets = prepared.dataset.assets if prepared.dataset else ()
    return SavedPlan(
        _ABOUT,
        __version__,
        prepared.plan_id,
        {name: getattr(options, name) for name in names},
        dict(sorted(prepared.texts.items())),
        {path: stamp for asset in assets for path, stamp in asset.sources},
        {c.path: str(c.verdict) for c in changes if c.verdict is not Verdict.UNCHANGED},
    )


def write_saved_plan(path: str, saved: SavedPlan) -> None:
    """Write a plan to a file; no other file than a saved plan is replaced.

    Raises
    ------
    SavedPlanError
        The path is not free, or would be a part of the dataset.
    """
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        message = f"there is no folder {folder}; make it, or choose another file for the plan"
        raise SavedPlanError(message)
    inner = os.path.relpath(os.path.realpath(path), os.path.realpath(saved.options["output_dir"]))
    if not inner.startswith("."):
        message = f"{path} would be a part of the dataset; choose another file for the plan"
        raise SavedPlanError(message)
    if os.path.lexists(path) and _read(path) is None:
        message = f"{path} is there already, and is no saved plan; choose another file"
        raise SavedPlanError(message)
    values = {field.name: getattr(saved, field.name) for field in fields(saved)}
    text = json.dumps(values, indent=1, ensure_ascii=False)
    with replacing(path, Durability.WHOLE) as new:
        new.file.write(f"{text}\n".encode("utf-8", "surrogateescape"))


def read_saved_plan(path: str, *, checksum: bool | None) -> SavedPlan:
    """Return a plan from a file; `checksum` is a choice of the run, which changes no output.

    Raises
    ------
    SavedPlanError
        There is none.
    """
    saved = _read(path)
    if saved is None:
        what = "is no saved plan" if os.path.lexists(path) else "does not exist"
        message = f"{path} {what}; write one with: spimpack plan --save FILE"
        raise SavedPlanError(message)
    if checksum is None:
        return saved
    return replace(saved, options=saved.options | {"checksum": checksum})


def _read(path: str) -> SavedPlan | None:
    try:
        return read_json(path, _plan_of, None)
    except OSError:  # a folder, or a file that may not be read
        return None


def _plan_of(data: dict[str, Any]) -> SavedPlan | None:
    saved = SavedPlan(**data)
    Options(**saved.options)
    return saved if saved.about == _ABOUT else None
