"""Files of an alignment that are cut off or hold no numbers, byte by byte."""

import struct

import numpy as np
import pytest
import SimpleITK

from spimpack_tasks.alignment.affines import inverse_affine, read_affine
from spimpack_tasks.alignment.transforms import AtlasFileError


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
