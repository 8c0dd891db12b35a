"""What is made of Imaris files of every kind is read by all readers as the very same voxels."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import conversions
import numpy as np
import pytest
import yaozarrs
import zarr
from conversions import Job
from imaris_variants import VARIANTS, Variant, voxels, with_lz4, write_variant
from ome_zarr_models import open_ome_zarr
from zarr_readers import READERS

from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.formats import NGFF

if TYPE_CHECKING:
    from pathlib import Path

ALL = VARIANTS | with_lz4()
CODECS = ("gzip", "blosc", "lz4")
FEW = ("as ImarisWriter has it", "numbers with a point", "two channels, three times")
"""Variants that a slow reader reads each time."""
CANNOT = pytest.mark.xfail(
    reason="zarrs reads no big-endian numbers of Zarr v2", raises=RuntimeError, strict=False
)


def cases():
    for reader in READERS:
        for name, variant in ALL.items():
            for codec in CODECS:
                for ngff in NGFF:
                    marks = []
                    if reader == "zarrnii" and name not in FEW:
                        marks.append(pytest.mark.slow)
                    if reader == "zarrs" and ngff == "0.4" and variant.dtype.startswith(">"):
                        marks.append(CANNOT)
                    yield pytest.param(reader, name, codec, ngff, marks=marks)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Convert a variant once for all readers."""

    @functools.cache
    def convert(name: str, codec: str, ngff: str) -> Path:
        folder = tmp_path_factory.mktemp("image")
        write_variant(folder / "a.ims", ALL[name])
        before = (folder / "a.ims").read_bytes()
        path = folder / "a.ome.zarr"
        request = Request(codec=codec, ngff=ngff, name="sub-01", orientation_xyz="LAS")
        conversions.convert(Job(str(folder / "a.ims"), str(path), request))
        assert (folder / "a.ims").read_bytes() == before
        return path

    return convert


def expected(variant: Variant, level: int) -> np.ndarray:
    return np.stack(
        [
            np.stack([voxels(variant, level, time, channel) for channel in range(variant.channels)])
            for time in range(variant.times)
        ]
    )


@pytest.mark.few(120)
@pytest.mark.parametrize(("reader", "name", "codec", "ngff"), list(cases()))
def test_every_voxel_of_every_level(converted, reader, name, codec, ngff):
    path, variant = converted(name, codec, ngff), ALL[name]
    for level in range(len(variant.chunks)):
        found, wanted = np.asarray(READERS[reader](path, level)), expected(variant, level)
        assert found.dtype.name == wanted.dtype.name  # whatever the byte order
        if reader == "zarrnii":  # it leaves out an axis of one
            wanted = wanted.reshape(found.shape)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", FEW)
def test_referees_accept_the_metadata(converted, name, codec, ngff):
    path = converted(name, codec, ngff)
    assert yaozarrs.validate_zarr_store(str(path)).ome_version() == ngff
    open_ome_zarr(zarr.open_group(str(path), mode="r"), version=ngff)


@pytest.mark.parametrize("ngff", NGFF)
def test_nothing_lies_there_but_chunks_and_metadata(converted, ngff):
    path = converted("as ImarisWriter has it", "gzip", ngff)
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    chunks = {name for name in files if name.rpartition("/")[2].isdecimal()}
    metadata = {
        "0.5": {"zarr.json", "0/zarr.json", "1/zarr.json"},
        "0.4": {".zattrs", ".zgroup", "0/.zarray", "1/.zarray"},
    }
    assert files - chunks == metadata[ngff]
    assert not [folder for folder in path.rglob("*") if folder.is_dir() and folder.name[0] == "."]
    # 3 x 3 x 3 chunks of level 0, and 1 x 3 x 3 of level 1.
    assert len(chunks) == {"0.5": 2, "0.4": 27 + 9}[ngff]


def test_a_missing_chunk_has_no_file(converted):
    path = converted("a missing chunk", "gzip", "0.4")
    assert (path / "0/0/1/1/0").is_file()
    assert not (path / "0/0/1/1/1").exists()
