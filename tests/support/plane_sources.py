"""Sources of planes: the same voxels in each format and layout, for tests of conversions."""

import json

import h5py
import imagecodecs
import nibabel
import numpy as np
import tifffile
import zarr

SPACING_UM = (4.0, 2.6, 0.5)
"""Along z, y, x."""

ODD_SHAPES = [
    (1, 1, 1, 1, 1),
    (1, 1, 1, 40, 50),
    (1, 2, 2, 33, 31),
    (1, 1, 33, 20, 20),
    (2, 1, 65, 9, 17),
    (1, 1, 16, 64, 64),
    (1, 1, 100, 30, 3),
]


def compose_voxels(shape, dtype="uint16"):
    """Return voxels in the order t, c, z, y, x, of all values of the type."""
    random = np.random.default_rng(sum(shape))
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return random.normal(0, 1000, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def write_folder(path, voxels, write, pattern):
    path.mkdir()
    for (t, c, z), plane in planes_of(voxels):
        write(path / pattern.format(t=t, c=c, z=z), plane)
    (path / "notes.txt").write_text("no plane")
    (path / ".hidden.tif").write_text("no plane")


def planes_of(voxels):
    for place in np.ndindex(voxels.shape[:3]):
        yield place, voxels[place]


def write_tif(path, plane, **options):
    tifffile.imwrite(path, plane, **options)


def write_png(path, plane):
    path.write_bytes(imagecodecs.png_encode(plane))


def write_jp2(path, plane):
    path.write_bytes(imagecodecs.jpeg2k_encode(plane, level=0, reversible=True, codecformat="jp2"))


def write_ome(path, voxels, axes="TCZYX", **options):
    order = ["TCZYX".index(axis) for axis in axes]
    z, y, x = SPACING_UM
    sizes = {"PhysicalSizeX": x, "PhysicalSizeY": y, "PhysicalSizeZ": z}
    names = {"Channel": {"Name": [f"stain {c}" for c in range(voxels.shape[1])]}}
    tifffile.imwrite(
        path,
        voxels.transpose(order),
        metadata={"axes": axes, **sizes, **names},
        photometric="minisblack",
        **options,
    )


def write_pages(path, voxels):
    tifffile.imwrite(path, voxels[0, 0], metadata=None, photometric="minisblack")


def write_imagej(path, voxels):
    tifffile.imwrite(path, voxels.transpose(0, 2, 1, 3, 4), imagej=True, metadata={"axes": "TZCYX"})


def write_colours(path, voxels):
    tifffile.imwrite(path, voxels[0, :, 0].transpose(1, 2, 0), photometric="rgb", metadata=None)


def write_nifti(path, voxels, order="<"):
    affine = np.diag([*SPACING_UM[::-1], 1])
    data = voxels.transpose(4, 3, 2, 0, 1).astype(voxels.dtype.newbyteorder(order))
    nifti = nibabel.Nifti1Image(data, affine)
    nifti.header.set_xyzt_units("micron")
    nibabel.save(nifti, path)


def write_zarr(path, voxels, version=3, **options):
    scale = {"type": "scale", "scale": [1, 1, *SPACING_UM]}
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    ome = {"multiscales": [{"axes": axes, "datasets": [dataset], "version": "0.4"}]}
    given = {"ome": ome | {"version": "0.5"}} if version == 3 else ome
    root = zarr.create_group(path, zarr_format=version, attributes=given)
    options = {"chunks": (1, 1, 5, 16, 16)} | options
    root.create_array("0", shape=voxels.shape, dtype=voxels.dtype, **options)[:] = voxels


def write_zip(path, voxels):
    with zarr.storage.ZipStore(path, mode="w") as store:
        write_zarr(store, voxels)


def write_imaris(path, voxels, chunks=(4, 16, 16)):
    """Write one level, padded to whole chunks."""

    def tell(group, **texts):
        for name, text in texts.items():
            group.attrs[name] = np.frombuffer(str(text).encode(), "S1")

    shape = voxels.shape[2:]
    ends = {f"ExtMax{i}": n * s for i, (n, s) in enumerate(zip(shape, SPACING_UM, strict=True))}
    ends = {f"ExtMax{2 - i}": end for i, end in enumerate(ends.values())}
    with h5py.File(path, "w") as file:
        tell(
            file.create_group("DataSetInfo/Image"),
            Unit="um",
            ExtMin0=0,
            ExtMin1=0,
            ExtMin2=0,
            **ends,
        )
        for t in range(voxels.shape[0]):
            for c in range(voxels.shape[1]):
                name = f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel {c}"
                group = file.create_group(name)
                tell(group, **{f"ImageSize{a}": n for a, n in zip("ZYX", shape, strict=True)})
                padded = [-(-n // size) * size for n, size in zip(shape, chunks, strict=True)]
                data = np.zeros(padded, voxels.dtype)
                data[tuple(map(slice, shape))] = voxels[t, c]
                group.create_dataset("Data", data=data, chunks=chunks, compression="gzip")


def read_metadata(path):
    """Return the attributes of an OME-Zarr, those of OME at `ome` in both versions."""
    if (path / ".zattrs").exists():
        found = json.loads((path / ".zattrs").read_text())
        ome = {key: found.pop(key) for key in ("multiscales", "omero")}
        return {"ome": ome, **found}
    return json.loads((path / "zarr.json").read_text())["attributes"]
