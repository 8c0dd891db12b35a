"""The tasks that put the results of a brain together."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import luigi  # noqa: TC002 - Luigi looks up the annotations of its tasks

from spimpack_tasks.alignment.tasks.base import AlignmentTask
from spimpack_tasks.alignment.tasks.steps import (
    KINDS,
    DiscoverAssets,
    ExtractEphys,
    ReorientHistology,
    TrackRegions,
    ValidateAlignmentInputs,
    WarpToCCF,
    WarpToImage,
)
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.luigi_setup import disk_trouble_told
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Iterator

_write_page = Deferred("spimpack_tasks.alignment.page_step:write_alignment_page")
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
        if self.chain.choices.wants_ephys:
            for recording in self.chain.recordings:
                yield self.step(ExtractEphys, recording=recording)

    def output(self) -> luigi.Target:
        return self.made("datapackage", "package_id")

    def run(self) -> None:
        with disk_trouble_told():
            _write_package(self.chain)
        for problem in self.chain.gaps:
            logger.info("left out: %s", problem)


class WriteAlignmentPage(AlignmentTask):
    """Write one page on a brain: borders of the atlas over the image, tracks, and their regions."""

    def requires(self) -> Iterator[luigi.Task]:
        if self.is_refused:
            yield self.step(DiscoverAssets)
            return
        for row in self.chain.wanted_rows:
            yield self.step(TrackRegions, row=row.key)
        yield self.step(ReorientHistology, channel=self.chain.brain.channels[0].name)
        yield self.step(WarpToImage, kind="labels")

    def output(self) -> luigi.Target:
        return self.made("page", "page_id")

    def run(self) -> None:
        with disk_trouble_told():
            _write_page(self.chain)


class PrepareAlignment(AlignmentTask):
    """Prepare a brain for the alignment GUI of the IBL: histology, atlas and probe tracks."""

    def requires(self) -> Iterator[luigi.Task]:
        yield self.step(WriteDatapackage)
        yield self.step(WriteAlignmentPage)

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        chain = self.chain
        made = {"datapackage": chain.package_id, "page": chain.page_id}
        return all(chain.is_made(step, identity) for step, identity in made.items())
