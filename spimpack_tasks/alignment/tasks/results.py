"""The tasks that put the results of a brain together."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import luigi  # noqa: TC002 - Luigi looks up the annotations of its tasks

from spimpack_tasks.alignment.tasks.base import AlignmentTask
from spimpack_tasks.alignment.tasks.steps import (
    KINDS,
    DiscoverAssets,
    ReorientHistology,
    TrackRegions,
    ValidateAlignmentInputs,
    WarpToCCF,
    WarpToImage,
)
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.luigi_setup import disk_trouble_told

if TYPE_CHECKING:
    from collections.abc import Iterator

_write_package = Deferred("spimpack_tasks.alignment.datapackage:write_datapackage")
logger = logging.getLogger(__name__)


class WriteDatapackage(AlignmentTask):
    """Write `datapackage.json`, which names all results, and `coverage.json`, which names gaps."""

    def requires(self) -> Iterator[luigi.Task]:
        if self.is_refused:
            yield self.step(DiscoverAssets)
            return
        yield self.step(ValidateAlignmentInputs)
        for row in self.chain.wanted_rows:
            yield self.step(TrackRegions, row=row.key)
        for channel in self.chain.brain.channels:
            yield self.step(ReorientHistology, channel=channel.name)
            if self.qc:
                yield self.step(WarpToCCF, channel=channel.name)
        for kind in KINDS:
            yield self.step(WarpToImage, kind=kind)

    def output(self) -> luigi.Target:
        return self.made("datapackage", "package_id")

    def run(self) -> None:
        with disk_trouble_told():
            _write_package(self.chain)
        for problem in self.chain.gaps:
            logger.info("left out: %s", problem)


class PrepareAlignment(AlignmentTask):
    """Prepare a brain for the alignment GUI of the IBL: histology, atlas and probe tracks."""

    def requires(self) -> Iterator[luigi.Task]:
        yield self.step(WriteDatapackage)

    def output(self) -> luigi.Target:
        return self.made("datapackage", "package_id")
