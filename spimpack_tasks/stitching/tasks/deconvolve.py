"""The task that sharpens a stitched volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import luigi

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.luigi_run import REFUSED, IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, reporting_disk_errors
from spimpack_tasks.stitching.options import ITERATIONS, KERNEL_SIZE, POWER
from spimpack_tasks.stitching.tasks.base import judge_target, pace_of
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Mapping

_identify = Deferred("spimpack_tasks.stitching.deconvolve:identify_choices")
_has = Deferred("spimpack_tasks.stitching.deconvolve:has_sharpened")
_sharpen = Deferred("spimpack_tasks.stitching.deconvolve:write_sharpened_by")


class DeconvolveVolume(IdentifiedTask):
    """Take the trails of scattered light out of a stitched volume, by Richardson and Lucy."""

    volume: luigi.Parameter[str] = AbsolutePath(description="The OME-Zarr of a stitched volume.")
    image: luigi.Parameter[str] = AbsolutePath(description="The OME-Zarr to make.")
    power: luigi.FloatParameter = luigi.FloatParameter(
        default=POWER.default, description=f"{POWER.text}."
    )
    kernel_size: luigi.IntParameter = luigi.IntParameter(
        default=KERNEL_SIZE.default, description=f"{KERNEL_SIZE.text}."
    )
    iterations: luigi.IntParameter = luigi.IntParameter(
        default=ITERATIONS.default, description=f"{ITERATIONS.text}."
    )
    threads: luigi.IntParameter = luigi.IntParameter(
        default=0, significant=False, description="Threads; one for each processor if not given."
    )
    inputs_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of volume and choices; worked out if not given."
    )

    @classmethod
    def identify(cls, values: dict[str, Any], _given: Mapping[str, Any]) -> str:
        """Return the identity of volume and choices."""
        chosen = (values["power"], values["kernel_size"], values["iterations"])
        return str(_identify(values["volume"], chosen))

    @property
    def _chosen(self) -> tuple[float, int, int]:
        return self.power, self.kernel_size, self.iterations

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        return bool(_has(self.volume, self.image, self._chosen))

    def run(self) -> None:
        with reporting_disk_errors():
            pace = pace_of(self, self.threads or count_threads())
            _sharpen(self.volume, self.image, self._chosen, pace)

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the output asks for, `None` if it is open."""
        code = ExitCode.BAD_INPUT if self.inputs_id == REFUSED else super().verdict()
        return judge_target(self.image) if code is None else code
