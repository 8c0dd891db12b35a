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
    ProbeTrack,
    RegisterToTemplate,
    ReorientHistology,
    TrackRegions,
    ValidateAlignmentInputs,
    WarpToCCF,
    WarpToImage,
)
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Iterator

_is_listed = Deferred("spimpack_tasks.alignment.stale:is_listed")
_write_page = Deferred("spimpack_tasks.alignment.page_step:write_alignment_page")
_write_package = Deferred("spimpack_tasks.alignment.datapackage:write_datapackage")
logger = logging.getLogger(__name__)


class JoiningTask(AlignmentTask):
    """A task that needs all volumes, tracks and recordings."""

    def requires(self) -> Iterator[luigi.Task]:
        if self.is_refused:
            yield self.step(DiscoverAssets)
            return
        yield self.step(ValidateAlignmentInputs)
        choices = self.chain.choices
        if choices.is_registered_here:
            yield self.step(RegisterToTemplate)
        for row in self.chain.wanted_rows:
            yield self.step(ProbeTrack, row=row.key)
            yield self.step(TrackRegions, row=row.key)
        for channel in self.chain.brain.channels:
            yield self.step(ReorientHistology, channel=channel.name)
            if self.qc:
                yield self.step(WarpToCCF, channel=channel.name)
        for kind in KINDS:
            yield self.step(WarpToImage, kind=kind)
        for recording in self.chain.recordings if choices.wants_ephys else ():
            yield self.step(ExtractEphys, recording=recording)


class WriteDatapackage(JoiningTask):
    """Write `datapackage.json`, which names all results, and `coverage.json`, which names gaps."""

    def output(self) -> luigi.Target:
        # A list that names a lost file is written again when that is made.
        return MadeByStep(lambda: bool(_is_listed(self.chain)))

    def run(self) -> None:
        self.make(_write_package)
        for problem in self.chain.gaps:
            logger.info("left out: %s", problem)


class WriteAlignmentPage(AlignmentTask):
    """Write one page on a brain: borders of the atlas over the image, tracks, and their regions."""

    memory_mb = 500

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
        self.make(_write_page)


class PrepareAlignment(JoiningTask):
    """Prepare a brain for the alignment GUI of the IBL: histology, atlas and probe tracks."""

    def requires(self) -> Iterator[luigi.Task]:
        # Luigi does not look behind a complete task, so a lost file is found here.
        yield from super().requires()
        yield self.step(WriteDatapackage)
        yield self.step(WriteAlignmentPage)

    def output(self) -> luigi.Target:
        return MadeByStep(lambda: all(each.complete() for each in self.requires()))
