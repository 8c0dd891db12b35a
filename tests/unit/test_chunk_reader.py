"""Chunks of OME-Zarr that are read by code of ours, beside the libraries that have written them."""

from __future__ import annotations

import json
import shutil
import struct
from itertools import product
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import tensorstore
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, ZstdCodec

from spimpack_tasks.volumes.errors import UnreadableVoxelsError
from spimpack_tasks.volumes.formats import OME_ZARR
from spimpack_tasks.volumes.ome_zarr.header import open_directory
from spimpack_tasks.volumes.ome_zarr.stored_array import describe_array
from spimpack_tasks.volumes.volume import open_volume

SHAPE = (11, 13, 17)
CHUNK = (4, 6, 5)
SHARD = (8, 12, 10)
"""No size of the image is a multiple of these."""
TYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int64", "float32", "float64"]


def values(dtype: str) -> np.ndarray:
    """Return voxels of which whole chunks, and a whole shard, are zero."""
    drawn = np.random.default_rng(8).integers(1, 100, SHAPE).astype(dtype)
    drawn[:4, :6, :10] = 0
    drawn[8:] = 0
    return drawn


def describe(path: Path, form: int) -> None:
    """Write the metadata of an OME-Zarr whose one level is an array at `0`."""
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    told = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    if form == 2:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps({"multiscales": [{"version": "0.4", **told}]}))
        return
    attributes = {"ome": {"version": "0.5", "multiscales": [told]}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (path / "zarr.json").write_text(json.dumps(group))


def write(path: Path, dtype: str = "uint16", fill: Any = 0, **options: Any) -> np.ndarray:
    """Write an OME-Zarr by zarr; chunks that equal the fill value are not stored."""
    path.mkdir()
    form = options.setdefault("zarr_format", 3)
    drawn = values(dtype)
    array = zarr.create_array(
        path / "0",
        **{"shape": SHAPE, "chunks": CHUNK, "dtype": dtype, "fill_value": fill, **options},
        config={"write_empty_chunks": False, "order": "C"},
    )
    drawn[drawn == 0] = array.fill_value if fill is not None else 0
    array[:] = drawn
    describe(path, form)
    return drawn


def is_usual(path: Path) -> bool:
    """Tell whether it is our code that reads the level."""
    return describe_array("0/", open_directory(str(path)).load) is not None


def read(path: Path, region: tuple[slice, ...], *, for_copy: bool = True) -> np.ndarray:
    with open_volume(str(path), OME_ZARR, accept_unclear=True, for_copy=for_copy) as volume:
        one = slice(0, 1)
        return np.array(volume.levels[0].read((one, one, *region))[0, 0])


def check(path: Path, wanted: np.ndarray) -> None:
    """Compare the whole level, and boxes that begin and end anywhere, bit by bit."""
    regions = [
        tuple(slice(0, n) for n in SHAPE),
        (slice(3, 9), slice(5, 7), slice(4, 17)),
        (slice(10, 11), slice(12, 13), slice(16, 17)),
        (slice(4, 8), slice(6, 12), slice(5, 10)),
    ]
    for region in regions:
        found = read(path, region)
        assert found.dtype == wanted.dtype.newbyteorder("=")
        assert found.tobytes() == wanted[region].astype(found.dtype).tobytes(), region


V3 = {
    "none": [],
    "blosc": [BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=2)],
    "blosc lz4": [BloscCodec(cname="lz4", shuffle="shuffle", typesize=1)],
    "blosc and checksum": [BloscCodec(cname="lz4"), Crc32cCodec()],
    "checksum and blosc": [Crc32cCodec(), BloscCodec(cname="lz4")],
    "gzip": [GzipCodec(level=1)],
    "gzip and checksum": [GzipCodec(level=1), Crc32cCodec()],
    "zstd": [ZstdCodec(level=1)],
    "zstd with checksum": [ZstdCodec(level=1, checksum=True)],
    "checksum alone": [Crc32cCodec()],
}


@pytest.mark.parametrize("is_sharded", [False, True], ids=["chunks", "shards"])
@pytest.mark.parametrize("codecs", V3.values(), ids=V3)
def test_codecs_of_v3(tmp_path, codecs, is_sharded):
    path = tmp_path / "a.ome.zarr"
    wanted = write(path, compressors=codecs, shards=SHARD if is_sharded else None)
    assert is_usual(path)
    check(path, wanted)


@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("dtype", [*TYPES, "float16", "uint64"])
def test_types_and_byte_orders_of_v3(tmp_path, dtype, endian):
    path = tmp_path / "a.ome.zarr"
    order = BytesCodec(endian=endian) if np.dtype(dtype).itemsize > 1 else BytesCodec(endian=None)
    wanted = write(path, dtype, serializer=order, compressors=[ZstdCodec()])
    assert is_usual(path)
    check(path, wanted)


FILLS = {
    "bool": [True, False],
    "uint8": [0, 255],
    "int16": [-7],
    "uint64": [2**64 - 1],
    "float32": [0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf")],
}


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize(("dtype", "fill"), [(d, f) for d, all_ in FILLS.items() for f in all_])
def test_fill_values(tmp_path, dtype, fill, form):
    path = tmp_path / "a.ome.zarr"
    sharded = {"shards": SHARD} if form == 3 else {}
    wanted = write(path, dtype, fill, zarr_format=form, **sharded)
    assert is_usual(path)
    check(path, wanted)


def test_no_fill_value_of_v2_is_zero(tmp_path):
    path = tmp_path / "a.ome.zarr"
    wanted = write(path, zarr_format=2)
    told = json.loads((path / "0" / ".zarray").read_text())
    (path / "0" / ".zarray").write_text(json.dumps({**told, "fill_value": None}))
    assert is_usual(path)
    check(path, wanted)


V2 = {
    "none": None,
    "blosc": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
    "gzip": {"id": "gzip", "level": 1},
    "zlib": {"id": "zlib", "level": 1},
    "zstd": {"id": "zstd", "level": 1},
    "lz4": {"id": "lz4", "acceleration": 1},
    "bz2": {"id": "bz2", "level": 1},
    "lzma": {"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None},
}


@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("name", V2)
def test_codecs_and_separators_of_v2(tmp_path, name, separator):
    import numcodecs

    path = tmp_path / "a.ome.zarr"
    codec = V2[name] and numcodecs.get_codec(V2[name])
    keys = {"name": "v2", "separator": separator}
    wanted = write(path, compressors=codec, zarr_format=2, chunk_key_encoding=keys)
    assert is_usual(path)
    assert (path / "0" / separator.join("110")).is_file()
    check(path, wanted)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", "f8", "u8"])
def test_byte_orders_of_v2(tmp_path, dtype, order):
    path = tmp_path / "a.ome.zarr"
    wanted = write(path, order + dtype, zarr_format=2)
    assert json.loads((path / "0" / ".zarray").read_text())["dtype"] == order + dtype
    assert is_usual(path)
    check(path, wanted)


@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("name", ["v2", "default"])
def test_keys_of_v3(tmp_path, name, separator):
    path = tmp_path / "a.ome.zarr"
    wanted = write(path, chunk_key_encoding={"name": name, "separator": separator})
    assert is_usual(path)
    check(path, wanted)


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("has_checksum", [True, False], ids=["crc32c", "bare"])
def test_indexes_of_shards_by_tensorstore(tmp_path, location, has_checksum):
    path = tmp_path / "a.ome.zarr"
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    checksum = [{"name": "crc32c"}] if has_checksum else []
    inner = {
        "chunk_shape": CHUNK,
        "codecs": [little, {"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
        "index_codecs": [little, *checksum],
        "index_location": location,
    }
    wanted = values("uint16")
    write_with_tensorstore(path, wanted, [{"name": "sharding_indexed", "configuration": inner}])
    assert is_usual(path)
    check(path, wanted)


def write_with_tensorstore(path: Path, wanted: np.ndarray, codecs: list, sizes=SHARD) -> None:
    path.mkdir()
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": str(path / "0")},
        "metadata": {
            "shape": SHAPE,
            "data_type": wanted.dtype.name,
            "fill_value": 0,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": sizes}},
            "codecs": codecs,
        },
        "create": True,
    }
    tensorstore.open(spec).result().write(wanted).result()
    describe(path, 3)


def test_the_libraries_read_what_our_code_reads(tmp_path):
    path = tmp_path / "a.ome.zarr"
    wanted = write(path, compressors=[BloscCodec(cname="zstd"), Crc32cCodec()], shards=SHARD)
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path / "0")}}
    np.testing.assert_array_equal(tensorstore.open(spec).result().read().result(), wanted)
    names = {"path": "zarrs.ZarrsCodecPipeline", "strict": True}
    with zarr.config.set({f"codec_pipeline.{key}": value for key, value in names.items()}):
        np.testing.assert_array_equal(zarr.open_array(path / "0", mode="r")[:], wanted)
    check(path, wanted)


def nested_shards(path: Path) -> np.ndarray:
    inner = ShardingCodec(chunk_shape=(2, 3, 5), codecs=[BytesCodec()])
    return write(path, serializer=ShardingCodec(chunk_shape=CHUNK, codecs=[inner]), chunks=SHARD)


def columns_first(path: Path) -> np.ndarray:
    return write(path, zarr_format=2, order="F")


def transposed(path: Path) -> np.ndarray:
    return write(path, filters=[zarr.codecs.TransposeCodec(order=(2, 1, 0))])


def with_filter(path: Path) -> np.ndarray:
    import numcodecs

    return write(path, zarr_format=2, filters=[numcodecs.Delta(dtype="<u2")])


def skip_without_checksum_first() -> None:
    import numcodecs

    if not hasattr(numcodecs, "CRC32C"):
        pytest.skip("an early numcodecs has it not")


def checksum_first(path: Path) -> np.ndarray:
    skip_without_checksum_first()
    return write(path, compressors=[zarr.codecs.numcodecs.CRC32C(location="start")])


def checksum_first_in_v2(path: Path) -> np.ndarray:
    import numcodecs

    skip_without_checksum_first()
    return write(path, zarr_format=2, compressors=numcodecs.CRC32C(location="start"))


WRITERS = (nested_shards, columns_first, transposed, with_filter)
WRITERS += (checksum_first, checksum_first_in_v2)
UNUSUAL = {each.__name__: each for each in WRITERS}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("write_it", UNUSUAL.values(), ids=UNUSUAL)
def test_zarr_reads_what_is_unusual(tmp_path, write_it):
    path = tmp_path / "a.ome.zarr"
    wanted = write_it(path)
    assert not is_usual(path)
    check(path, wanted)


EDITS_V3 = {
    "another grid": {"chunk_grid": {"name": "rectilinear", "configuration": {}}},
    "a key that nobody knows": {"extension": {"name": "x"}},
    "a transformer": {"storage_transformers": [{"name": "x"}]},
    "a type of time": {"data_type": "numpy.datetime64"},
    "a complex type": {"data_type": "complex64"},
    "bits as text": {"data_type": "float32", "fill_value": "0x7fc00001"},
    "a fill value that does not fit": {"fill_value": 70_000},
    "a fill value that is no number": {"fill_value": [0]},
    "another encoding of keys": {"chunk_key_encoding": {"name": "x"}},
    "no codecs": {"codecs": []},
    "no order of bytes": {"codecs": [{"name": "bytes"}]},
    "chunks of no size": {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": []}}},
}


@pytest.mark.parametrize("edit", EDITS_V3.values(), ids=EDITS_V3)
def test_metadata_that_only_zarr_may_judge(tmp_path, edit):
    path = tmp_path / "a.ome.zarr"
    write(path)
    assert is_usual(path)
    told = json.loads((path / "0" / "zarr.json").read_text())
    (path / "0" / "zarr.json").write_text(json.dumps({**told, **edit}))
    assert not is_usual(path)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 16
    path.write_bytes(data)


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:count])


def move_chunk(path: Path, offset: int, length: int) -> None:
    """Let the index say that the first stored chunk lies elsewhere."""
    data = path.read_bytes()
    count = 8
    index = [*struct.unpack_from(f"<{2 * count}Q", data, len(data) - 16 * count - 4)]
    first = next(n for n in range(count) if index[2 * n] != 2**64 - 1)
    index[2 * first : 2 * first + 2] = offset, length
    table = struct.pack(f"<{2 * count}Q", *index)
    checksum = struct.pack("<I", google_crc32c.value(table))
    path.write_bytes(data[: -16 * count - 4] + table + checksum)


SHARD_DAMAGES = {
    "a flipped bit in a chunk": (lambda p: flip(p, 40), " in '0/c/0/0/0' is damaged"),
    "a flipped bit in the index": (lambda p: flip(p, -20), "index of '0/c/0/0/0'"),
    "cut off": (lambda p: cut(p, 100), "'0/c/0/0/0' in it is cut off"),
    "empty": (lambda p: cut(p, 0), "'0/c/0/0/0' in it is cut off"),
    "a chunk behind the end": (lambda p: move_chunk(p, 10**6, 50), "behind its end"),
    "a chunk far behind the end": (lambda p: move_chunk(p, 2**63, 50), "behind its end"),
    "an offset without a length": (lambda p: move_chunk(p, 0, 2**64 - 1), "'0/c/0/0/0'"),
    "a length without an offset": (lambda p: move_chunk(p, 2**64 - 1, 50), "behind its end"),
    "a chunk of another size": (lambda p: move_chunk(p, 0, 3), "is damaged"),
    "a folder in its place": (lambda p: (p.unlink(), p.mkdir()), "is not a regular file"),
    "a link to nowhere": (lambda p: (p.unlink(), p.symlink_to("no")), "which is not there"),
}


@pytest.mark.parametrize(("damage", "told"), SHARD_DAMAGES.values(), ids=SHARD_DAMAGES)
def test_a_damaged_shard_is_an_error_that_names_it(tmp_path, damage, told):
    path = tmp_path / "a.ome.zarr"
    write(path, compressors=[BloscCodec(cname="lz4"), Crc32cCodec()], shards=SHARD)
    damage(path / "0" / "c" / "0" / "0" / "0")
    with pytest.raises(UnreadableVoxelsError, match="voxels of ") as caught:
        read(path, tuple(slice(0, n) for n in SHAPE))
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


CHUNK_DAMAGES = {
    "shorter": lambda p: cut(p, 30),
    "longer": lambda p: p.write_bytes(p.read_bytes() + b"more"),
    "empty": lambda p: cut(p, 0),
    "much longer": lambda p: p.write_bytes(bytes(10**6)),
}


@pytest.mark.parametrize("codecs", [[], [GzipCodec()], [ZstdCodec()]], ids=["none", "gzip", "zstd"])
@pytest.mark.parametrize("damage", CHUNK_DAMAGES)
def test_a_damaged_chunk_is_an_error_that_names_it(tmp_path, damage, codecs):
    path = tmp_path / "a.ome.zarr"
    write(path, compressors=codecs)
    CHUNK_DAMAGES[damage](path / "0" / "c" / "1" / "1" / "1")
    with pytest.raises(UnreadableVoxelsError, match="'0/c/1/1/1' in it"):
        read(path, tuple(slice(0, n) for n in SHAPE))


def test_streams_of_gzip_behind_one_another_are_read(tmp_path):
    import gzip

    path = tmp_path / "a.ome.zarr"
    wanted = write(path, compressors=[GzipCodec()])
    for place in product(*map(range, (3, 3, 4))):
        file = path / "0" / "c" / "/".join(map(str, place))
        if file.is_file():
            data = gzip.decompress(file.read_bytes())
            file.write_bytes(gzip.compress(data[:100]) + gzip.compress(data[100:]))
    check(path, wanted)


HALF = bytes(range(120))
"""Half of the bytes of a chunk; the other half is the same."""


def members(*parts: bytes) -> bytes:
    import gzip

    return b"".join(map(gzip.compress, parts))


@pytest.mark.parametrize(
    ("packed", "is_whole"),
    [
        (members(HALF * 2), True),
        (members(HALF, HALF), True),
        (members(HALF * 2, b""), True),
        (members(b"", HALF, HALF), True),
        (members(HALF * 2) + bytes(9), True),
        (members(HALF), False),
        (members(HALF * 2, HALF * 2), False),
        (members(HALF, HALF, HALF), False),
        (members(HALF, HALF)[:-1], False),
        (members(HALF * 2) + members(HALF * 2)[-8:], False),
    ],
)
@pytest.mark.parametrize("for_copy", [True, False])
def test_a_chunk_of_gzip_is_all_of_its_members(tmp_path, packed, is_whole, for_copy):
    path = tmp_path / "a.ome.zarr"
    write(path, compressors=[GzipCodec()])
    (path / "0" / "c" / "1" / "1" / "1").write_bytes(packed)
    region = (slice(4, 8), slice(6, 12), slice(5, 10))
    if is_whole:
        assert read(path, region, for_copy=for_copy).astype("<u2").tobytes() == HALF * 2
    else:
        with pytest.raises(UnreadableVoxelsError):
            read(path, region, for_copy=for_copy)


BLOSC = {
    "lz4": BloscCodec(cname="lz4", shuffle="shuffle", typesize=2),
    "zstd": BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=2),
    "blosclz": BloscCodec(cname="blosclz", shuffle="noshuffle"),
    "stored": BloscCodec(cname="lz4", clevel=0),
}


@pytest.mark.parametrize("count", [0, 3, 8, 15, 16, 20, 40, -1])
@pytest.mark.parametrize("codec", BLOSC.values(), ids=BLOSC)
@pytest.mark.parametrize("is_sharded", [False, True], ids=["chunk", "shard"])
def test_nothing_behind_a_cut_chunk_of_blosc_is_read(tmp_path, codec, count, is_sharded):
    """What lies there is the memory of the process."""
    path = tmp_path / "a.ome.zarr"
    write(path, compressors=[codec], shards=SHARD if is_sharded else None)
    file = path / "0" / "c" / ("0/0/0" if is_sharded else "1/1/1")
    if is_sharded:
        (length,) = struct.unpack_from("<I", file.read_bytes(), 12)
        move_chunk(file, 0, count % length)
    else:
        cut(file, count)
    region = tuple(slice(0, n) for n in SHAPE)
    name = file.relative_to(path)
    with pytest.raises(UnreadableVoxelsError, match=f"'{name}' in it is damaged|in '{name}'"):
        read(path, region)
    with pytest.raises(UnreadableVoxelsError, match="cut off"):
        read(path, region, for_copy=False)


@pytest.mark.parametrize("codec", BLOSC.values(), ids=BLOSC)
@pytest.mark.parametrize("for_copy", [True, False])
def test_bytes_that_z5_leaves_behind_a_chunk_of_blosc_do_no_harm(tmp_path, codec, for_copy):
    path = tmp_path / "a.ome.zarr"
    wanted = write(path, compressors=[codec])
    file = path / "0" / "c" / "1" / "1" / "1"
    file.write_bytes(file.read_bytes() + bytes(16))
    region = tuple(slice(0, n) for n in SHAPE)
    np.testing.assert_array_equal(read(path, region, for_copy=for_copy), wanted)


@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("name", [name for name in V2 if V2[name]])
def test_a_chunk_of_hardly_any_bytes_is_named(tmp_path, name, count):
    import numcodecs

    path = tmp_path / "a.ome.zarr"
    write(path, compressors=numcodecs.get_codec(V2[name]), zarr_format=2)
    cut(path / "0" / "1.1.1", count)
    with pytest.raises(UnreadableVoxelsError, match=r"'0/1\.1\.1' in it is damaged"):
        read(path, tuple(slice(0, n) for n in SHAPE))


def test_more_than_a_chunk_is_not_unpacked(tmp_path):
    import gzip

    path = tmp_path / "a.ome.zarr"
    write(path, compressors=[GzipCodec()])
    (path / "0" / "c" / "1" / "1" / "1").write_bytes(gzip.compress(bytes(10**7)))
    with pytest.raises(UnreadableVoxelsError, match="more than the"):
        read(path, tuple(slice(0, n) for n in SHAPE))


def test_large_chunks_are_unpacked_one_by_one(tmp_path):
    """Each thread would hold one."""
    for name, size, is_sequential in (("a", 2**23, False), ("b", 2**23 + 1, True)):
        path = tmp_path / f"{name}.ome.zarr"
        path.mkdir()
        options = {"shape": (1, 1, size), "chunks": (1, 1, size), "dtype": "uint16"}
        zarr.create_array(path / "0", **options)
        describe(path, 3)
        with open_volume(str(path), OME_ZARR, for_copy=True) as volume:
            assert volume.levels[0].sequential == is_sequential


def test_it_reads_by_links_as_zarr_does(tmp_path):
    path = tmp_path / "a.ome.zarr"
    wanted = write(path, shards=SHARD)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "b.ome.zarr").symlink_to(path)
    check(tmp_path / "link" / "b.ome.zarr", wanted)
    shard = path / "0" / "c" / "0" / "0" / "0"
    shutil.move(shard, tmp_path.parent / f"{tmp_path.name}-outside")
    shard.symlink_to(tmp_path.parent / f"{tmp_path.name}-outside")
    with pytest.raises(UnreadableVoxelsError, match="out of the image"):
        read(path, tuple(slice(0, n) for n in SHAPE))
