"""An image writer for mesoSPIM-control: each stack becomes an OME-Zarr, and a row of a dataset.

mesoSPIM-control loads each Python file of its plug-in folders, and takes classes that are defined
there and have the methods of an image writer. So the plug-in is a file of two lines, see
`docs/how-to/stream-frames.md`. Nothing of mesoSPIM-control is imported here. Facts: its developers'
guide, chapter "Plugin System": `open`, `write_frame` for each plane, `finalize`, or `abort`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import InputError, OccupiedError, Report, SpimpackError
from spimpack_tasks.files.yaml_marks import load_yaml
from spimpack_tasks.streams.bids_rows import check_rows
from spimpack_tasks.streams.opening import create_stream
from spimpack_tasks.streams.part import Part
from spimpack_tasks.streams.settings import AcquisitionSettings
from spimpack_tasks.streams.values import Channel, Dimension

if TYPE_CHECKING:
    from spimpack_tasks.streams.stream import Stream

_logger = logging.getLogger(__name__)
NAME = "Spimpack_OME_Zarr"
"""Name of the writer, and of the dictionary with its settings in the file of the microscope."""
SETTINGS_FILE = "spimpack_stream.yml"
"""Name of a file beside the images, whose settings go before those of the microscope."""
_STREAM_KEYS = ("compression", "format", "pyramid", "memory_bytes")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LABEL = re.compile("[^A-Za-z0-9]+")


class MesospimWriter:
    """The image writer. A plug-in file defines a class that inherits all from it."""

    writer: Any = None
    """The stream, `None` while there is none."""
    write_request: Any = None
    req: Any = None
    metadata_file = ""
    """Path of the text file that mesoSPIM-control writes about the stack."""
    metadata_file_describes_this_path = ""
    MIP_path = ""

    @classmethod
    def api_version(cls) -> str:
        """Return the version of the interface."""
        return "0.0.1"

    @classmethod
    def name(cls) -> str:
        """Return the name of the writer."""
        return NAME

    @classmethod
    def capabilities(cls) -> SimpleNamespace:
        """Return what mesoSPIM-control may expect."""
        return SimpleNamespace(
            dtype=["uint8", "uint16", "float32"],
            ndim=[2, 3],
            supports_chunks=True,
            supports_compression=True,
            supports_multiscale=True,
            supports_overwrite=False,
            streaming_safe=True,
        )

    @classmethod
    def file_extensions(cls) -> list[str]:
        """Return the endings of the files."""
        return ["ome.zarr"]

    @classmethod
    def file_names(cls) -> SimpleNamespace:
        """Return what goes into the names of files: all that tells stacks apart."""
        return SimpleNamespace(
            FormatSelectionOption="OME-Zarr in a BIDS dataset: ~.ome.zarr",
            WindowTitle="OME-Zarr by spimpack",
            WindowSubTitle="Each stack becomes an OME-Zarr with its pyramid",
            WindowDescription=cls.name(),
            IncludeMag=True,
            IncludeTile=True,
            IncludeChannel=True,
            IncludeFilter=True,
            IncludeShutter=True,
            IncludeRotation=True,
            IncludeSuffix=None,
            SingleFileFormat=False,
            IncludeAllChannelsInSingleFileFormat=False,
        )

    def ensure_path(self, path_like: Any) -> Any:
        """Return a path as `pathlib` has it."""
        from pathlib import Path  # noqa: PLC0415 - for the interface alone

        return Path(path_like)

    def remove_leading_dot(self, path: str) -> str:
        """Return an ending without its point."""
        return path.removeprefix(".")

    def compatible_suffix(self, req: Any) -> bool:
        """Tell whether a path has the ending of the writer."""
        return str(req.uri).lower().endswith(".ome.zarr")

    def metadata_file_info(self) -> None:
        """Set the paths of the files that mesoSPIM-control writes beside the image."""
        path = os.fspath(self.req.uri)
        folder, name = os.path.split(path)
        self.metadata_file = f"{path}_meta.txt"
        self.metadata_file_describes_this_path = path
        self.MIP_path = os.path.join(folder, f"MAX_{name}.tif").replace(os.sep, "/")

    def open(self, req: Any) -> None:
        """Prepare a stack, and refuse it if it could not be written, or enter the dataset.

        Raises
        ------
        SpimpackError
            Another image has its path or its entities, or the settings are wrong.
        """
        self.req = self.write_request = req
        self.metadata_file_info()
        self._settings = compose_settings(req)
        check_rows(self._settings)
        part = Part(self._settings.root_path)
        if os.path.lexists(part.final) or os.path.lexists(part.path):
            message = f"{part.final} exists, or was not finished; choose another name"
            raise OccupiedError(message)
        self.writer = None

    def write_frame(self, data: Any) -> None:
        """Write a plane.

        Raises
        ------
        SpimpackError, OSError
            See `Stream.append`.
        """
        if self.writer is None:
            self.writer = create_stream(_turned(self._settings, data.image.shape))
        stream: Stream = self.writer
        gap = data.current_image_counter - stream.next_frame
        if gap > 0:
            _logger.warning(
                "%s planes did not come before plane %s", gap, data.current_image_counter
            )
            stream.skip(gap)
        stream.append(data.image)

    def finalize(self, finalize_image: Any = None) -> None:  # noqa: ARG002 - of the interface
        """Finish the image, and write its row."""
        stream, self.writer = self.writer, None
        if stream is not None:
            result = stream.close(allow_incomplete=True)
            _logger.info("%s", "\n".join(result.lines()))

    def abort(self) -> None:
        """Stop, and keep the planes so far."""
        stream, self.writer = self.writer, None
        if stream is not None:
            stream.abandon()


def _turned(settings: AcquisitionSettings, shape: tuple[int, ...]) -> AcquisitionSettings:
    """Return settings for planes as they come; versions differ in the order of x and y."""
    *others, y, x = settings.dimensions
    if shape != (x.count, y.count) or x.count == y.count:
        return settings
    sides = replace(y, count=shape[0]), replace(x, count=shape[1])
    return replace(settings, dimensions=(*others, *sides))


def compose_settings(req: Any) -> AcquisitionSettings:
    """Return the settings of the stream for a request of mesoSPIM-control.

    Raises
    ------
    InputError
        Settings of the microscope, or of the file beside the images, are wrong.
    """
    path = os.path.abspath(os.fspath(req.uri))
    chosen = _read_choices(req.writer_config_file_values, os.path.dirname(path))
    acq: Mapping[str, Any] = req.acq or {}
    laser = str(acq.get("laser", ""))
    stain = str((chosen.pop("stains", None) or {}).get(laser, laser))
    wave = _NUMBER.search(laser)
    channel = Channel(stain or "channel", float(wave[0]) if wave else None)
    count, y, x = req.shape[-3:]
    dims = (
        Dimension("c", coords=(channel,)),
        _side("z", count, req.z_res, acq.get("z_start")),
        _side("y", y, req.y_res, acq.get("y_pos")),
        _side("x", x, req.x_res, acq.get("x_pos")),
    )
    more = {key: chosen.pop(key) for key in _STREAM_KEYS if key in chosen}
    if chosen.get("manifest"):
        manifest = os.path.join(os.path.dirname(path), os.path.expanduser(chosen["manifest"]))
        more["bids"] = _place(req, acq, stain, {**chosen, "manifest": manifest})
    return AcquisitionSettings(path, dims, dtype=str(req.dtype), **more)


def _read_choices(configured: Any, folder: str) -> dict[str, Any]:
    """Return the settings of the microscope, and of a file beside the images, which win."""
    chosen = dict(configured or {})
    path = os.path.join(folder, SETTINGS_FILE)
    if os.path.isfile(path):
        report = Report()
        with open(path, encoding="utf-8") as file:
            document = load_yaml(file.read(), path, report)
        if report.errors:
            raise InputError(report)
        if not isinstance(document.data, Mapping):
            message = f"{path} has no keys, such as subject"
            raise SpimpackError(message)
        chosen |= document.data
    return chosen


def _side(axis: str, count: int, scale: Any, first: Any) -> Dimension:
    spacing = abs(float(scale)) if scale else None
    return Dimension(axis, int(count), scale=spacing, translation=float(first or 0))


def _place(
    req: Any, acq: Mapping[str, Any], stain: str, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the place of a stack: tiles are chunks, and sides and angles are acquisitions."""
    place = dict(chosen)
    tile = getattr(req.acq_list, "get_tile_index", None)
    if (req.num_tiles or 1) > 1 and tile is not None:
        place["chunk"] = str(tile(acq) + 1)
    if (req.num_channels or 1) > 1:
        place["stain"] = _LABEL.sub("", stain)
    label = str(place.pop("acq", place.get("acquisition", "")))
    if (req.num_shutters or 1) > 1:
        label += _LABEL.sub("", str(acq.get("shutterconfig", "")))
    if (req.num_rotations or 1) > 1:
        label += f"rot{_LABEL.sub('', str(acq.get('rot', '')))}"
    if label:
        place["acquisition"] = label
    return place
