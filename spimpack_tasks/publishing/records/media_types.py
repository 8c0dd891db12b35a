"""Media types of the files of a dataset, by their endings."""

from __future__ import annotations

ZARR = "application/x-zarr"
_TYPES = {
    ".btf": "image/tiff",
    ".gz": "application/gzip",
    ".h5": "application/x-hdf5",
    ".ims": "application/x-hdf5",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown",
    ".png": "image/png",
    ".rst": "text/x-rst",
    ".tif": "image/tiff",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".zarr": ZARR,
    ".zip": "application/zip",
}


def media_type(path: str) -> str:
    """Return the media type of a file or image; one without an ending is text."""
    name = path.rpartition("/")[2].lstrip(".")
    ending = name[name.rindex(".") :].lower() if "." in name else ".txt"
    return _TYPES.get(ending, "application/octet-stream")
