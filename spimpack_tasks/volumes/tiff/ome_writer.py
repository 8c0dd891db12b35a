"""Writes pyramidal, tiled OME-TIFF, plane by plane.

Each plane is followed by its smaller versions, which its directory names (`SubIFDs`): so one pass
over the source is enough, and a few planes are in memory. As OME-TIFF has it, smaller versions are
smaller in y and x alone. An interrupted file cannot be resumed: it is made from the start.
Facts: OME-TIFF specification 6.0.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from spimpack_tasks.arrays.pyramid import halve
from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.blocks import Block, IncompleteVolumeError, as_block
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.tiff.layout import COMPRESSIONS, TILE, extension_of, plane_sizes
from spimpack_tasks.volumes.tiff.ome_xml_writer import compose_ome_xml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.arrays.parallel import WorkPool
    from spimpack_tasks.volumes.spec import VolumeSpec


class TileCodec(NamedTuple):
    """How tiles are encoded."""

    compression: str = COMPRESSIONS[0]
    """One of `COMPRESSIONS`."""
    level: int = 1
    """Effort, one of `LEVELS`; it has no meaning for `none`."""

    @property
    def is_packed(self) -> bool:
        """Whether tiles are compressed."""
        return self.compression != "none"


@contextmanager
def create_ome_tiff(
    path: str, spec: VolumeSpec, codec: TileCodec, pool: WorkPool
) -> Iterator[OmeTiffWriter]:
    """Begin an OME-TIFF, BigTIFF if need be.

    Parameters
    ----------
    path
        Where it is written. Nothing is there until the context ends, and nothing comes of a file
        that is not finished.
    spec
        What is known of the image. Its data type is one of `layout.TYPES`.
    codec
        How tiles are encoded.
    pool
        The threads that encode. The bytes that are written do not depend on their number.

    Raises
    ------
    OSError
        The disk does not take the file.
    """
    tifffile = load_library("tifffile")
    is_big = extension_of(spec.shape_tczyx, spec.dtype.itemsize) == ".ome.btf"
    with (
        replacing(path, Durability.SAFE) as aside,
        tifffile.TiffWriter(aside.file, bigtiff=is_big, byteorder="<") as file,
    ):
        writer = OmeTiffWriter(file, spec, codec, pool)
        yield writer
        if not writer.is_finished:
            aside.leave()


class OmeTiffWriter:
    """An OME-TIFF that is being written. Its blocks are planes."""

    order: Literal["planes"] = "planes"

    def __init__(self, file: Any, spec: VolumeSpec, codec: TileCodec, pool: WorkPool) -> None:
        self.spec = spec
        self.is_finished = False
        self._file, self._codec, self._pool = file, codec, pool
        self._description = compose_ome_xml(spec)
        self._ahead: deque[Future[list[list[bytes]]]] = deque()
        self._expected = self.missing()

    def missing(self) -> Iterator[Block]:
        """Yield all planes, z the fastest and t the slowest."""
        *_, height, width = self.spec.shape_tczyx
        for place in product(*map(range, self.spec.shape_tczyx[:3])):
            at = (slice(n, n + 1) for n in place)
            yield Block((*place, 0, 0), (*at, slice(0, height), slice(0, width)))

    def write(self, block: Block, voxels: Voxels) -> None:
        """Write the next plane; a few planes are encoded ahead.

        Raises
        ------
        ValueError
            It is another plane, or of another shape or type.
        """
        voxels = as_block(self.spec, block, voxels)
        if block != next(self._expected, None):
            message = f"the plane at {block.place[:3]} (t, c, z) is not the next one"
            raise ValueError(message)
        self._ahead.append(self._pool.submit(encode_levels, voxels[0, 0, 0], self._codec))
        if len(self._ahead) > 2 * self._pool.threads:
            self._write_plane(self._ahead.popleft().result())

    def finish(self) -> None:
        """Write the planes that are encoded ahead.

        Raises
        ------
        IncompleteVolumeError
            Planes are missing.
        """
        count = sum(1 for _ in self._expected)
        if count:
            raise IncompleteVolumeError(count)
        while self._ahead:
            self._write_plane(self._ahead.popleft().result())
        self.is_finished = True

    def _resolution(self) -> dict[str, Any]:
        """Return pixels of the full level per centimetre, nothing where they are not known."""
        _, y_um, x_um = self.spec.spacing_um_zyx
        if x_um is None or y_um is None:
            return {}
        return {"resolution": (1e4 / x_um, 1e4 / y_um), "resolutionunit": "CENTIMETER"}

    def _write_plane(self, levels: list[list[bytes]]) -> None:
        """Write a plane and its smaller versions, whose tiles are encoded."""
        options = {
            "dtype": self.spec.dtype,
            "tile": (TILE, TILE),
            "compression": self._codec.compression if self._codec.is_packed else None,
            "predictor": self._codec.is_packed,
            "photometric": "minisblack",
            "software": f"spimpack_tasks {__version__}",
            "metadata": None,
        }
        sizes = plane_sizes(self.spec.shape_tczyx[3:])
        for number, (size, tiles) in enumerate(zip(sizes, levels, strict=True)):
            first = {"subifds": len(sizes) - 1, "description": self._description or None}
            first |= self._resolution()
            kind = {"subfiletype": 1} if number else first
            self._file.write(iter(tiles), shape=size, **kind, **options)
        self._description = b""  # of the first plane only


def encode_levels(plane: Voxels, codec: TileCodec, most: int | None = None) -> list[list[bytes]]:
    """Return the encoded tiles of a plane and of its smaller versions, or of some of them.

    Parameters
    ----------
    plane
        Along y and x.
    codec
        How tiles are encoded.
    most
        Number of levels at most, `None` for all.
    """
    levels = []
    sizes = plane_sizes(plane.shape)
    for number, size in enumerate(sizes[:most]):
        if number:
            steps = (1, *(2 if m < n else 1 for n, m in zip(plane.shape, size, strict=True)))
            plane = halve(plane[None], steps)[0]
        levels.append([_encode_tile(tile, codec) for tile in _tiles(plane)])
    return levels


def _tiles(plane: Voxels) -> Iterator[Voxels]:
    """Yield the tiles of a plane, row by row, filled up with zeros."""
    import numpy as np

    for y in range(0, plane.shape[0], TILE):
        for x in range(0, plane.shape[1], TILE):
            part = plane[y : y + TILE, x : x + TILE]
            tile = np.zeros((TILE, TILE), plane.dtype)
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _encode_tile(tile: Voxels, codec: TileCodec) -> bytes:
    """Return a tile of differences along x (of floating-point numbers, as Adobe has it), packed.

    Without compression it stays as it is.
    """
    if not codec.is_packed:
        return tile.astype(tile.dtype.newbyteorder("<")).tobytes()
    codecs = load_library("imagecodecs", "convert")
    predict = codecs.floatpred_encode if tile.dtype.kind == "f" else codecs.delta_encode
    encode = codecs.zstd_encode if codec.compression == "zstd" else codecs.deflate_encode
    packed: bytes = encode(predict(tile, axis=-1).tobytes(), level=codec.level)
    return packed
