"""The tasks that come first: is the request good, and what is the plan."""

from __future__ import annotations

import json
import logging
from dataclasses import fields, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import luigi

from spimpack_tasks.errors import ExitCode, InputError, Report, SupersededError, count_of
from spimpack_tasks.luigi_run import CheckedTask, at_end_of_run, is_own_run
from spimpack_tasks.luigi_setup import AbsolutePath, reporting_disk_errors
from spimpack_tasks.manifest.headers import HEADERS_FILE
from spimpack_tasks.model.plan import MANIFEST_FILE, is_refused, refused_id
from spimpack_tasks.packaging.backends.registry import backend_names, require_choice
from spimpack_tasks.packaging.companions import matches_output
from spimpack_tasks.packaging.losses import manifest_text
from spimpack_tasks.packaging.options import Options, flag_help
from spimpack_tasks.packaging.paths import PATHS_FILE
from spimpack_tasks.packaging.prepare import find_prepared_run, prepare_run
from spimpack_tasks.packaging.resolved_options import OPTIONS_FILE, options_text
from spimpack_tasks.packaging.tasks.recording import record_run
from spimpack_tasks.packaging.up_to_date import find_snapshot
from spimpack_tasks.state.runs import TaskWork, end_run
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.staging import remove_unfinished
from spimpack_tasks.state.store import Store
from spimpack_tasks.targets import CurrentPlan, StateFile
from spimpack_tasks.version import PROJECT_URL

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.packaging.prepared_run import PreparedRun

WARNINGS_SHOWN = 5
"""So many leave room for Luigi's summary on one screen."""

MISSING = frozenset({"file.missing", "source.missing"})
MADE_LATER = (
    "or, where another task makes it, yield PackageDataset in run() "
    f"({PROJECT_URL}, page 'Package in your own flow')"
)

logger = logging.getLogger(__name__)


class BackendChoice(luigi.Parameter):
    """The name of a backend and its settings; the help lists those that are installed."""

    @property
    def description(self) -> str:
        """The text of `--help`; finding the backends takes time, so it is not done before."""
        *names, last = backend_names()
        return (
            f"How images get into the dataset: {', '.join(names)} or {last}; settings stand "
            "behind, as in ome-zarr:codec=blosc."
        )

    @description.setter
    def description(self, text: str | None) -> None:
        """Take what Luigi sets, which is nothing."""


class OpenFlag(luigi.OptionalBoolParameter):
    """An option that is on (`--strict`), off (`--strict false`), or left to the manifest."""

    parsing = luigi.BoolParameter.EXPLICIT_PARSING


class DatasetTask(CheckedTask):
    """A task that works for one dataset, by one plan.

    Options that are left open are resolved when it is made, so a task and its clones know them all.
    """

    manifest: luigi.Parameter[str] = AbsolutePath(
        default="", description="YAML manifest that says what to package."
    )
    output_dir: luigi.Parameter[str] = AbsolutePath(
        default="", description="Directory of the BIDS dataset; made if it is not there."
    )
    backend: luigi.Parameter[str] = BackendChoice(default="")
    relative_symlinks: luigi.Parameter[bool | None] = OpenFlag(
        default=None, description=flag_help("relative_symlinks")
    )
    keep_source_links: luigi.Parameter[bool | None] = OpenFlag(
        default=None, description=flag_help("keep_source_links")
    )
    previews: luigi.Parameter[bool | None] = OpenFlag(
        default=None, description=flag_help("previews")
    )
    overwrite: luigi.Parameter[bool] = luigi.BoolParameter(description=flag_help("overwrite"))
    replace: luigi.Parameter[bool] = luigi.BoolParameter(description=flag_help("replace"))
    strict: luigi.Parameter[bool | None] = OpenFlag(default=None, description=flag_help("strict"))
    subjects: luigi.Parameter[tuple[str, ...]] = luigi.ListParameter(
        default=(), description='Package these subjects now, as in \'["01", "02"]\'; others wait.'
    )
    images: luigi.Parameter[tuple[str, ...]] = luigi.ListParameter(
        default=(), description="Package these images now; others wait."
    )
    plan_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of the plan; worked out from the inputs if not given."
    )

    @property
    def retry_count(self) -> int:
        """How often a task may fail, or lose its worker, until a scheduler gives it up.

        Inputs that are refused now are refused a minute later.
        """
        return 1 if is_refused(self.plan_id) else 3

    @classmethod
    @cache
    def get_params(cls) -> list[tuple[str, Any]]:
        """Return the parameters; Luigi looks for them again each time a task is made."""
        return list(super().get_params())

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out `plan_id` where it is not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        if not values["plan_id"]:
            resolved, plan_id = cls._work_out(_options(values))
            chosen = resolved.parameters() | {"plan_id": plan_id}
            values |= {name: value for name, value in chosen.items() if name in values}
            record_run(DatasetTask, values["output_dir"])
            at_end_of_run(lambda: cls(**values).end())
        return list(values.items())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Luigi asks for the values twice: to look the task up, and to make it. The inputs may have
        # changed in between, but a task must be what it is looked up by.
        SESSION.is_making_task = True
        try:
            super().__init__(*args, **kwargs)
        finally:
            SESSION.is_making_task = False

    @classmethod
    def _work_out(cls, options: Options) -> tuple[Options, str]:
        """Return the options of which nothing is open, and the identity of their plan."""
        if not SESSION.is_making_task or options not in SESSION.plan_ids:
            SESSION.found_wrong.clear()
            found = find_snapshot(options)
            if found is not None:
                resolved, plan_id = found[0], found[1].plan_id
                SESSION.found_wrong[Store(options.output_dir).root, plan_id] = frozenset()
            else:
                draft = _make_sound_draft(options)
                resolved, plan_id = draft.resolve(options), draft.plan_id
            SESSION.plan_ids.clear()
            SESSION.plan_ids[options] = resolved, plan_id
        worked_out: tuple[Options, str] = SESSION.plan_ids[options]
        return worked_out

    @property
    def options(self) -> Options:
        """The options of the run."""
        return _options(self.param_kwargs)

    @property
    def store(self) -> Store:
        """The state directory of the output."""
        return Store(self.output_dir)

    @cached_property
    def work(self) -> TaskWork:
        """Counts of the finished work of this task in this process, for the log of the run."""
        return TaskWork()

    @property
    def prepared(self) -> PreparedRun:
        """The result of reading the inputs."""
        return find_prepared_run(self.options, self.plan_id)

    @property
    def choice(self) -> Choice:
        """The backend of the run, and its settings."""
        return require_choice(self.backend)

    def matches_plan(self, output: Output, path: str) -> bool:
        """Tell whether `path` is as planned; a backend with a bug finds nothing right."""
        return matches_output(self.prepared.choice or self.choice, self.output_dir, output, path)

    def image_count(self) -> int:
        """Return how many images the task is about; 0 where it is about the dataset as a whole."""
        return 0

    def refusal(self) -> list[luigi.Task]:
        """Return the task that says why nothing may be written; nothing if all is well."""
        error = self.prepared.refusal()
        if error is None:
            return []
        # Luigi asks again at the end of a run, to say what failed because of what.
        plan_id = self.plan_id if is_refused(self.plan_id) else refused_id(error.report)
        return [self.clone(ValidateManifest, plan_id=plan_id)]

    def was_right(self, *parts: str) -> bool:
        """Tell whether parts were right when this run looked at them, before its first task began.

        Only in a run of our tasks alone: in another flow, anything may have happened since.
        """
        wrong = SESSION.found_wrong.get((self.store.root, self.plan_id))
        is_known = wrong is not None and not wrong.intersection(parts)
        return is_known and (SESSION.is_alone or is_own_run())

    def end(self) -> ExitCode | None:
        """Note that the run has ended, and return its verdict."""
        SESSION.found_wrong.clear()
        code = self.verdict()
        end_run(self.store, is_complete=code is ExitCode.OK)
        return code

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the state of the dataset asks for, `None` if it is open."""
        if self.was_complete or self.complete():
            return ExitCode.OK
        error = self.prepared.refusal()
        if error is not None:
            return error.exit_code
        if is_refused(self.plan_id):
            return ExitCode.BAD_INPUT  # and mended since
        # A run that failed early has left the plan of the run before it as the current one.
        is_other = self.store.current_plan_id() not in {"", self.plan_id}
        superseded = is_other and self.store.current_since() != self.prepared.current_before
        return ExitCode.SUPERSEDED if superseded else None


def _make_sound_draft(options: Options) -> PreparedRun:
    """Return what the inputs come to; a saved plan of them that is damaged is forgotten."""
    prepared = prepare_run(options)
    prepared.store.forget_damaged_plan(prepared.plan_id)
    return prepared


def _options(values: dict[str, Any]) -> Options:
    names = (each.name for each in fields(Options) if each.name in values)
    return Options(**{name: values[name] for name in names})


class ValidateManifest(DatasetTask):
    """Check manifest, tables, sources and output; fail with all problems at once."""

    def output(self) -> luigi.Target:
        return StateFile(self.store, "validated", self.plan_id)

    def run(self) -> None:
        prepared = self.prepared
        error = prepared.refusal()
        if error is not None:
            raise error if is_own_run() else _hint_at_flow(error)
        _refuse_other_plan(prepared, self.plan_id)
        problems = prepared.report.sorted()
        *lines, _ = prepared.report.lines()
        for line in lines[:WARNINGS_SHOWN]:
            logger.warning("%s", line)
        if len(lines) > WARNINGS_SHOWN:
            more = count_of(len(lines) - WARNINGS_SHOWN, "more line")
            logger.warning("... and %s; spimpack validate shows all", more)
        text = json.dumps([problem.as_dict() for problem in problems], indent=2)
        with reporting_disk_errors():
            self.store.create()
            with self.store.scratch_folder("validated") as place:
                if prepared.headers:
                    place.write(HEADERS_FILE, prepared.headers.encode())
                place.write(f"validated/{self.plan_id}", f"{text}\n".encode())
        prepared.headers = ""  # of a hundred thousand images they are long


def _hint_at_flow(error: InputError) -> InputError:
    """Return a refusal that says how to package what another task makes."""
    problems = [
        replace(p, hint=f"{p.hint}; {MADE_LATER}") if p.code in MISSING else p
        for p in error.report.problems
    ]
    return type(error)(Report(problems, error.report.made_ns))


class BuildPaths(DatasetTask):
    """Build the BIDS paths with pybids, save the plan, and make it the current one."""

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or [self.clone(ValidateManifest)]

    def output(self) -> luigi.Target:
        return CurrentPlan(self.store, self.plan_id)

    def run(self) -> None:
        prepared = self.prepared
        _refuse_other_plan(prepared, self.plan_id)
        with reporting_disk_errors():
            plan = prepared.plan()
            notes = {
                PATHS_FILE: prepared.paths.text(),
                MANIFEST_FILE: manifest_text(self.options),
                OPTIONS_FILE: options_text(self.options),
            }
            self.store.make_current(plan, notes)
            remove_unfinished(self.store, self.plan_id, wanted=plan)
        prepared.forget_before()  # of a hundred thousand images it is long


def _refuse_other_plan(prepared: PreparedRun, plan_id: str) -> None:
    if prepared.plan_id != plan_id:
        message = "superseded: the inputs were edited while this run was starting; run it again"
        raise SupersededError(message)
