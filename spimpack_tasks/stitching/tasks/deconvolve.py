"""The task that sharpens a stitched volume."""

from __future__ import annotations

from typing import Any

import luigi

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import CheckedTask, at_end_of_run
from spimpack_tasks.luigi_setup import AbsolutePath, disk_trouble_told
from spimpack_tasks.stitching.options import ITERATIONS, KERNEL_SIZE, POWER
from spimpack_tasks.stitching.tasks.base import REFUSED, pace_of
from spimpack_tasks.targets import MadeByStep

_identify = Deferred("spimpack_tasks.stitching.deconvolve:identify_choices")
_has = Deferred("spimpack_tasks.stitching.deconvolve:has_sharpened")
_sharpen = Deferred("spimpack_tasks.stitching.deconvolve:write_sharpened_by")


class DeconvolveVolume(CheckedTask):
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

    # A second attempt would fail in the same way.
    retry_count = 1

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out `inputs_id` where it is not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        if not values["inputs_id"]:
            chosen = (values["power"], values["kernel_size"], values["iterations"])
            try:
                values["inputs_id"] = _identify(values["volume"], chosen)
            except (SpimpackError, OSError):
                values["inputs_id"] = REFUSED
            at_end_of_run(lambda: cls(**values).verdict())
        return list(values.items())

    @property
    def _chosen(self) -> tuple[float, int, int]:
        return self.power, self.kernel_size, self.iterations

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        return bool(_has(self.volume, self.image, self._chosen))

    def run(self) -> None:
        with disk_trouble_told():
            pace = pace_of(self, self.threads or count_threads())
            _sharpen(self.volume, self.image, self._chosen, pace)

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the output asks for, `None` if it is open."""
        return ExitCode.BAD_INPUT if self.inputs_id == REFUSED else super().verdict()
