"""Chunks are wrapped, checked and unwrapped: compared with the standard library's zlib and gzip."""

import gzip
import zlib

import google_crc32c
import numcodecs
import numpy as np
import pytest
from markdown_blocks import ROOT

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.arrays.codec_table import CODECS as CODEC_TABLE
from spimpack_tasks.arrays.codecs import (
    Blosc,
    DamagedChunkError,
    Gzip,
    choose_codec,
    inflate,
)
from spimpack_tasks.cli.main import main
from spimpack_tasks.conversion import convert_file
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.packaging.backends.ome_zarr import OME_ZARR
from spimpack_tasks.volumes.spec import VolumeSpec
from spimpack_tasks.volumes.writer import Layout, create_volume

RAMP = np.arange(20_000, dtype="uint16").tobytes()
NOISE = np.random.default_rng(1).bytes(20_000)
CONTENT = {"zeros": bytes(20_000), "ramp": RAMP, "noise": NOISE, "one byte": b"\1"}
CODECS = {
    "gzip": Gzip(),
    "blosc": Blosc(2),
    "blosc with checksum": Blosc(2, has_checksum=True),
    "lz4": choose_codec("lz4", 2, has_checksum=False),
    "lz4 with checksum": choose_codec("lz4", 2, has_checksum=True),
}


@pytest.mark.parametrize("level", [0, 1, 2, 6, 9])
@pytest.mark.parametrize("name", CONTENT)
def test_a_stream_of_zlib_is_not_compressed_anew(name, level):
    data = CONTENT[name]
    deflated = zlib.compress(data, level)
    chunk = b"".join(Gzip().rewrap(deflated, len(data)))
    assert gzip.decompress(chunk) == data
    # RFC 1950: two bytes before, four behind; RFC 1952: ten before, eight behind.
    assert chunk[10:-8] == deflated[2:-4]


FOLLOWING = {
    "one byte": lambda _: b"\0",
    "the same checksum": lambda deflated: deflated[-4:],
    "another stream": lambda deflated: deflated,
    "bytes, then the same checksum": lambda deflated: b"abc" + deflated[-4:],
}


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize("name", CONTENT)
def test_what_follows_a_stream_of_zlib_is_left_out(name, following):
    data = CONTENT[name]
    deflated = zlib.compress(data, 2)
    chunk = b"".join(Gzip().rewrap(deflated + FOLLOWING[following](deflated), len(data)))
    assert gzip.decompress(chunk) == data
    stream = zlib.decompressobj(wbits=31)
    assert stream.decompress(chunk) == data
    assert not stream.unused_data


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", CONTENT)
def test_what_is_encoded_is_decoded(name, codec):
    data = CONTENT[name]
    chunk = b"".join(CODECS[codec].encode(data))
    assert bytes(CODECS[codec].decode(chunk, len(data))) == data
    rewrapped = b"".join(CODECS[codec].rewrap(zlib.compress(data), len(data)))
    assert bytes(CODECS[codec].decode(rewrapped, len(data))) == data


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [len(RAMP) - 1, len(RAMP) + 1, 1])
def test_a_chunk_of_another_size_is_damaged(codec, size):
    chunk = b"".join(CODECS[codec].encode(RAMP))
    with pytest.raises(DamagedChunkError):
        CODECS[codec].decode(chunk, size)
    with pytest.raises(DamagedChunkError):
        inflate(zlib.compress(RAMP), size)


@pytest.mark.parametrize("codec", ["gzip", "blosc with checksum", "lz4 with checksum"])
def test_a_flipped_bit_behind_the_head_is_found(codec):
    chunk = b"".join(CODECS[codec].encode(RAMP))
    for at in range(16, len(chunk), len(chunk) // 50):
        harmed = bytearray(chunk)
        harmed[at] ^= 1
        with pytest.raises(DamagedChunkError):
            CODECS[codec].decode(bytes(harmed), len(RAMP))


def test_the_metadata_name_what_the_bytes_are():
    blosc = {"cname": "zstd", "clevel": 1, "blocksize": 0}
    v3 = {"name": "blosc", "configuration": blosc | {"shuffle": "bitshuffle", "typesize": 2}}
    assert CODECS["blosc"].v3() == [v3]
    assert CODECS["blosc with checksum"].v3() == [v3, {"name": "crc32c"}]
    assert CODECS["blosc"].v2() == blosc | {"id": "blosc", "shuffle": 2}
    lz4 = {"cname": "lz4", "clevel": 5, "blocksize": 0}
    v3 = {"name": "blosc", "configuration": lz4 | {"shuffle": "bitshuffle", "typesize": 2}}
    assert CODECS["lz4"].v3() == [v3]
    assert CODECS["lz4 with checksum"].v3() == [v3, {"name": "crc32c"}]
    assert CODECS["lz4"].v2() == lz4 | {"id": "blosc", "shuffle": 2}
    assert Gzip().v3() == [{"name": "gzip", "configuration": {"level": 2}}]
    assert Gzip().v2() == {"id": "gzip", "level": 2}


@pytest.mark.parametrize("name", ["blosc", "lz4"])
def test_the_bytes_are_of_the_compressor_that_is_named(name):
    """The head of Blosc tells its compressor in three bits, and shuffled bits in another."""
    (chunk,) = CODECS[name].encode(RAMP)
    assert chunk[2] >> 5 == {"blosc": 4, "lz4": 1}[name]
    assert chunk[2] & 0x4
    assert numcodecs.Blosc().decode(chunk) == RAMP


def test_users_choose_from_one_table(capsys):
    assert list(CODEC_TABLE) == ["gzip", "blosc", "lz4"]
    assert OME_ZARR.settings["codec"] == CODEC_NAMES
    assert convert_file.CODECS[".ome.zarr"] == (*CODEC_NAMES, "none")
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    page = (ROOT / "docs/how-to/convert-images.md").read_text(encoding="utf-8")
    for name, choice in CODEC_TABLE.items():
        assert f"{name}, {choice.suits}" in shown
        assert f"| `{name}` |" in page


CHUNK = b"".join(Blosc(2).encode(RAMP))
BEGUN = {
    "nothing": (None, True),
    "with a checksum": (CHUNK + google_crc32c.value(CHUNK).to_bytes(4, "little"), True),
    "bare, then a small number": (CHUNK + bytes(4), False),
    "bare, then a large number": (CHUNK + b"\xff" * 4, False),
    "a bare chunk alone": (CHUNK, False),
    "no whole head": (CHUNK[:15], True),
    "no whole chunk": (CHUNK[:-1], True),
}


@pytest.mark.parametrize("name", BEGUN)
def test_an_image_that_was_begun_keeps_its_codec(name, tmp_path):
    shard, has_checksum = BEGUN[name]
    if shard is not None:
        path = tmp_path / "0" / "c" / "0" / "0"
        path.parent.mkdir(parents=True)
        path.write_bytes(shard)
    place = LocalPlace(str(tmp_path))
    spec = VolumeSpec((1, 1, 8, 8, 8), np.dtype("uint16"))
    with create_volume(place, spec, Layout(codec="blosc")) as writer:
        assert writer.codec == Blosc(2, has_checksum=has_checksum)
    with create_volume(place, spec) as writer:
        assert writer.codec == Gzip()
