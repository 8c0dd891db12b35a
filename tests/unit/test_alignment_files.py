"""Files of an alignment that are cut off or hold no numbers, byte by byte."""

import gzip
import json
import os
import struct

import numpy as np
import pytest
import SimpleITK
import tifffile

from spimpack_tasks.alignment.affines import inverse_affine, read_affine
from spimpack_tasks.alignment.atlas import read_atlas_image
from spimpack_tasks.alignment.transforms import AtlasFileError
from spimpack_tasks.alignment.whole_files import check_whole


def write_affine(path):
    affine = SimpleITK.AffineTransform(3)
    affine.SetMatrix([1.1, 0.1, 0, 0, 0.9, 0, 0.2, 0, 1])
    affine.SetTranslation([1, 2, 3])
    affine.SetCenter([4, 5, 6])
    SimpleITK.WriteTransform(affine, str(path))
    return path.read_bytes()


def test_no_beginning_of_an_affine_is_taken_for_one(tmp_path):
    path = tmp_path / "0GenericAffine.mat"
    content = write_affine(path)
    assert read_affine(str(path)).TransformPoint((4, 5, 6)) == pytest.approx((5, 7, 9))
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(
            AtlasFileError, match=r"is cut off|has \d of two records|is no transform"
        ):
            read_affine(str(path))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("record", [b"3_3\0", b"fixed\0"])
def test_affines_with_numbers_that_are_not_finite_are_refused(tmp_path, value, record):
    path = tmp_path / "0GenericAffine.mat"
    content = bytearray(write_affine(path))
    start = content.index(record) + len(record) + 16
    content[start : start + 8] = struct.pack("<d", value)
    path.write_bytes(content)
    with pytest.raises(AtlasFileError, match="numbers that are not finite"):
        inverse_affine(str(path))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("letter", "df")
def test_affines_of_other_programs_are_read(tmp_path, order, letter):
    """ITK on other machines writes other bytes and numbers of 4 bytes."""
    path, kind = tmp_path / "0GenericAffine.mat", "double" if letter == "d" else "float"
    records = {
        f"AffineTransform_{kind}_3_3": [1, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4],
        "fixed": [5, 6, 7],
    }
    number = (0 if order == "<" else 1000) + (0 if letter == "d" else 10)
    content = b""
    for name, values in records.items():
        content += struct.pack(f"{order}5i", number, len(values), 1, 0, len(name) + 1)
        content += name.encode() + b"\0" + struct.pack(f"{order}{len(values)}{letter}", *values)
    path.write_bytes(content)
    assert read_affine(str(path)).TransformPoint((0, 0, 0)) == pytest.approx((2, 3, 4))
    path.write_bytes(content[:-3])
    with pytest.raises(AtlasFileError, match="is cut off"):
        read_affine(str(path))


VOXELS = np.random.default_rng(4).integers(1, 999, (12, 11, 10), np.uint16)
FORMS = {"nii": False, "nii.gz": True, "nrrd": True, "raw.nrrd": False, "nhdr": False}


def write_volume(folder, ending):
    """Return the path of a volume, and that of its voxels."""
    path = folder / f"a.{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS), str(path), FORMS[ending])
    return path, path.with_suffix(".raw") if ending == "nhdr" else path


@pytest.mark.parametrize("ending", FORMS)
def test_volumes_that_are_cut_off_are_refused_before_a_voxel_is_read(tmp_path, ending):
    path, stored = write_volume(tmp_path, ending)
    for is_read in (False, True):
        check_whole(str(path), is_read=is_read)
    assert np.array_equal(SimpleITK.GetArrayFromImage(read_atlas_image(str(path))), VOXELS)
    for count in (1, 9, 300):
        os.truncate(stored, stored.stat().st_size - count)
        with pytest.raises(AtlasFileError, match=f"^{stored}: is cut off") as raised:
            check_whole(str(path))
        assert str(raised.value).endswith("; copy it again")
        with pytest.raises(AtlasFileError, match="is cut off"):
            read_atlas_image(str(path))


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd"])
def test_packed_volumes_with_few_voxels_are_refused(tmp_path, ending):
    """Their streams end as they should."""
    path, _ = write_volume(tmp_path, ending)
    begin, gap, packed = path.read_bytes().partition(b"\n\n") if ending == "nrrd" else (b"", b"", 0)
    voxels = gzip.decompress(packed or path.read_bytes())
    path.write_bytes(begin + gap + gzip.compress(voxels[:-2]))
    needed = len(voxels)
    with pytest.raises(
        AtlasFileError, match=f"has {needed - 2} bytes of voxels, but needs {needed}"
    ):
        check_whole(str(path))
    # Programs that pack blocks by themselves, such as bgzip, tell the length of the last one alone.
    parts = gzip.compress(voxels[:99]) + gzip.compress(voxels[99:])
    path.write_bytes(begin + gap + parts)
    check_whole(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(read_atlas_image(str(path))), VOXELS)


def test_a_packed_volume_that_is_damaged_in_its_midst_is_not_read(tmp_path):
    path, _ = write_volume(tmp_path, "nii.gz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)
    check_whole(str(path))
    with pytest.raises(AtlasFileError, match="cannot be unpacked"):
        read_atlas_image(str(path))


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_atlases_of_brainglobe_that_are_cut_off_are_refused(tmp_path, compression):
    path = tmp_path / "reference.tiff"
    metadata = {"orientation": "asl", "resolution": [100] * 3, "shape": VOXELS.shape}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    tifffile.imwrite(path, VOXELS, compression=compression, photometric="minisblack")
    assert np.array_equal(SimpleITK.GetArrayFromImage(read_atlas_image(str(path))), VOXELS)
    end = max(sum(part) for part in places_of_voxels(path))
    for length in (end - 9, end // 2):
        os.truncate(path, length)
        with pytest.raises(AtlasFileError, match=f"^{path}: "):
            read_atlas_image(str(path))


def places_of_voxels(path):
    with tifffile.TiffFile(path) as file:
        return [
            part
            for page in file.pages
            for part in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
