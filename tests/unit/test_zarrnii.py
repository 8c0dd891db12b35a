"""zarrnii, in the versions that the extra `images` allows, opens and writes what we package.

The versions of ome-zarr and ngff-zarr that it finds decide whether it can, so these tests are what
the bounds in pyproject.toml rest on. What zarrnii gets wrong in any version stands here as well.
"""

import gc
from functools import partial
from typing import NamedTuple

import h5py
import nibabel
import numpy as np
import pytest
from zarrnii import ZarrNii

from spimpack_tasks.demo.images import (
    DemoImage,
    compose_voxels,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.volumes.read_header import read_header

IMAGE = DemoImage(("autof", "Abeta"), (13, 50, 70), (4.0, 2.6, 0.3467), levels=3)
SPACING_UM_XYZ = (0.3467, 2.6, 4.0)

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:unclosed file.*\.ome\.tif:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of ome-zarr, by zarrnii's use of it
]


def write_nifti(path, _):
    affine = np.diag([0.0003467, 0.0026, 0.004, 1])
    image = nibabel.Nifti1Image(compose_voxels(IMAGE)[0].T, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def write_imaris_in_mm(path, image):
    write_imaris(path, image)
    with h5py.File(path, "r+") as file:
        info = file["DataSetInfo/Image"].attrs
        info["Unit"] = np.frombuffer(b"mm", "S1")
        for axis in range(3):
            extent_um = float(b"".join(info[f"ExtMax{axis}"]))
            info[f"ExtMax{axis}"] = np.frombuffer(f"{extent_um / 1000:.9f}".encode(), "S1")


WRITERS = {
    "v04.ome.zarr": partial(write_ome_zarr, ngff="0.4"),
    "v05.ome.zarr": partial(write_ome_zarr, ngff="0.5"),
    "plain.zarr": partial(write_ome_zarr, ngff="0.5"),
    "zipped.ozx": write_ozx,
    "zipped.ome.zarr.zip": write_ozx,
    "imaris.ims": write_imaris,
    "millimetres.ims": write_imaris_in_mm,
    "classic.ome.tif": write_ome_tiff,
    "big.ome.tif": partial(write_ome_tiff, bigtiff=True),
    "big.ome.btf": partial(write_ome_tiff, bigtiff=True),
    "volume.nii": write_nifti,
    "volume.nii.gz": write_nifti,
}


def wrong(reason, raises=AssertionError):
    return pytest.mark.xfail(strict=True, reason=reason, raises=raises)


SIZE_IS_WRONG = {
    "imaris.ims": wrong("zarrnii rounds the sizes of Imaris files to three decimals"),
    "millimetres.ims": wrong("zarrnii takes each Imaris file to be in micrometres"),
}
DOES_NOT_OPEN = {"big.ome.btf": wrong("zarrnii does not know the ending", ValueError)}
NIFTI = {"volume.nii", "volume.nii.gz"}
"""One channel, and an orientation."""


def cases(but):
    return [pytest.param(name, marks=but.get(name, ())) for name in WRITERS]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """One file of each format."""
    folder = tmp_path_factory.mktemp("images")
    for name, write in WRITERS.items():
        write(folder / name, IMAGE)
    return folder


@pytest.fixture
def opened(images, name):
    """What zarrnii tells of an image."""
    return what_zarrnii_tells(images / name)


class Told(NamedTuple):
    dims: tuple[str, ...]
    voxels: np.ndarray
    spacing_um_xyz: tuple[float, ...]
    orientation: str


def what_zarrnii_tells(path, write_to=None):
    image = ZarrNii.from_file(str(path))
    if write_to:
        image.xyz_orientation = "PIR"
        image.to_ome_zarr(str(write_to), max_layer=2)
    spacing = tuple(1000 * image.scale[axis] for axis in "xyz")  # zarrnii tells mm
    told = Told(tuple(image.dims), image.data.compute(), spacing, image.orientation)
    del image
    if path.name.endswith(".tif"):
        gc.collect()  # zarrnii leaves TIFFs open; the warning of it is ignored in this module
    return told


def header_of(path):
    return read_header(str(path), path.name)


@pytest.mark.parametrize("name", cases(DOES_NOT_OPEN))
def test_zarrnii_opens_the_voxels(opened, name):
    voxels = compose_voxels(IMAGE)[:1] if name in NIFTI else compose_voxels(IMAGE)
    order = [opened.dims.index(axis) for axis in "czyx"]
    np.testing.assert_array_equal(opened.voxels.transpose(order), voxels)


@pytest.mark.parametrize("name", cases(DOES_NOT_OPEN | SIZE_IS_WRONG))
def test_zarrnii_tells_shape_and_voxel_size_as_we_do(images, opened, name):
    header = header_of(images / name)
    sizes = {"c": 1} | dict(zip(header.axes, header.shapes[0], strict=True))
    assert opened.voxels.shape == tuple(sizes[axis] for axis in opened.dims)
    assert header.spacing_um_xyz == SPACING_UM_XYZ
    assert opened.spacing_um_xyz == pytest.approx(SPACING_UM_XYZ, rel=1e-6)


@pytest.mark.parametrize("name", cases(DOES_NOT_OPEN))
def test_zarrnii_makes_up_an_orientation_and_we_do_not(images, opened, name):
    assert opened.orientation == "RAS"
    assert header_of(images / name).orientation_xyz == ("RAS" if name in NIFTI else None)


@pytest.mark.parametrize("written", ["new.ome.zarr", "new.ozx"])
@pytest.mark.parametrize("name", ["v05.ome.zarr", "classic.ome.tif", "volume.nii"])
def test_what_zarrnii_writes_is_read_by_it_and_by_us(images, tmp_path, name, written):
    what_zarrnii_tells(images / name, write_to=tmp_path / written)
    header = header_of(tmp_path / written)
    assert header.spacing_um_xyz == pytest.approx(SPACING_UM_XYZ, rel=1e-6)
    assert header.orientation_xyz == "PIR"
    again = what_zarrnii_tells(tmp_path / written)
    assert again.spacing_um_xyz == pytest.approx(SPACING_UM_XYZ, rel=1e-6)
    assert again.orientation == "PIR"
