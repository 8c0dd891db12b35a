"""Which axes an image gets, by the header of its source and the shape of its voxels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from spimpack_tasks.model.axes import choose_axes

ZARR, TIFF, PLANES = "OME-Zarr", "OME-TIFF", "folder of planes"

CASES = {
    # header axes, header shape, format, shape of the voxels -> axes
    "one channel that the source names": (("czyx", (1, 9, 8, 7)), TIFF, (), "czyx"),
    "no channel axis": (("zyx", (9, 8, 7)), ZARR, (), "zyx"),
    "one time point of an OME-TIFF": (("tczyx", (1, 2, 9, 8, 7)), TIFF, (), "czyx"),
    "one time point of an OME-Zarr": (("tczyx", (1, 2, 9, 8, 7)), ZARR, (), "tczyx"),
    "two time points": (("tzyx", (2, 9, 8, 7)), TIFF, (), "tzyx"),
    "planes of one channel": (("tczyx", (1, 1, 9, 8, 7)), PLANES, (), "zyx"),
    "planes of two channels": (("tczyx", (1, 2, 9, 8, 7)), PLANES, (), "czyx"),
    # The header counts pages; the library finds channels and times among them.
    "channels that only the voxels have": (("zyx", (18, 8, 7)), TIFF, (1, 2, 9, 8, 7), "czyx"),
    "times that only the voxels have": (("zyx", (18, 8, 7)), TIFF, (2, 1, 9, 8, 7), "tzyx"),
    "both": (("zyx", (36, 8, 7)), TIFF, (2, 2, 9, 8, 7), "tczyx"),
    "voxels of one channel": (("zyx", (9, 8, 7)), TIFF, (1, 1, 9, 8, 7), "zyx"),
}


def header_of(axes: str, shape: tuple[int, ...]) -> Any:
    return SimpleNamespace(axes=axes, shapes=(shape,))


@pytest.mark.parametrize(("header", "form", "shape", "axes"), CASES.values(), ids=CASES)
def test_the_axes_are_those_that_the_source_has(
    header: tuple[str, tuple[int, ...]], form: str, shape: tuple[int, ...], axes: str
) -> None:
    assert choose_axes(header_of(*header), form, shape_tczyx=shape) == axes
    assert choose_axes(header_of(*header), form, "tczyx", shape) == "tczyx"
