"""Tiny files that ask for gigabytes, or for ever; each is written by its own few lines."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import nibabel
import numpy as np
import tifffile
from dcimg_files import USB, Dcimg, compose_frames, write_dcimg
from numcodecs import LZ4, Blosc
from plane_sources import compose_voxels, write_folder, write_imaris, write_tif
from zarr_layouts import write_store

BIG = 2**30 + 2**28
"""Bytes that a bomb inflates to."""
VOXELS = compose_voxels((1, 1, 4, 20, 21))


def deflated(bits: int, size: int = BIG) -> bytes:
    """Return zeros, deflated without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    piece = bytes(2**24)
    return b"".join(packer.compress(piece) for _ in range(size // len(piece))) + packer.flush()


def zstd_of_zeros(size: int = BIG, *, told: bool) -> bytes:
    """Return a frame of blocks that each repeat one byte (RFC 8878)."""
    blocks = size // 2**17
    head = struct.pack("<IB", 0xFD2FB528, 0xE0 if told else 0x00)
    head += struct.pack("<Q", size) if told else b"\x38"
    block = (2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = (2**17 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return head + block * (blocks - 1) + last


def blosc_of_zeros(size: int = BIG - 2**16) -> bytes:
    head = bytearray(Blosc("zstd").encode(bytes(2**20)))
    struct.pack_into("<I", head, 4, size)
    return bytes(head)


CHUNKS = {
    "zlib": lambda: deflated(15),
    "gzip": lambda: deflated(31),
    "bz2": lambda: bz2.compress(bytes(2**29)),
    "lzma": lambda: lzma.compress(bytes(2**29), preset=1),
    "zstd": lambda: zstd_of_zeros(told=True),
    "zstd-untold": lambda: zstd_of_zeros(told=False),
    "blosc": blosc_of_zeros,
    "lz4": lambda: struct.pack("<I", BIG - 1) + LZ4().encode(bytes(2**20))[4:],
}


def zarr_v2(path: Path, codec: str) -> Path:
    """Write a store of Zarr v2, one of whose chunks is a bomb."""
    write_store(path, "v2")
    change(
        path / "0/.zarray",
        lambda told: told.update(compressor={"id": codec.split("-", maxsplit=1)[0]}),
    )
    for chunk in (path / "0").rglob("*"):
        if chunk.is_file() and not chunk.name.startswith("."):
            chunk.write_bytes(bomb(codec))
    return path


def zarr_v3(path: Path, codec: str, *, sharded: bool = False, data: bytes = b"") -> Path:
    """Write a store of Zarr v3 of bombs."""
    write_store(path, "v3-sharded" if sharded else "v3")
    name = codec.split("-", maxsplit=1)[0]
    settings = {
        "gzip": {"level": 1},
        "zstd": {"level": 1, "checksum": False},
        "blosc": {
            "cname": "zstd",
            "clevel": 1,
            "shuffle": "shuffle",
            "typesize": 2,
            "blocksize": 0,
        },
    }
    packed = {"name": name if name in settings else f"numcodecs.{name}"}
    packed["configuration"] = settings.get(name, {})
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, packed]

    def alter(told: dict[str, Any]) -> None:
        owner = told["codecs"][0]["configuration"] if sharded else told
        owner["codecs"] = codecs

    change(path / "0/zarr.json", alter)
    data = data or bomb(codec)
    for chunk in (path / "0/c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(shard_of(data) if sharded else data)
    return path


def shard_of(data: bytes) -> bytes:
    """Return a shard of 2 x 2 x 2 chunks, each of which is the same bytes."""
    index = struct.pack("<QQ", 0, len(data)) * 8
    return data + index + struct.pack("<I", crc32c(index))


def crc32c(data: bytes) -> int:
    import google_crc32c

    return google_crc32c.value(data)


KEPT: dict[str, bytes] = {}


def bomb(codec: str) -> bytes:
    if codec not in KEPT:
        KEPT[codec] = CHUNKS[codec]()
    return KEPT[codec]


def change(path: Path, alter: Any) -> None:
    told = json.loads(path.read_text())
    alter(told)
    path.write_text(json.dumps(told))


def huge_zarr(path: Path, shape: list[int], chunks: list[int]) -> Path:
    """Write a store whose level names another shape, and has no chunks."""
    write_store(path, "v3")

    def alter(told: dict[str, Any]) -> None:
        told["shape"] = shape
        told["chunk_grid"]["configuration"]["chunk_shape"] = chunks

    change(path / "0/zarr.json", alter)
    return path


def imaris(path: Path, filters: dict[str, Any], data: bytes) -> Path:
    """Write an Imaris file, the first of whose chunks is a bomb."""
    write_imaris(path, VOXELS)
    with h5py.File(path, "r+") as file:
        owner = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"]
        del owner["Data"]
        made = owner.create_dataset("Data", (8, 32, 32), "<u2", chunks=(8, 32, 32), **filters)
        made.id.write_direct_chunk((0, 0, 0), data)
    return path


def huge_imaris(path: Path) -> Path:
    write_imaris(path, VOXELS)
    with h5py.File(path, "r+") as file:
        owner = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"]
        del owner["Data"]
        side = 2**17
        owner.create_dataset(
            "Data", (side,) * 3, "<u2", chunks=(1024, 1024, 1024), compression="gzip"
        )
        for axis in "XYZ":
            owner.attrs[f"ImageSize{axis}"] = np.frombuffer(str(2**10).encode(), "S1")
    return path


def nifti_gz(path: Path) -> Path:
    """Write a header of 2^50 voxels, and a few bytes of them."""
    header = nibabel.Nifti2Header()
    header.set_data_shape((2**20, 2**20, 2**10))
    header.set_data_dtype("u2")
    header["vox_offset"], header["magic"] = 544, b"n+2\0"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    return path


def long_rows_gz(path: Path) -> Path:
    """Write one row of 2 GiB that is all there."""
    header = nibabel.Nifti2Header()
    header.set_data_shape((2**31, 1, 1))
    header.set_data_dtype("u1")
    header["vox_offset"], header["magic"] = 544, b"n+2\0"
    start = gzip.compress(header.binaryblock + bytes(4))
    path.write_bytes(start + deflated(31, 2**31))
    return path


def tiff(path: Path, compression: str, data: bytes, told: int | None = None) -> Path:
    """Write a TIFF of one tile, and exchange what is in it."""
    tile = np.zeros((64, 64), "u1")
    tifffile.imwrite(path, tile, tile=(64, 64), compression=compression, metadata=None)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        place = {tag: page.tags[tag].valueoffset for tag in (256, 257, 322, 323, 324, 325)}
        codes = {tag: page.tags[tag].dtype for tag in place}
    raw = bytearray(path.read_bytes())
    values = {324: len(raw), 325: len(data)}
    if told is not None:
        values |= dict.fromkeys((256, 257, 322, 323), told)
    for tag, value in values.items():
        struct.pack_into(
            "<H" if codes[tag] == 3 else "<I" if codes[tag] == 4 else "<Q", raw, place[tag], value
        )
    path.write_bytes(raw + data)
    return path


def large_jpeg() -> bytes:
    """Return a JPEG whose header says 65,500 x 65,500."""
    data = bytearray(imagecodecs.jpeg8_encode(np.zeros((64, 64), "u1")))
    place = next(n for n in range(len(data)) if data[n] == 0xFF and data[n + 1] in (0xC0, 0xC1))
    struct.pack_into(">HH", data, place + 5, 65500, 65500)
    return bytes(data)


def large_jpeg_2000() -> bytes:
    data = bytearray(imagecodecs.jpeg2k_encode(np.zeros((64, 64), "u1"), codecformat="jp2"))
    place = data.index(b"\xff\x4f\xff\x51") + 8
    struct.pack_into(">II", data, place, 100000, 100000)
    return bytes(data)


def png(width: int, height: int) -> bytes:
    """Return a PNG of zeros that are all there."""
    body = deflated(15, 2**28)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)), (b"IDAT", body)]
    text = b"\x89PNG\r\n\x1a\n"
    for kind, data in [*parts, (b"IEND", b"")]:
        text += struct.pack(">I", len(data)) + kind + data
        text += struct.pack(">I", zlib.crc32(kind + data))
    return text


def planes(path: Path, name: str, data: bytes, other: str = "p_{z:03}.tif") -> Path:
    write_folder(path, VOXELS, write_tif, other)
    for each in path.iterdir():
        each.unlink()
    for number in range(2):
        (path / name.format(number)).write_bytes(data)
    return path


def jpegs(path: Path) -> Path:
    one = tiff(path.with_suffix(".tif"), "jpeg", large_jpeg())
    return planes(path, "p_{}.tif", one.read_bytes())


def archive(path: Path, method: int, name: str = ".zattrs") -> Path:
    """Write a zip whose metadata are blanks; methods but deflate are refused for themselves."""
    source = path.with_suffix(".ome.zarr")
    write_store(source, "v2")
    with zipfile.ZipFile(path, "w", method, allowZip64=True) as zipped:
        for file in sorted(source.rglob("*")):
            if file.is_file() and file.name != name:
                zipped.write(file, file.relative_to(source))
        with zipped.open(name, "w", force_zip64=True) as entry:
            entry.write(b"{")
            for _ in range(BIG // 2**24 if method == zipfile.ZIP_DEFLATED else 2):
                entry.write(b" " * 2**24)
            entry.write(b"}")
    return path


def large_metadata(path: Path, name: str) -> Path:
    write_store(path, "v2" if name.endswith((".zattrs", ".zarray")) else "v3")
    text = (path / name).read_text()
    with (path / name).open("w") as file:
        file.write(text[:-1] + ', "a": [')
        for _ in range(100):
            file.write("[]," * (2**20 // 3))
        file.write("0]}")
    return path


def ome_tiff(path: Path, xml: str) -> Path:
    tifffile.imwrite(path, VOXELS[0, 0, 0], description=xml, metadata=None)
    return path


def ome(pixels: str = "", more: str = "", **sizes: object) -> str:
    told = {"SizeX": 21, "SizeY": 20, "SizeZ": 1, "SizeC": 1, "SizeT": 1} | sizes
    words = " ".join(f'{key}="{value}"' for key, value in told.items())
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" {words}>'
        f'<Channel ID="C:0"/>{pixels}</Pixels></Image>{more}</OME>'
    )


def sparse_chunk(path: Path) -> Path:
    """Write a chunk that is a file of 64 GiB without data."""
    write_store(path, "v3-plain")
    for chunk in (path / "0/c").rglob("*"):
        if chunk.is_file():
            os.truncate(chunk, 2**36)
    return path


def blosc_in_imaris(path: Path) -> Path:
    import hdf5plugin

    return imaris(path, dict(hdf5plugin.Blosc()), blosc_of_zeros())


def sparse_dcimg(path: Path, **sizes: int) -> Path:
    """Write a file of the length that its sizes demand, of which nothing is on the disk."""
    told = {"width": 64, "height": 64, "frames": 1} | sizes
    row = told["width"] * 2
    lies = {
        **told,
        "session_frames": told["frames"],
        "row_bytes": row,
        "image_bytes": row * told["height"],
    }
    write_dcimg(path, compose_frames(1, 8, 8), Dcimg(footer=USB, lies=lies))
    size = 112 + 816 + told["frames"] * (row * told["height"] + USB)
    os.truncate(path, size)
    return path


SHUFFLED = {"shuffle": True, "compression": "gzip"}
BOMBS = {
    **{f"v2-{name}.ome.zarr": lambda p, n=name: zarr_v2(p, n) for name in CHUNKS},
    **{f"v3-{name}.ome.zarr": lambda p, n=name: zarr_v3(p, n) for name in CHUNKS},
    **{
        f"shards-{name}.ome.zarr": lambda p, n=name: zarr_v3(p, n, sharded=True)
        for name in ("gzip", "zstd", "zstd-untold", "blosc")
    },
    "sparse-chunk.ome.zarr": sparse_chunk,
    "huge.ome.zarr": lambda p: huge_zarr(p, [2, 2**20, 2**15, 2**15], [1, 64, 64, 64]),
    "tiny-chunks.ome.zarr": lambda p: huge_zarr(p, [2, 2**40, 1, 1], [1, 1, 1, 1]),
    "huge-chunks.ome.zarr": lambda p: huge_zarr(p, [2, 8, 16, 16], [1, 2**15, 2**10, 2**10]),
    "huge-planes.ome.zarr": lambda p: huge_zarr(p, [1, 1, 2**20, 2**20], [1, 1, 256, 256]),
    "zero-chunks.ome.zarr": lambda p: huge_zarr(p, [2, 8, 16, 16], [1, 0, 8, 8]),
    "negative-chunks.ome.zarr": lambda p: huge_zarr(p, [2, 8, 16, 16], [1, -4, 8, 8]),
    "no-chunks.ome.zarr": lambda p: huge_zarr(p, [2, 8, 16, 16], []),
    "chunks-of-text.ome.zarr": lambda p: huge_zarr(p, [2, 8, 16, 16], ["a", 1, 1, 1]),
    "zattrs.ome.zarr": lambda p: large_metadata(p, ".zattrs"),
    "zarray.ome.zarr": lambda p: large_metadata(p, "0/.zarray"),
    "zarr-json.ome.zarr": lambda p: large_metadata(p, "zarr.json"),
    "level-json.ome.zarr": lambda p: large_metadata(p, "0/zarr.json"),
    "deflate.ozx": lambda p: archive(p, zipfile.ZIP_DEFLATED),
    "lzma.ozx": lambda p: archive(p, zipfile.ZIP_LZMA),
    "bzip2.ozx": lambda p: archive(p, zipfile.ZIP_BZIP2),
    "deflated.ims": lambda p: imaris(p, {"compression": "gzip"}, deflated(15)),
    "shuffled.ims": lambda p: imaris(p, SHUFFLED, deflated(15)),
    "with-checksum.ims": lambda p: imaris(
        p, {**SHUFFLED, "fletcher32": True}, deflated(15) + b"\0\0\0\0"
    ),
    "blosc.ims": blosc_in_imaris,
    "huge-chunks.ims": huge_imaris,
    "huge-frames.dcimg": lambda p: sparse_dcimg(p, width=2**15, height=2**15),
    "many-frames.dcimg": lambda p: sparse_dcimg(p, width=1, height=1, frames=2**32 - 1),
    "cut.nii.gz": nifti_gz,
    "rows.nii.gz": long_rows_gz,
    "deflate.tif": lambda p: tiff(p, "zlib", deflated(15)),
    "zstd.tif": lambda p: tiff(p, "zstd", zstd_of_zeros(told=True)),
    "lzma.tif": lambda p: tiff(p, "lzma", bomb("lzma")),
    "jpeg.tif": lambda p: tiff(p, "jpeg", large_jpeg()),
    "jpeg-2000.tif": lambda p: tiff(p, "jpeg2000", large_jpeg_2000()),
    "tile.tif": lambda p: tiff(p, "zlib", deflated(15), told=2**16 - 16),
    "png": lambda p: planes(p, "p_{}.png", png(2**15, 2**15)),
    "large-png": lambda p: planes(p, "p_{}.png", png(2**17, 2**17)),
    "jp2": lambda p: planes(p, "p_{}.jp2", large_jpeg_2000()),
    "jpegs": lambda p: planes(
        p, "p_{}.tif", tiff(p.with_suffix(".t"), "jpeg", large_jpeg()).read_bytes()
    ),
    "attribute.ome.tif": lambda p: ome_tiff(p, ome(more=f'<A B="{"x" * 100 * 2**20}"/>')),
    "nested.ome.tif": lambda p: ome_tiff(p, ome(more="<a>" * 10**7)),
    "long.ome.tif": lambda p: ome_tiff(p, ome(more="<a/>" * (18 * 2**20))),
    "times.ome.tif": lambda p: ome_tiff(p, ome("<TiffData/>", SizeT=10**6)),
    "named-twice.ome.tif": lambda p: ome_tiff(
        p, ome('<TiffData IFD="0" PlaneCount="400000"/>' * 10**5, SizeT=400000)
    ),
    "files.ome.tif": lambda p: ome_tiff(
        p,
        ome(
            "".join(
                f'<TiffData FirstT="{n}" IFD="0" PlaneCount="1"><UUID FileName="f{n}.ome.tif">'
                f"urn:uuid:{n}</UUID></TiffData>"
                for n in range(200_000)
            ),
            SizeT=200_000,
        ),
    ),
}
