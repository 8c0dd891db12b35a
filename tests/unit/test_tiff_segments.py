"""Tiles and strips of TIFF, read in parts: compared with what tifffile reads as a whole."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from spimpack_tasks.volumes.tiff.levels import open_levels

SHAPE = (5, 130, 101)
VOXELS = np.random.default_rng(0).integers(1, 100, SHAPE)
KINDS = {
    "tiles": {"tile": (64, 48)},
    "strips": {"rowsperstrip": 17},
    "one strip": {"rowsperstrip": 130},
}
PARTS = {
    "all": np.s_[0:5, 0:130, 0:101],
    "a plane": np.s_[1:2, 0:130, 0:101],
    "within": np.s_[1:3, 37:99, 40:101],
    "one voxel": np.s_[2:3, 64:65, 48:49],
}


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_part_is_read(
    tmp_path: Path, kind: str, dtype: str, compression: str | None, byteorder: str
) -> None:
    path = tmp_path / "a.tif"
    further = {"predictor": True} if compression else {}
    further |= KINDS[kind]
    tifffile.imwrite(
        path, VOXELS.astype(dtype), byteorder=byteorder, compression=compression, **further
    )
    whole = tifffile.imread(path)
    with open_levels(str(path)) as (level,):
        for part in PARTS.values():
            found = level.read(part)
            assert found.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(found, whole[part])


def write_with_gap(path: Path, offset: int) -> None:
    """Write tiles, and let the directory say that the second one of the second plane is nowhere."""
    tifffile.imwrite(path, VOXELS.astype("uint16"), tile=(64, 48), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        tag = file.pages[1].tags["TileOffsets" if offset == 0 else "TileByteCounts"]
        values = list(tag.value)
        values[1] = 0
        tag.overwrite(values)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_tile_that_was_left_out_holds_zeros(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "a.tif"
    write_with_gap(path, offset)
    wanted = VOXELS.astype("uint16")
    wanted[1, 0:64, 48:96] = 0
    with open_levels(str(path)) as (level,):
        np.testing.assert_array_equal(level.read(PARTS["all"]), wanted)


def test_zarr_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, VOXELS.astype("uint16"), tile=(64, 48), metadata={"axes": "ZYX"})
    monkeypatch.setitem(sys.modules, "zarr", None)
    with open_levels(str(path)) as (level,):
        assert level.chunk == (1, 64, 48)
        np.testing.assert_array_equal(level.read(PARTS["all"]), VOXELS)
