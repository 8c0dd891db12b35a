"""A state for Neuroglancer that shows an OME-Zarr: where it is served, its channels and contrast.

Facts: Neuroglancer's documentation of the `zarr` data source and of shaders; it names the axis of
channels `c'`, as one that is of a layer alone, and takes the sizes of voxels from the OME-Zarr.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from spimpack_tasks.qc.contrast import choose_contrast
from spimpack_tasks.qc.dataset import dataset_above
from spimpack_tasks.qc.preview import choose_colour
from spimpack_tasks.qc.volume import SourceUnreadableError, read_volume
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.ome_zarr.header import find_level_paths, open_directory

if TYPE_CHECKING:
    from spimpack_tasks.qc.volume import SmallVolume

BASE_URL = "http://127.0.0.1:8000"
_SHADER = """\
#uicontrol invlerp contrast(range=[{low}, {bright}])
#uicontrol vec3 color color(default="{colour}")
void main() {{
  emitRGB(color * contrast());
}}
"""
_PANEL_PIXELS = (600, 250)
"""Width and height that each of the four panels has in a window of 1280 x 720, less the bars of the
browser and of Neuroglancer."""
_PANELS = (("x", "y"), ("x", "z"), ("z", "y"))
"""Axes across and down of the panels of slices."""


def compose_state(
    image: str, base_url: str = BASE_URL, *, is_auto_contrast: bool = False
) -> dict[str, Any]:
    """Return the state, ready for JSON.

    Parameters
    ----------
    image
        Absolute path of the OME-Zarr.
    base_url
        Where the dataset that the image is in, or else its folder, is served.
    is_auto_contrast
        Whether contrast is computed, also where the image has some.

    Raises
    ------
    SpimpackError
        It is no OME-Zarr directory, or cannot be read.
    """
    if not os.path.isdir(image):
        message = f"{image!r} is no OME-Zarr directory; those are what Neuroglancer can read"
        raise SourceUnreadableError(message)
    volume = read_volume(os.path.realpath(image), image)
    header = volume.header
    sizes = dict(zip(header.axes, header.shapes[0], strict=True))
    spatial = [axis for axis in "xyz" if axis in sizes]
    spacing = {axis: _metres(volume, axis) for axis in spatial}
    extents = {axis: sizes[axis] * spacing[axis][0] for axis in spatial}
    return {
        "dimensions": {axis: list(spacing[axis]) for axis in spatial},
        "position": [sizes[axis] / 2 for axis in spatial],
        "crossSectionScale": _fit_panels(extents) / min(step for step, _ in spacing.values()),
        "layers": _layers(volume, _source_url(image, base_url), is_auto=is_auto_contrast),
        "layout": "4panel",
    }


def _fit_panels(extents: dict[str, float]) -> float:
    """Return the length of a pixel with which the whole image is seen in each panel."""
    return max(
        extents.get(axis, 0) / pixels
        for panel in _PANELS
        for axis, pixels in zip(panel, _PANEL_PIXELS, strict=True)
    )


def _metres(volume: SmallVolume, axis: str) -> tuple[float, str]:
    spacing = volume.header.spacing_um_xyz["xyz".index(axis)]
    return (float(f"{spacing * 1e-6:.12g}"), "m") if spacing else (1, "")


def _source_url(image: str, base_url: str) -> str:
    """Return the URL of the group of the image; its scheme has the version of Zarr."""
    first = find_level_paths(open_directory(image))[0]
    group = first.rpartition("/")[0]
    scheme = "zarr3" if os.path.exists(os.path.join(image, "zarr.json")) else "zarr2"
    served = dataset_above(image) or os.path.dirname(image)
    path = "/".join(filter(None, [os.path.relpath(image, served), group]))
    return f"{scheme}://{base_url.rstrip('/')}/{quote(path)}/"


def _layers(volume: SmallVolume, source: str, *, is_auto: bool) -> list[dict[str, Any]]:
    layers = []
    for number, name in enumerate(volume.channel_names):
        low, bright = _fit_range(choose_contrast(volume, number, is_auto=is_auto), volume)
        colour = choose_colour(volume, number)
        layer: dict[str, Any] = {
            "type": "image",
            "name": name if volume.channel_names.count(name) == 1 else f"{name} ({number + 1})",
            "source": source,
            "opacity": 1,
            "blend": "additive",
            "shader": _SHADER.format(low=low, bright=bright, colour=colour),
        }
        if "c" in volume.header.axes:
            layer |= {"localDimensions": {"c'": [1, ""]}, "localPosition": [number]}
        layers.append(layer)
    return layers


def _fit_range(window: tuple[float, float], volume: SmallVolume) -> tuple[float, float]:
    """Return two values that differ, whole ones of the type where the voxels are whole numbers."""
    if volume.voxels.dtype.kind not in "iu":
        return window
    limits = load_library("numpy").iinfo(volume.voxels.dtype)
    low = min(max(round(window[0]), int(limits.min)), int(limits.max) - 1)
    return low, max(min(round(window[1]), int(limits.max)), low + 1)
