"""The libraries that compute, read and write for the stages of a study, with their versions."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

_VOXELS = ("numpy", "numcodecs", "imagecodecs", "google-crc32c")
"""Libraries for the voxels and chunks of every image."""
_LIBRARIES = {
    "stitch": (*_VOXELS, "numba", "tifffile"),
    "stream": _VOXELS,
    "convert": (*_VOXELS, "tifffile", "zarr"),
    "package": ("luigi", "pybids"),
    "align": ("numpy", "SimpleITK", "nibabel", "zarr"),
    "publish": ("obstore",),
}
"""Names of the packages, by the stage."""


def find_libraries(stage: str) -> dict[str, str]:
    """Return the versions of a stage's libraries that are installed, by their names."""
    found = {}
    for name in _LIBRARIES.get(stage, ()):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
