"""The task that converts one image by itself, with no dataset around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import luigi

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.luigi_run import IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, progress_of, reporting_disk_errors
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Mapping

_identify = Deferred("spimpack_tasks.conversion.convert_image:identify_image")
_has_image = Deferred("spimpack_tasks.conversion.convert_image:has_image")
_require_place = Deferred("spimpack_tasks.conversion.convert_image:require_place")
_make_image = Deferred("spimpack_tasks.conversion.convert_image:make_image")
_MB = 10**6
"""Luigi's page shows progress as integers, here in MB."""


class ConvertImage(IdentifiedTask):
    """Convert a file, a folder of planes, or several files that are merged, to one OME-Zarr."""

    sources: luigi.Parameter[Any] = luigi.ListParameter(
        description="Absolute paths: of one file or folder, or of files to merge."
    )
    image: luigi.Parameter[str] = AbsolutePath(
        description="The OME-Zarr to make; an earlier one of this program is replaced."
    )
    merge: luigi.Parameter[str] = luigi.Parameter(
        default="", description="T, C or Z: the axis along which files are merged."
    )
    scene: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Name or number of the image in a file of several."
    )
    source_axes: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Axes of the source as they are stored, such as ZYX."
    )
    reader: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Library that reads the source, such as bioio."
    )
    ngff: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Version of OME-Zarr; 0.5 if not given."
    )
    codec: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Codec of chunks; what suits the source if not given."
    )
    orientation: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Orientation, such as RPI."
    )
    channels: luigi.Parameter[Any] = luigi.ListParameter(
        default=(), description="Names of the channels."
    )
    spacing_um_xyz: luigi.Parameter[Any] = luigi.ListParameter(
        default=(), description="Distance of voxels along x, y and z, in place of the source's."
    )
    threads: luigi.IntParameter = luigi.IntParameter(
        default=0, significant=False, description="Threads; one for each processor if not given."
    )
    inputs_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of sources and choices; worked out if not given."
    )

    @classmethod
    def identify(cls, values: dict[str, Any], _given: Mapping[str, Any]) -> str:
        """Return the identity of sources and choices."""
        return str(_identify(values))

    def output(self) -> luigi.Target:
        return MadeByStep(lambda: bool(_has_image(self.param_kwargs)))

    def run(self) -> None:
        progress, done = progress_of(self), 0

        def advance(size: int) -> None:
            nonlocal done
            done += size
            progress.count(done // _MB, None, "MB")

        with reporting_disk_errors():
            _make_image(self.param_kwargs, self.threads or count_threads(), advance)

    def verdict(self) -> ExitCode | None:
        """Return the exit code that source and output ask for, `None` if it is open."""
        try:
            if _has_image(self.param_kwargs):
                return ExitCode.OK
            _require_place(self.param_kwargs)
        except SpimpackError as error:
            return error.exit_code
        except OSError:
            return ExitCode.FAILED
        return None
