"""The tasks from tiles to a stitched volume."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import luigi

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.luigi_run import REFUSED
from spimpack_tasks.luigi_setup import progress_of, reporting_disk_errors
from spimpack_tasks.stitching.tasks.base import StitchTask
from spimpack_tasks.stitching.tiles import MOST_PARTS, count_parts
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Iterator

_make_flat = Deferred("spimpack_tasks.stitching.steps:make_flat")
_make_frames = Deferred("spimpack_tasks.stitching.steps:make_frames")
_make_alignment = Deferred("spimpack_tasks.stitching.steps:make_alignment")
_has_part = Deferred("spimpack_tasks.stitching.steps:has_volume_part")
_make_part = Deferred("spimpack_tasks.stitching.steps:make_volume_part")
_finish = Deferred("spimpack_tasks.stitching.steps:finish_volume")
logger = logging.getLogger(__name__)


class IlluminationCorrection(StitchTask):
    """Estimate how evenly the light sheet lights the frames, from some frames of all tiles."""

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        return self.chain.has_flat()

    def run(self) -> None:
        self.require_inputs()
        with reporting_disk_errors():
            _make_flat(self.chain)


class PreprocessTile(StitchTask):
    """Correct the frames of one tile: magnification, stripes, dark counts, light."""

    tile: luigi.IntParameter = luigi.IntParameter(description="Number of the tile, from 0 on.")

    def requires(self) -> Iterator[luigi.Task]:
        if self.flat == "estimate":
            yield self.step(IlluminationCorrection)

    def output(self) -> luigi.Target:
        return MadeByStep(lambda: self.chain.has_frames(self.tile))

    def run(self) -> None:
        self.require_inputs()
        with reporting_disk_errors():
            _make_frames(self.chain, self.tile, self.pace)


class AlignTiles(StitchTask):
    """Find the places of all tiles by their overlaps, or take them from the stage or a file."""

    def requires(self) -> Iterator[luigi.Task]:
        looks = self.align in {"native", "multiview"}
        if self.inputs_id != REFUSED and self.chain.corrects and looks:
            for number in range(len(self.chain.tiles.tiles)):
                yield self.step(PreprocessTile, tile=number)

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        return self.chain.has_alignment()

    def run(self) -> None:
        self.require_inputs()
        progress = progress_of(self)
        with reporting_disk_errors():
            found = _make_alignment(
                self.chain, lambda done, total: progress.reach(done, total, "pairs")
            )
        for warning in found.warnings:
            logger.info("%s", warning)


class StitchSlab(StitchTask):
    """Write one part of the volume: a run of blocks, each of which is one shard."""

    part: luigi.IntParameter = luigi.IntParameter(
        description=f"Number of the part, from 0 on; a large volume has {MOST_PARTS}."
    )

    def requires(self) -> Iterator[luigi.Task]:
        yield self.step(AlignTiles)
        if self.inputs_id != REFUSED and self.chain.corrects:
            for number in range(len(self.chain.tiles.tiles)):
                yield self.step(PreprocessTile, tile=number)

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        return bool(_has_part(self.chain, self.part))

    def run(self) -> None:
        self.require_inputs()
        with reporting_disk_errors():
            _make_part(self.chain, self.part, self.pace)


class StitchChannel(StitchTask):
    """Stitch the tiles of one channel to one OME-Zarr with its smaller levels."""

    def requires(self) -> Iterator[luigi.Task]:
        if self.inputs_id != REFUSED:
            for number in range(count_parts(self.chain.tiles)):
                yield self.step(StitchSlab, part=number)

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        return self.chain.has_volume()

    def run(self) -> None:
        self.require_inputs()
        with reporting_disk_errors():
            count = _finish(self.chain, self.pace)
        logger.info("%s: stitched of %d tiles", os.path.basename(self.image), count)
