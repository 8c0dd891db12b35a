"""The task that makes a volume of one tile by itself."""

from __future__ import annotations

from typing import Any

import luigi

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import CheckedTask, at_end_of_run
from spimpack_tasks.luigi_setup import AbsolutePath, disk_trouble_told
from spimpack_tasks.stitching.options import (
    IMAGE_TEXT,
    TILES_TEXT,
    default_text,
    describe,
)
from spimpack_tasks.stitching.tasks.base import REFUSED
from spimpack_tasks.targets import MadeByStep

_identify = Deferred("spimpack_tasks.stitching.steps:identify_deskewed")
_has = Deferred("spimpack_tasks.stitching.steps:has_deskewed")
_deskew = Deferred("spimpack_tasks.stitching.steps:deskew_tile")


class DeskewTile(CheckedTask):
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

    # A second attempt would fail in the same way.
    retry_count = 1

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out `inputs_id` where it is not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        if not values["inputs_id"]:
            try:
                values["inputs_id"] = _identify(
                    values["tiles"], values["tile"], values["ngff"], values["codec"]
                )
            except (SpimpackError, OSError):
                values["inputs_id"] = REFUSED
            at_end_of_run(lambda: cls(**values).verdict())
        return list(values.items())

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        return bool(_has(self.tiles, self.tile, self.image, self.ngff, self.codec))

    def run(self) -> None:
        with disk_trouble_told():
            threads = self.threads or count_threads()
            _deskew((self.tiles, self.tile), self.image, (self.ngff, self.codec), threads)

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the output asks for, `None` if it is open."""
        return ExitCode.BAD_INPUT if self.inputs_id == REFUSED else super().verdict()
