"""The task graph of packaging. Tasks only connect plain functions to targets.

    PackageDataset
     └ PruneStale
        ├ WriteDescription ├ WriteParticipants ├ WriteSamples ├ WriteScans
        ├ WriteReadme ├ WriteBidsIgnore
        ├ WriteSidecars(unit) x at most 64
        └ LinkAssets(unit)    x at most 64, as the backend's subclass
           all require BuildPaths, which requires ValidateManifest

Every task knows its plan by `plan_id`, which is worked out from the inputs when a task is made
without one. So other inputs make other tasks, and a task that a scheduler hands to another worker
does the same work there. While the inputs are refused there is nothing but ValidateManifest.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import luigi

from spimpack_tasks.errors import OutputError, SupersededError, count_of
from spimpack_tasks.luigi_setup import exit_with, make_log_readable
from spimpack_tasks.model.plan import BUCKETS, Step, bucket_of
from spimpack_tasks.packaging.draft import find_draft, make_draft, refused_id
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.registry import load_backend
from spimpack_tasks.state.publish import ImageMaker, prune, publish
from spimpack_tasks.state.receipts import read_all_receipts
from spimpack_tasks.state.store import Store
from spimpack_tasks.targets import (
    CurrentPlan,
    NothingStale,
    OutputsOnDisk,
    StateFile,
    WholeDataset,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.packaging.draft import Draft

logger = logging.getLogger(__name__)


class AbsolutePath(luigi.Parameter):
    """A path, made absolute, so that equal paths make equal tasks from any directory."""

    def normalize(self, x: str) -> str:
        """Return the path as an absolute one; an empty one stays empty."""
        return os.path.abspath(os.path.expanduser(str(x))) if x else ""


class DatasetTask(luigi.Task):
    """A task that works for one dataset, by one plan."""

    manifest: luigi.Parameter[str] = AbsolutePath(
        default="", description="YAML manifest that says what to package."
    )
    output_dir: luigi.Parameter[str] = AbsolutePath(
        default="", description="Directory of the BIDS dataset; made if it is not there."
    )
    backend: luigi.Parameter[str] = luigi.Parameter(
        default="symlink",
        description="How images get into the dataset: symlink, symlink-tree, hardlink or copy.",
    )
    relative_symlinks: luigi.Parameter[bool] = luigi.BoolParameter(
        description="Make relative symbolic links instead of absolute ones."
    )
    overwrite: luigi.Parameter[bool] = luigi.BoolParameter(
        description="Replace what stands in the way of an output, but never a source."
    )
    strict: luigi.Parameter[bool] = luigi.BoolParameter(description="Treat warnings as errors.")
    plan_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of the plan; worked out from the inputs if not given."
    )

    retry_count = 1

    @classmethod
    @cache
    def get_params(cls) -> list[tuple[str, Any]]:
        """Return the parameters; Luigi looks for them anew each time a task is made."""
        return list(super().get_params())

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out `plan_id` where it is not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        if not values["plan_id"]:
            make_log_readable()
            values["plan_id"] = make_draft(_options(values)).plan_id
        return list(values.items())

    @property
    def options(self) -> Options:
        """The options of the run."""
        return _options(self.param_kwargs)

    @property
    def store(self) -> Store:
        """The state directory of the output."""
        return Store(self.output_dir)

    @property
    def draft(self) -> Draft:
        """What the inputs come to."""
        return find_draft(self.options, self.plan_id)

    def matches_plan(self, output: Output, path: str) -> bool:
        """Tell whether the image at `path` is as planned."""
        return load_backend(self.backend).matches(output, path)

    def refusal(self) -> list[luigi.Task]:
        """Return the task that says why nothing may be written; nothing if all is well."""
        error = self.draft.refusal()
        if error is None:
            return []
        exit_with(error.exit_code)
        return [self.clone(ValidateManifest, plan_id=refused_id(error.report))]


@contextmanager
def disk_trouble_told() -> Iterator[None]:
    """Tell of a full, failing or read-only disk in one line."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}; run it again when that is mended"
        raise OutputError(message) from error


def _options(values: dict[str, Any]) -> Options:
    names = ("manifest", "output_dir", "backend", "relative_symlinks", "overwrite", "strict")
    return Options(**{name: values[name] for name in names})


class ValidateManifest(DatasetTask):
    """Check manifest, tables, sources and output; fail with all problems at once."""

    def output(self) -> luigi.Target:
        return StateFile(self.store, "validated", self.plan_id)

    def run(self) -> None:
        draft = make_draft(self.options)
        error = draft.refusal()
        if error is not None:
            raise error
        _refuse_other_plan(draft, self.plan_id)
        for problem in draft.report.sorted():
            logger.warning("%s", problem)
        text = json.dumps([problem.as_dict() for problem in draft.report.sorted()], indent=2)
        with disk_trouble_told():
            self.store.create()
            with self.store.workplace("validated") as place:
                place.write(f"validated/{self.plan_id}", f"{text}\n".encode())


class BuildPaths(DatasetTask):
    """Build the BIDS paths with pybids, save the plan, and make it the current one."""

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or [self.clone(ValidateManifest)]

    def output(self) -> luigi.Target:
        return CurrentPlan(self.store, self.plan_id)

    def run(self) -> None:
        draft = self.draft
        _refuse_other_plan(draft, self.plan_id)
        with disk_trouble_told():
            self.store.make_current(draft.plan())


def _refuse_other_plan(draft: Draft, plan_id: str) -> None:
    if draft.plan_id != plan_id:
        message = "superseded: the inputs were edited while this run was starting; run it again"
        raise SupersededError(message)


class WriteOutputs(DatasetTask):
    """Bring one step's outputs about; what is right already is not touched."""

    step: ClassVar[Step]

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or [self.clone(BuildPaths)]

    def output(self) -> luigi.Target:
        return OutputsOnDisk(self.store, self.plan_id, self.outputs, self.matches_plan)

    def outputs(self) -> list[Output]:
        """Return the outputs that this task brings about; the plan must have been saved."""
        plan = _plan_part(self.store.output_dir, self.plan_id, "dataset")
        return [output for output in plan.outputs if output.step is self.step]

    def run(self) -> None:
        maker = ImageMaker(self.matches_plan, load_backend(self.backend).make)
        with disk_trouble_told():
            failures = publish(
                self.store, self.plan_id, self.outputs(), maker, overwrite=self.overwrite
            )
        if failures:
            raise OutputError("\n".join(f"{f.path}: {f.reason}" for f in failures))


class WriteDescription(WriteOutputs):
    """Write dataset_description.json."""

    step = Step.DESCRIPTION


class WriteParticipants(WriteOutputs):
    """Write participants.tsv and participants.json, if there is a table of participants."""

    step = Step.PARTICIPANTS


class WriteSamples(WriteOutputs):
    """Write samples.tsv and samples.json."""

    step = Step.SAMPLES


class WriteScans(WriteOutputs):
    """Write a scans.tsv for each subject and session of which there is something to say."""

    step = Step.SCANS


class WriteReadme(WriteOutputs):
    """Write README.md and CHANGES, if the user has none."""

    step = Step.README


class WriteBidsIgnore(WriteOutputs):
    """Write our block of .bidsignore, if there is something that BIDS cannot hold."""

    step = Step.BIDSIGNORE


class AssetTask(WriteOutputs):
    """A step with an output for each asset, divided into units.

    A unit is one asset, by its key, or a bucket of assets, by two hex digits. The task without a
    unit is the whole step, and only requires its units.
    """

    unit: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Asset or bucket of assets to work on; all of them if not given."
    )

    one_task_per_asset: ClassVar[bool] = False

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or (
            [self.clone(BuildPaths)] if self.unit else list(self.units(self.draft.keys))
        )

    def units(self, keys: list[str]) -> Iterator[luigi.Task]:
        """Yield a task for each unit."""
        single = self.one_task_per_asset or len(keys) <= BUCKETS
        for unit in keys if single else sorted({bucket_of(key) for key in keys}):
            yield self.clone(unit=unit)

    def outputs(self) -> list[Output]:
        folder, plan_id, unit = self.store.output_dir, self.plan_id, self.unit
        if not unit:
            return [o for o in _whole_plan(folder, plan_id).outputs if o.step is self.step]
        is_bucket = len(unit) == len(bucket_of(unit))
        plan = _plan_part(folder, plan_id, unit if is_bucket else bucket_of(unit))
        ours = (output for output in plan.outputs if output.step is self.step)
        return [output for output in ours if is_bucket or output.asset == unit]

    def run(self) -> None:
        if self.unit:
            super().run()


class WriteSidecars(AssetTask):
    """Write the JSON sidecar of each image."""

    step = Step.SIDECARS


class LinkAssets(AssetTask):
    """Get each image into the dataset. A backend is a subclass of this task.

    A backend says how an image is made (`make`), and how to tell that what is on disk is what it
    would make (`matches`). It does not own names, receipts, replacing or removing: those are the
    same for all. `make` gets a path that is free, on the disk of the output, and may be
    interrupted anywhere: what it leaves there is thrown away.
    """

    step = Step.ASSETS
    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    """Raise it when the backend makes something else from the same source."""
    makes_symlinks: ClassVar[bool] = False
    same_disk: ClassVar[bool] = False
    """Whether sources must lie on the disk of the output."""
    impossible_on: ClassVar[frozenset[str]] = frozenset()
    """Types of file systems on which the backend cannot work."""

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Let a backend that is run by its own name be the backend of the run."""
        if cls.name:
            kwargs = {**kwargs, "backend": cls.name}
        return super().get_param_values(params, args, kwargs)

    @classmethod
    def describe_target(cls, source: str, relative_to: str | None) -> str:
        """Return what `make` needs to know besides the source.

        Parameters
        ----------
        source
            Absolute path of the source.
        relative_to
            Absolute folder of the image, where relative links are wanted.
        """
        del source, relative_to
        return ""

    @classmethod
    def make(cls, output: Output, path: str) -> None:
        """Make the image of `output` at `path`, which is free."""
        raise NotImplementedError

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether `path`, which exists, is what `make` would make."""
        raise NotImplementedError

    def units(self, keys: list[str]) -> Iterator[luigi.Task]:
        """Yield a task of the chosen backend for each unit."""
        backend = load_backend(self.backend)
        if type(self) is backend:
            yield from super().units(keys)
        else:
            yield from self.clone(backend).units(keys)


class PruneStale(DatasetTask):
    """Remove what earlier runs wrote and the plan no longer has."""

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or list(self.steps())

    def steps(self) -> Iterator[luigi.Task]:
        """Yield the tasks that write, each unit on its own."""
        for step in DATASET_STEPS:
            yield self.clone(step)
        keys = self.draft.keys
        yield from self.clone(WriteSidecars).units(keys)
        yield from self.clone(LinkAssets).units(keys)

    def output(self) -> luigi.Target:
        return NothingStale(self.store, self.plan_id, self.stale)

    def stale(self) -> Iterator[str]:
        """Yield the paths on record that the plan does not have."""
        planned = self._planned()
        for receipts in read_all_receipts(self.store).values():
            yield from (path for path in receipts if path not in planned)

    def run(self) -> None:
        with disk_trouble_told():
            left = prune(self.store, self.plan_id, self._planned())
        for path in left:
            message = "%s is no longer in the tables, but was changed: it is left, and is yours now"
            logger.warning(message, path)

    def _planned(self) -> set[str]:
        return {o.path for o in _whole_plan(self.store.output_dir, self.plan_id).outputs}


class PackageDataset(DatasetTask):
    """Package the images of a manifest into a BIDS dataset."""

    def requires(self) -> list[luigi.Task]:
        prune_stale = self.clone(PruneStale)
        return self.refusal() or [*prune_stale.steps(), prune_stale]

    def output(self) -> luigi.Target:
        return WholeDataset(self.store, self.plan_id, self._plan, self.matches_plan)

    def run(self) -> None:
        plan = self._plan()
        logger.info("%s in %s", count_of(plan.asset_count, "image"), self.output_dir)

    def _plan(self) -> Plan:
        return _whole_plan(self.store.output_dir, self.plan_id)


DATASET_STEPS = (
    WriteDescription,
    WriteParticipants,
    WriteSamples,
    WriteScans,
    WriteReadme,
    WriteBidsIgnore,
)


@lru_cache(maxsize=4 * BUCKETS)
def _plan_part(output_dir: str, plan_id: str, part: str) -> Plan:
    """Return a part of a saved plan; a plan never changes, so it may be kept."""
    return Store(output_dir).load_plan(plan_id, part)


@lru_cache(maxsize=2)
def _whole_plan(output_dir: str, plan_id: str) -> Plan:
    return Store(output_dir).load_plan(plan_id)
