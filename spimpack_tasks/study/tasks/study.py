"""The tasks of a study: one for each thing that a stage makes, and one for all of them.

They do nothing themselves but to ask for the tasks of the stages, as soon as what these are made of
is there. So a worker that shares a run meets the same tasks of the stages, and takes some of them.
"""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

import luigi

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import CheckedTask, at_end_of_run, has_local_scheduler
from spimpack_tasks.luigi_setup import AbsolutePath, reporting_disk_errors
from spimpack_tasks.manifest.products import PRODUCTS
from spimpack_tasks.state.processes import identify_process
from spimpack_tasks.study.tasks.memory import MEMORY
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.study.study import Study, StudyItem

_identify_study = Deferred("spimpack_tasks.study.reading:identify_study")
_find_study = Deferred("spimpack_tasks.study.reading:find_study")
_item = Deferred("spimpack_tasks.study.study:StudyItem")
_choose_items = Deferred("spimpack_tasks.study.choosing:choose_items")
_with_needed = Deferred("spimpack_tasks.study.order:with_needed")
_items_before = Deferred("spimpack_tasks.study.order:items_before")
_make_tasks = Deferred("spimpack_tasks.study.tasks.inner:make_tasks")
_is_made = Deferred("spimpack_tasks.study.tasks.inner:is_made")
_join_run = Deferred("spimpack_tasks.study.joint_run:join_run")
_leave_run = Deferred("spimpack_tasks.study.joint_run:leave_run")
_has_page = Deferred("spimpack_tasks.study.page_file:has_page")
_require_start = Deferred("spimpack_tasks.study.starting:require_start")
_claim = Deferred("spimpack_tasks.study.ownership:claim")
_note_made = Deferred("spimpack_tasks.study.ownership:note_made")
_identify_inputs = Deferred("spimpack_tasks.study.tasks.inner:identify_inputs")
_require_own = Deferred("spimpack_tasks.study.ownership:require_own")
_require_place = Deferred("spimpack_tasks.study.page_file:require_place")
_write_page = Deferred("spimpack_tasks.study.page_file:write_page")
_note = Deferred("spimpack_tasks.study.log:note")
_PAGE_STAGE = "report"


class StudyTask(CheckedTask):
    """A task of a study."""

    study: luigi.Parameter[str] = AbsolutePath(description="The study, a YAML file.")
    study_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Digest of the study; worked out if not given."
    )
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identifies this run among others; chosen if not given."
    )

    # A second attempt would fail in the same way.
    retry_count = 1

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out `study_id` and `run_id` where they are not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        values["study_id"] = values["study_id"] or _identify_study(values["study"])
        if not values["run_id"]:
            values["run_id"] = identify_process()
            at_end_of_run(lambda: cls(**values).verdict())
        return list(values.items())

    @property
    def read(self) -> Study:
        """The study as it was when the task was made.

        Raises
        ------
        InputError
            It is wrong.
        SupersededError
            It was edited since, and this process has not read it before.
        """
        study: Study = _find_study(self.study, self.study_id)
        return study

    @property
    def is_refused(self) -> bool:
        """Whether the study is wrong."""
        try:
            _ = self.read
        except SpimpackError:
            return True
        return False

    def item_task(self, item: StudyItem) -> MakeItem:
        """Return the task that makes an item."""
        return MakeItem(
            study=self.study,
            study_id=self.study_id,
            stage=item.stage,
            item=item.name,
            run_id=self.run_id,
        )


class MakeItem(StudyTask):
    """Make one thing of a study, by the tasks of its stage."""

    stage: luigi.Parameter[str] = luigi.Parameter(description="Name of the stage.")
    item: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Name of the item; empty of a stage that makes one thing."
    )

    @property
    def named(self) -> StudyItem:
        """The item."""
        item: StudyItem = _item(self.stage, self.item)
        return item

    def requires(self) -> list[luigi.Task]:
        if self.is_refused:
            return []
        return [self.item_task(item) for item in _items_before(self.read, self.named)]

    def output(self) -> luigi.Target:
        return MadeByStep(self.is_there)

    def is_there(self) -> bool:
        """Tell whether the item is there, and all that it is made of."""
        if self.is_refused:
            return False
        return MEMORY.ask(self.task_id, lambda: self.are_there_before() and self.is_made())

    def are_there_before(self) -> bool:
        """Tell whether all is there that the item is made of."""
        return all(self.item_task(item).is_there() for item in _items_before(self.read, self.named))

    def is_made(self) -> bool:
        """Tell whether the item itself is as its stage wants it now."""
        if self.stage == _PAGE_STAGE:
            return bool(_has_page(self.read))
        return bool(_is_made(self.read, self.named))

    def run(self) -> Iterator[luigi.Task]:
        """Ask for the tasks of the stage, one behind the other."""
        study, item = self.read, self.named
        began = time.time()
        if self.stage == _PAGE_STAGE:
            with reporting_disk_errors():
                _write_page(study)
            return
        _note(study, item, "began", began)
        if item.stage in PRODUCTS:
            with reporting_disk_errors():
                os.makedirs(os.path.dirname(study.product(item)), exist_ok=True)
                _claim(study, item)
        yield from _make_tasks(study, item)
        if item.stage in PRODUCTS:
            with reporting_disk_errors():
                _note_made(study, item, _identify_inputs(study, item))
        _note(study, item, "ended", time.time())

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the item asks for, `None` if it is open."""
        try:
            if self.is_there():
                return ExitCode.OK
            return self._judge_missing() if self.are_there_before() else None
        except SpimpackError as error:
            return error.exit_code
        except OSError:
            return ExitCode.FAILED

    def _judge_missing(self) -> ExitCode | None:
        """Return the exit code of an item that could be made, and is not there.

        Raises
        ------
        SpimpackError
            Something else is at its place.
        """
        study = self.read
        if self.stage == _PAGE_STAGE:
            _require_place(study)
            return None
        if self.stage in PRODUCTS:
            _require_own(study, self.named)
        codes = [task.verdict() for task in _make_tasks(study, self.named)]
        known = [code for code in codes if code is not None and code is not ExitCode.OK]
        return max(known, default=None)


class ProcessStudy(StudyTask):
    """Make all that a study asks for, from tiles to a published dataset and its page."""

    only: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Names of stages, separated by commas: make what these make alone."
    )
    until: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Name of the last stage that is wanted."
    )

    @cached_property
    def items(self) -> list[StudyItem]:
        """The items that are wanted.

        Raises
        ------
        SpimpackError
            The study or its manifest is wrong, or it has no such stage.
        """
        chosen: list[StudyItem] = _choose_items(self.read, self.only, self.until)
        # Rather now than when all volumes are stitched.
        _require_start(self.read, chosen)
        return chosen

    def requires(self) -> list[luigi.Task]:
        try:
            items = self.items
        except SpimpackError:
            return []  # run() tells it
        return [] if self.is_kept_off else [self.item_task(item) for item in items]

    def output(self) -> luigi.Target:
        return MadeByStep(self.are_there)

    def are_there(self) -> bool:
        """Tell whether all is there that is wanted."""
        return all(self.item_task(item).is_there() for item in self.items)

    @cached_property
    def is_kept_off(self) -> SpimpackError | None:
        """Why this run must not work at the study: another one does."""
        is_alone = has_local_scheduler()
        if is_alone is None:
            return None  # a program that runs our tasks knows its runs
        try:
            _join_run(self.read, is_alone=is_alone)
        except SpimpackError as error:
            return error
        at_end_of_run(self._leave)
        return None

    def _leave(self) -> ExitCode:
        """Let other runs work at the study; this alone tells nothing bad."""
        _leave_run(self.read)
        return ExitCode.OK

    def run(self) -> None:
        """Tell what is wrong with the study, if anything is."""
        _ = self.items
        if self.is_kept_off is not None:
            raise self.is_kept_off

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the study asks for, `None` if it is open."""
        kept_off = self.__dict__.get("is_kept_off")
        if kept_off is not None:
            return ExitCode(kept_off.exit_code)
        try:
            needed = _with_needed(self.read, self.items)
            codes = [self.item_task(item).verdict() for item in needed]
        except SpimpackError as error:
            return error.exit_code
        known = [code for code in codes if code is not None]
        if len(known) == len(codes):
            return max(known, default=ExitCode.OK)
        worst = max(known, default=ExitCode.OK)
        return None if worst is ExitCode.OK else worst
