"""Headers and levels of Zeiss LSM files, by tifffile.

An LSM file is a TIFF of planes with all channels and a thumbnail behind each; the thumbnails are no
image. Lengths are in metres and times in seconds. Facts: the structure `CZ_LSMINFO` as tifffile has
it. A voxel size below a picometre stands for one that is not known, such as 1e-19 m of a plane.
"""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.displays import Display
from spimpack_tasks.model.quantities import Doubts, length_in_um
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import Header, check_regular, load_library, tidy_names
from spimpack_tasks.volumes.metadata_texts import Texts, as_json
from spimpack_tasks.volumes.tiff.levels import open_level
from spimpack_tasks.volumes.tiff.pages import name_axes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.volumes.header import SpacingXYZ
    from spimpack_tasks.volumes.levels import StoredLevel

_PLACEHOLDER_M = 1e-12
"""A smaller size is no distance of voxels of any microscope."""
_UNEVEN = 0.01
"""Times of frames that differ by a larger part of their distance make no regular series."""


def read_header(path: str) -> Header:
    """Return the header of an LSM file."""
    with _open(path) as (file, info, series):
        axes, shape = name_axes(series.axes), tuple(map(int, series.shape))
        _check_pages(path, file, series)
        sizes = dict(zip(axes, shape, strict=True))
        channels = sizes.get("c", 1)
        doubts = Doubts()
        colours = info.get("ChannelColors") or {}
        names = [str(name) for name in colours.get("ColorNames", [])]
        return Header(
            axes=axes,
            shapes=(shape,),
            dtype=str(series.dtype),
            spacing_um_xyz=_spacing(info, doubts),
            time_step_s=_time_step(info) if sizes.get("t", 1) > 1 else None,
            channel_count=channels,
            channel_names=tidy_names(names) if len(names) == channels else (),
            displays=_displays(colours.get("Colors", []), channels),
            doubts=doubts.told,
        )


@contextmanager
def open_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the voxels of an LSM file, which has one level."""
    with _open(path) as (file, _, series), ExitStack() as stack:
        yield [open_level(file, series, stack)]


@contextmanager
def _open(path: str) -> Iterator[tuple[Any, dict[str, Any], Any]]:
    """Open a file; yield it with its information and its series of planes."""
    tifffile = load_library("tifffile")
    check_regular(path)
    with tifffile.TiffFile(path, mode="r", is_ome=False, is_mmstack=False) as file:
        info = file.lsm_metadata
        if not isinstance(info, dict):
            hint = "give a TIFF the ending .tif"
            raise HeaderError(path, "has no information of Zeiss LSM", hint)
        yield file, info, file.series[0]


def _check_pages(path: str, file: Any, series: Any) -> None:
    """Refuse a file that lacks planes, or is cut off within one."""
    planes = [page for page in series.pages if page is not None]
    voxels = sum(math.prod(page.shape) for page in planes)
    if voxels != math.prod(series.shape):
        what = f"is damaged: its planes have {voxels:,} voxels, but its information tells "
        raise HeaderError(path, f"{what}{math.prod(series.shape):,}")
    size = file.filehandle.size
    for page in planes:
        ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))
        end = max(ends, default=0)
        if end > size:
            what = f"is cut off or damaged: it has {size} bytes, but names byte {end}"
            raise HeaderError(path, what)


def _spacing(info: dict[str, Any], doubts: Doubts) -> SpacingXYZ:
    x, y, z = (_length(info, f"VoxelSize{axis}", doubts) for axis in "XYZ")
    return x, y, z


def _length(info: dict[str, Any], name: str, doubts: Doubts) -> float | None:
    metres = float(info.get(name, 0.0))
    if 0 <= metres < _PLACEHOLDER_M:
        return None
    return doubts.ask(name, length_in_um, metres, "m")


def _time_step(info: dict[str, Any]) -> float | None:
    """Return the seconds between time points: of their times, or else as it was asked for."""
    times = [float(time) for time in info.get("TimeStamps", [])]
    steps = [after - before for before, after in pairwise(times)]
    if steps and min(steps) > 0:
        mean = sum(steps) / len(steps)
        return mean if max(steps) - min(steps) <= _UNEVEN * mean else None
    asked = float(info.get("TimeIntervall", info.get("TimeInterval", 0.0)))
    return asked if 0 < asked < math.inf else None


def _displays(colours: list[list[int]], channels: int) -> tuple[Display, ...]:
    if len(colours) != channels or not all(any(colour[:3]) for colour in colours):
        return ()
    texts = ("".join(f"{part:02X}" for part in colour[:3]) for colour in colours)
    return tuple(Display(colour=text) for text in texts)


def read_original(path: str) -> Texts:
    """Return the information of Zeiss in an LSM file, as JSON."""
    tifffile = load_library("tifffile")
    check_regular(path)
    with tifffile.TiffFile(path, mode="r", is_ome=False, is_mmstack=False) as file:
        return {"CZ_LSMINFO": as_json(file.lsm_metadata or {})}
