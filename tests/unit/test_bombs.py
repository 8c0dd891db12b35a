"""Tiny files that ask for gigabytes, or for ever, are refused in little memory and time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zarr
from bombs import SHUFFLED, change, deflated, imaris, zarr_v3, zstd_of_zeros
from zarr_layouts import write_store

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files.limits import VARIABLE, as_size
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.unpacking import UnpackingError, unpack


def test_f4_a_limit_is_told_and_can_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_store(tmp_path / "a.ome.zarr", "v3")

    def lengthen(told: dict) -> None:
        told["attributes"]["more"] = "x" * 17 * 2**20

    change(path / "zarr.json", lengthen)
    with pytest.raises(HeaderError, match=r"zarr\.json' of more than 16 MiB") as raised:
        read_header(str(path), "OME-Zarr")
    assert VARIABLE in raised.value.hint
    monkeypatch.setenv(VARIABLE, "1.5")
    assert read_header(str(path), "OME-Zarr").dtype == "uint16"
    for wrong in ("0", "-1", "x", "1e9", "nan", "0.5"):
        monkeypatch.setenv(VARIABLE, wrong)
        assert main(["qc", str(path), "--output", str(tmp_path / "p.html")]) == ExitCode.BAD_INPUT
        assert VARIABLE in capsys.readouterr().err


SMALL = 2**25
"""Bytes of zeros, which deflated take less than a file of chunks may have."""
DECODED = {
    "f4-gzip.ome.zarr": lambda p: zarr_v3(p, "gzip", data=deflated(31, SMALL)),
    "f4-zlib.ome.zarr": lambda p: zarr_v3(p, "zlib", data=deflated(15, SMALL)),
    "f4-zstd.ome.zarr": lambda p: zarr_v3(p, "zstd", data=zstd_of_zeros(SMALL, told=True)),
    "f4-blosc.ome.zarr": lambda p: zarr_v3(p, "blosc"),
    "f4-shuffled.ims": lambda p: imaris(p, SHUFFLED, deflated(15, SMALL)),
    "f4-with-checksum.ims": lambda p: imaris(
        p, {**SHUFFLED, "fletcher32": True}, deflated(15, SMALL) + bytes(4)
    ),
}


@pytest.mark.parametrize("name", DECODED)
def test_what_a_chunk_holds_is_bounded_by_its_size(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = DECODED[name](tmp_path / name)
    assert main(["convert", str(path), str(tmp_path / "o.ome.zarr")]) != 0
    assert "hold more than" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 1, 1000, 2**20])
def test_f4_unpacking_stops_at_the_limit(size: int) -> None:
    import bz2
    import gzip
    import lzma
    import zlib

    from numcodecs import LZ4, Blosc, Zstd

    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    packed = {
        "zlib": zlib.compress(data),
        "gzip": gzip.compress(data),
        "bz2": bz2.compress(data),
        "lzma": lzma.compress(data),
    }
    if data:
        packed |= {"zstd": Zstd().encode(data), "blosc": Blosc().encode(data)}
        packed |= {"lz4": LZ4().encode(data)}
    for name, each in packed.items():
        assert bytes(unpack(name, each, size, {})) == data
        if size:
            with pytest.raises(UnpackingError):
                unpack(name, each, size - 1, {})
    with pytest.raises(UnpackingError):
        unpack("gzip", packed["gzip"][:-1], size, {})
    twice = gzip.compress(data) * 2 + bytes(9)
    assert bytes(unpack("gzip", twice, 2 * size, {})) == 2 * data


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1 KiB"), (3 * 2**29, "1.5 GiB")],
    ids=lambda value: f"f4-{value}",
)
def test_sizes_for_people(count: int, told: str) -> None:
    assert as_size(count) == told


def test_f3_sharded_metadata_that_make_no_sense(tmp_path: Path, capsys) -> None:
    for inner in ([0, 1, 1, 1], [1, 1], "x", [1, 1, 1, 1.5], [-1, 1, 1, 1]):
        path = write_store(tmp_path / f"{json.dumps(inner)}.ome.zarr", "v3-sharded")

        def alter(told: dict, inner: object = inner) -> None:
            told["codecs"][0]["configuration"]["chunk_shape"] = inner

        change(path / "0/zarr.json", alter)
        assert main(["convert", str(path), str(tmp_path / "o.ome.zarr")]) != 0
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("count", [65_536, 65_537, 10**8])
def test_f4_a_channel_count_without_end_is_refused(tmp_path, count):
    """A few bytes of metadata name a hundred million channels."""
    store = tmp_path / "a.ome.zarr"
    store.mkdir()
    axes = [{"name": each} for each in "czyx"]
    datasets = [{"path": "0"}]
    told = {"multiscales": [{"axes": axes, "datasets": datasets, "version": "0.4"}]}
    (store / ".zattrs").write_text(json.dumps(told))
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    zarr.create_array(
        store / "0", shape=(count, 1, 2, 2), chunks=(1, 1, 2, 2), dtype="u1", zarr_format=2
    )
    if count == 65_536:
        assert read_header(str(store), "OME-Zarr").channel_count == count
    else:
        with pytest.raises(HeaderError, match=f"has {count:,} channels"):
            read_header(str(store), "OME-Zarr")
