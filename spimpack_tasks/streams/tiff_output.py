"""The images of a stream as OME-TIFF, in one file or several, see `tiff_names`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.atomic import write_at
from spimpack_tasks.streams.frame_log import FRAMES, lines_by_image, parse_frames, read_frame_lines
from spimpack_tasks.streams.tiff_file import TiffFile
from spimpack_tasks.streams.tiff_image import TiffImage
from spimpack_tasks.streams.tiff_names import COMPANION, name_files, without_ending
from spimpack_tasks.streams.tiff_xml import Companion, StreamDocument, as_texts
from spimpack_tasks.streams.zarr_plan import describe
from spimpack_tasks.volumes.tiff.bigtiff import PlaneKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.streams.part import Part
    from spimpack_tasks.streams.router import PlaneAt, Router
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.work import Work
    from spimpack_tasks.volumes.spec import VolumeSpec


class TiffOutput:
    """The images of a stream as OME-TIFF.

    Parameters
    ----------
    part
        The folder of the stream.
    settings
        The settings.
    router
        Knows the order in which planes are stored.
    work
        The common means of the images.
    """

    def __init__(
        self, part: Part, settings: AcquisitionSettings, router: Router, work: Work
    ) -> None:
        self._part, self._settings, self._router = part, settings, router
        self._names = name_files(settings)
        self._files = [TiffFile(f"{part.image}/{name}") for name in self._names.files]
        self.images = [
            TiffImage(number, self._files[file], settings, work)
            for number, file in enumerate(self._names.file_of)
        ]

    def finish(self, sizes: PlaneAt, facts: Sequence[Mapping[str, Any]]) -> str:
        """Write directories and OME-XML of each file."""
        for image in self.images:
            image.flush()
        logs = lines_by_image(self._part.frames, len(self.images))
        frames = [parse_frames(lines) for lines in logs]
        order = [*self._router.planes(sizes)]
        companion = self._companion()
        whole = self._document() if companion else None
        for number, file in enumerate(self._files):
            images = [n for n, at in enumerate(self._names.file_of) if at == number]
            document = whole or self._document()
            for n in images:
                spec = replace(self._spec(n, sizes), provenance=as_texts(facts[n]))
                target = companion.file(number) if companion else None
                document.add(spec, self._settings.positions[n], order, frames[n], target)
            text = companion.link(number) if companion else document.compose()
            self._finish_file(file, images, sizes, order, text)
        if companion and whole:
            write_at(f"{self._part.image}/{companion.name}", whole.compose(companion.uuid))
        self._keep_frames()
        return self._part.image if self._names.is_folder else self._files[0].path

    def _companion(self) -> Companion | None:
        if self._settings.tiff_files != "companion":
            return None
        name = without_ending(os.path.basename(self._part.final))
        return Companion(f"{name}{COMPANION}", self._names.files, str(self._settings.as_data()))

    def _document(self) -> StreamDocument:
        settings = self._settings
        return StreamDocument(self._router.storage, settings.channels, settings.plate)

    def _spec(self, image: int, sizes: PlaneAt) -> VolumeSpec:
        import numpy as np

        position = self._settings.positions[image]
        return describe(self._settings, position, sizes, np.dtype(self._settings.dtype))

    def _finish_file(
        self,
        file: TiffFile,
        images: Sequence[int],
        sizes: PlaneAt,
        order: Sequence[PlaneAt],
        text: bytes,
    ) -> None:
        """Write the directories of a file, with an OME-XML in the first."""
        spec = self._spec(images[0], sizes)
        kind = PlaneKind(spec.dtype, self._settings.compression)
        _, y_um, x_um = spec.spacing_um_zyx
        if x_um and y_um:
            kind = replace(kind, resolution=(1e4 / x_um, 1e4 / y_um))
        planes = []
        for image in (self.images[number] for number in images):
            zeros = image.zeros() if len(image.planes) < len(order) else []
            planes += [image.planes.get(at, zeros) for at in order]
        file.finish(kind, planes, text)

    def _keep_frames(self) -> None:
        """Put the metadata of frames beside the pixels."""
        if not os.path.exists(self._part.frames):
            return
        lines = "".join(line for _, line in read_frame_lines(self._part.frames)).encode()
        beside = without_ending(self._part.final)
        is_folder = self._names.is_folder
        path = f"{self._part.image}/{FRAMES}" if is_folder else f"{beside}.{FRAMES}"
        self._part.keep_beside(path, lines, may_replace=is_folder or self._settings.overwrite)

    def move(self, final: str) -> None:
        """Learn that the images were moved to their final path."""
        for file, name in zip(self._files, self._names.files, strict=True):
            file.path = f"{final}/{name}" if self._names.is_folder else final

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()
