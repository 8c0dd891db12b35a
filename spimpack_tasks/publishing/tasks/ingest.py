"""The tasks of an ingest into the DANDI archive."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import lru_cache
from typing import Any

import luigi

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.luigi_setup import AbsolutePath
from spimpack_tasks.publishing.objects import TEXTS, units_of
from spimpack_tasks.publishing.portals.dandi import (
    bring_unit,
    describe_dandiset,
    end_ingest,
    open_ingest,
    prune_assets,
    register_assets,
    unit_record,
)
from spimpack_tasks.publishing.portals.dandi_look import Action
from spimpack_tasks.publishing.portals.dandi_target import INSTANCE, DandiTarget
from spimpack_tasks.publishing.tasks.step import StepRecord, StepTask
from spimpack_tasks.state.work_notes import Worker

logger = logging.getLogger(__name__)


@lru_cache(2)
def _units(target: DandiTarget, run_id: str) -> tuple[str, ...]:  # noqa: ARG001  # part of the key
    """Return the units of work, only the texts where dataset or target are refused."""
    try:
        return (*units_of(target.items()), TEXTS)
    except (SpimpackError, OSError):
        return (TEXTS,)


class IngestRecord(StepRecord):
    """The record that a run has made of one of its steps."""

    def exists(self) -> bool:
        """Tell whether the record is of this run, or all of the run is done."""
        return super().exists() or self.task.has_record("ingested")


class IngestTask(StepTask):
    """A step of an ingest."""

    dataset: luigi.Parameter[str] = AbsolutePath(description="Directory of the packaged dataset.")
    dandiset: luigi.Parameter[str] = luigi.Parameter(
        description="Dandiset to bring it to, such as dandi:000123."
    )
    instance: luigi.Parameter[str] = luigi.Parameter(
        default=INSTANCE, description="Address of the API of the archive."
    )
    records: luigi.Parameter[str] = AbsolutePath(
        default="",
        description="Folder with dandiset.json and assets.json; composed if not given.",
    )
    prune: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Delete assets of ours that the dataset no longer has."
    )
    ingest_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of what is brought; worked out if not given."
    )

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out the identities where they are not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        if not values["ingest_id"]:
            values["ingest_id"] = "unknown"
            with suppress(SpimpackError, OSError):  # the task that opens the ingest reports it
                target = _target_of(values)
                values["ingest_id"] = target.identity(target.records())
        cls.choose_run(values, values["ingest_id"])
        return list(values.items())

    def target(self) -> DandiTarget:
        """Return the dataset and the dandiset."""
        return _target_of(self.param_kwargs)

    def units(self) -> tuple[str, ...]:
        """Return the units of work."""
        return _units(self.target(), self.run_id)


def _target_of(values: dict[str, Any]) -> DandiTarget:
    return DandiTarget(
        values["dataset"],
        values["dandiset"],
        values["instance"],
        values["records"],
        bool(values["prune"]),
    )


class OpenIngest(IngestTask):
    """Look at the dandiset, and note the differences."""

    def output(self) -> luigi.Target:
        return IngestRecord(self, "opened")

    def work(self) -> None:
        target = self.target()
        store, name = target.publication().store, type(self).__name__
        with Worker(store, self.ingest_id, name, "", logger.info) as worker:
            found = open_ingest(
                target, self.ingest_id, self.run_id, target.records(), worker.advance
            )
        count = len(found.planned)
        logger.info(
            "%s: %s assets, %s to bring", self.dandiset, count, count - len(found.of(Action.SAME))
        )


class BringUnit(IngestTask):
    """Bring the bytes of an image, of a share of many, or of the texts."""

    unit: luigi.Parameter[str] = luigi.Parameter(
        description="Path of an image in the dataset, the name of a share of many, or texts."
    )

    def requires(self) -> Any:
        return self.clone(OpenIngest)

    def output(self) -> luigi.Target:
        return IngestRecord(self, unit_record(self.unit))

    def work(self) -> None:
        self.bring(
            *(self.ingest_id, self.unit, logger),
            lambda hear: bring_unit(self.target(), self.ingest_id, self.run_id, self.unit, hear),
        )


class RegisterAssets(IngestTask):
    """Make and replace the assets, after all bytes are at the archive."""

    def requires(self) -> list[luigi.Task]:
        return [self.clone(BringUnit, unit=unit) for unit in self.units()]

    def output(self) -> luigi.Target:
        return IngestRecord(self, "registered")

    def work(self) -> None:
        register_assets(self.target(), self.ingest_id, self.run_id, list(self.units()))


class DescribeDandiset(IngestTask):
    """Replace the metadata of the dandiset's draft where they differ."""

    def requires(self) -> Any:
        return self.clone(RegisterAssets)

    def output(self) -> luigi.Target:
        return IngestRecord(self, "described")

    def work(self) -> None:
        describe_dandiset(self.target(), self.ingest_id, self.run_id)


class PruneAssets(IngestTask):
    """Delete assets of ours that the dataset no longer has, if asked for."""

    def requires(self) -> Any:
        return self.clone(DescribeDandiset)

    def output(self) -> luigi.Target:
        return IngestRecord(self, "pruned")

    def work(self) -> None:
        prune_assets(self.target(), self.ingest_id, self.run_id)


class IngestDataset(IngestTask):
    """Bring a packaged dataset into a dandiset of the DANDI archive."""

    def requires(self) -> Any:
        return self.clone(PruneAssets)

    def output(self) -> luigi.Target:
        return IngestRecord(self, "ingested")

    def work(self) -> None:
        logger.info("%s", end_ingest(self.target(), self.ingest_id, self.run_id))
