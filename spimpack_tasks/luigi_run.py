"""Integrates this package's tasks into a Luigi run, our own or another package's.

Importing the package changes nothing in Luigi. The first of our tasks that a run of the `luigi`
command creates joins the run: the exit code then reports the result of our datasets more exactly.
Options that the user left open (level of the log, folder of the lock) are chosen only where the
command names one of our tasks, and only in the arguments of that command. Nothing is written to
`luigi.configuration`, and no setting of the user's is changed.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any, ClassVar

import luigi
import luigi.configuration
import luigi.interface
import luigi.retcodes
from luigi.cmdline_parser import CmdlineParser
from luigi.rpc import RPCError
from luigi.scheduler import Scheduler
from luigi.task_register import Register
from luigi.worker import Worker

from spimpack_tasks.errors import ExitCode, SpimpackError, SupersededError
from spimpack_tasks.interrupts import end_workers_quietly, quiet_workers, say_interrupted
from spimpack_tasks.luigi_log import OVERTAKEN, Extent, make_log_readable
from spimpack_tasks.state.garbage import collect_rarely
from spimpack_tasks.state.processes import identify_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

logger = logging.getLogger("luigi-interface")

CODES = {
    "already_running": ExitCode.NOT_RUN,
    "missing_data": ExitCode.BAD_INPUT,
    "not_run": ExitCode.NOT_RUN,
    "scheduling_error": ExitCode.INTERNAL,
    "task_failed": ExitCode.FAILED,
    "unhandled_exception": ExitCode.INTERNAL,
}
"""Luigi's exit codes, for a run with tasks of ours in it, where the user has not chosen one."""

_TASKS_BEHIND = {
    "already_running": "run_by_other_worker",
    "missing_data": "still_pending_ext",
    "not_run": "not_run",
    "scheduling_error": "scheduling_error",
    "task_failed": "failed",
}
"""Set of Luigi's summary by the exit code that reports it."""

OBEYED_OPTIONS = frozenset(
    {f"rpc_{name}" for name in ("connect_timeout", "log_retries", "retry_attempts", "retry_wait")}
    | {f"default_scheduler_{name}" for name in ("host", "port", "url")}
)
"""Options of `[core]` that Luigi obeys, but of which it would warn that it does not know them. The
warning shows the value, which may be an address with a password."""

REFUSED = "refused"
"""Identity of a task whose inputs are wrong."""
_JOINED = "spimpack_tasks_joined"


class CheckedTask(luigi.Task):
    """A task that joins the run it is made in, and has failed if it ran but left its output undone.

    Luigi checks that for all tasks or for none (`check_complete_on_run`), so ours do it themselves.
    """

    was_complete = False
    """Whether the output was right when it was looked at last."""
    has_looked = False
    """Whether the last thing that `run` did was to find the output right."""

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Join the run: Luigi asks for the values each time that a task is wanted."""
        join_run()
        values: list[tuple[str, Any]] = super().get_param_values(params, args, kwargs)
        return values

    def complete(self) -> bool:
        """Tell whether the outputs are as planned, and remember the answer."""
        self.was_complete = bool(super().complete())
        return self.was_complete

    def import_libraries(self) -> None:
        """Import what `run` works with and what takes long to import; nothing as a rule."""

    def process_resources(self) -> dict[str, int]:
        """Return what the task asks of the scheduler, and import what it will work with.

        Luigi asks in the process that forks one for each task. A forked process need not import
        again what is imported there.
        """
        if not self.was_complete:
            self.import_libraries()
        resources: dict[str, int] = super().process_resources()
        return resources

    def on_success(self) -> Any:
        """Fail unless the output is right."""
        # Another package's `run` may have done more after ours had looked.
        is_known = self.has_looked and _is_of_ours(type(self).run)
        if not is_known and not self.complete():
            raise SupersededError(OVERTAKEN)
        self.was_complete, self.has_looked = True, False
        return super().on_success()

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the output asks for, `None` if it is open."""
        return ExitCode.OK if self.complete() else None


class IdentifiedTask(CheckedTask):
    """A task with a parameter for what it is known by, which is worked out where it is not given.

    A central scheduler does not repeat what it knows as failed. So the task has another identity
    when its inputs or choices have changed, or in each run, where no task can see that.
    """

    identity: ClassVar[str] = "inputs_id"
    """Name of the parameter."""
    # A second attempt would fail in the same way.
    retry_count = 1

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out the identity where it is not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        if not values[cls.identity]:
            try:
                values[cls.identity] = cls.identify(values, kwargs)
            except (SpimpackError, OSError):
                values[cls.identity] = REFUSED
            at_end_of_run(lambda: cls(**values).verdict())
        return list(values.items())

    @classmethod
    def identify(cls, _values: dict[str, Any], _given: Mapping[str, Any]) -> str:
        """Return the identity of a task; that of the run if a subclass knows none.

        Parameters
        ----------
        _values
            The values of all parameters; those that nobody has given may be filled in.
        _given
            Those that the task was made with.

        Raises
        ------
        SpimpackError, OSError
            Its inputs are refused.
        """
        return identify_process()


class ExactCodes(luigi.retcodes.retcode):
    """Luigi's exit codes, refined by the state of our tasks' outputs.

    Luigi knows one code for all failed tasks, and a worker that shares a run with others counts
    the tasks it did not do itself as not done. It asks for the codes when the run has ended, and
    exits with the highest that applies.
    """

    task_namespace = "spimpack"
    call: FrameType | None = None
    """The call of Luigi that these codes are for."""
    chosen: frozenset[str] = frozenset()
    """Codes that the user has chosen."""
    own_run = False
    """Whether the run is of this package's tasks alone."""
    at_end: ClassVar[list[Callable[[], ExitCode | None]]] = []
    """Functions to call once for each dataset or page after the run; each returns an exit code."""
    verdicts: ClassVar[list[ExitCode | None]] = []
    said = False
    """Whether the log has explained why tasks were not run."""

    def __getattribute__(self, name: str) -> Any:
        """Return the exact code in place of one that the user has not chosen."""
        code = super().__getattribute__(name)
        if name not in CODES or name in self.chosen or self.call is not _find_call():
            return code
        while self.at_end:
            self.verdicts.append(self.at_end.pop()())
        if self.call is None or "task_sets" not in self.call.f_locals:
            return _code_without_summary(name, self.verdicts) if self.own_run else code
        sets = self.call.f_locals["task_sets"]
        tasks = sets[_TASKS_BEHIND[name]] if name in _TASKS_BEHIND else set()
        if name != "not_run":
            return max((_code_of(task, name, CODES[name]) for task in tasks), default=code)
        root = self.call.f_locals["root_task"]
        if root not in sets["completed"] | sets["already_done"]:
            # Luigi asks for this code where no other one speaks of the root.
            tasks = tasks | {root}
        # Tasks that were not run because a requirement failed have no code of their own.
        reasons = (getattr(self, n) for n, s in _TASKS_BEHIND.items() if n != name and sets[s])
        known = max(reasons, default=0)
        code = max((_code_of(task, name, known or CODES[name]) for task in tasks), default=known)
        if self.own_run and code == ExitCode.NOT_RUN and not self.said:
            self.said = True
            logger.warning("%s", _left_to_others())
        return code


def _left_to_others() -> str:
    """Return why a scheduler may keep work from us, and for how long."""
    silent = float(_configured("scheduler", "worker_disconnect_delay") or 60)
    # By default luigid looks for dead workers once a minute.
    looks = 0 if _configured("scheduler", "prune_on_get_work") else 60
    return (
        "not all was run: luigid leaves it to another worker. If that one has died, luigid knows "
        f"it after {silent + looks:.0f} seconds at most, and a run after that does the rest; "
        "spimpack package does it now, without luigid"
    )


def _find_call() -> FrameType | None:
    """Return the stack frame of the running `luigi` command, if there is one.

    Only this frame holds the exit codes and the tasks by their result; Luigi passes them nowhere.
    """
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # there is no other way to them
    while frame is not None and frame.f_code is not luigi.retcodes.run_with_retcodes.__code__:
        frame = frame.f_back
    return frame


def _code_of(task: luigi.Task, name: str, code: int) -> int:
    """Return the exit code for a task that Luigi counts under `name`, given the one for others'."""
    if not isinstance(task, CheckedTask) or name == "scheduling_error":
        return int(code)
    try:
        verdict = task.verdict()
    except OSError:
        verdict = None
    # Another package's `run` or `on_success` may do more than we can check.
    work = (type(task).run, type(task).on_success)
    is_checked = name != "task_failed" or all(map(_is_of_ours, work))
    return int(code if verdict is None or (verdict is ExitCode.OK and not is_checked) else verdict)


def _code_without_summary(name: str, verdicts: Iterable[ExitCode | None]) -> int:
    """Return the exit code of a run of ours that Luigi refused, or that broke off."""
    if name == "unhandled_exception" and not isinstance(sys.exception(), RPCError):
        return int(CODES[name])
    found = [*verdicts]
    worst = max((verdict for verdict in found if verdict is not None), default=ExitCode.OK)
    # An open item was not run, however much else is there.
    return int(ExitCode.NOT_RUN if worst is ExitCode.OK and (None in found or not found) else worst)


def _is_of_ours(thing: Any) -> bool:
    """Tell whether a class or function is defined in this package."""
    return str(getattr(thing, "__module__", "")).partition(".")[0] == __package__


def join_run() -> None:
    """Join the running `luigi` command, if there is one."""
    parser = CmdlineParser.get_instance()
    if parser is None:
        make_log_readable(Extent(tracebacks=_configured("core", "log_level") == "DEBUG"))
        return
    arguments = parser.known_args
    if hasattr(arguments, _JOINED):
        return
    setattr(arguments, _JOINED, True)
    own_run = is_own_run()
    level = arguments.core_log_level or _configured("core", "log_level")
    make_log_readable(Extent(own_run, tracebacks=level == "DEBUG"))
    call = _find_call()
    if call is not None:
        # Luigi has made the object before it makes the first task, and keeps it.
        codes = call.f_locals["retcodes"]
        codes.__class__ = ExactCodes
        codes.call, codes.own_run = call, own_run
        codes.chosen = frozenset(name for name in CODES if _is_chosen("retcode", name, arguments))
        codes.said = False
        codes.at_end.clear()
        codes.verdicts.clear()
    if own_run:
        _choose_what_is_open(arguments)
        collect_rarely()
        end_workers_quietly()
        say_interrupted()


def is_own_run() -> bool:
    """Tell whether the running command names a task of this package."""
    parser = CmdlineParser.get_instance()
    if parser is None:
        return False
    root = Register.get_task_cls(parser.known_args.root_task)
    return issubclass(root, CheckedTask) and _is_of_ours(root)


def has_local_scheduler() -> bool | None:
    """Tell whether the running `luigi` command has a scheduler of its own; `None` without one."""
    if CmdlineParser.get_instance() is None:
        return None
    return bool(luigi.interface.core().local_scheduler)


def at_end_of_run(end: Callable[[], ExitCode | None]) -> None:
    """Have something done when the run of the `luigi` command has ended."""
    if CmdlineParser.get_instance() is not None:
        ExactCodes.at_end.append(end)


def _choose_what_is_open(arguments: Any) -> None:
    """Set the options that the user left open for a run of our tasks, as if on the command line."""
    _obey_options()
    options = {
        ("core", "log_level"): "INFO",
        # Each task checks its own outputs, and the last one checks all. Checking the requirements
        # before each task makes a fresh run of 10,000 images take a fifth longer.
        ("worker", "check_unfulfilled_deps"): "false",
    }
    if not _is_chosen("core", "no_lock", arguments):
        # Luigi's own folder belongs to the first user of the machine who ran it.
        folder = os.path.join(tempfile.gettempdir(), f"luigi-{os.getuid()}")
        if _can_use(folder):
            options["core", "lock_pid_dir"] = folder
        else:
            options["core", "no_lock"] = "true"
    for (section, name), value in options.items():
        if not _is_chosen(section, name, arguments):
            setattr(arguments, f"{section}_{name}", value)


class LightWorkers:
    """Makes the scheduler and the worker of a run of our tasks, for `luigi.build`."""

    def create_local_scheduler(self) -> Scheduler:
        """Return a scheduler in this process, as Luigi makes it."""
        return Scheduler(prune_on_get_work=True, record_task_history=False)

    def create_worker(
        self, scheduler: Scheduler, worker_processes: int, *, assistant: bool = False
    ) -> Worker:
        """Return a worker that does not check requirements again; our tasks check their own."""
        return Worker(
            scheduler=scheduler,
            worker_processes=worker_processes,
            assistant=assistant,
            check_unfulfilled_deps=False,
        )


def build_alone(task: CheckedTask, workers: int) -> None:
    """Run one of our tasks, and its requirements, with a scheduler of its own."""
    _obey_options()
    with quiet_workers():
        luigi.build(
            [task],
            worker_scheduler_factory=LightWorkers(),
            local_scheduler=True,
            workers=workers,
            no_lock=True,
            log_level="ERROR",
        )


def _obey_options() -> None:
    """Let Luigi say nothing of options that it does obey."""
    luigi.interface.core.ignore_unconsumed |= OBEYED_OPTIONS


def _can_use(folder: str) -> bool:
    """Tell whether a folder is this user's, or can be made."""
    try:
        status = os.lstat(folder)
    except OSError:
        return os.access(os.path.dirname(folder), os.W_OK | os.X_OK)
    return os.path.isdir(folder) and status.st_uid == os.getuid() and os.access(folder, os.W_OK)


def _is_chosen(section: str, name: str, arguments: Any) -> bool:
    """Tell whether the user has chosen an option, on the command line or by configuration."""
    given = getattr(arguments, f"{section}_{name}", None)
    return bool(given) or _configured(section, name) is not None


def _configured(section: str, name: str) -> str | None:
    """Return the value of an option in the user's configuration."""
    config = luigi.configuration.get_config()
    spellings = (name, name.replace("_", "-"))
    found = next((each for each in spellings if config.has_option(section, each)), None)
    return None if found is None else str(config.get(section, found))
