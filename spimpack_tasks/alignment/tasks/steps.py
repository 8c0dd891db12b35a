"""The tasks that make volumes, tracks and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import luigi

from spimpack_tasks.alignment.names import CCF_IN_IMAGE, LABELS_IN_IMAGE
from spimpack_tasks.alignment.tasks.base import AlignmentTask
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.luigi_setup import reporting_disk_errors
from spimpack_tasks.targets import MadeByStep

if TYPE_CHECKING:
    from collections.abc import Iterator

_validate = Deferred("spimpack_tasks.alignment.steps:validate")
_describe = Deferred("spimpack_tasks.alignment.steps:describe_assets")
_register = Deferred("spimpack_tasks.alignment.registering:register_to_template")
_reorient = Deferred("spimpack_tasks.alignment.volumes:reorient_channel")
_warp_to_image = Deferred("spimpack_tasks.alignment.volumes:warp_to_image")
_warp_to_ccf = Deferred("spimpack_tasks.alignment.volumes:warp_to_ccf")
_extract = Deferred("spimpack_tasks.alignment.ephys:extract_recording")
_make_track = Deferred("spimpack_tasks.alignment.steps:make_track")
_make_regions = Deferred("spimpack_tasks.alignment.steps:make_regions")
KINDS = {"template": CCF_IN_IMAGE, "labels": LABELS_IN_IMAGE}
"""Volumes of the atlas, with the names of their files."""


class ValidateAlignmentInputs(AlignmentTask):
    """Check image, table of probes, annotations, transformations and atlas by their headers."""

    def output(self) -> luigi.Target:
        return self.made("validation", "package_id")

    def run(self) -> None:
        self.remove_stale()
        with reporting_disk_errors():
            _validate(self.chain)


class DiscoverAssets(AlignmentTask):
    """Record the brain: its channels, levels, orientation, frame and transformations."""

    def requires(self) -> Iterator[luigi.Task]:
        yield self.step(ValidateAlignmentInputs)

    def output(self) -> luigi.Target:
        return self.made("assets", "assets_id")

    def run(self) -> None:
        self.make(_describe)


class FoundBrainTask(AlignmentTask):
    """A step that needs the brain."""

    def requires(self) -> Iterator[luigi.Task]:
        yield self.step(DiscoverAssets)


class RegisterToTemplate(FoundBrainTask):
    """Register the image with the template, where a registrar is chosen."""

    memory_mb = 1000

    def output(self) -> luigi.Target:
        return self.made("registration", "registration_id")

    def run(self) -> None:
        self.make(_register)


class RegisteredTask(FoundBrainTask):
    """A step that needs the registration."""

    def requires(self) -> Iterator[luigi.Task]:
        yield from super().requires()
        if not self.is_refused and self.chain.choices.is_registered_here:
            yield self.step(RegisterToTemplate)


class ExtractEphys(FoundBrainTask):
    """Extract one recording by another Python, where one is given."""

    recording: luigi.Parameter[str] = luigi.Parameter(description="Name of the recording.")

    def output(self) -> luigi.Target:
        return self.made(f"ephys_{self.recording}", "ephys_id", self.recording)

    def run(self) -> None:
        self.make(_extract, self.recording)


class ReorientHistology(FoundBrainTask):
    """Write one channel in the order of axes of the alignment GUI."""

    channel: luigi.Parameter[str] = luigi.Parameter(description="Name of the channel.")
    memory_mb = 500

    def output(self) -> luigi.Target:
        return self.made(f"channel_{self.channel}", "channel_id", self.channel)

    def run(self) -> None:
        self.make(_reorient, self.channel)


class WarpToImage(RegisteredTask):
    """Bring the template or the labels of the atlas into the space of the image."""

    kind: luigi.Parameter[str] = luigi.Parameter(description=f"One of {', '.join(KINDS)}.")
    memory_mb = 700

    def output(self) -> luigi.Target:
        return self.made(KINDS.get(self.kind, self.kind), "volume_id", self.kind)

    def run(self) -> None:
        self.make(_warp_to_image, self.kind)


class WarpToCCF(RegisteredTask):
    """Bring one channel into the space of the CCF."""

    channel: luigi.Parameter[str] = luigi.Parameter(description="Name of the channel.")
    memory_mb = 700

    def output(self) -> luigi.Target:
        return self.made(f"ccf_{self.channel}", "ccf_channel_id", self.channel)

    def run(self) -> None:
        self.make(_warp_to_ccf, self.channel)


class TrackTask(RegisteredTask):
    """A step of one row of the table of probes."""

    row: luigi.Parameter[str] = luigi.Parameter(description="Key of the row.")


class ProbeTrack(TrackTask):
    """Bring the annotated track of one row into the spaces of image, template and CCF."""

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        chain = self.chain
        return bool(chain.is_made(f"track_{self.row}", chain.track_id(chain.row(self.row))))

    def run(self) -> None:
        self.make(_make_track, self.row)


class TrackRegions(TrackTask):
    """Write the regions of the atlas along one track."""

    memory_mb = 400

    def requires(self) -> Iterator[luigi.Task]:
        yield self.step(ProbeTrack, row=self.row)

    def output(self) -> luigi.Target:
        return MadeByStep(self._is_there)

    def _is_there(self) -> bool:
        chain = self.chain
        return bool(chain.is_made(f"regions_{self.row}", chain.regions_id(chain.row(self.row))))

    def run(self) -> None:
        self.make(_make_regions, self.row)
