"""The task that makes a volume of one tile by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import luigi

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.luigi_run import REFUSED, IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, reporting_disk_errors
from spimpack_tasks.stitching.options import (
    IMAGE_TEXT,
    TILES_TEXT,
    default_text,
    describe,
)
from spimpack_tasks.stitching.tasks.base import judge_target
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Mapping

_identify = Deferred("spimpack_tasks.stitching.steps:identify_deskewed")
_has = Deferred("spimpack_tasks.stitching.steps:has_deskewed")
_deskew = Deferred("spimpack_tasks.stitching.steps:deskew_tile")


class DeskewTile(IdentifiedTask):
    """Make a volume of the frames of one tile, linear between frames, or moved as they are."""

    tiles: luigi.Parameter[str] = AbsolutePath(description=f"The {TILES_TEXT}.")
    tile: luigi.Parameter[str] = luigi.Parameter(description="Name of the tile.")
    image: luigi.Parameter[str] = AbsolutePath(description=f"The OME-Zarr: {IMAGE_TEXT}.")
    ngff: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("ngff"), description=describe("ngff")
    )
    codec: luigi.Parameter[str] = luigi.Parameter(
        default=default_text("codec"), description=describe("codec")
    )
    threads: luigi.IntParameter = luigi.IntParameter(
        default=0, significant=False, description="Threads; one for each processor if not given."
    )
    inputs_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of tile and choices; worked out if not given."
    )

    @classmethod
    def identify(cls, values: dict[str, Any], _given: Mapping[str, Any]) -> str:
        """Return the identity of tile and choices."""
        chosen = (values["tiles"], values["tile"], values["ngff"], values["codec"])
        return str(_identify(*chosen))

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        return bool(_has(self.tiles, self.tile, self.image, self.ngff, self.codec))

    def run(self) -> None:
        with reporting_disk_errors():
            threads = self.threads or count_threads()
            _deskew((self.tiles, self.tile), self.image, (self.ngff, self.codec), threads)

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the output asks for, `None` if it is open."""
        code = ExitCode.BAD_INPUT if self.inputs_id == REFUSED else super().verdict()
        return judge_target(self.image) if code is None else code
