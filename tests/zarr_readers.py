"""The libraries that programs read Zarr with: each reads one level of an OME-Zarr, all voxels."""

import tensorstore
import zarr


def read_with_zarr(path, level=0):
    return zarr.open_array(path / str(level), mode="r")[:]


def read_with_tensorstore(path, level=0):
    driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(path / str(level))}}
    return tensorstore.open(spec).result().read().result()


def read_with_zarrs(path, level=0):
    """Read with zarrs alone: what it cannot read is not to be left to zarr-python."""
    names = {"path": "zarrs.ZarrsCodecPipeline", "strict": True}
    with zarr.config.set({f"codec_pipeline.{key}": value for key, value in names.items()}):
        return read_with_zarr(path, level)


def read_with_zarrnii(path, level=0):
    from zarrnii import ZarrNii

    return ZarrNii.from_file(str(path), level=level).darr.compute()


READERS = {
    "zarr": read_with_zarr,
    "tensorstore": read_with_tensorstore,
    "zarrs": read_with_zarrs,
    "zarrnii": read_with_zarrnii,
}
