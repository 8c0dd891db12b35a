"""The libraries that programs read Zarr with: each reads one level of an OME-Zarr, all voxels.

Voxels have five axes, t, c, z, y and x, whichever the image has.
"""

import json

import tensorstore
import zarr


def axes_of(path):
    """Return the axes of an OME-Zarr by its metadata, such as `czyx`."""
    if (path / "zarr.json").exists():
        told = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    else:
        told = json.loads((path / ".zattrs").read_text())
    return "".join(axis["name"] for axis in told["multiscales"][0]["axes"])


def five(path, voxels):
    """Return voxels with axes of one index where the image has none."""
    axes = axes_of(path)
    assert len(axes) == voxels.ndim
    sizes = dict(zip(axes, voxels.shape, strict=True))
    assert list(axes) == [axis for axis in "tczyx" if axis in axes]
    return voxels.reshape([sizes.get(axis, 1) for axis in "tczyx"])


def read_with_zarr(path, level=0):
    return five(path, zarr.open_array(path / str(level), mode="r")[:])


def read_with_tensorstore(path, level=0):
    driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(path / str(level))}}
    return five(path, tensorstore.open(spec).result().read().result())


def read_with_zarrs(path, level=0):
    """Read with zarrs alone: what it cannot read is not to be left to zarr-python."""
    names = {"path": "zarrs.ZarrsCodecPipeline", "strict": True}
    with zarr.config.set({f"codec_pipeline.{key}": value for key, value in names.items()}):
        return read_with_zarr(path, level)


def read_with_zarrnii(path, level=0):
    from zarrnii import ZarrNii

    return five(path, ZarrNii.from_file(str(path), level=level).darr.compute())


READERS = {
    "zarr": read_with_zarr,
    "tensorstore": read_with_tensorstore,
    "zarrs": read_with_zarrs,
    "zarrnii": read_with_zarrnii,
}
