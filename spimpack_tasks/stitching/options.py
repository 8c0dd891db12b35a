"""The options of stitching, once for tasks and command line: default values and descriptions."""

from __future__ import annotations

from typing import NamedTuple

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.model.options import Option
from spimpack_tasks.stitching.names import ALIGNERS, DESTRIPES, INTERPOLATIONS, SIGNS
from spimpack_tasks.volumes.formats import NGFF

OPTIONS = {
    "work_dir": Option(
        "",
        "folder for flat, corrected frames and alignment; IMAGE.work if not given",
        is_path=True,
    ),
    "align": Option(
        "native",
        "how tiles are aligned: native measures their overlaps, stage trusts the stage, file takes "
        "an earlier alignment, multiview has multiview-stitcher measure them, if that is installed",
        ALIGNERS,
    ),
    "align_file": Option(
        "",
        "with --align file: the align.json of another channel or run, or a file of spimstitch",
        is_path=True,
    ),
    "align_signs": Option(
        "positions",
        "with a file of spimstitch: positions takes its places as they are, mirrored turns its "
        "corrections round, for files of oblique-align without --negative-y",
        SIGNS,
    ),
    "align_reversed": Option(
        "",
        "axes along which the stage falls while pixels rise, such as y, in files of spimstitch, "
        "which are read or written",
    ),
    "search_um": Option(20.0, "by how much the stage may be wrong between two tiles, in µm"),
    "destripe": Option(
        "none",
        "how stripes along rows are taken out; zarrnii needs the program of that name",
        DESTRIPES,
    ),
    "sigma_bright": Option(128.0, "width of the wavelet filter for bright pixels; 0 for none"),
    "sigma_dark": Option(512.0, "width of the wavelet filter for dark pixels; 0 for none"),
    "wavelet": Option("db5", "name of the wavelet, as PyWavelets has it"),
    "dark": Option(0.0, "counts of the camera without light, which are subtracted"),
    "flat": Option("none", "correction of the light: none, estimate, or a TIFF"),
    "background": Option(150.0, "with --flat estimate: counts that are no fluorescence"),
    "magnification": Option(1.0, "by how much frames are enlarged about the plane centre"),
    "plane_centre": Option("1024,1024", "row and column about which frames are enlarged"),
    "fuse": Option(
        "cubic",
        "how voxels between samples are made; nearest keeps the counts of the camera",
        INTERPOLATIONS,
    ),
    "ngff": Option(NGFF[0], "version of OME-Zarr", NGFF),
    "codec": Option("blosc", "codec of chunks", CODEC_NAMES),
    "image_name": Option("", "name of the image in its metadata"),
    "channel_name": Option("", "name of the channel, such as its stain"),
}
"""By the name of the parameter; on the command line it has `-` for `_`."""


class Number(NamedTuple):
    """A number that a deconvolution is told by."""

    default: float
    text: str


class Count(NamedTuple):
    """A whole number that a deconvolution is told by."""

    default: int
    text: str


POWER = Number(0.09, "By which power of e the trail of light fades from voxel to voxel")
KERNEL_SIZE = Count(0, "Voxels of the trail; if 0, as far as it is above a hundredth of its start")
ITERATIONS = Count(10, "How often the estimate is improved")
TILES_TEXT = "file of tiles (tiles.json): their paths, places on the stage, and geometry"
IMAGE_TEXT = "the volume to make, an OME-Zarr that ends in .ome.zarr"


def default_text(name: str) -> str:
    """Return the default value of an option that is a text."""
    return str(OPTIONS[name].default)


def default_number(name: str) -> float:
    """Return the default value of an option that is a number."""
    return float(OPTIONS[name].default)


def describe(name: str) -> str:
    """Return the description of an option as Luigi's help has it."""
    return OPTIONS[name].description
